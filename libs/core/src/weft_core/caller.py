"""Who calls: what an internal token says, once it was verified."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class CallerKind(StrEnum):
    CALLER = "caller"
    RUN = "run"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Caller:
    """One authenticated caller.

    `tenant_id` is the nil uuid for services and for the operator, who belong to no tenant. `run_id`, `epoch` and
    `agent_id` are set for the token that a claimed run works with; `service` for the token of a service.
    """

    kind: CallerKind
    tenant_id: UUID
    principal: str
    scopes: frozenset[str]
    run_id: UUID | None = None
    epoch: int | None = None
    agent_id: UUID | None = None
    service: str = ""
