"""A run as the queue keeps it, and what an entry of a Commit does to it."""

from dataclasses import dataclass, field

from weft.runs.v1 import event_pb2, run_pb2
from weft.runs.v1 import run_queue_service_pb2 as pb
from weft.threads.v1 import message_pb2

TERMINAL = frozenset(
    {
        run_pb2.RUN_STATE_SUCCEEDED,
        run_pb2.RUN_STATE_FAILED,
        run_pb2.RUN_STATE_CANCELLED,
        run_pb2.RUN_STATE_TIMED_OUT,
        run_pb2.RUN_STATE_SUPERSEDED,
    }
)


@dataclass
class FakeStep:
    step: int
    attempt: int
    message_id: str
    state: str = "started"  # succeeded, failed, cut
    usage: run_pb2.Usage | None = None
    error: str = ""


@dataclass
class StoredMessage:
    message_id: str
    step: int
    role: "message_pb2.Role.ValueType"
    parts: list[message_pb2.Part]
    is_incomplete: bool = False

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts)


@dataclass
class FakeRun:
    """`stop_requested` is what a cancel sets, `successor` what a merge does besides."""

    tenant_id: str
    run_id: str
    thread_id: str
    agent_version_id: str
    text: str
    remaining_seconds: float = 300.0
    state: "run_pb2.RunState.ValueType" = run_pb2.RUN_STATE_QUEUED
    owner: str = ""
    epoch: int = 0
    attempt: int = 0
    stop_requested: bool = False
    trace_parent: str = ""
    successor: str = ""
    events: list[event_pb2.RunEvent] = field(default_factory=list)
    steps: list[FakeStep] = field(default_factory=list)
    messages: list[StoredMessage] = field(default_factory=list)
    usage: run_pb2.Usage = field(default_factory=run_pb2.Usage)
    transition: pb.Transition | None = None
    wants_title: bool = False
    titles: list[pb.OfferTitleRequest] = field(default_factory=list)  # that were offered
    poison: str = ""  # an entry that holds this text can never be written

    @property
    def is_ended(self) -> bool:
        return self.state in TERMINAL

    @property
    def last_seq(self) -> int:
        return len(self.events)

    def kinds(self) -> list[str]:
        return [event.WhichOneof("payload") or "" for event in self.events]

    def answer(self) -> str:
        """Return the newest text of the model."""
        texts = [m.text for m in self.messages if m.role == message_pb2.ROLE_ASSISTANT]
        return texts[-1] if texts else ""

    def shown(self, message_id: str) -> str:
        """Return the deltas of a message, joined; each must begin where the one before ended."""
        text = ""
        for event in self.events:
            delta = event.message_delta
            if event.WhichOneof("payload") == "message_delta" and delta.message_id == message_id:
                assert delta.offset == len(text), "a delta does not follow the one before"
                text += delta.text
        return text

    def write(self, event: event_pb2.RunEvent) -> None:
        event.run_id, event.seq, event.epoch = self.run_id, self.last_seq + 1, self.epoch
        self.events.append(event)

    def begin_step(self, step: int, attempt: int, message_id: str) -> None:
        assert all(s.state != "started" for s in self.steps), "two attempts at once"
        self.steps.append(FakeStep(step, attempt, message_id))
        self.usage.model_calls += 1
        started = event_pb2.StepStarted(step=step, attempt=attempt, message_id=message_id)
        self.write(event_pb2.RunEvent(step_started=started))

    def pending_calls(self) -> list[pb.PendingToolCall]:
        """Return the tool calls of stored model messages that have no stored result."""
        results = {
            (message.step, part.tool_result.index)
            for message in self.messages
            for part in message.parts
            if part.WhichOneof("content") == "tool_result"
        }
        return [
            pb.PendingToolCall(step=message.step, index=part.tool_call.index, call=part.tool_call)
            for message in self.messages
            for part in message.parts
            if part.WhichOneof("content") == "tool_call" and (message.step, part.tool_call.index) not in results
        ]

    def context(self) -> list[message_pb2.ContextMessage]:
        user = message_pb2.ContextMessage(role=message_pb2.ROLE_USER, parts=[message_pb2.Part(text=self.text)])
        own = [message_pb2.ContextMessage(role=m.role, parts=m.parts) for m in self.messages if m.parts]
        return [user, *own]


