"""The edge: an API key in, an internal token on."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from weft_core.errors import PermissionDeniedError
from weft_grpckit.context import Context, metadata_value, set_caller
from weft_grpckit.contract import MethodContract
from weft_grpckit.interceptors.access import check_scope
from weft_grpckit.interceptors.wrapping import AsyncGuard, StreamCall
from weft_grpckit.tokens import TokenSigner

from weft_gateway.edge.api_keys import ApiKeys, api_key_missing, digest_of_key
from weft_gateway.edge.open_streams import OpenStream, OpenStreams

_BEARER = "bearer "


class EdgeAccessInterceptor(AsyncGuard):
    """Takes a call with an API key that holds the scope of its method. A method without a scope is open to nobody."""

    def __init__(self, keys: ApiKeys, signer: TokenSigner, streams: OpenStreams) -> None:
        super().__init__()
        self._keys, self._signer, self._streams = keys, signer, streams

    async def admit(self, contract: MethodContract, request: Any, context: Context) -> None:
        await self._admitted(contract, context)

    def stream(self, contract: MethodContract, call: StreamCall) -> StreamCall:
        async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
            stream = OpenStream(contract.path, await self._admitted(contract, context))
            self._streams.add(stream)
            try:
                async with aclosing(stream.guard(cast(Any, call(request, context)))) as responses:
                    async for response in responses:
                        yield response
            finally:
                self._streams.discard(stream)

        return guarded

    async def _admitted(self, contract: MethodContract, context: Context) -> bytes:
        """Return the digest of the key that opened the call."""
        digest = digest_of_key(_key_of(context))
        caller = await self._keys.caller(digest)
        if not contract.scope:
            raise PermissionDeniedError("SCOPE_MISSING", f"{contract.path} is not public; list what is by reflection")
        check_scope(contract.scope, caller.scopes)
        set_caller(caller, self._signer.caller_token(caller.tenant_id, caller.principal, caller.scopes))
        return digest


def _key_of(context: Context) -> str:
    key = metadata_value(context, "x-api-key")
    if not key:
        authorization = metadata_value(context, "authorization")
        key = authorization[len(_BEARER) :].strip() if authorization.lower().startswith(_BEARER) else ""
    if not key:
        raise api_key_missing()
    return key
