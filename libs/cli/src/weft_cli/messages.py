"""Messages of a thread, shown to a person."""

from collections.abc import Iterator

from weft.threads.v1 import message_pb2
from weft.threads.v1.attachment_pb2 import Attachment

from weft_cli import words
from weft_cli.console import Printer

LONGEST_RESULT = 2000
ROLE_STYLES = {"user": "bold green", "assistant": "bold cyan", "tool": "bold yellow", "system": "bold magenta"}


def show_message(printer: Printer, message: message_pb2.Message) -> None:
    role = words.enum_word(message_pb2.Role.Name(message.role), "ROLE_")
    state = "  (incomplete)" if message.state == message_pb2.Message.STATE_INCOMPLETE else ""
    place = f"{message.turn}.{message.index}"
    printer.line(f"{place:<6}{role}  {words.ago(message.create_time)}{state}", ROLE_STYLES.get(role, "bold"))
    for part in message.parts:
        for line in _lines(part):
            printer.line(f"      {line}")


def told_of_file(file: Attachment) -> str:
    """Return what stands behind the name of a file that the model was not given whole; "" for any other."""
    if file.state == Attachment.STATE_FAILED:
        return f" could not be read: {file.failure.message}"
    return ", of which the beginning was read" if file.is_truncated else ""


def _lines(part: message_pb2.Part) -> Iterator[str]:
    match part.WhichOneof("content"):
        case "text":
            yield from part.text.splitlines()
        case "tool_call":
            yield f"→ {part.tool_call.name} {part.tool_call.arguments_json}"
        case "tool_result":
            mark = "✗" if part.tool_result.is_error else "←"
            content = part.tool_result.content
            cut = f" … ({len(content)} characters)" if len(content) > LONGEST_RESULT else ""
            first, *rest = f"{content[:LONGEST_RESULT]}{cut}".splitlines() or [""]
            yield f"{mark} {part.tool_result.name}: {first}"
            yield from (f"  {line}" for line in rest)
        case "attachment":
            file = part.attachment
            yield f"📎 {file.name} ({words.size(file.size_bytes)}){told_of_file(file)}"
        case _:
            return
