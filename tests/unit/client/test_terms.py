import inspect
from functools import cached_property
from typing import Any, get_args

import pytest
from every_rpc.catalogue import INTERNAL, SERVED_BY
from weft.gateway.v1.agent_gateway_service_pb2 import InitiateAgentRequest
from weft.runs.v1.run_pb2 import BusyStrategy, Run, RunState
from weft_client import AsyncWeft, DeadlineExceededError, Weft
from weft_client.services import AsyncServices, Services
from weft_client.terms import BusyStrategyName, RunWait, Terms, initiate_request, target_of


def test_address_and_key_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_ADDRESS", "weft.example:7400")
    monkeypatch.setenv("WEFT_API_KEY", "secret")
    for client in (Weft(), AsyncWeft()):
        assert client._terms.target == "weft.example:7400"
        assert client._terms.metadata() == (("x-api-key", "secret"),)
        assert "secret" not in repr(client._terms)


@pytest.mark.parametrize(("address", "key", "missing"), [(None, "k", "WEFT_ADDRESS"), ("a:1", None, "WEFT_API_KEY")])
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, address: str | None, key: str | None, missing: str
) -> None:
    monkeypatch.delenv(missing, raising=False)
    with pytest.raises(ValueError, match=missing):
        Weft(address, key)


@pytest.mark.parametrize("key", ["secret\n", "sécret"])
def test_a_key_that_is_none_is_told_before_the_first_call(key: str) -> None:
    for client in (Weft, AsyncWeft):
        with pytest.raises(ValueError, match="API key") as told:
            client("127.0.0.1:1", key)
        assert key not in str(told.value)


@pytest.mark.parametrize(
    ("address", "target", "is_tls"),
    [
        ("127.0.0.1:7400", "127.0.0.1:7400", False),
        ("http://weft.example:7410", "weft.example:7410", False),
        ("https://weft.example", "weft.example:443", True),
        ("https://weft.example:8443/", "weft.example:8443", True),
        ("https://[2001:db8::1]", "[2001:db8::1]:443", True),
        ("dns:///weft.example:7400", "dns:///weft.example:7400", False),
    ],
)
def test_an_address_says_whether_it_wants_tls(address: str, target: str, is_tls: bool) -> None:
    assert target_of(address) == (target, is_tls)


def a_start(request_id: str = "", busy_strategy: BusyStrategyName | None = None) -> InitiateAgentRequest:
    return initiate_request(
        "Hi",
        thread="thr_1",
        agent="agt_1",
        project="",
        request_id=request_id,
        busy_strategy=busy_strategy,
        attachments={"roses.md": b"# Roses"},
    )


def test_every_start_can_be_repeated() -> None:
    keys = {a_start().request_id for _ in range(3)}
    assert len(keys) == 3
    assert "" not in keys
    assert a_start("mine").request_id == "mine"


def test_files_go_along_under_their_names() -> None:
    (file,) = a_start().attachments
    assert (file.name, file.content) == ("roses.md", b"# Roses")


def test_every_strategy_of_the_contract_has_a_name() -> None:
    named = {a_start(busy_strategy=name).busy_strategy for name in get_args(BusyStrategyName)}
    assert named == {value for value in BusyStrategy.values() if value}
    assert a_start().busy_strategy == BusyStrategy.BUSY_STRATEGY_UNSPECIFIED


def test_a_run_has_ended_in_the_states_that_the_contract_calls_terminal() -> None:
    """The last five."""
    for name, value in RunState.items():
        wait = RunWait("run_1", None, Terms("", False, "k"), 0.0)
        assert wait.is_over(Run(state=value), 0.0) is (value > RunState.RUN_STATE_WAITING), name


def test_a_wait_is_asked_for_in_pieces_and_ends_with_the_callers_time() -> None:
    wait = RunWait("run_1", 40.0, Terms("", False, "k"), 100.0)
    assert wait.request(100.0).timeout.ToSeconds() == 30
    assert wait.request(130.0).timeout.ToSeconds() == 10
    assert not wait.is_over(Run(state=RunState.RUN_STATE_RUNNING), 139.0)
    with pytest.raises(DeadlineExceededError, match="run_1 has not ended"):
        wait.is_over(Run(state=RunState.RUN_STATE_RUNNING), 140.0)


def test_both_clients_have_every_public_service() -> None:
    public = set(SERVED_BY) - INTERNAL
    for services in (Services, AsyncServices):
        attributes = [name for name, value in vars(services).items() if isinstance(value, cached_property)]
        assert {service_of(services, name) for name in attributes} == public, services


def service_of(services: Any, attribute: str) -> str:
    """Return the service whose methods the stub under an attribute calls."""
    paths: list[str] = []

    class Channel:
        def unary_unary(self, path: str, **_: object) -> None:
            paths.append(path)

        unary_stream = unary_unary

    getattr(services(Channel()), attribute)
    (service,) = {path.split("/")[1] for path in paths}
    return service


def test_both_clients_offer_the_same() -> None:
    """But for what asyncio calls otherwise."""
    sync, asynchronous = ({name for name in dir(each) if not name.startswith("_")} for each in (Weft, AsyncWeft))
    assert sync == asynchronous
    for name in ("run", "stream", "events", "start", "wait", "cancel", "get_run"):
        assert parameters_of(Weft, name) == parameters_of(AsyncWeft, name), name


def parameters_of(client: type, name: str) -> list[inspect.Parameter]:
    return list(inspect.signature(getattr(client, name)).parameters.values())
