"""The table of prices as the environment gives it: JSON, or a file of JSON."""

from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from weft_agent_runner.domain.prices import ModelPrice, Prices


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    input: Decimal = Field(ge=0, le=1_000_000)
    output: Decimal = Field(ge=0, le=1_000_000)
    # As an uncached token, unless it is said.
    cached_input: Decimal | None = Field(None, ge=0, le=1_000_000)


_TABLE = TypeAdapter(dict[str, _Row])


def prices_from(value: str) -> Prices:
    """Raises: ValueError: it is neither a table nor the path of one; says what is wrong where."""
    if not value.strip():
        return {}
    try:
        rows = _TABLE.validate_json(value if value.lstrip().startswith("{") else Path(value).read_text())
    except OSError as error:
        raise ValueError(f"must be JSON, or the path of a file with it: {error}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'table'}: {each['msg']}" for each in error.errors())
        raise ValueError(f"must give prices as {{'model': {{'input': 0.25, 'output': 2}}}}: {wrong}") from None
    return {
        model: ModelPrice(row.input, row.input if row.cached_input is None else row.cached_input, row.output)
        for model, row in rows.items()
    }
