"""A version of an agent, and how it asks a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from weft_core.text import byte_length

from weft_agent_runner.domain.model import ModelMessage, ModelRequest, ModelUsage, Role, ToolSpec
from weft_agent_runner.domain.prices import ModelPrice


@dataclass(frozen=True, slots=True)
class AgentVersion:
    """`model` is empty for the default of the installation; `parameters` go to the provider as they are."""

    system_instructions: str = ""
    task_instructions: str = ""
    model: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    max_model_calls: int = 5
    max_tool_calls_per_turn: int = 16
    model_call_timeout_seconds: float = 300.0
    max_tries: int = 3


@dataclass(frozen=True, slots=True)
class Equipment:
    """All that a run's model calls need beside the conversation."""

    agent: AgentVersion
    model: str
    tools: tuple[ToolSpec, ...] = ()
    price: ModelPrice | None = None
    # The tenant's own for the provider; empty for the installation's.
    api_key: str = field(default="", repr=False)

    def cost_micros(self, usage: ModelUsage | None) -> int | None:
        """Return what a call cost; None when nobody knows."""
        return None if usage is None or self.price is None else self.price.cost_micros(usage)

    def keeps_state(self, tool: str) -> bool:
        return any(spec.keeps_state for spec in self.tools if spec.name == tool)

    def is_last_call(self, step: int) -> bool:
        """True for the model call that is offered no tools, so that the run comes to an end."""
        return step >= self.agent.max_model_calls


def system_messages(agent: AgentVersion) -> tuple[ModelMessage, ...]:
    parts = [text for text in (agent.system_instructions, agent.task_instructions) if text.strip()]
    return (ModelMessage(Role.SYSTEM, "\n\n".join(parts)),) if parts else ()


def model_request(
    equipment: Equipment, conversation: tuple[ModelMessage, ...], step: int, remaining_seconds: float
) -> ModelRequest:
    return ModelRequest(
        model=equipment.model,
        messages=system_messages(equipment.agent) + conversation,
        total_seconds=min(equipment.agent.model_call_timeout_seconds, remaining_seconds),
        tools=() if equipment.is_last_call(step) else equipment.tools,
        parameters=equipment.agent.parameters,
        api_key=equipment.api_key,
    )


def context_bytes(conversation: tuple[ModelMessage, ...]) -> int:
    return sum(
        byte_length(message.text) + sum(byte_length(call.arguments) for call in message.tool_calls)
        for message in conversation
    )
