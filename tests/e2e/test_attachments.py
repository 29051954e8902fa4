"""Files that come with a message: the model is given their text, or told why not; the answer never waits for them."""

import codecs

import pytest
from e2e.asking import model_calls, refused
from extraction_processes import an_extraction_of, is_gone
from pdf_files import a_bomb, a_pdf, a_slow_pdf, an_encrypted_pdf
from public_api import Api, type_of
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway_pb
from weft.runs.v1 import run_pb2
from weft.threads.v1 import attachment_pb2, thread_pb2, thread_service_pb2
from weft_cli.stack import Stack

READY, FAILED = attachment_pb2.Attachment.STATE_READY, attachment_pb2.Attachment.STATE_FAILED
PENDING = attachment_pb2.Attachment.STATE_PENDING
Reason = attachment_pb2.AttachmentFailure
WORDS = (
    "alpha in plain text",
    "# beta in Markdown",
    "gamma in HTML",
    "delta in a PDF\n\nand its second page",
    "epsilon in UTF-16",
    "z\xe9ta in Latin-1",
    "eta with a \ufffd in the middle of it",
    "theta without a name",
)


def a_file(name: str, content: bytes, media_type: str = "") -> attachment_pb2.NewAttachment:
    return attachment_pb2.NewAttachment(name=name, media_type=media_type, content=content)


async def attachments_of(api: Api, thread_id: str) -> list[attachment_pb2.Attachment]:
    parts = [part for message in await api.messages(thread_id) for part in message.parts]
    return [part.attachment for part in parts if part.HasField("attachment")]


async def thread_of(api: Api, thread_id: str) -> thread_pb2.Thread:
    request = thread_service_pb2.GetThreadRequest(thread_id=thread_id)
    thread: thread_pb2.Thread = (await api.threads.GetThread(request, metadata=api.metadata, timeout=10)).thread
    return thread


async def given_to_the_model(stack: Stack, model: str) -> str:
    """Return the user's turn in the one call of a model."""
    (call,) = await model_calls(stack, model=model)
    return str(call["messages"][-1]["content"])


@pytest.mark.row("A3")
async def test_model_is_given_the_text_of_every_kind(api: Api, stack: Stack) -> None:
    agent = await api.make_agent("scripted:tag=kinds")
    made = await api.initiate(
        "What do they say?",
        agent_id=agent,
        attachments=[
            a_file("plain.txt", b"alpha in plain text"),
            a_file("notes.md", b"# beta in Markdown"),
            a_file("page.html", b"<title>T</title><script>no()</script><p>gamma in HTML"),
            a_file("report.pdf", a_pdf("delta in a PDF", "and its second page")),
            a_file("wide.txt", codecs.BOM_UTF16_LE + "epsilon in UTF-16".encode("utf-16-le")),
            a_file("old.txt", "z\xe9ta in Latin-1".encode("latin-1")),
            a_file("nul.txt", b"eta with a \0 in the middle of it"),
            a_file("untold", a_pdf("theta without a name")),
        ],
    )
    events = await api.events(made.run_id)
    assert type_of(events[-1]) == "run_succeeded", events[-1]
    given = await given_to_the_model(stack, "scripted:tag=kinds")
    assert given.startswith("What do they say?\n\n")
    for words in WORDS:
        assert words in given
    assert "no()" not in given
    attachments = await attachments_of(api, made.thread_id)
    assert {each.state for each in attachments} == {READY}
    assert attachments[-1].media_type == "application/pdf"
    assert not (await thread_of(api, made.thread_id)).HasField("attention")


@pytest.mark.row("A3")
async def test_files_that_cannot_be_read_are_told_and_the_run_goes_on(api: Api, stack: Stack) -> None:
    agent = await api.make_agent("scripted:tag=unreadable")
    wrong = {
        "broken.pdf": (a_pdf("words")[:200], Reason.REASON_MALFORMED),
        "locked.pdf": (an_encrypted_pdf("secret", "password"), Reason.REASON_ENCRYPTED),
        "bomb.pdf": (a_bomb(), Reason.REASON_TOO_COMPLEX),
        "letter.pdf": (b"PK\x03\x04" + bytes(500), Reason.REASON_UNSUPPORTED),
        "letter.docx": (b"PK\x03\x04" + bytes(500), Reason.REASON_UNSUPPORTED),
        "picture.txt": (b"\x89PNG\r\n\x1a\n" + bytes(500), Reason.REASON_UNSUPPORTED),
        "program": (b"\x7fELF\x02\x01\x01" + bytes(500), Reason.REASON_UNSUPPORTED),
        "empty.txt": (b"", Reason.REASON_EMPTY),
    }
    files = [a_file(name, content) for name, (content, _) in wrong.items()]
    made = await api.initiate("Read these.", agent_id=agent, attachments=[*files, a_file("good.txt", b"good words")])
    events = await api.events(made.run_id)
    assert type_of(events[-1]) == "run_succeeded", events[-1]
    attachments = {each.name: each for each in await attachments_of(api, made.thread_id)}
    found = {name: each.failure.reason for name, each in attachments.items() if each.state == FAILED}
    assert found == {name: reason for name, (_, reason) in wrong.items()}
    given = await given_to_the_model(stack, "scripted:tag=unreadable")
    for name in wrong:
        assert f'The attachment "{name}" could not be read: {attachments[name].failure.message}' in given
    assert "good words" in given
    thread = await thread_of(api, made.thread_id)
    assert thread.attention.reason == thread_pb2.ThreadAttention.REASON_ATTACHMENT_FAILED
    assert "could not be read" in thread.attention.message


