"""API keys: what each opens, asked of threads and remembered for seconds."""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from contextvars import Context as EmptyContext
from dataclasses import dataclass
from typing import Final

from weft_core.caller import Caller
from weft_core.errors import UnauthenticatedError

logger = logging.getLogger(__name__)

POSITIVE_SECONDS: Final = 5.0
NEGATIVE_SECONDS: Final = 1.0
_CACHE_SIZE: Final = 20_000
_MAX_KEY_LENGTH: Final = 512


@dataclass(frozen=True, slots=True)
class Credential:
    """What a key opens. `expire_seconds` is a time since 1970, None for never."""

    caller: Caller
    expire_seconds: float | None = None


# Ask who owns the key with this SHA-256; raises UnauthenticatedError API_KEY_INVALID for nobody.
Resolve = Callable[[bytes], Awaitable[Credential]]


@dataclass(slots=True)
class _Known:
    credential: Credential | None
    until: float


class _Memory:
    """What some keys are known to stand for. When it is full, the oldest is forgotten."""

    def __init__(self, seconds: float, size: int) -> None:
        self._seconds, self._size = seconds, size
        self._known: dict[bytes, _Known] = {}

    def find(self, digest: bytes, now: float) -> _Known | None:
        known = self._known.get(digest)
        return known if known is not None and now < known.until else None

    def remember(self, digest: bytes, credential: Credential | None, now: float) -> None:
        self.forget(digest)
        if len(self._known) >= self._size:
            self.forget(next(iter(self._known)))
        self._known[digest] = _Known(credential, now + self._seconds)

    def forget(self, digest: bytes) -> None:
        self._known.pop(digest, None)


class ApiKeys:
    """Resolves keys. However many calls come with a key at once, it is asked for once."""

    def __init__(self, resolve: Resolve, operator: Caller, operator_key: str, *, now: Callable[[], float]) -> None:
        """`now` is monotonic, in seconds."""
        self._resolve, self._operator, self._now = resolve, operator, now
        self._operator_digest = digest_of_key(operator_key)
        # Two: whoever tries keys at random must not push out those that open something.
        self._good = _Memory(POSITIVE_SECONDS, _CACHE_SIZE)
        self._bad = _Memory(NEGATIVE_SECONDS, _CACHE_SIZE)
        self._asking: dict[bytes, asyncio.Task[Credential | None]] = {}

    async def caller(self, digest: bytes) -> Caller:
        """Return who the key with this digest stands for. Raises: UnauthenticatedError API_KEY_INVALID."""
        if hmac.compare_digest(digest, self._operator_digest):
            return self._operator
        now = self._now()
        known = self._good.find(digest, now) or self._bad.find(digest, now)
        credential = known.credential if known is not None else await self._ask_once(digest)
        if credential is None or _has_expired(credential):
            raise api_key_invalid()
        return credential.caller

    async def is_revoked(self, digest: bytes) -> bool:
        """Tell whether a key that opened a stream has been revoked since. Not to be reached is not revoked."""
        try:
            await self.caller(digest)
        except UnauthenticatedError:
            return True
        except Exception as error:
            logger.warning("whether a key was revoked is not known: %s", error)
        return False

    async def _ask_once(self, digest: bytes) -> Credential | None:
        asking = self._asking.get(digest)
        if asking is None:
            # Its own context: the first caller's deadline must not fail the others.
            asking = asyncio.create_task(self._ask(digest), context=EmptyContext())
            asking.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._asking[digest] = asking
        return await asyncio.shield(asking)

    async def _ask(self, digest: bytes) -> Credential | None:
        try:
            credential = await self._resolve(digest)
        except UnauthenticatedError:
            self._good.forget(digest)
            self._bad.remember(digest, None, self._now())
            return None
        else:
            self._bad.forget(digest)
            self._good.remember(digest, credential, self._now())
            return credential
        finally:
            del self._asking[digest]


def digest_of_key(key: str) -> bytes:
    """Return what stands for a key everywhere but in its owner's hands. Raises: UnauthenticatedError when too long."""
    if len(key) > _MAX_KEY_LENGTH:
        raise api_key_invalid()
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def api_key_invalid() -> UnauthenticatedError:
    return UnauthenticatedError("API_KEY_INVALID", "the API key is unknown, expired or revoked; use another key")


def api_key_missing() -> UnauthenticatedError:
    return UnauthenticatedError(
        "API_KEY_MISSING", "no API key was sent; send metadata `x-api-key: KEY` or `authorization: Bearer KEY`"
    )


def _has_expired(credential: Credential) -> bool:
    return credential.expire_seconds is not None and time.time() >= credential.expire_seconds
