"""For each RPC: what is no request of it is refused with the fields that are wrong, never as a fault of the server."""

from typing import Final

import pytest
from every_rpc.answers import Answer, ask
from every_rpc.catalogue import SERVED_BY, Rpc, all_rpcs
from every_rpc.recipes import recipes_of
from every_rpc.requests import changed, value_at
from every_rpc.world import Estate, World, unknown_id
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from weft_grpckit.tokens import token_metadata

pytestmark = pytest.mark.asyncio(loop_scope="session")

INVALID: Final = ("INVALID_ARGUMENT", "INVALID_FIELDS")
BROKEN: Final = b"\x0a\xff"  # a field that is longer than the message
TEXT: Final = FieldDescriptor.TYPE_STRING
WITH_TEXT: Final = [rpc for rpc in all_rpcs() if any(field.type == TEXT for field in rpc.method.input_type.fields)]
WITH_IDS: Final = [rpc for rpc in all_rpcs() if rpc.id_fields]


async def asked_everywhere(world: World, owner: Estate, rpc: Rpc, data: bytes, run_token: str = "") -> list[Answer]:
    answers = []
    if rpc.is_public and not run_token:
        metadata = (("x-api-key", world.key_of(rpc, owner)),)
        answers.append(await ask(world.channels["gateway"], rpc, data, metadata))
    if rpc.is_inner:
        token = run_token or world.token_of(rpc, owner)
        answers.append(await ask(world.channels[SERVED_BY[rpc.service]], rpc, data, token_metadata(token)))
    return answers


@pytest.mark.parametrize("rpc", all_rpcs(), ids=str)
async def test_bytes_that_are_no_message_are_refused(world: World, owner: Estate, rpc: Rpc) -> None:
    for told in await asked_everywhere(world, owner, rpc, BROKEN):
        assert told.verdict == INVALID, str(told)


@pytest.mark.parametrize("rpc", WITH_TEXT, ids=str)
async def test_text_that_is_not_utf_8_is_refused(world: World, owner: Estate, rpc: Rpc) -> None:
    fields = rpc.method.input_type.fields
    number = next(field.number for field in fields if field.type == TEXT)
    lone_surrogate = bytes([number << 3 | 2, 3]) + b"\xed\xa0\xbd"
    for told in await asked_everywhere(world, owner, rpc, lone_surrogate):
        assert told.verdict == INVALID, str(told)


@pytest.mark.parametrize("rpc", WITH_IDS, ids=str)
async def test_an_id_of_the_wrong_kind_or_form_is_refused_by_name(world: World, owner: Estate, rpc: Rpc) -> None:
    for recipe in recipes_of(rpc):
        asked = await recipe.cook(owner)
        for path, wrong in _wrong_ids(rpc, asked.request):
            data = changed(asked.request, {path: wrong}).SerializeToString()
            for told in await asked_everywhere(world, owner, rpc, data, asked.run_token):
                assert told.verdict == INVALID, f"{wrong!r}: {told}"
                assert any(path.rpartition(".")[2] in field for field in told.fields), told.fields


def _wrong_ids(rpc: Rpc, request: Message) -> list[tuple[str, str]]:
    """Return every id field that the request sets, with everything that is wrong there."""
    right = {field.path: value_at(request, field.path) for field in rpc.id_fields}
    return [
        (path, wrong)
        for path, text in right.items()
        if text
        for wrong in (unknown_id("msg"), text.upper(), text + "0", text[:-1], "nonsense", "\0")
    ]