def apply_entry(run: FakeRun, entry: pb.CommitEntry, new_message_id: str, tool_message_ids: list[str]) -> None:
    """Write an entry whose epoch and seq fit. The order is that of the contract."""
    for event in entry.events:
        run.write(event_pb2.RunEvent.FromString(event.SerializeToString()))
    if entry.HasField("finish_step"):
        _finish_step(run, entry.finish_step)
    # An answer that comes too late is not the answer: a cancel or a successor was first.
    is_late = entry.transition.HasField("succeed") and run.stop_requested
    for message in entry.messages:
        _add_message(run, message, tool_message_ids, is_late=is_late)
    if entry.HasField("begin_step"):
        run.begin_step(entry.begin_step.step, entry.begin_step.attempt, new_message_id)
    if entry.HasField("transition"):
        _make_transition(run, entry.transition)


def _finish_step(run: FakeRun, finish: pb.FinishStep) -> None:
    step = run.steps[-1]
    assert (step.step, step.attempt, step.state) == (finish.step, finish.attempt, "started"), "not the open step"
    step.state = "succeeded" if finish.is_succeeded else "failed"
    step.usage, step.error = (finish.usage if finish.HasField("usage") else None), finish.error
    if step.usage is None:
        run.usage.unmetered_model_calls += 1
    else:
        run.usage.input_tokens += step.usage.input_tokens
        run.usage.output_tokens += step.usage.output_tokens
        run.usage.cost_micros += finish.cost_micros
        run.usage.unpriced_model_calls += not finish.HasField("cost_micros")
    if finish.discard_message:
        discarded = event_pb2.MessageDiscarded(message_id=step.message_id)
        run.write(event_pb2.RunEvent(message_discarded=discarded))


def _add_message(run: FakeRun, message: pb.NewMessage, tool_message_ids: list[str], *, is_late: bool) -> None:
    if message.role == message_pb2.ROLE_TOOL:
        message_id = tool_message_ids.pop(0)
        run.messages.append(StoredMessage(message_id, message.step, message.role, list(message.parts)))
        event = event_pb2.RunEvent.FromString(message.tool_event.SerializeToString())
        getattr(event, event.WhichOneof("payload") or "").message_id = message_id
        run.write(event)
        return
    assert message.message_id == run.steps[-1].message_id, "a message under an id that no step gave"
    is_incomplete = message.is_incomplete or is_late
    run.messages.append(
        StoredMessage(message.message_id, message.step, message.role, list(message.parts), is_incomplete)
    )
    if is_incomplete:
        incomplete = event_pb2.MessageIncomplete(message_id=message.message_id)
        run.write(event_pb2.RunEvent(message_incomplete=incomplete))
    else:
        completed = event_pb2.MessageCompleted(message_id=message.message_id)
        run.write(event_pb2.RunEvent(message_completed=completed))


def _make_transition(run: FakeRun, transition: pb.Transition) -> None:
    run.transition = transition
    outcome = transition.WhichOneof("outcome")
    if outcome == "park" and not run.stop_requested:
        run.state, run.owner = run_pb2.RUN_STATE_WAITING, ""
        run.write(event_pb2.RunEvent(run_waiting=event_pb2.RunWaiting(reason=transition.park.reason)))
        return
    end_run(run, outcome or "", transition)


def end_run(run: FakeRun, asked: str, transition: pb.Transition | None = None) -> None:
    """End a run: superseded and cancelled go before what was asked."""
    transition = transition or pb.Transition()
    if run.successor:
        run.state = run_pb2.RUN_STATE_SUPERSEDED
        run.write(event_pb2.RunEvent(run_superseded=event_pb2.RunSuperseded(successor_run_id=run.successor)))
    elif run.stop_requested or asked in ("stop", "park"):
        run.state = run_pb2.RUN_STATE_CANCELLED
        run.write(event_pb2.RunEvent(run_cancelled=event_pb2.RunCancelled(cause=event_pb2.CANCEL_CAUSE_REQUESTED)))
    elif asked == "succeed":
        run.state = run_pb2.RUN_STATE_SUCCEEDED
        run.write(event_pb2.RunEvent(run_succeeded=event_pb2.RunSucceeded(finish=transition.succeed.finish)))
    elif asked == "fail":
        run.state = run_pb2.RUN_STATE_FAILED
        run.write(event_pb2.RunEvent(run_failed=event_pb2.RunFailed(failure=transition.fail)))
    else:
        run.state = run_pb2.RUN_STATE_TIMED_OUT
        run.write(event_pb2.RunEvent(run_timed_out=event_pb2.RunTimedOut(cause=event_pb2.TIMEOUT_CAUSE_RUN)))
    run.owner = ""
    for step in run.steps:
        if step.state == "started":
            step.state = "cut"
