"""Secrets of tenants, sealed: AES-GCM under a key that is not in the database.

Sealed: 4 bytes that say which key, 12 of nonce, the ciphertext. It opens only for the tenant for whom it was sealed.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES, _NAME_BYTES, _NONCE_BYTES = 32, 4, 12


class SealBrokenError(Exception):
    """What is stored cannot be opened: its key is not among those given, or it is another tenant's."""


class Sealer:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._first = _name(keys[0])
        self._ciphers = {_name(key): AESGCM(key) for key in keys}

    def seal(self, tenant_id: UUID, secret: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return self._first + nonce + self._ciphers[self._first].encrypt(nonce, secret.encode(), tenant_id.bytes)

    def unseal(self, tenant_id: UUID, sealed: bytes) -> str:
        """Raises: SealBrokenError."""
        name, rest = sealed[:_NAME_BYTES], sealed[_NAME_BYTES:]
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise SealBrokenError("sealed with a key that is not among WEFT_SECRETS_KEY")
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], tenant_id.bytes).decode()
        except InvalidTag:
            raise SealBrokenError("sealed for another tenant, or damaged") from None


def keys_from(text: str, token_key: bytes) -> list[bytes]:
    """Return the keys of a comma list in base64, behind them the one that follows from `token_key`: it seals where
    there is no other, and opens what it sealed before there was one.

    Raises: ValueError: one of them is not 32 bytes of base64.
    """
    derived = hmac.digest(token_key, b"weft secrets of tenants", "sha256")
    return [_decoded(each.strip()) for each in text.split(",") if text.strip()] + [derived]


def _decoded(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("must be keys of 32 bytes in base64, separated by commas")
    return key


def _name(key: bytes) -> bytes:
    return hashlib.sha256(b"weft name of a key" + key).digest()[:_NAME_BYTES]
