"""What errors of PostgreSQL mean."""

from collections.abc import Mapping

import asyncpg
import sqlalchemy.exc
from weft_core.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
    WeftError,
)

from weft_threads.missing import tenant_gone

RETRY_SECONDS = 0.5

# What the schema's functions refuse with (SQLSTATE WF001): reason → error class, name of the detail, and the sentence.
REFUSALS: Mapping[str, tuple[type[WeftError], str, str]] = {
    "AGENT_NOT_FOUND": (NotFoundError, "", "no such agent; AgentService.ListAgents shows those that exist"),
    "THREAD_NOT_FOUND": (NotFoundError, "", "no such thread; ThreadService.ListThreads shows those that exist"),
    "PROJECT_NOT_FOUND": (NotFoundError, "", "no such project; ProjectService.ListProjects shows those that exist"),
    "PROJECT_MISMATCH": (
        FailedPreconditionError,
        "project_id",
        "the thread lies in another project; leave project_id empty",
    ),
    "REQUEST_ID_REUSED": (InvalidArgumentError, "", "this request_id was used with another body; use a new one"),
    "REQUEST_CANCELLED": (
        FailedPreconditionError,
        "",
        "this request_id was cancelled before it arrived; use a new one",
    ),
    "THREAD_BUSY": (
        FailedPreconditionError,
        "run_id",
        "the thread has a run that has not ended; wait, or use another strategy",
    ),
    "THREAD_QUEUE_FULL": (
        ResourceExhaustedError,
        "limit",
        "the thread has as many queued runs as it may; try again later",
    ),
    "ACTIVE_RUN_LIMIT": (
        ResourceExhaustedError,
        "limit",
        "the tenant has as many active runs as it may; try again later",
    ),
    "THREAD_LIMIT": (ResourceExhaustedError, "limit", "the tenant has as many threads as it may; delete some"),
}
RETRYABLE_REFUSALS = frozenset({"THREAD_QUEUE_FULL", "ACTIVE_RUN_LIMIT"})

UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection whose server died in mid-answer
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    sqlalchemy.exc.TimeoutError,
)
TRANSIENT = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.InvalidCachedStatementError)


def driver_error(error: BaseException) -> BaseException:
    """Return what the driver raised: SQLAlchemy wraps it twice, and once where a connection is made for its pool."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None:
        error = error.orig
    if isinstance(error, sqlalchemy.exc.EmulatedDBAPIException) and error.__cause__ is not None:
        return error.__cause__
    return error


def is_transient(error: BaseException) -> bool:
    return isinstance(driver_error(error), TRANSIENT)


def translate(error: Exception) -> Exception:
    """Return the WeftError that tells a caller what happened, or the error itself when it is a fault of ours."""
    cause = driver_error(error)
    if isinstance(cause, WeftError):
        return cause
    if isinstance(cause, asyncpg.PostgresError) and cause.sqlstate == "WF001":
        return refusal(cause.args[0], cause.detail or "")
    if isinstance(cause, asyncpg.ForeignKeyViolationError) and _is_to_tenants(cause):
        return tenant_gone()
    if isinstance(cause, TRANSIENT):
        return UnavailableError(
            "DATABASE_UNAVAILABLE", "too many conflicting changes; try again", retry_after_seconds=RETRY_SECONDS
        )
    if isinstance(cause, UNAVAILABLE):
        return UnavailableError(
            "DATABASE_UNAVAILABLE", "the database cannot be reached; try again", retry_after_seconds=RETRY_SECONDS
        )
    return error


def _is_to_tenants(violation: asyncpg.ForeignKeyViolationError) -> bool:
    """Whether it is the key to the tenant alone: the others name more columns."""
    return (violation.constraint_name or "").endswith("_tenant_id_fkey")


def refusal(reason: str, detail: str) -> WeftError:
    kind, key, sentence = REFUSALS[reason]
    return kind(
        reason,
        sentence,
        metadata={key: detail} if key and detail else {},
        retry_after_seconds=1.0 if reason in RETRYABLE_REFUSALS else None,
    )
