"""What every call of a client is made with: the address, the key, the time. Shared by both clients."""

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from google.protobuf.duration_pb2 import Duration
from weft.gateway.v1.agent_gateway_service_pb2 import InitiateAgentRequest
from weft.runs.v1.run_pb2 import BusyStrategy, Run, RunState
from weft.runs.v1.run_service_pb2 import CancelRunRequest, WaitRunRequest

from weft_client.errors import time_is_over
from weft_client.patience import Contact, Outage, Patience

BusyStrategyName = Literal["enqueue", "merge", "reject"]
Metadata = tuple[tuple[str, str | bytes], ...]

DEFAULT_SECONDS: Final = 30.0
_WAIT_SECONDS: Final = 30.0
_MOST_CANCEL_SECONDS: Final = 5.0
_ENDED: Final = frozenset(
    {
        RunState.RUN_STATE_SUCCEEDED,
        RunState.RUN_STATE_FAILED,
        RunState.RUN_STATE_CANCELLED,
        RunState.RUN_STATE_TIMED_OUT,
        RunState.RUN_STATE_SUPERSEDED,
    }
)
# An edge takes messages of 16 MiB; an answer may be a little larger than what was sent.
_MESSAGE_BYTES: Final = 32 * 1024 * 1024
CHANNEL_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    # A connection whose other end vanished is found within 30 seconds, while calls are open.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A server that restarts is back within a second; the default waits up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A connection of one's own: closing the client closes it.
    ("grpc.use_local_subchannel_pool", 1),
)


@dataclass(frozen=True, slots=True)
class Terms:
    """Read once, when a client is made. `target` and `is_tls` come from the address."""

    target: str
    is_tls: bool
    api_key: str = field(repr=False)
    timeout: float = DEFAULT_SECONDS
    patience: Patience = field(default_factory=Patience)
    contact: Contact = field(default_factory=Contact, repr=False)

    def outage(self) -> Outage:
        return Outage(self.patience, self.contact)

    def metadata(self, given: Any = None) -> Metadata:
        return (*(given or ()), ("x-api-key", self.api_key))


def terms_of(address: str | None, api_key: str | None, timeout: float, patience: Patience, has_channel: bool) -> Terms:
    """Fill in what the environment says. Raises: ValueError: address or key is neither given nor there, or no key."""
    target, is_tls = ("", False) if has_channel else target_of(_given("an address", address, "WEFT_ADDRESS"))
    key = _given("an API key", api_key, "WEFT_API_KEY")
    if not (key.isascii() and key.isprintable()):  # what grpc says of it, with the first call, nobody understands
        raise ValueError("the API key has characters in it that no key has; is there a line break at its end?")
    return Terms(target, is_tls, key, timeout, patience)


def _given(what: str, value: str | None, variable: str) -> str:
    found = value if value is not None else os.environ.get(variable, "")
    if not found:
        raise ValueError(f"{what} is needed: give one, or set {variable}")
    return found


def target_of(address: str) -> tuple[str, bool]:
    """Return grpc's name of an address, and whether it asks for TLS: `https://host` does, `host:port` does not."""
    for scheme, is_tls, port in (("https://", True, 443), ("http://", False, 80)):
        if address.startswith(scheme):
            host = address.removeprefix(scheme).rstrip("/")
            has_port = host.rpartition(":")[2].isdigit() and not host.endswith("]")
            return (host if has_port else f"{host}:{port}"), is_tls
    return address, False


def initiate_request(
    text: str,
    *,
    thread: str,
    agent: str,
    project: str,
    request_id: str,
    busy_strategy: BusyStrategyName | None,
    attachments: Mapping[str, bytes] | None,
) -> InitiateAgentRequest:
    """Return the request that starts a run, with a `request_id` in any case: so it can be repeated."""
    request = InitiateAgentRequest(text=text, thread_id=thread, agent_id=agent, project_id=project)
    request.request_id = request_id or f"sdk-{uuid.uuid4()}"
    if busy_strategy is not None:
        request.busy_strategy = BusyStrategy.Value(f"BUSY_STRATEGY_{busy_strategy.upper()}")
    for name, content in (attachments or {}).items():
        request.attachments.add(name=name, content=content)
    return request


def cancel_request(run_id: str, wait: float) -> CancelRunRequest:
    return CancelRunRequest(run_id=run_id, wait=_duration(min(max(wait, 0.0), _MOST_CANCEL_SECONDS)))


class RunWait:
    """A wait for a run's end in as many calls as it takes; `timeout` seconds in all, None for no bound."""

    def __init__(self, run_id: str, timeout: float | None, terms: Terms, now: float) -> None:
        self._run_id, self._terms = run_id, terms
        self._until = None if timeout is None else now + timeout

    def request(self, now: float) -> WaitRunRequest:
        seconds = _WAIT_SECONDS if self._until is None else min(_WAIT_SECONDS, max(self._until - now, 0.0))
        return WaitRunRequest(run_id=self._run_id, timeout=_duration(seconds))

    def seconds(self, now: float) -> float:
        """Return what the call may take: long enough for the server to answer first, and to be away meanwhile."""
        if self._until is None:
            return _WAIT_SECONDS + self._terms.patience.lost_seconds
        return min(_WAIT_SECONDS, max(self._until - now, 0.0)) + self._terms.timeout

    def is_over(self, run: Run, now: float) -> bool:
        """Say whether the run has ended. Raises: DeadlineExceededError: it has not, and the time is over."""
        if run.state in _ENDED:
            return True
        if self._until is not None and now >= self._until:
            raise time_is_over(self._run_id)
        return False


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
