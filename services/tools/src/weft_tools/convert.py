"""Between the contract's messages and the domain's values."""

import json
from typing import Any

from google.protobuf.duration_pb2 import Duration
from weft.documents.v1 import document_pb2, document_service_pb2
from weft.projects.v1 import project_service_pb2
from weft.runs.v1 import event_pb2
from weft.tasks.v1 import task_pb2
from weft.tools.v1 import tool_journal_service_pb2 as journal_pb
from weft.tools.v1 import tool_pb2
from weft.tools.v1 import tool_service_pb2 as pb
from weft_core.caller import Caller, CallerKind
from weft_core.errors import FieldViolation, InvalidFieldsError
from weft_core.ids import format_id

from weft_tools.domain.execution import Event, Executing, Progress
from weft_tools.domain.journal import Begun, Call, Claimed, Finished, InProgress, RequestKey, RunPlace
from weft_tools.domain.outcome import Completed, Failed, FailureReason, Outcome
from weft_tools.domain.resources import DocumentPage, ListedDocument, Passage, Project, ProjectPage, SearchHit, Task
from weft_tools.domain.tool import Tool

REASON_PREFIX = "TOOL_FAILURE_REASON_"


def duration(seconds: float) -> Duration:
    converted = Duration()
    converted.FromNanoseconds(round(seconds * 1_000_000_000))
    return converted


def tool_to_proto(tool: Tool) -> tool_pb2.Tool:
    return tool_pb2.Tool(
        name=tool.name,
        description=tool.description,
        parameters_json=json.dumps(tool.parameters, ensure_ascii=False),
        is_idempotent=tool.is_idempotent,
        timeout=duration(tool.timeout_seconds),
        keeps_state=tool.keeps_state,
    )


def call_from(request: pb.ExecuteToolRequest, caller: Caller) -> Call:
    """Raises: InvalidFieldsError where the request does not fit who asks."""
    if caller.kind is CallerKind.RUN and caller.run_id is not None and caller.agent_id is not None:
        return _call_of_run(request, format_id("run", caller.run_id), format_id("agt", caller.agent_id))
    if not request.agent_id:
        raise _refused("agent_id", "name the agent in whose name the tool is called")
    if request.WhichOneof("key") == "run_place":
        raise _refused("run_place", "only a run has places; send a request_id")
    return Call(
        RequestKey(request.request_id),
        request.name,
        request.arguments_json,
        request.agent_id,
        request.project_id,
        state=request.state,
    )


def _call_of_run(request: pb.ExecuteToolRequest, run_id: str, agent_id: str) -> Call:
    if request.agent_id not in ("", agent_id):
        raise _refused("agent_id", "the run's token names another agent; leave it empty")
    if request.project_id:
        raise _refused("project_id", "a run has its project; leave it empty")
    if request.WhichOneof("key") != "run_place":
        raise _refused("request_id", "a run's call is keyed by its place; send run_place")
    place = RunPlace(request.run_place.step, request.run_place.index)
    return Call(place, request.name, request.arguments_json, agent_id, run_id=run_id, state=request.state)


def key_to_proto(key: RequestKey | RunPlace) -> dict[str, Any]:
    """Return the member of a request's `key`."""
    if isinstance(key, RequestKey):
        return {"request_id": key.request_id}
    return {"run_place": pb.RunPlace(step=key.step, index=key.index)}


def begun_from(answer: journal_pb.BeginExecutionResponse) -> Begun:
    return Begun(answer.tool_execution_id, answer.attempt, _standing_from(answer))


def _standing_from(answer: journal_pb.BeginExecutionResponse) -> Claimed | Finished | InProgress:
    which = answer.WhichOneof("outcome")
    if which == "claimed":
        claimed = answer.claimed
        return Claimed(claimed.project_id, claimed.agent_id, claimed.thread_id, claimed.run_id)
    if which == "finished":
        return Finished(outcome_from(answer.finished))
    return InProgress()


def outcome_from(result: journal_pb.ExecutionResult) -> Outcome:
    if result.WhichOneof("outcome") == "completed":
        done = result.completed
        return Completed(done.content, done.is_truncated, _seconds(done.duration))
    told = result.failed
    seconds = _seconds(told.duration) if told.HasField("duration") else None
    return Failed(reason_from(told.reason), told.message, seconds)


def outcome_to_proto(outcome: Outcome) -> journal_pb.ExecutionResult:
    if isinstance(outcome, Completed):
        return journal_pb.ExecutionResult(completed=_completed_to_proto(outcome))
    return journal_pb.ExecutionResult(failed=_failed_to_proto(outcome))


def event_to_proto(event: Event) -> pb.ExecuteToolResponse:
    if isinstance(event, Executing):
        return pb.ExecuteToolResponse(
            executing=pb.Executing(tool_execution_id=event.execution_id, attempt=event.attempt)
        )
    if isinstance(event, Progress):
        return pb.ExecuteToolResponse(progress=pb.Progress(message=event.message, fraction=event.fraction))
    if isinstance(event, Completed):
        return pb.ExecuteToolResponse(completed=_completed_to_proto(event))
    return pb.ExecuteToolResponse(failed=_failed_to_proto(event))


def reason_to_proto(reason: FailureReason) -> event_pb2.ToolFailureReason.ValueType:
    return event_pb2.ToolFailureReason.Value(REASON_PREFIX + reason.value)


def reason_from(reason: event_pb2.ToolFailureReason.ValueType) -> FailureReason:
    return FailureReason(event_pb2.ToolFailureReason.Name(reason).removeprefix(REASON_PREFIX))


def hit_from(hit: document_pb2.SearchHit) -> SearchHit:
    return SearchHit(hit.document.document_id, hit.document.title, hit.offset, hit.snippet, hit.score)


def passage_from(answer: document_service_pb2.ReadDocumentResponse, offset: int) -> Passage:
    document = answer.document
    return Passage(document.document_id, document.title, answer.text, offset, answer.next_offset, answer.total_length)


def document_page_from(answer: document_service_pb2.ListDocumentsResponse) -> DocumentPage:
    return DocumentPage([_listed(each) for each in answer.documents], answer.next_page_token)


def _listed(document: document_pb2.Document) -> ListedDocument:
    updated = document.update_time.ToDatetime().isoformat(timespec="seconds") + "Z"
    return ListedDocument(document.document_id, document.title, document.size_bytes, updated)


def project_page_from(answer: project_service_pb2.ListProjectsResponse) -> ProjectPage:
    projects = [Project(each.project_id, each.display_name) for each in answer.projects]
    return ProjectPage(projects, answer.next_page_token)


def task_from(task: task_pb2.Task) -> Task:
    state = task_pb2.Task.State.Name(task.state).removeprefix("STATE_").lower()
    return Task(task.task_id, task.title, state)


def _completed_to_proto(outcome: Completed) -> pb.Completed:
    return pb.Completed(
        content=outcome.content, is_truncated=outcome.is_truncated, duration=duration(outcome.duration_seconds)
    )


def _failed_to_proto(outcome: Failed) -> pb.Failed:
    seconds = outcome.duration_seconds
    return pb.Failed(
        reason=reason_to_proto(outcome.reason),
        message=outcome.message,
        duration=None if seconds is None else duration(seconds),
    )


def _seconds(value: Duration) -> float:
    return value.ToNanoseconds() / 1_000_000_000


def _refused(field: str, what: str) -> InvalidFieldsError:
    return InvalidFieldsError([FieldViolation(field, what)])
