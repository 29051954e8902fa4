from uuid import UUID

import jwt
import pytest
from weft_core.caller import Caller, CallerKind
from weft_core.clock import FakeClock
from weft_core.errors import PermissionDeniedError, UnauthenticatedError
from weft_core.ids import format_id
from weft_grpckit.contract import MethodContract
from weft_grpckit.interceptors.access import check_access
from weft_grpckit.tokens import NOBODY, TokenSigner, TokenVerifier

KEY = b"k" * 32
TENANT, RUN, AGENT = UUID(int=1), UUID(int=2), UUID(int=3)


def test_a_caller_comes_back_as_signed() -> None:
    token = TokenSigner(KEY).caller_token(TENANT, "somebody", {"b", "a"})
    assert TokenVerifier(KEY).verify(token) == Caller(CallerKind.CALLER, TENANT, "somebody", frozenset({"a", "b"}))


def test_a_run_comes_back_as_signed() -> None:
    token = TokenSigner(KEY).run_token(
        TENANT, "somebody", ["a"], run_id=RUN, epoch=4, agent_id=AGENT, lifetime_seconds=9
    )
    expected = Caller(CallerKind.RUN, TENANT, "somebody", frozenset({"a"}), RUN, 4, AGENT)
    assert TokenVerifier(KEY).verify(token) == expected


def test_a_service_comes_back_as_signed() -> None:
    caller = TokenVerifier(KEY).verify(TokenSigner(KEY).service_token("tools"))
    assert (caller.kind, caller.service, caller.tenant_id) == (CallerKind.SERVICE, "tools", NOBODY)


def test_a_token_is_used_again_for_half_of_its_life() -> None:
    clock = FakeClock()
    signer = TokenSigner(KEY, now=clock.now)
    first = signer.caller_token(TENANT, "p", ["a"])
    clock.advance(29)
    assert signer.caller_token(TENANT, "p", ["a"]) == first
    assert signer.caller_token(TENANT, "p", ["a", "b"]) != first
    assert signer.caller_token(UUID(int=9), "p", ["a"]) != first
    clock.advance(2)
    assert signer.caller_token(TENANT, "p", ["a"]) != first


def test_a_token_expires_also_where_it_was_verified_before() -> None:
    clock = FakeClock()
    verifier = TokenVerifier(KEY, now=clock.now)
    token = TokenSigner(KEY, now=clock.now).caller_token(TENANT, "p", ["a"])
    clock.advance(80)
    verifier.verify(token)
    clock.advance(11)
    for each in (verifier, TokenVerifier(KEY, now=clock.now)):
        with pytest.raises(UnauthenticatedError, match="expired"):
            each.verify(token)


GOOD = {"kind": "caller", "ten": format_id("ten", TENANT), "sub": "p", "scp": [], "exp": 9_999_999_999}


@pytest.mark.parametrize(
    "change",
    [
        {"exp": None},
        {"exp": "soon"},
        {"kind": "king"},
        {"kind": None},
        {"ten": format_id("run", TENANT)},
        {"ten": 5},
        {"scp": None},
        {"kind": "run"},
        {"kind": "service"},
    ],
    ids=str,
)
def test_claims_that_are_not_ours_are_refused(change: dict[str, object]) -> None:
    assert TokenVerifier(KEY).verify(jwt.encode(GOOD, KEY, algorithm="HS256"))
    claims = {name: value for name, value in (GOOD | change).items() if value is not None}
    with pytest.raises(UnauthenticatedError):
        TokenVerifier(KEY).verify(jwt.encode(claims, KEY, algorithm="HS256"))


@pytest.mark.parametrize("key_and_algorithm", [(b"x" * 32, "HS256"), (KEY * 2, "HS512"), (None, "none")], ids=str)
def test_another_key_or_algorithm_is_refused(key_and_algorithm: tuple[bytes | None, str]) -> None:
    key, algorithm = key_and_algorithm
    with pytest.raises(UnauthenticatedError):
        TokenVerifier(KEY).verify(jwt.encode(GOOD, key or "", algorithm=algorithm))


def a_method(scope: str = "", *service_callers: str) -> MethodContract:
    return MethodContract("/weft.x.v1.X/Y", scope, frozenset(), frozenset(service_callers), False, False)


SERVICE = Caller(CallerKind.SERVICE, NOBODY, "gateway", frozenset(), service="gateway")
RUN_CALLER = Caller(CallerKind.RUN, TENANT, "p", frozenset({"a"}), RUN, 1, AGENT)


def test_who_may_call_what() -> None:
    check_access(a_method("", "gateway"), SERVICE)
    check_access(a_method("a", "gateway"), SERVICE)
    check_access(a_method("a", "gateway"), RUN_CALLER)
    check_access(a_method("a"), RUN_CALLER)
    check_access(a_method(), RUN_CALLER)
    for method, caller in [
        (a_method("", "tools"), SERVICE),
        (a_method("a"), SERVICE),
        (a_method(), SERVICE),
        (a_method("", "gateway"), RUN_CALLER),
    ]:
        with pytest.raises(UnauthenticatedError):
            check_access(method, caller)
    with pytest.raises(PermissionDeniedError):
        check_access(a_method("b"), RUN_CALLER)
