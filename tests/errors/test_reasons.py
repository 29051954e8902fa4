"""For each RPC: the reasons that come about are those that its contract declares, with code and details as promised."""

import pytest
from errors.trouble import TROUBLE
from every_rpc.answers import Answer, ask
from every_rpc.catalogue import SERVED_BY, Rpc, all_reasons, all_rpcs
from every_rpc.servers import Ahead
from every_rpc.world import Estate, World
from weft_grpckit.tokens import token_metadata

in_session_loop = pytest.mark.asyncio(loop_scope="session")

REASONS = all_reasons()
CELLS = [
    pytest.param(rpc, reason, id=f"{rpc}-{reason}") for rpc in all_rpcs() for reason in sorted(rpc.contract.reasons)
]


def test_every_declared_reason_has_a_test_that_produces_it_and_no_other_has() -> None:
    declared = {(rpc.name, reason) for rpc in all_rpcs() for reason in rpc.contract.reasons}
    assert set(TROUBLE) - declared == set(), "produced, but not declared: declare it in the method's option"
    assert declared - set(TROUBLE) == set(), "declared, but nothing produces it: see tests/errors/trouble.py"


def test_no_method_declares_a_common_reason() -> None:
    assert [
        (rpc.name, reason) for rpc in all_rpcs() for reason in rpc.contract.reasons if REASONS[reason].is_common
    ] == []


def test_every_reason_that_is_not_common_is_declared_somewhere() -> None:
    declared = {reason for rpc in all_rpcs() for reason in rpc.contract.reasons}
    assert {reason.name for reason in REASONS.values() if not reason.is_common} == declared


def test_what_the_gateway_passes_on_declares_what_its_service_declares() -> None:
    reasons = {rpc.name: rpc.contract.reasons for rpc in all_rpcs()}
    assert reasons["AgentGateway/InitiateAgent"] == reasons["AdmissionService/InitiateRun"]
    assert reasons["AgentGateway/StreamAgent"] == reasons["AdmissionService/InitiateRun"]
    assert reasons["AgentGateway/ThreadEvents"] == reasons["RunLogService/ReadThreadEvents"]
    assert reasons["AgentGateway/RunEvents"] == reasons["RunLogService/ReadEvents"]


@in_session_loop
@pytest.mark.parametrize(("rpc", "reason"), CELLS)
async def test_an_rpc_fails_for_each_reason_that_it_declares(
    world: World, owner: Estate, ahead: Ahead, rpc: Rpc, reason: str
) -> None:
    attempt = await TROUBLE[rpc.name, reason](rpc, owner)
    who = attempt.who or owner
    token = attempt.run_token or world.token_of(rpc, who)
    if reason == "PAGE_TOKEN_EXPIRED":
        told = await ask(ahead.servers[SERVED_BY[rpc.service]].channel, rpc, attempt.request, token_metadata(token))
        _kept_its_promise(told, reason)
        return
    if rpc.is_public and not attempt.run_token:
        _kept_its_promise(await world.ask_gateway(rpc, attempt.request, world.key_of(rpc, who)), reason)
    if rpc.is_inner:
        _kept_its_promise(await world.ask_inner(rpc, attempt.request, token), reason)


def _kept_its_promise(told: Answer, reason: str) -> None:
    """The code, the details and the metadata that the comment of the reason names."""
    promised = REASONS[reason]
    assert told.verdict == (promised.code, reason), str(told)
    assert told.message, "an answer without words"
    assert promised.metadata <= set(told.metadata)
    assert (told.retry_seconds is not None) == promised.has_retry_info
    if "BadRequest" in promised.text:
        assert told.fields
