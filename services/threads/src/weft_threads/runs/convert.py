"""Runs between the contract and the rows."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from weft.runs.v1 import admission_service_pb2 as admission_pb
from weft.runs.v1 import run_pb2
from weft.threads.v1 import attachment_pb2
from weft_core.errors import FieldViolation, InvalidFieldsError
from weft_core.ids import format_id, parse_id

from weft_threads.attachments.attachment import NewFile, media_type_of
from weft_threads.events.frames import LoggedEvent, encode_event
from weft_threads.runs.admission import Initiated, Initiation

# Of all files of a message together.
MAX_FILES_BYTES = 15 << 20

STRATEGIES: Mapping[int, str | None] = {
    run_pb2.BUSY_STRATEGY_UNSPECIFIED: None,
    run_pb2.BUSY_STRATEGY_ENQUEUE: "enqueue",
    run_pb2.BUSY_STRATEGY_MERGE: "merge",
    run_pb2.BUSY_STRATEGY_REJECT: "reject",
}


def state_to_proto(state: str) -> run_pb2.RunState.ValueType:
    return run_pb2.RunState.Value(f"RUN_STATE_{state.upper()}")


def state_from_proto(state: run_pb2.RunState.ValueType) -> str:
    return run_pb2.RunState.Name(state).removeprefix("RUN_STATE_").lower()


def finish_from_proto(finish: run_pb2.Finish.ValueType) -> str:
    return run_pb2.Finish.Name(finish).removeprefix("FINISH_").lower()


def waiting_from_proto(reason: run_pb2.WaitingReason.ValueType) -> str:
    return run_pb2.WaitingReason.Name(reason).removeprefix("WAITING_REASON_").lower()


def optional_id(prefix: str, text: str) -> UUID | None:
    return parse_id(prefix, text) if text else None


def duration(value: timedelta) -> Duration:
    proto = Duration()
    proto.FromTimedelta(value)
    return proto


def initiation_from_proto(request: admission_pb.InitiateRunRequest) -> Initiation:
    return Initiation(
        text=request.text,
        thread_id=optional_id("thr", request.thread_id),
        agent_id=optional_id("agt", request.agent_id),
        project_id=optional_id("prj", request.project_id),
        request_id=request.request_id or None,
        strategy=STRATEGIES[request.busy_strategy],
        files=_files_from(request.attachments),
    )


def _files_from(attachments: Iterable[attachment_pb2.NewAttachment]) -> tuple[NewFile, ...]:
    """Raises: InvalidFieldsError: they are too large together."""
    files = tuple(
        NewFile(each.name, each.media_type or media_type_of(each.name), each.content, _sha256(each.content))
        for each in attachments
    )
    size = sum(len(file.content) for file in files)
    if size > MAX_FILES_BYTES:
        told = f"all attachments together have {size} bytes; at most {MAX_FILES_BYTES} are taken"
        raise InvalidFieldsError([FieldViolation("attachments", told, "size")])
    return files


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def initiated_to_proto(made: Initiated, first_event: LoggedEvent | None) -> admission_pb.InitiateRunResponse:
    return admission_pb.InitiateRunResponse(
        project_id=format_id("prj", made.project_id),
        thread_id=format_id("thr", made.thread_id),
        run_id=format_id("run", made.run_id),
        message_id=format_id("msg", made.message_id),
        agent_id=format_id("agt", made.agent_id),
        state=run_pb2.RUN_STATE_QUEUED,
        queue_position=made.queue_position,
        is_merged=made.is_merged,
        first_event=b"" if first_event is None else encode_event(first_event),
    )


def usage_to_proto(row: Any) -> run_pb2.Usage:
    return run_pb2.Usage(
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cached_input_tokens=row["cached_input_tokens"],
        model_calls=row["model_calls"],
        unmetered_model_calls=row["unmetered_model_calls"],
        cost_micros=row["cost_micros"],
        unpriced_model_calls=row["unpriced_model_calls"],
    )


def run_to_proto(row: Any) -> run_pb2.Run:
    """Return the run of a row of run_store."""
    run = run_pb2.Run(
        run_id=format_id("run", row.run_id),
        thread_id=format_id("thr", row.thread_id),
        project_id=format_id("prj", row.project_id),
        agent_id=format_id("agt", row.agent_id),
        agent_version_id=format_id("agv", row.agent_version_id),
        state=state_to_proto(row.state),
        turn=row.turn,
        attempt=row.attempt,
        last_seq=row.last_seq,
        usage=usage_to_proto(row._mapping),
        input_message_ids=[format_id("msg", each) for each in row.inputs],
        request_id=row.request_id or "",
        created_by=row.created_by,
    )
    if row.waiting_reason:
        run.waiting_reason = run_pb2.WaitingReason.Value(f"WAITING_REASON_{row.waiting_reason.upper()}")
    if row.finish:
        run.finish = run_pb2.Finish.Value(f"FINISH_{row.finish.upper()}")
    if row.failure:
        run.failure.ParseFromString(row.failure)
    if row.state == "superseded":
        run.successor_run_id = format_id("run", row.superseded_by)
    for name in ("create_time", "start_time", "end_time", "cancel_time", "model_closed_time"):
        _set_time(getattr(run, name), getattr(row, name))
    return run


def _set_time(field: Timestamp, value: datetime | None) -> None:
    if value is not None:
        field.FromDatetime(value)
