"""The edge's guard of streams."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from weft_core.caller import Caller, CallerKind
from weft_core.clock import FakeClock
from weft_gateway.edge.access import EdgeAccessInterceptor
from weft_gateway.edge.api_keys import ApiKeys, Credential
from weft_gateway.edge.open_streams import OpenStreams
from weft_gateway.live.run_events import PATH
from weft_grpckit.contract import MethodContract
from weft_grpckit.tokens import TokenSigner

OPERATOR = Caller(CallerKind.CALLER, UUID(int=0), "operator", frozenset({"runs.read"}))
WATCH = MethodContract(PATH, "runs.read", frozenset(), frozenset(), True, False)


class Called:
    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-api-key", "operator's key"),)


async def nobody(digest: bytes) -> Credential:
    raise NotImplementedError


async def test_what_is_behind_a_stream_ends_before_the_stream_does() -> None:
    is_closed = False

    async def endless(request: Any, context: Any) -> AsyncIterator[int]:
        nonlocal is_closed
        try:
            while True:
                yield 1
        finally:
            is_closed = True

    keys = ApiKeys(nobody, OPERATOR, "operator's key", now=FakeClock().monotonic)
    access, called = EdgeAccessInterceptor(keys, TokenSigner(b"k" * 32), OpenStreams()), Called()
    responses: Any = access.stream(WATCH, endless)(None, called)  # type: ignore[arg-type]
    assert await anext(responses) == 1
    await responses.aclose()
    assert is_closed