@pytest.mark.row("A3")
async def test_15_mib_are_taken_and_a_byte_more_is_refused(api: Api) -> None:
    agent = await api.make_agent("scripted")
    whole = b"a line of text\n" * (15 * 1024 * 1024 // 15)
    made = await api.initiate("Read this.", agent_id=agent, attachments=[a_file("large.txt", whole)])
    assert type_of((await api.events(made.run_id))[-1]) == "run_succeeded"
    (large,) = await attachments_of(api, made.thread_id)
    assert (large.size_bytes, large.state, large.is_truncated) == (15 * 1024 * 1024, READY, True)
    assert 200_000 < len(large.text) <= 256 * 1024
    request = gateway_pb.InitiateAgentRequest(text="Read this.", attachments=[a_file("larger.txt", whole + b"x")])
    call = api.gateway.InitiateAgent(request, metadata=api.metadata, timeout=20)
    await refused(call, "INVALID_ARGUMENT", "INVALID_FIELDS")


@pytest.mark.row("A3")
async def test_messages_that_are_merged_are_given_with_their_files(api: Api, stack: Stack) -> None:
    agent = await api.make_agent("scripted:tag=merged-files")
    slow = a_file("slow.pdf", a_slow_pdf(150_000, "words of the first"))
    first = await api.initiate("One.", agent_id=agent, attachments=[slow])
    second = await api.initiate(
        "Two.",
        thread_id=first.thread_id,
        busy_strategy=run_pb2.BUSY_STRATEGY_MERGE,
        attachments=[a_file("second.txt", b"words of the second")],
    )
    assert second.is_merged
    assert type_of((await api.events(second.run_id))[-1]) == "run_succeeded"
    assert type_of((await api.events(first.run_id))[-1]) == "run_superseded"
    given = await given_to_the_model(stack, "scripted:tag=merged-files")
    assert given.index("words of the first") < given.index("\n---\n") < given.index("words of the second")
    assert {each.state for each in await attachments_of(api, first.thread_id)} == {READY}


@pytest.mark.row("A3", "A7")
async def test_cancel_stops_the_reading_and_the_next_run_is_given_the_file(api: Api, stack: Stack) -> None:
    agent = await api.make_agent("scripted:tag=cancelled-file")
    slow = a_file("slow.pdf", a_slow_pdf(150_000, "words at last"))
    made = await api.initiate("Read this.", agent_id=agent, attachments=[slow])
    process = await an_extraction_of(stack.pid("agent-runner"))
    run = await api.cancel(made.run_id)
    assert run.state == run_pb2.RUN_STATE_CANCELLED
    assert await is_gone(process)
    assert not await model_calls(stack, model="scripted:tag=cancelled-file")
    assert (await attachments_of(api, made.thread_id))[0].state == PENDING
    after = await api.initiate("Now?", thread_id=made.thread_id)
    assert type_of((await api.events(after.run_id))[-1]) == "run_succeeded"
    (call,) = await model_calls(stack, model="scripted:tag=cancelled-file")
    assert "words at last" in str(call["messages"])
    assert (await attachments_of(api, made.thread_id))[0].state == READY


@pytest.mark.row("A3", "A5")
async def test_stream_agent_takes_files_too(api: Api, stack: Stack) -> None:
    agent = await api.make_agent("scripted:tag=streamed-file")
    file = a_file("roses.md", b"Roses are pruned in March.")
    initiate = gateway_pb.InitiateAgentRequest(text="Read this.", agent_id=agent, attachments=[file])
    call = api.gateway.StreamAgent(gateway_pb.StreamAgentRequest(initiate=initiate), metadata=api.metadata, timeout=60)
    kinds = [type_of(event) async for response in call for event in response.events]
    assert kinds[-1] == "run_succeeded"
    assert "Roses are pruned in March." in await given_to_the_model(stack, "scripted:tag=streamed-file")


@pytest.mark.row("A3")
async def test_watcher_of_the_thread_is_told_what_became_of_each_file(api: Api) -> None:
    agent = await api.make_agent("scripted")
    files = [a_file("good.txt", b"good words"), a_file("bad.pdf", b"no PDF at all")]
    made = await api.initiate("Read these.", agent_id=agent, attachments=files)
    call = api.gateway.ThreadEvents(
        gateway_pb.ThreadEventsRequest(thread_id=made.thread_id), metadata=api.metadata, timeout=60
    )
    told: dict[str, attachment_pb2.Attachment] = {}
    async for response in call:
        for event in (item.thread_event for item in response.items if item.HasField("thread_event")):
            kind = str(event.WhichOneof("payload"))
            if kind.startswith("attachment_"):
                payload = getattr(event, kind)
                assert payload.message_id == made.message_id
                told[kind] = payload.attachment
            if kind == "run_ended":
                call.cancel()
                assert set(told) == {"attachment_ready", "attachment_failed"}
                assert (told["attachment_ready"].name, told["attachment_ready"].text) == ("good.txt", "")
                assert told["attachment_failed"].failure.reason == Reason.REASON_MALFORMED
                return
