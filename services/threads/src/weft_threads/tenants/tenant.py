"""Tenants and API keys as values."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

DEFAULT_QUEUED_RUNS_PER_THREAD: Final = 100
DEFAULT_ACTIVE_RUNS: Final = 1000
DEFAULT_THREADS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Tenant:
    tenant_id: UUID
    display_name: str
    default_agent_id: UUID
    default_project_id: UUID
    max_queued_runs_per_thread: int
    max_active_runs: int
    max_threads: int
    create_time: datetime
    update_time: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class ApiKey:
    api_key_id: UUID
    tenant_id: UUID
    display_name: str
    scopes: tuple[str, ...]
    create_time: datetime
    expire_time: datetime | None
    revoke_time: datetime | None
    created_by: str


@dataclass(frozen=True, slots=True)
class NewApiKey:
    tenant_id: UUID
    display_name: str
    scopes: tuple[str, ...]
    expire_time: datetime | None


@dataclass(frozen=True, slots=True)
class Credential:
    """What an API key opens."""

    tenant_id: UUID
    api_key_id: UUID
    principal: str
    scopes: tuple[str, ...]
    expire_time: datetime | None


def new_secret() -> str:
    """Return 256 random bits as what a caller sends."""
    return f"weft_{secrets.token_urlsafe(32)}"


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret. It is random, so nothing slower than a plain digest is needed."""
    return hashlib.sha256(secret.encode()).digest()
