"""Page tokens (AIP-158) that nobody can forge, move to another tenant, method or filter, or keep for longer than a day.

Token: base64url of version, expiry, cursor and a tag. Tenant, method and filter are not in it; they are under the tag.
"""

import base64
import binascii
import hashlib
import hmac
import json
import struct
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from weft_core.clock import Clock, SystemClock
from weft_core.errors import InvalidArgumentError

LIFETIME_SECONDS: Final = 24 * 3600
DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 1000
_VERSION: Final = 1
_HEAD: Final = struct.Struct(">BQ")
_TAG_BYTES: Final = 16


class PageTokens:
    """Makes and reads the tokens of every list."""

    def __init__(self, key: bytes, clock: Clock | None = None) -> None:
        """`key` is any secret shared by all replicas; the signing key is derived from it."""
        self._key = hmac.digest(key, b"weft page tokens", "sha256")
        self._clock = clock or SystemClock()

    def encode(self, tenant_id: UUID, method: str, filter_digest: bytes, cursor: bytes) -> str:
        """Return the token of the page that begins after `cursor`."""
        head = _HEAD.pack(_VERSION, int(self._clock.now()) + LIFETIME_SECONDS)
        tag = self._tag(tenant_id, method, filter_digest, head + cursor)
        return base64.urlsafe_b64encode(head + cursor + tag).decode().rstrip("=")

    def decode(self, tenant_id: UUID, method: str, filter_digest: bytes, token: str) -> bytes | None:
        """Return the cursor in `token`, None for an empty token.

        Raises: InvalidArgumentError PAGE_TOKEN_INVALID or PAGE_TOKEN_EXPIRED.
        """
        if not token:
            return None
        raw = _decoded(token)
        body, tag = raw[:-_TAG_BYTES], raw[-_TAG_BYTES:]
        if len(body) < _HEAD.size or not hmac.compare_digest(tag, self._tag(tenant_id, method, filter_digest, body)):
            raise _invalid()
        version, expiry = _HEAD.unpack_from(body)
        if version != _VERSION:
            raise _invalid()
        if self._clock.now() >= expiry:
            raise InvalidArgumentError(
                "PAGE_TOKEN_EXPIRED", "page_token is older than a day; start from the first page, with none"
            )
        return body[_HEAD.size :]

    def _tag(self, tenant_id: UUID, method: str, filter_digest: bytes, body: bytes) -> bytes:
        name = method.encode()
        lengths = struct.pack(">HH", len(name), len(filter_digest))
        return hmac.digest(self._key, tenant_id.bytes + lengths + name + filter_digest + body, "sha256")[:_TAG_BYTES]


def digest_of(filters: Mapping[str, object]) -> bytes:
    """Return what stands for a list's filter: page size and token do not belong into it."""
    text = json.dumps(dict(filters), sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).digest()


def page_size_of(asked: int) -> int:
    """Return the page size to use: 0 means the default, more than the maximum means the maximum."""
    return DEFAULT_PAGE_SIZE if asked <= 0 else min(asked, MAX_PAGE_SIZE)


def _decoded(token: str) -> bytes:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid() from None
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != token:
        raise _invalid()
    return raw


def _invalid() -> InvalidArgumentError:
    return InvalidArgumentError(
        "PAGE_TOKEN_INVALID",
        "page_token was not made by this method for this tenant and filter; start from the first page, with none",
    )
