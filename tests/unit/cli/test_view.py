import io

from rich.console import Console
from weft.gateway.v1.agent_gateway_service_pb2 import ThreadStreamItem
from weft.runs.v1 import event_pb2 as pb
from weft.runs.v1.event_pb2 import RunEvent
from weft.runs.v1.thread_event_pb2 import ThreadAttachmentFailed, ThreadAttachmentReady, ThreadEvent
from weft.threads.v1.attachment_pb2 import Attachment, AttachmentFailure
from weft.threads.v1.message_pb2 import Message, Part
from weft_cli.api import type_of
from weft_cli.console import Printer
from weft_cli.messages import show_message
from weft_cli.view import EventView, ThreadView


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


def test_what_became_of_files_is_told() -> None:
    failure = AttachmentFailure(message="it may be damaged")
    broken = Attachment(name="broken.pdf", size_bytes=16, state=Attachment.STATE_FAILED, failure=failure)
    long = Attachment(name="long.txt", size_bytes=2, state=Attachment.STATE_READY, is_truncated=True)
    events = (
        ThreadEvent(seq=1, attachment_failed=ThreadAttachmentFailed(attachment=broken)),
        ThreadEvent(seq=2, attachment_ready=ThreadAttachmentReady(attachment=long)),
    )
    out = io.StringIO()
    printer = Printer(Console(file=out, width=100))
    view = ThreadView(printer)
    for event in events:
        view.show(ThreadStreamItem(thread_event=event))
    show_message(printer, Message(parts=[Part(attachment=broken), Part(attachment=long)]))
    told = out.getvalue()
    assert "attachment.failed  broken.pdf could not be read: it may be damaged" in told
    assert "attachment.ready   long.txt, of which the beginning was read" in told
    assert "📎 broken.pdf (16 B) could not be read: it may be damaged" in told
    assert "📎 long.txt (2 B), of which the beginning was read" in told
