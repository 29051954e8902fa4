"""Internal tokens: who calls, signed by whoever checked it.

A token is a JWT (HS256). Claims: `kind` (caller, run or service), `ten` tenant id, `sub` principal, `scp` scopes,
`exp`; a run's token has `run`, `epoch` and `agt` besides, a service's token `svc`.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final
from uuid import UUID

import jwt
from weft_core.caller import Caller, CallerKind
from weft_core.errors import UnauthenticatedError, WeftError
from weft_core.ids import format_id, parse_id

METADATA_KEY: Final = "weft-token"
LIFETIME_SECONDS: Final = 60.0
NOBODY: Final = UUID(int=0)
_ALGORITHM: Final = "HS256"
# Clocks of two machines may differ by this much.
_LEEWAY_SECONDS: Final = 30
_CACHE_SIZE: Final = 20_000


class TokenSigner:
    """Signs tokens. One is used again for half of its life: signing costs as much as the rest of a hop's Python."""

    def __init__(self, key: bytes, *, now: Callable[[], float] = time.time) -> None:
        self._key, self._now = key, now
        self._cached: dict[object, tuple[str, float]] = {}

    def caller_token(
        self,
        tenant_id: UUID,
        principal: str,
        scopes: Iterable[str],
        *,
        lifetime_seconds: float = LIFETIME_SECONDS,
    ) -> str:
        key = tenant_id, principal, frozenset(scopes)
        return self._reused((*key, lifetime_seconds), lambda: _claims(CallerKind.CALLER, *key), lifetime_seconds)

    def service_token(self, service: str) -> str:
        return self._reused(service, lambda: _claims(CallerKind.SERVICE, NOBODY, service, ()) | {"svc": service})

    def run_token(
        self,
        tenant_id: UUID,
        principal: str,
        scopes: Iterable[str],
        *,
        run_id: UUID,
        epoch: int,
        agent_id: UUID,
        lifetime_seconds: float,
    ) -> str:
        run = {"run": format_id("run", run_id), "epoch": epoch, "agt": format_id("agt", agent_id)}
        return self._signed(_claims(CallerKind.RUN, tenant_id, principal, scopes) | run, lifetime_seconds)

    def _reused(
        self, key: object, claims: Callable[[], dict[str, Any]], lifetime_seconds: float = LIFETIME_SECONDS
    ) -> str:
        now = self._now()
        token, until = self._cached.get(key, ("", 0.0))
        if now >= until:
            if len(self._cached) >= _CACHE_SIZE:
                self._cached.clear()
            token = self._signed(claims(), lifetime_seconds)
            self._cached[key] = token, now + lifetime_seconds / 2
        return token

    def _signed(self, claims: dict[str, Any], lifetime_seconds: float) -> str:
        return jwt.encode(claims | {"exp": int(self._now() + lifetime_seconds)}, self._key, algorithm=_ALGORITHM)


class TokenVerifier:
    """Verifies a token once and remembers the answer until it expires."""

    def __init__(self, key: bytes, *, now: Callable[[], float] = time.time) -> None:
        self._key, self._now = key, now
        self._cached: dict[str, tuple[Caller, float]] = {}

    def verify(self, token: str) -> Caller:
        """Return the caller. Raises: UnauthenticatedError TOKEN_INVALID."""
        caller, until = self._cached.get(token, (None, 0.0))
        if caller is None or self._now() >= until:
            self._cached.pop(token, None)
            caller, until = self._verified(token)
            if len(self._cached) >= _CACHE_SIZE:
                self._cached.clear()
            self._cached[token] = caller, until
        return caller

    def _verified(self, token: str) -> tuple[Caller, float]:
        try:
            claims = jwt.decode(
                token, self._key, algorithms=[_ALGORITHM], options={"require": ["exp"], "verify_exp": False}
            )
            until = float(claims["exp"]) + _LEEWAY_SECONDS
            caller = _caller_from(claims)
        except (jwt.InvalidTokenError, WeftError, KeyError, TypeError, ValueError):
            raise token_invalid("the internal token is forged or malformed") from None
        if self._now() >= until:
            raise token_invalid("the internal token has expired")
        return caller, until


def token_invalid(what: str) -> UnauthenticatedError:
    return UnauthenticatedError("TOKEN_INVALID", f"{what}; call through the gateway, with an API key")


def token_metadata(token: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata of a call made with `token`."""
    return ((METADATA_KEY, token),)


def _claims(kind: CallerKind, tenant_id: UUID, principal: str, scopes: Iterable[str]) -> dict[str, Any]:
    return {"kind": kind.value, "ten": format_id("ten", tenant_id), "sub": principal, "scp": sorted(scopes)}


def _caller_from(claims: dict[str, Any]) -> Caller:
    kind = CallerKind(claims["kind"])
    is_run = kind is CallerKind.RUN
    return Caller(
        kind=kind,
        tenant_id=parse_id("ten", str(claims["ten"])),
        principal=str(claims["sub"]),
        scopes=frozenset(str(each) for each in claims["scp"]),
        run_id=parse_id("run", str(claims["run"])) if is_run else None,
        epoch=int(claims["epoch"]) if is_run else None,
        agent_id=parse_id("agt", str(claims["agt"])) if is_run else None,
        service=str(claims["svc"]) if kind is CallerKind.SERVICE else "",
    )
