import io

from rich.console import Console
from weft.runs.v1 import event_pb2 as pb
from weft.runs.v1.event_pb2 import RunEvent
from weft_cli.api import type_of
from weft_cli.console import Printer
from weft_cli.view import EventView


def shown(*events: RunEvent) -> str:
    out = io.StringIO()
    printer = Printer(Console(file=out, width=80))
    view = EventView(printer)
    for event in events:
        view.show(event)
    printer.end_parts()
    return out.getvalue()


def test_the_text_of_deltas_runs_on() -> None:
    first = RunEvent(seq=1, message_delta=pb.MessageDelta(text="Hel"))
    second = RunEvent(seq=2, message_delta=pb.MessageDelta(text="lo [bold]"))
    end = RunEvent(seq=3, run_succeeded=pb.RunSucceeded())
    assert shown(first, second, end) == "Hello [bold]\n    3  run.succeeded\n"


def test_a_tool_call_shows_its_arguments_and_result() -> None:
    call = pb.ToolExecuting(name="read_document", arguments_json='{"document_id":"doc_1"}')
    result = pb.ToolCompleted(name="read_document", content="line\n" * 200)
    text = shown(RunEvent(seq=1, tool_executing=call), RunEvent(seq=2, tool_completed=result))
    assert 'read_document {"document_id": "doc_1"}' in text
    assert "read_document → line line" in text
    assert "(1000 characters)" in text


def test_invalid_arguments_are_shown_as_they_are() -> None:
    assert '{"a":' in shown(RunEvent(seq=1, tool_executing=pb.ToolExecuting(name="t", arguments_json='{"a":')))


def test_a_failure_shows_its_reason() -> None:
    failed = pb.ToolFailed(name="t", reason=pb.TOOL_FAILURE_REASON_DENIED, message="not yours")
    assert "t → DENIED: not yours" in shown(RunEvent(seq=1, tool_failed=failed))


def test_types_are_named_as_in_the_log() -> None:
    assert type_of(RunEvent(run_timed_out=pb.RunTimedOut())) == "run.timed_out"


def test_a_payload_of_a_newer_server_is_no_error() -> None:
    assert type_of(RunEvent(seq=1)) == "unknown"
    assert "unknown" in shown(RunEvent(seq=1))


def test_two_views_do_not_mix_their_text() -> None:
    out = io.StringIO()
    printer = Printer(Console(file=out, width=80))
    first, second = EventView(printer, "a: "), EventView(printer, "b: ")
    for view, text in ((first, "one "), (first, "two"), (second, "three"), (first, " four")):
        view.show(RunEvent(message_delta=pb.MessageDelta(text=text)))
    printer.end_parts()
    assert out.getvalue() == "a: one two\nb: three\na:  four\n"
