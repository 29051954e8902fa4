"""Events of a run, shown to a person as they come."""

import json

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from weft.gateway.v1.agent_gateway_service_pb2 import ThreadStreamItem
from weft.runs.v1 import event_pb2, run_pb2
from weft.runs.v1.event_pb2 import RunEvent
from weft.runs.v1.thread_event_pb2 import ThreadEvent
from weft.threads.v1.attachment_pb2 import Attachment

from weft_cli.api import payload_of, type_of
from weft_cli.console import Printer
from weft_cli.messages import told_of_file

LONGEST_RESULT = 400


class EventView:
    """Text of deltas runs on; every other event is a line with its seq. A label tells the lines of two views apart."""

    def __init__(self, printer: Printer, label: str = "") -> None:
        self._printer, self._label = printer, label

    def show(self, event: RunEvent) -> None:
        match event.WhichOneof("payload"):
            case "message_delta":
                self._printer.part(event.message_delta.text, self._label)
            case "tool_executing":
                tool = event.tool_executing
                self._line(event, f"{tool.name} {_compact(tool.arguments_json)}", "cyan")
            case "tool_completed":
                self._line(event, f"{event.tool_completed.name} → {_short(event.tool_completed.content)}", "green")
            case "tool_failed":
                failed = event.tool_failed
                why = event_pb2.ToolFailureReason.Name(failed.reason).removeprefix("TOOL_FAILURE_REASON_")
                self._line(event, f"{failed.name} → {why}: {failed.message}", "red")
            case "run_failed":
                failure = event.run_failed.failure
                why = run_pb2.FailureReason.Name(failure.reason).removeprefix("FAILURE_REASON_")
                self._line(event, f"{why}: {failure.message}", "bold red")
            case "run_superseded":
                self._line(event, f"answered by {event.run_superseded.successor_run_id}", "yellow")
            case _:
                self._line(event, _fields(event), "dim")

    def end(self) -> None:
        self._printer.end_parts()

    def _line(self, event: RunEvent, text: str, style: str) -> None:
        self._printer.line(f"{self._label}{event.seq:>5}  {type_of(event):<18} {text}".rstrip(), style)


class ThreadView:
    """The thread's own events as lines that stand out, those of its runs between them."""

    def __init__(self, printer: Printer) -> None:
        self._printer, self._runs = printer, EventView(printer, "    ")

    def show(self, item: ThreadStreamItem) -> None:
        if item.HasField("run_event"):
            self._runs.show(item.run_event)
            return
        event = item.thread_event
        kind = (event.WhichOneof("payload") or "unknown").replace("_", ".", 1)
        self._printer.line(f"{event.seq:>5}  {kind:<18} {_told(event)}".rstrip(), "bold")

    def end(self) -> None:
        self._runs.end()


class JsonView:
    """Every event as a line of protobuf's JSON."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer

    def show(self, event: RunEvent | ThreadStreamItem) -> None:
        self._printer.raw(json_line(event))

    def end(self) -> None:
        pass


def _told(event: ThreadEvent) -> str:
    """Return what a line says of a thread's event."""
    kind = event.WhichOneof("payload")
    if kind == "message_created":
        return _short(next((part.text for part in event.message_created.message.parts if part.text), ""))
    if kind == "run_ended":
        return f"{event.run_ended.run_id} {type_of(event.run_ended.terminal_event)}"
    if kind in ("attachment_ready", "attachment_failed"):
        file: Attachment = getattr(event, kind).attachment
        return file.name + told_of_file(file)
    if kind == "title_updated":
        return event.title_updated.title
    return str(getattr(getattr(event, kind or ""), "run_id", "")) if kind else ""


def json_line(message: Message) -> str:
    return json.dumps(MessageToDict(message), ensure_ascii=False, separators=(",", ":"))


def _fields(event: RunEvent) -> str:
    values = MessageToDict(payload_of(event), preserving_proto_field_name=True)
    return " ".join(f"{name}={_plain(value)}" for name, value in values.items())


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _compact(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False)
    except ValueError:
        return arguments


def _short(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= LONGEST_RESULT else f"{one_line[:LONGEST_RESULT]} … ({len(text)} characters)"
