"""What a runner needs of others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from weft_agent_runner.domain.agent import AgentVersion
from weft_agent_runner.domain.attachment import Attachment, Extraction
from weft_agent_runner.domain.entry import Entry, EntryResult
from weft_agent_runner.domain.model import ModelMessage, ToolSpec
from weft_agent_runner.domain.outcome import ToolOutcome
from weft_agent_runner.domain.run import ClaimedRun, OwnedRun, PlacedToolCall, RunKey


class PeerUnavailableError(Exception):
    """A service did not answer, or told to try again: whether the call took effect is unknown."""


class PeerSlowError(PeerUnavailableError):
    """No answer came in the time that the call had."""


class PeerFaultError(PeerUnavailableError):
    """A service failed at the call: it may do so again."""


class PeerRefusedError(PeerFaultError):
    """A service refused the call, and will refuse it again."""


class RunnerUnknownError(Exception):
    """The queue does not know this runner: it must register again, and drop its runs."""


class LeaseExpiredError(Exception):
    """The queue wants a heartbeat first."""


class BatchRefusedError(Exception):
    """A batch of entries was refused as a whole, and nothing of it is written."""


@dataclass(frozen=True, slots=True)
class Registration:
    runner_id: str
    lease_seconds: float
    heartbeat_seconds: float


@dataclass(frozen=True, slots=True)
class Heartbeat:
    lease_seconds: float
    owned_runs: tuple[OwnedRun, ...]


class RunQueue(Protocol):
    """Every method raises PeerUnavailableError; those that name a runner also RunnerUnknownError."""

    async def register(self) -> Registration: ...

    async def heartbeat(self, runner_id: str) -> Heartbeat: ...

    async def claim(self, runner_id: str, max_runs: int, wait_seconds: float = 0.0) -> Sequence[ClaimedRun]:
        """Return runs; with none to be had, wait for some. Raises: LeaseExpiredError."""

    async def commit(self, runner_id: str, entries: Sequence[Entry]) -> Sequence[EntryResult]:
        """Raises: BatchRefusedError."""

    async def release(self, runner_id: str, runs: Sequence[RunKey]) -> int: ...

    async def read_context(self, run: ClaimedRun) -> tuple[ModelMessage, ...]:
        """Raises: RunLostError."""


class ModelKeys(Protocol):
    async def get_model_key(self, run: ClaimedRun) -> str:
        """Return the key of the run's tenant for the model provider; empty for the installation's.

        Raises: PeerUnavailableError.
        """


class Agents(Protocol):
    async def get_version(self, run: ClaimedRun) -> AgentVersion: ...


class Attachments(Protocol):
    """The files of a run's thread. Every method raises PeerUnavailableError and RunLostError."""

    async def read(self, run: ClaimedRun, attachment: Attachment) -> bytes: ...

    async def finish(self, run: ClaimedRun, attachment: Attachment, extraction: Extraction) -> None:
        """Store what became of a file. The first outcome stays."""


class Extractor(Protocol):
    async def extract(self, media_type: str, content: bytes) -> Extraction:
        """Return the text of a file, or why there is none."""


class ToolWatch(Protocol):
    """Who is told how a tool call goes."""

    def begun(self) -> None: ...

    def progress(self, message: str, fraction: float | None) -> None: ...


class Tools(Protocol):
    async def list_specs(self, run: ClaimedRun, names: Sequence[str]) -> tuple[ToolSpec, ...]:
        """Return the tools of these names that there are, in this order."""

    async def execute(self, run: ClaimedRun, place: PlacedToolCall, state: str, watch: ToolWatch) -> ToolOutcome:
        """Execute a call to its end. Cancelling the task cancels the call. `state` is for a tool that keeps one.

        Raises: PeerUnavailableError: call again with the same place. RunLostError.
        """


class Doorbell(Protocol):
    async def wait(self, timeout_seconds: float) -> bool:
        """Return whether it rang."""
