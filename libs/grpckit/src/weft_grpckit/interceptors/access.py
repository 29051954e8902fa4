"""Who may call a method of an inner service: its contract says."""

from typing import Any

from weft_core.caller import Caller, CallerKind
from weft_core.errors import PermissionDeniedError

from weft_grpckit.context import Context, metadata_value, set_caller
from weft_grpckit.contract import MethodContract
from weft_grpckit.interceptors.wrapping import Guard
from weft_grpckit.tokens import METADATA_KEY, TokenVerifier, token_invalid


class AccessInterceptor(Guard):
    """Takes a call only with a token that its method is open to.

    A method with `service_callers` is open to the tokens of those services, one with a scope (or with neither) to
    the tokens of callers and runs.
    """

    def __init__(self, verifier: TokenVerifier) -> None:
        super().__init__()
        self._verifier = verifier

    def check(self, contract: MethodContract, request: Any, context: Context) -> None:
        token = metadata_value(context, METADATA_KEY)
        if not token:
            raise token_invalid("no internal token was sent")
        caller = self._verifier.verify(token)
        check_access(contract, caller)
        set_caller(caller, token)


def check_access(contract: MethodContract, caller: Caller) -> None:
    """Raises: UnauthenticatedError TOKEN_INVALID, PermissionDeniedError SCOPE_MISSING."""
    if caller.kind is CallerKind.SERVICE:
        if caller.service not in contract.service_callers:
            raise token_invalid(f"{contract.path} is not open to the token of service {caller.service!r}")
        return
    if contract.service_callers and not contract.scope:
        raise token_invalid(f"{contract.path} takes the token of a service only")
    check_scope(contract.scope, caller.scopes)


def check_scope(scope: str, scopes: frozenset[str]) -> None:
    """Raises: PermissionDeniedError SCOPE_MISSING."""
    if scope and scope not in scopes:
        raise PermissionDeniedError(
            "SCOPE_MISSING", f"this needs scope {scope}; use a key that has it", metadata={"scope": scope}
        )
