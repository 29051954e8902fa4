"""The runners' contract and what the queue works with."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from uuid import UUID

from weft.runs.v1 import event_pb2, run_pb2
from weft.runs.v1 import run_queue_service_pb2 as pb
from weft.threads.v1 import message_pb2
from weft_core.errors import FieldViolation, InvalidFieldsError
from weft_core.ids import format_id, parse_id

from weft_threads.events.append import Append
from weft_threads.events.frames import type_and_payload
from weft_threads.runs.commit import Entry, NewMessage, Result, StepEnd, Transition
from weft_threads.runs.context import context_to_proto, pending_to_proto, unread_to_proto
from weft_threads.runs.convert import duration, finish_from_proto, state_to_proto, usage_to_proto, waiting_from_proto
from weft_threads.runs.queue import Claimed, Owned
from weft_threads.runs.titles import OfferedTitle
from weft_threads.runs.transcript import ContextMessage

INLINE_CONTEXT_BYTES = 1 << 20


def owned_to_proto(owned: Owned) -> pb.OwnedRun:
    return pb.OwnedRun(
        tenant_id=format_id("ten", owned.tenant_id),
        run_id=format_id("run", owned.run_id),
        epoch=owned.epoch,
        stop_requested=owned.stop_requested,
    )


def owned_from_proto(run: pb.OwnedRun) -> Owned:
    return Owned(parse_id("ten", run.tenant_id), parse_id("run", run.run_id), run.epoch)


def claimed_to_proto(claimed: Claimed, run_token: str) -> pb.ClaimedRun:
    run = claimed.run
    out = pb.ClaimedRun(
        tenant_id=format_id("ten", run["tenant_id"]),
        run_id=format_id("run", run["run_id"]),
        thread_id=format_id("thr", run["thread_id"]),
        project_id=format_id("prj", run["project_id"]),
        agent_id=format_id("agt", run["agent_id"]),
        agent_version_id=format_id("agv", run["agent_version_id"]),
        epoch=run["epoch"],
        last_seq=claimed.last_seq,
        attempt=run["attempt"],
        run_token=run_token,
        remaining=duration(claimed.remaining),
        finished_steps=claimed.finished_steps,
        pending_tool_calls=pending_to_proto(claimed.transcript.pending),
        usage=usage_to_proto(run),
        stop_requested=run["cancel_time"] is not None,
        wants_title=claimed.wants_title,
        trace_parent=run["trace_parent"] or "",
    )
    if claimed.begun_step is not None and claimed.begun_attempt is not None:
        out.begun_step.step, out.begun_step.attempt = claimed.begun_step, claimed.begun_attempt
        out.begun_step.message_id = format_id("msg", claimed.message_id)
    out.pending_attachments.extend(unread_to_proto(claimed.transcript.unread))
    context = context_to_proto(claimed.transcript.messages)
    out.is_context_separate = sum(message.ByteSize() for message in context) > INLINE_CONTEXT_BYTES
    if not out.is_context_separate:
        out.context.extend(context)
    return out


def entries_from_proto(request: pb.CommitRequest, new_id: Callable[[], UUID]) -> list[Entry]:
    """Return what a runner wrote. Messages of tool results get their ids here, and so do the events that name them.

    Raises: InvalidFieldsError: an id is wrong, an event is empty, or two entries are of one run.
    """
    entries = [_entry(entry, f"entries[{n}]", new_id) for n, entry in enumerate(request.entries)]
    if len({entry.append.run_id for entry in entries}) != len(entries):
        raise _wrong("entries", "two entries of the same run")
    return entries


def _entry(entry: pb.CommitEntry, path: str, new_id: Callable[[], UUID]) -> Entry:
    append = Append(
        tenant_id=parse_id("ten", entry.tenant_id, f"{path}.tenant_id"),
        run_id=parse_id("run", entry.run_id, f"{path}.run_id"),
        epoch=entry.epoch,
        expected_seq=entry.expected_seq,
        events=tuple(_event(event, f"{path}.events") for event in entry.events),
    )
    begin = entry.begin_step
    return Entry(
        append=append,
        step_end=_step_end(entry.finish_step) if entry.HasField("finish_step") else None,
        messages=tuple(_message(message, f"{path}.messages", new_id) for message in entry.messages),
        begin_step=(begin.step, begin.attempt) if entry.HasField("begin_step") else None,
        transition=_transition(entry.transition, path) if entry.HasField("transition") else None,
    )


def _event(event: event_pb2.RunEvent, path: str) -> tuple[str, bytes]:
    try:
        return type_and_payload(event)
    except ValueError as error:
        raise _wrong(path, str(error)) from None


def _step_end(end: pb.FinishStep) -> StepEnd:
    usage = end.usage if end.HasField("usage") else None
    return (
        end.step,
        end.attempt,
        end.is_succeeded,
        usage.input_tokens if usage else None,
        usage.output_tokens if usage else None,
        usage.cached_input_tokens if usage else None,
        end.error,
        end.discard_message,
        end.model,
        end.cost_micros if usage and end.HasField("cost_micros") else None,
    )


def _message(message: pb.NewMessage, path: str, new_id: Callable[[], UUID]) -> NewMessage:
    content = message_pb2.MessageContent(parts=message.parts).SerializeToString()
    match message.role:
        case message_pb2.ROLE_ASSISTANT:
            message_id = parse_id("msg", message.message_id, f"{path}.message_id")
            return (message_id, message.step, "assistant", content, message.is_incomplete, None, None)
        case message_pb2.ROLE_TOOL:
            message_id = new_id()
            event = _named(message.tool_event, format_id("msg", message_id), f"{path}.tool_event")
            return (message_id, message.step, "tool", content, message.is_incomplete, *event)
        case _:
            raise _wrong(f"{path}.role", "a run says messages as assistant or tool")


def _named(event: event_pb2.RunEvent, message_id: str, path: str) -> tuple[str, bytes]:
    """Return the event of a tool result, with the id of the message that holds it."""
    match event.WhichOneof("payload"):
        case "tool_completed":
            event.tool_completed.message_id = message_id
        case "tool_failed":
            event.tool_failed.message_id = message_id
        case _:
            raise _wrong(path, "needed is tool_completed or tool_failed")
    return type_and_payload(event)


def _transition(transition: pb.Transition, path: str) -> Transition:
    outcome = transition.WhichOneof("outcome")
    closed = transition.model_closed_ago.ToTimedelta() if transition.HasField("model_closed_ago") else None
    match outcome:
        case "succeed":
            finish = transition.succeed.finish
            payload = event_pb2.RunSucceeded(finish=finish).SerializeToString()
            return ("succeeded", payload, finish_from_proto(finish), None, None, None, closed)
        case "fail":
            payload = event_pb2.RunFailed(failure=transition.fail).SerializeToString()
            return ("failed", payload, None, transition.fail.SerializeToString(), None, None, closed)
        case "time_out":
            payload = event_pb2.RunTimedOut(cause=event_pb2.TIMEOUT_CAUSE_RUN).SerializeToString()
            return ("timed_out", payload, None, None, None, None, closed)
        case "stop":
            return ("cancelled", b"", None, None, None, None, closed)
        case "park":
            return _park(transition.park, closed)
        case _:
            raise _wrong(f"{path}.transition", "no outcome")


def _park(park: pb.Park, closed: timedelta | None) -> Transition:
    payload = event_pb2.RunWaiting(reason=park.reason, wake_after=park.wake_after).SerializeToString()
    return ("waiting", payload, None, None, waiting_from_proto(park.reason), park.wake_after.ToTimedelta(), closed)


def results_to_proto(entries: Iterable[Entry], results: Iterable[Result]) -> pb.CommitResponse:
    return pb.CommitResponse(results=[_result(entry, result) for entry, result in zip(entries, results, strict=True)])


def _result(entry: Entry, result: Result) -> pb.CommitResult:
    out = pb.CommitResult(
        state=state_to_proto(result.state) if result.state else run_pb2.RUN_STATE_UNSPECIFIED,
        epoch=result.epoch,
        last_seq=result.last_seq,
        stop_requested=result.stop_requested,
        data_error=result.data_error,
    )
    if result.begun_message is not None and entry.begin_step is not None:
        out.begun_step.step, out.begun_step.attempt = entry.begin_step
        out.begun_step.message_id = format_id("msg", result.begun_message)
    return out


def _wrong(field: str, description: str) -> InvalidFieldsError:
    return InvalidFieldsError([FieldViolation(field, description)])


def offered_title_from(request: pb.OfferTitleRequest) -> OfferedTitle:
    usage = request.usage if request.HasField("usage") else None
    return OfferedTitle(
        request.title,
        request.model,
        usage.input_tokens if usage else None,
        usage.output_tokens if usage else None,
        usage.cached_input_tokens if usage else None,
        request.cost_micros if request.HasField("cost_micros") else None,
    )


def context_batches(messages: Sequence[ContextMessage]) -> Iterator[list[message_pb2.ContextMessage]]:
    """Yield the context in pieces of about a megabyte."""
    batch: list[message_pb2.ContextMessage] = []
    size = 0
    for message in context_to_proto(messages):
        batch.append(message)
        size += message.ByteSize()
        if size >= INLINE_CONTEXT_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
