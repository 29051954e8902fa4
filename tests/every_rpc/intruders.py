"""Who must not get in: credentials that are missing, dead, forged, or another's. What each must be told."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Self

import jwt
from google.protobuf.timestamp_pb2 import Timestamp
from public_api import ALL_SCOPES
from weft.agents.v1 import agent_service_pb2 as agents
from weft.tenants.v1 import tenant_service_pb2 as tenants
from weft_grpckit.tokens import NOBODY, token_metadata

from every_rpc.answers import Answer, Metadata
from every_rpc.catalogue import Rpc
from every_rpc.recipes import Asked
from every_rpc.world import BY_REQUEST, RUN_SCOPES, Estate, World

NO_KEY: Final = ("UNAUTHENTICATED", "API_KEY_MISSING")
BAD_KEY: Final = ("UNAUTHENTICATED", "API_KEY_INVALID")
BAD_TOKEN: Final = ("UNAUTHENTICATED", "TOKEN_INVALID")
NO_SCOPE: Final = ("PERMISSION_DENIED", "SCOPE_MISSING")
ADMIN: Final = "tenants.admin"


@dataclass
class Intruders:
    """The keys that were made for them."""

    world: World
    owner: Estate
    revoked: str
    expired: str
    without: dict[str, str]

    @classmethod
    async def prepare(cls, world: World, owner: Estate) -> Self:
        revoked, expired = await owner.make_key(), await owner.make_key(expire_time=_in(timedelta(seconds=1)))
        listing = BY_REQUEST[agents.ListAgentsRequest.DESCRIPTOR.full_name]
        for key in (revoked, expired):
            assert (await world.ask_gateway(listing, agents.ListAgentsRequest(), key.secret)).is_ok
        gone = tenants.RevokeApiKeyRequest(tenant_id=owner.tenant_id, api_key_id=revoked.api_key.api_key_id)
        await owner.do(gone)
        without = {scope: (await owner.make_key([s for s in ALL_SCOPES if s != scope])).secret for scope in ALL_SCOPES}
        without[ADMIN] = owner.key
        for key in (revoked, expired):  # the gateway may know a key for five seconds
            await _until_refused(partial(world.ask_gateway, listing, agents.ListAgentsRequest(), key.secret))
        return cls(world, owner, revoked.secret, expired.secret, without)


async def _until_refused(call: Callable[[], Awaitable[Answer]]) -> None:
    for _ in range(100):
        if not (await call()).is_ok:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the key still opens")


Credential = Callable[[Intruders, Rpc, Asked], Metadata]


@dataclass(frozen=True)
class Intruder:
    """What somebody sends instead of the owner's credential, and what they are told. `applies` to which RPCs."""

    name: str
    credential: Credential
    verdict: tuple[str, str]
    applies: Callable[[Rpc], bool] = lambda _rpc: True


def has_scope(rpc: Rpc) -> bool:
    return bool(rpc.contract.scope)


def is_for_services(rpc: Rpc) -> bool:
    return bool(rpc.contract.service_callers)


AT_THE_EDGE: Final = (
    Intruder("no key", lambda i, _r, _a: (), NO_KEY),
    Intruder("internal token instead of a key", lambda i, r, _a: _token(i.world.token_of(r, i.owner)), NO_KEY),
    Intruder("unknown key", lambda i, _r, _a: _key("weft_" + "A" * 43), BAD_KEY),
    Intruder("internal token as a key", lambda i, r, _a: _key(i.world.token_of(r, i.owner)), BAD_KEY),
    Intruder("revoked key", lambda i, _r, _a: _key(i.revoked), BAD_KEY),
    Intruder("revoked key as bearer", lambda i, _r, _a: (("authorization", f"Bearer {i.revoked}"),), BAD_KEY),
    Intruder("expired key", lambda i, _r, _a: _key(i.expired), BAD_KEY),
    Intruder("key without the scope", lambda i, r, _a: _key(i.without[r.contract.scope]), NO_SCOPE),
    Intruder(
        "operator's key",
        lambda i, _r, _a: _key(i.world.stack.operator_key),
        NO_SCOPE,
        lambda rpc: rpc.contract.scope != ADMIN,
    ),
)

