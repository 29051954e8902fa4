"""Who owns an API key, as threads knows."""

from typing import Any

import grpc
from weft.tenants.v1 import credential_service_pb2 as pb
from weft.tenants.v1 import credential_service_pb2_grpc as rpc
from weft_core.caller import Caller, CallerKind
from weft_core.ids import parse_id
from weft_grpckit.error_table import peer_error
from weft_grpckit.tokens import TokenSigner, token_metadata

from weft_gateway.edge.api_keys import Credential

# What an API key can never hold, whatever the database says: it is the operator's alone.
OPERATOR_SCOPES = frozenset({"tenants.admin"})
_RESOLVE_SECONDS = 5.0


class ApiKeyResolver:
    """Asks threads with the gateway's own token."""

    def __init__(self, channel: grpc.aio.Channel, signer: TokenSigner) -> None:
        self._stub, self._signer = rpc.CredentialServiceStub(channel), signer

    async def resolve(self, digest: bytes) -> Credential:
        """Raises: UnauthenticatedError API_KEY_INVALID, UnavailableError."""
        call: Any = self._stub.ResolveApiKey(
            pb.ResolveApiKeyRequest(key_sha256=digest),
            timeout=_RESOLVE_SECONDS,
            metadata=token_metadata(self._signer.service_token("gateway")),
        )
        try:
            found: pb.ResolveApiKeyResponse = await call
        except grpc.aio.AioRpcError as error:
            raise peer_error(error) or error from None
        return _credential(found)


def _credential(found: pb.ResolveApiKeyResponse) -> Credential:
    caller = Caller(
        kind=CallerKind.CALLER,
        tenant_id=parse_id("ten", found.tenant_id),
        principal=found.principal,
        scopes=frozenset(found.scopes) - OPERATOR_SCOPES,
    )
    return Credential(caller, found.expire_time.ToSeconds() if found.HasField("expire_time") else None)
