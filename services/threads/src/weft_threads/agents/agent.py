"""Agents as values."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID


@dataclass(frozen=True, slots=True)
class StoredSpec:
    """A spec as it is kept: serialized, every limit filled in; beside it what SQL itself reads."""

    spec: bytes
    busy_strategy: str
    run_timeout: timedelta
    queue_timeout: timedelta
    context_bytes: int
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AgentVersion:
    agent_version_id: UUID
    agent_id: UUID
    number: int
    spec: bytes
    create_time: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class Agent:
    agent_id: UUID
    display_name: str
    description: str
    version_id: UUID
    version_number: int
    spec: bytes
    create_time: datetime
    update_time: datetime
    created_by: str