BEHIND_IT: Final = (
    Intruder("no token", lambda i, _r, _a: (), BAD_TOKEN),
    Intruder("API key instead of a token", lambda i, _r, _a: _key(i.owner.key), BAD_TOKEN),
    Intruder("API key as a token", lambda i, _r, _a: _token(i.owner.key), BAD_TOKEN),
    Intruder("wrong signature", lambda i, r, a: _token(_signed_by(i, r, a, bytes(32))), BAD_TOKEN),
    Intruder("altered claims", lambda i, r, a: _token(_altered(_right(i, r, a))), BAD_TOKEN),
    Intruder("algorithm none", lambda i, r, a: _token(_unsigned(_right(i, r, a))), BAD_TOKEN),
    Intruder("another algorithm", lambda i, r, a: _token(_signed_by(i, r, a, _secret(i), "HS512")), BAD_TOKEN),
    Intruder("no expiry", lambda i, r, a: _token(_signed(i, _claims(_right(i, r, a), exp=None))), BAD_TOKEN),
    Intruder("expired", lambda i, r, a: _token(_signed(i, _claims(_right(i, r, a), exp=_seconds_ago(60)))), BAD_TOKEN),
    Intruder("unknown kind", lambda i, r, a: _token(_signed(i, _claims(_right(i, r, a), kind="root"))), BAD_TOKEN),
    Intruder("token of a caller", lambda i, _r, _a: _token(i.owner.token()), BAD_TOKEN, is_for_services),
    Intruder("token of a run", lambda i, _r, _a: _token(i.owner.run_token(i.owner.run_id)), BAD_TOKEN, is_for_services),
    Intruder("operator's token", lambda i, _r, _a: _token(_operator(i)), BAD_TOKEN, is_for_services),
    Intruder("token of another service", lambda i, r, _a: _token(_other_service(i, r)), BAD_TOKEN),
    Intruder("token without the scope", lambda i, r, _a: _token(_without_scope(i, r)), NO_SCOPE, has_scope),
    Intruder(
        "token of a run, which has not the scope",
        lambda i, _r, _a: _token(i.owner.run_token(i.owner.run_id)),
        NO_SCOPE,
        lambda rpc: has_scope(rpc) and rpc.contract.scope not in RUN_SCOPES,
    ),
)


def _key(key: str) -> Metadata:
    return (("x-api-key", key),)


def _token(token: str) -> Metadata:
    return token_metadata(token)


def _right(intruders: Intruders, rpc: Rpc, asked: Asked) -> str:
    """Return the token that would open the call."""
    return asked.run_token or intruders.world.token_of(rpc, intruders.owner)


def _secret(intruders: Intruders) -> bytes:
    return bytes.fromhex(intruders.world.stack.token_key)


def _signed_by(intruders: Intruders, rpc: Rpc, asked: Asked, key: bytes, algorithm: str = "HS256") -> str:
    return jwt.encode(_claims(_right(intruders, rpc, asked)), key.ljust(64, b"\0"), algorithm=algorithm)


def _signed(intruders: Intruders, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, _secret(intruders), algorithm="HS256")


def _claims(token: str, **changes: Any) -> dict[str, Any]:
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    return {name: value for name, value in claims.items() if value is not None}


def _altered(token: str) -> str:
    """Claim every scope, and keep the signature."""
    head, _, signature = token.split(".")
    return f"{head}.{_base64(_claims(token, scp=[*ALL_SCOPES, ADMIN]))}.{signature}"


def _unsigned(token: str) -> str:
    return f"{_base64({'alg': 'none', 'typ': 'JWT'})}.{token.split('.')[1]}."


def _base64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _operator(intruders: Intruders) -> str:
    return intruders.world.signer.caller_token(NOBODY, "operator", [ADMIN])


def _other_service(intruders: Intruders, rpc: Rpc) -> str:
    """Of a service that the method is not open to."""
    names = {"gateway", "agent-runner", "tools", "operator", "threads"} - rpc.contract.service_callers
    return intruders.world.signer.service_token(min(names))


def _without_scope(intruders: Intruders, rpc: Rpc) -> str:
    scope = rpc.contract.scope
    return _operator(intruders) if scope != ADMIN else intruders.owner.token()


def _seconds_ago(seconds: int) -> int:
    return int((datetime.now(UTC) - timedelta(seconds=seconds)).timestamp())


def _in(delay: timedelta) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime.now(UTC) + delay)
    return moment
