"""What is known about the call being served, for the task that serves it."""

from contextvars import ContextVar
from typing import Any, TypeAlias

import grpc
from weft_core.caller import Caller, CallerKind
from weft_core.ids import format_id

from weft_grpckit.tokens import token_invalid

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

_caller: ContextVar[Caller | None] = ContextVar("weft_caller", default=None)
_token: ContextVar[str] = ContextVar("weft_token", default="")


def set_caller(caller: Caller, token: str) -> None:
    """Note who calls. It ends with the call's task, so nothing is reset."""
    _caller.set(caller)
    _token.set(token)


def caller_of(context: Context) -> Caller:
    """Return who calls. Raises: UnauthenticatedError where the method is open to nobody in particular."""
    caller = _caller.get()
    if caller is None:
        raise token_invalid("this method was called without a token")
    return caller


def current_token() -> str:
    """Return the token of the call being served, "" outside of one: for calls made on the caller's behalf."""
    return _token.get()


def served_ids() -> dict[str, str]:
    """Return for whom the call being served is, as far as its token says: for log lines and spans."""
    caller = _caller.get()
    if caller is None or caller.kind is CallerKind.SERVICE:
        return {}
    ids = {"tenant_id": format_id("ten", caller.tenant_id)}
    if caller.run_id is not None:
        ids["run_id"] = format_id("run", caller.run_id)
    return ids


def metadata_value(context: Context, key: str) -> str:
    """Return the first text value of a metadata key, "" where it was not sent."""
    for name, value in context.invocation_metadata() or ():
        if name == key:
            return value if isinstance(value, str) else value.decode("ascii", "replace")
    return ""
