"""The write lane over a queue that is a list."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from agent_runner_builders import a_run
from weft_agent_runner.domain.entry import (
    Act,
    BeginStep,
    Entry,
    EntryError,
    EntryResult,
    RunLostError,
    Stop,
    Verdict,
    judge,
)
from weft_agent_runner.domain.events import MessageDelta, MessageStarted
from weft_agent_runner.domain.ports import BatchRefusedError, PeerFaultError, PeerSlowError, PeerUnavailableError
from weft_agent_runner.lane import WriteLane


@dataclass
class Queue:
    """Writes entries as the real one: by epoch and seq. `gate` holds Commits up; `faults` are raised in turn, those
    named in `after` once the batch was written."""

    seqs: dict[str, int] = field(default_factory=dict)
    batches: list[list[Entry]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    faults: list[Exception] = field(default_factory=list)
    is_lost_after: bool = False
    poison: str = ""
    is_refusing: bool = False
    slow: str = ""

    async def commit(self, entries: Sequence[Entry]) -> Sequence[EntryResult]:
        self.batches.append(list(entries))
        await self.gate.wait()
        if self.faults and not self.is_lost_after:
            raise self.faults.pop(0)
        if any(entry.key.run_id == self.slow for entry in entries):
            raise PeerSlowError
        if self.is_refusing and any(entry.key.run_id == self.poison for entry in entries):
            raise BatchRefusedError("no")
        results = [self._write(entry) for entry in entries]
        if self.faults:
            raise self.faults.pop(0)
        return results

    def _write(self, entry: Entry) -> EntryResult:
        if entry.key.run_id == self.poison:
            return EntryResult(0, 0, data_error="bad")
        if self.seqs.setdefault(entry.key.run_id, 3) == entry.expected_seq:
            self.seqs[entry.key.run_id] = entry.reached_seq
        return EntryResult(entry.key.epoch, self.seqs[entry.key.run_id])


@dataclass
class Listener:
    written: list[Entry] = field(default_factory=list)
    stops: int = 0
    refused: list[str] = field(default_factory=list)
    lost: int = 0

    def on_written(self, entry: Entry, result: EntryResult) -> None:
        assert judge(entry, result) is Verdict.DONE
        self.written.append(entry)

    def on_stop_requested(self) -> None:
        self.stops += 1

    def on_refused(self, error: EntryError) -> None:
        self.refused.append(str(error))

    def on_lost(self) -> None:
        self.lost += 1


@asynccontextmanager
async def opened(
    queue: Queue, window: float = 0.01, patience: float = 5.0, is_queue_well: Callable[[], bool] = lambda: True
) -> AsyncIterator[WriteLane]:
    lane = WriteLane(queue.commit, delta_window_seconds=window, patience_seconds=patience, is_queue_well=is_queue_well)
    running = asyncio.create_task(lane.run())
    try:
        async with asyncio.timeout(5):
            yield lane
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def queue() -> Queue:
    queue = Queue()
    queue.gate.set()
    return queue


BEGIN = Act(begin_step=BeginStep(2, 1))


async def test_runs_share_the_next_commit_when_one_is_under_way(queue: Queue) -> None:
    queue.gate.clear()
    async with opened(queue) as lane:
        lines = [lane.open(a_run(number), Listener()) for number in range(5)]
        commits = [asyncio.create_task(line.commit(BEGIN)) for line in lines]
        await asyncio.sleep(0.01)
        late = lane.open(a_run(9), Listener())
        commits.append(asyncio.create_task(late.commit(BEGIN)))
        await asyncio.sleep(0.01)
        assert len(queue.batches) == 1
        queue.gate.set()
        await asyncio.gather(*commits)
    assert [len(batch) for batch in queue.batches] == [5, 1]


async def test_events_of_a_run_keep_their_order_when_they_come_during_a_commit(queue: Queue) -> None:
    listener = Listener()
    async with opened(queue) as lane:
        line = lane.open(a_run(), listener)
        queue.gate.clear()
        for number in range(10):
            line.emit(MessageStarted(f"msg_{number}", "m"))
            await asyncio.sleep(0)
        queue.gate.set()
        await line.commit(BEGIN)
    written = [event.message_id for e in listener.written for event in e.events if isinstance(event, MessageStarted)]
    assert written == [f"msg_{number}" for number in range(10)]
    assert [e.expected_seq for e in listener.written] == [3, *(e.reached_seq for e in listener.written[:-1])]


async def test_deltas_of_all_runs_wait_for_the_same_stroke_when_nothing_else_comes(queue: Queue) -> None:
    async with opened(queue, window=0.05) as lane:
        lines = [lane.open(a_run(number), Listener()) for number in range(8)]
        for line in lines:
            line.emit(MessageDelta("msg_1", 0, "a"))
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.12)
    assert sum(len(batch) for batch in queue.batches) >= 8
    assert len(queue.batches) <= 2


async def test_identical_batch_is_repeated_when_an_answer_is_lost(queue: Queue) -> None:
    queue.faults, queue.is_lost_after = [PeerUnavailableError(), PeerUnavailableError()], True
    listener = Listener()
    async with opened(queue) as lane:
        line = lane.open(a_run(), listener)
        line.emit(MessageStarted("msg_1", "m"))
        await line.commit(BEGIN)
    written = [batch for batch in queue.batches if batch[0].act is not None]
    assert len(queue.batches) == 3
    assert written == [written[0]] * len(written)
    assert queue.seqs == {"run_1": 5}
    assert len(listener.written) == 1


async def test_repeating_ends_when_nobody_holds_a_run_of_the_batch_any_more(queue: Queue) -> None:
    queue.faults = [PeerUnavailableError() for _ in range(1000)]
    async with opened(queue) as lane:
        line, other = lane.open(a_run(1), Listener()), lane.open(a_run(2), Listener())
        commit = asyncio.create_task(line.commit(BEGIN))
        await asyncio.sleep(0.1)
        line.lose()
        with pytest.raises(RunLostError):
            await commit
        queue.faults.clear()
        await other.commit(BEGIN)
    assert queue.seqs == {"run_2": 4}


async def test_run_is_lost_when_another_epoch_is_answered(queue: Queue) -> None:
    async def taken_over(entries: Sequence[Entry]) -> Sequence[EntryResult]:
        return [EntryResult(entry.key.epoch + 1, 99) for entry in entries]

    queue.commit = taken_over  # type: ignore[method-assign]
    listener = Listener()
    async with opened(queue) as lane:
        line = lane.open(a_run(), listener)
        with pytest.raises(RunLostError):
            await line.commit(BEGIN)
        line.emit(MessageStarted("msg_1", "m"))
        with pytest.raises(RunLostError):
            await line.commit(BEGIN)
        await lane.idle()
    assert listener.lost == 1
    assert not listener.written


@pytest.mark.parametrize("is_refusing", [False, True])
async def test_one_entry_fails_alone_when_it_can_never_be_written(queue: Queue, is_refusing: bool) -> None:
    queue.poison, queue.is_refusing = "run_3", is_refusing
    async with opened(queue) as lane:
        lines = [lane.open(a_run(number), Listener()) for number in range(6)]
        results = await asyncio.gather(*(line.commit(BEGIN) for line in lines), return_exceptions=True)
    assert [isinstance(result, EntryError) for result in results] == [number == 3 for number in range(6)]
    assert len(queue.seqs) == 5


async def test_listener_is_told_when_plain_events_can_never_be_written(queue: Queue) -> None:
    queue.poison = "run_1"
    listener = Listener()
    async with opened(queue) as lane:
        line = lane.open(a_run(), listener)
        line.emit(MessageStarted("msg_1", "m"))
        await asyncio.sleep(0.02)
    assert listener.refused == ["bad"]


async def test_batch_is_taken_apart_when_the_queue_fails_at_it_again_and_again(queue: Queue) -> None:
    queue.faults = [PeerFaultError("boom") for _ in range(2)]
    async with opened(queue, patience=0.01) as lane:
        lines = [lane.open(a_run(number), Listener()) for number in range(4)]
        await asyncio.gather(*(line.commit(BEGIN) for line in lines))
    assert [len(batch) for batch in queue.batches] == [4, 4, 2, 2]
    assert len(queue.seqs) == 4


async def test_batch_is_repeated_when_the_queue_fails_at_everything(queue: Queue) -> None:
    queue.faults = [PeerFaultError("boom") for _ in range(6)]
    async with opened(queue, patience=0.01, is_queue_well=lambda: False) as lane:
        await lane.open(a_run(), Listener()).commit(BEGIN)
    assert len(queue.batches) == 7


async def test_only_the_slow_entry_fails_when_the_queue_answers_others(queue: Queue) -> None:
    queue.slow = "run_2"
    async with opened(queue) as lane:
        lines = [lane.open(a_run(number), Listener()) for number in range(8)]
        results = await asyncio.gather(*(line.commit(BEGIN) for line in lines), return_exceptions=True)
    assert [isinstance(result, EntryError) for result in results] == [number == 2 for number in range(8)]
    assert sum(any(e.key.run_id == "run_2" for e in batch) for batch in queue.batches) <= 3


async def test_slow_batch_is_repeated_when_the_queue_answers_nobody(queue: Queue) -> None:
    queue.faults = [PeerSlowError() for _ in range(7)]
    async with opened(queue, is_queue_well=lambda: False) as lane:
        line = lane.open(a_run(), Listener())
        await line.commit(BEGIN)
    assert len(queue.batches) == 8
    assert len({batch[0] for batch in queue.batches}) == 1


async def test_lane_goes_on_when_an_entry_cannot_even_be_sent(queue: Queue) -> None:
    written = queue.commit

    async def failing(entries: Sequence[Entry]) -> Sequence[EntryResult]:
        if any(entry.key.run_id == "run_1" for entry in entries):
            raise ValueError("Value out of range")
        return await written(entries)

    queue.commit = failing  # type: ignore[method-assign]
    async with opened(queue) as lane:
        lines = [lane.open(a_run(number), Listener()) for number in range(3)]
        results = await asyncio.gather(*(line.commit(BEGIN) for line in lines), return_exceptions=True)
        assert [isinstance(result, EntryError) for result in results] == [False, True, False]
        await lines[0].commit(Act(transition=Stop()))


async def test_commit_stays_under_way_when_its_caller_is_cancelled(queue: Queue) -> None:
    queue.gate.clear()
    listener = Listener()
    async with opened(queue) as lane:
        line = lane.open(a_run(), listener)
        commit = asyncio.create_task(line.commit(BEGIN))
        await asyncio.sleep(0.01)
        commit.cancel()
        queue.gate.set()
        await line.settled()
        assert len(listener.written) == 1
        await line.commit(Act(transition=Stop()))
    assert len(listener.written) == 2


async def test_room_is_waited_for_when_too_much_is_buffered(queue: Queue) -> None:
    queue.gate.clear()
    async with opened(queue) as lane:
        line = lane.open(a_run(), Listener())
        line.emit(MessageDelta("msg_1", 0, "x"))
        await asyncio.sleep(0.02)
        line.emit(MessageDelta("msg_1", 1, "x" * 2_000_000))
        waiting = asyncio.create_task(line.room())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        queue.gate.set()
        await waiting


async def test_room_is_given_up_when_the_run_is_lost(queue: Queue) -> None:
    queue.gate.clear()
    async with opened(queue) as lane:
        line = lane.open(a_run(), Listener())
        line.emit(MessageStarted("msg_1", "m"))
        await asyncio.sleep(0.01)
        line.emit(MessageDelta("msg_1", 0, "x" * 2_000_000))
        waiting = asyncio.create_task(line.room())
        await asyncio.sleep(0.01)
        line.lose()
        await waiting
        queue.gate.set()
