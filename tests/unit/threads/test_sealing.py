"""Secrets of tenants: sealed for one, opened by keys of before, closed to all others."""

import base64
import os
from uuid import uuid4

import pytest
from weft_threads.model_endpoints.sealing import SealBrokenError, Sealer, keys_from

TENANT, OTHER = uuid4(), uuid4()
OLD, NEW = os.urandom(32), os.urandom(32)


def test_a_secret_opens_for_its_tenant_and_does_not_show() -> None:
    sealed = Sealer([NEW]).seal(TENANT, "sk-secret")
    assert b"sk-secret" not in sealed
    assert Sealer([NEW]).unseal(TENANT, sealed) == "sk-secret"
    assert Sealer([NEW]).seal(TENANT, "sk-secret") != sealed, "a nonce is used once"


def test_keys_are_rotated_by_putting_the_new_one_first() -> None:
    old = Sealer([OLD]).seal(TENANT, "a")
    both = Sealer([NEW, OLD])
    assert both.unseal(TENANT, old) == "a"
    assert Sealer([NEW]).unseal(TENANT, both.seal(TENANT, "b")) == "b"


def test_what_was_sealed_before_there_was_a_key_opens_when_there_is_one() -> None:
    sealed = Sealer(keys_from("", b"x")).seal(TENANT, "a")
    later = Sealer(keys_from(base64.b64encode(NEW).decode(), b"x"))
    assert later.unseal(TENANT, sealed) == "a"
    assert Sealer([NEW]).unseal(TENANT, later.seal(TENANT, "b")) == "b"


@pytest.mark.parametrize("damage", ["tenant", "key", "text", "length"])
def test_nothing_else_opens(damage: str) -> None:
    sealed = Sealer([OLD]).seal(TENANT, "a")
    if damage == "text":
        sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    elif damage == "length":
        sealed = sealed[:20]
    with pytest.raises(SealBrokenError):
        Sealer([NEW if damage == "key" else OLD]).unseal(OTHER if damage == "tenant" else TENANT, sealed)


def test_keys_come_as_base64_or_follow_from_the_token_key() -> None:
    text = ", ".join(base64.b64encode(key).decode() for key in (NEW, OLD))
    assert keys_from(text, b"x") == [NEW, OLD, *keys_from("", b"x")]
    assert keys_from("", b"x") == keys_from(" ", b"x") != keys_from("", b"y")
    for wrong in ("no base64!", base64.b64encode(b"short").decode(), f"{text},"):
        with pytest.raises(ValueError, match="32 bytes in base64"):
            keys_from(wrong, b"")
