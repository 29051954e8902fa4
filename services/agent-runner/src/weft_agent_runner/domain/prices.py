"""What model calls cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeAlias

from weft_agent_runner.domain.model import ModelUsage


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """US dollars for a million tokens, which is the same as millionths of a dollar for one."""

    input: Decimal
    cached_input: Decimal
    output: Decimal

    def cost_micros(self, usage: ModelUsage) -> int:
        """Return millionths of a dollar, rounded to the nearest."""
        cached = min(usage.cached_input_tokens, usage.input_tokens)
        cost = (usage.input_tokens - cached) * self.input + cached * self.cached_input
        cost += usage.output_tokens * self.output
        return int(cost.to_integral_value(ROUND_HALF_UP))


# By the exact name of the model, as it is asked for.
Prices: TypeAlias = Mapping[str, ModelPrice]
