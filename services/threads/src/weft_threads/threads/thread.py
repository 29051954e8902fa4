"""Threads and messages as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Thread:
    thread_id: UUID
    project_id: UUID
    agent_id: UUID
    title: str
    is_active: bool
    metadata: Mapping[str, str]
    attention_reason: str | None
    attention_message: str | None
    attention_time: datetime | None
    last_turn: int
    create_time: datetime
    update_time: datetime
    created_by: str
    # What its runs do: idle, queued, running or waiting.
    agent_state: str


@dataclass(frozen=True, slots=True)
class NewThread:
    """None: the tenant's default."""

    project_id: UUID | None
    agent_id: UUID | None
    title: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ThreadFilter:
    """None: whatever."""

    project_id: UUID | None
    agent_id: UUID | None
    is_active: bool | None
    # Pairs that a thread must have, all of them; empty for whatever.
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Message:
    """`content` is a serialized weft.threads.v1.MessageContent."""

    message_id: UUID
    thread_id: UUID
    turn: int
    index: int
    role: str
    content: bytes
    is_incomplete: bool
    run_id: UUID | None
    create_time: datetime
    created_by: str


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a message stands in its thread."""

    turn: int
    index: int
