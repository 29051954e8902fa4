"""The transcript: what a model is given of a thread. Pure, and the only place that decides it.

It is always valid, whatever was cancelled: no tool call without its result. Turns that were answered together stand
together, at the place of the first: the joined user turn, then the tool calls that superseded runs had made (so that no
effect is repeated), then what the answering run said.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

SEPARATOR = "\n---\n"
NO_RESULT = (
    "No result was recorded for this tool call: it was stopped or lost. "
    "Its outcome is unknown; it may have had its effect."
)


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    call_id: str
    name: str
    arguments_json: str
    index: int


@dataclass(frozen=True, slots=True)
class ToolResult:
    call_id: str
    name: str
    content: str
    index: int
    is_error: bool = False
    outcome_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file. It has a text or a failure once it was read."""

    attachment_id: str
    name: str
    media_type: str = ""
    size_bytes: int = 0
    text: str | None = None
    failure: str | None = None
    is_truncated: bool = False

    @property
    def is_unread(self) -> bool:
        return self.text is None and self.failure is None


Part: TypeAlias = Text | ToolCall | ToolResult | Attachment


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message at its place. `run_id` and `step` are set for what a run said."""

    message_id: UUID
    turn: int
    index: int
    role: str
    parts: tuple[Part, ...]
    run_id: UUID | None = None
    step: int | None = None
    is_incomplete: bool = False


@dataclass(frozen=True, slots=True)
class TurnRun:
    """The run that a turn belongs to."""

    run_id: UUID
    turn: int
    state: str
    superseded_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class ContextMessage:
    role: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A tool call of the current run that is still to be made."""

    step: int
    call: ToolCall


@dataclass(frozen=True, slots=True)
class Transcript:
    messages: tuple[ContextMessage, ...]
    pending: tuple[PendingCall, ...] = ()
    unread: tuple[Attachment, ...] = ()


def transcript(
    messages: Iterable[StoredMessage], runs: Iterable[TurnRun], current_run: UUID | None = None
) -> Transcript:
    """Return what the model is given. Tool calls of `current_run` without a result are pending; all others get one."""
    by_id = {run.run_id: run for run in runs}
    by_turn = {run.turn: _answerer(run, by_id) for run in by_id.values()}
    groups: dict[int, list[StoredMessage]] = {}
    ordered = sorted(messages, key=lambda each: (each.turn, each.index))
    for message in ordered:
        answerer = by_turn.get(message.turn)
        groups.setdefault(answerer.turn if answerer else message.turn, []).append(message)
    out: list[ContextMessage] = []
    pending: list[PendingCall] = []
    for turn, group in sorted(groups.items(), key=lambda item: item[1][0].turn):
        out += _inputs(group)
        answerer = by_turn.get(turn)
        outputs = [m for m in group if m.run_id is not None and _counts(m, answerer)]
        is_current = answerer is not None and answerer.run_id == current_run
        out += _paired(outputs, pending if is_current else None, current_run)
    unread = (part for m in ordered for part in m.parts if isinstance(part, Attachment) and part.is_unread)
    return Transcript(tuple(out), tuple(pending), tuple(unread))


def _answerer(run: TurnRun, by_id: Mapping[UUID, TurnRun]) -> TurnRun:
    """Follow a superseded run to the one that answers in its place."""
    while run.state == "superseded" and run.superseded_by is not None and run.superseded_by in by_id:
        run = by_id[run.superseded_by]
    return run


def _inputs(group: Sequence[StoredMessage]) -> list[ContextMessage]:
    """Join what users said into one message; others stay as they are, before it."""
    inputs = [message for message in group if message.run_id is None]
    others = [ContextMessage(m.role, m.parts) for m in inputs if m.role != "user"]
    texts = [text for m in inputs if m.role == "user" for text in _texts(m)]
    return others + ([ContextMessage("user", (Text(SEPARATOR.join(texts)),))] if texts else [])


def _texts(message: StoredMessage) -> list[str]:
    """Return the texts of a message; each file belongs to the text before it."""
    texts: list[list[str]] = []
    for part in message.parts:
        if isinstance(part, Text):
            texts.append([part.text])
        elif isinstance(part, Attachment) and texts:
            texts[-1].append(shown(part))
        elif isinstance(part, Attachment):
            texts.append([shown(part)])
    return ["\n\n".join(pieces) for pieces in texts]


def shown(file: Attachment) -> str:
    """Return what the model is given of a file."""
    if file.text is None:
        return f'[The attachment "{file.name}" could not be read: {file.failure or "nobody has read it yet"}]'
    end = "\n[The rest of the attachment is left out: it is too long.]" if file.is_truncated else ""
    return f'<attachment name="{file.name}" media_type="{file.media_type}">\n{file.text}\n</attachment>{end}'


def _counts(message: StoredMessage, answerer: TurnRun | None) -> bool:
    """Of a superseded run, only tool calls and their results count; of others, also what was cut short."""
    if answerer is None or message.run_id == answerer.run_id:
        return bool(message.parts)
    if message.role == "tool":
        return True
    return not message.is_incomplete and any(isinstance(part, ToolCall) for part in message.parts)


def _paired(
    outputs: Sequence[StoredMessage], pending: list[PendingCall] | None, current_run: UUID | None
) -> list[ContextMessage]:
    """Put each tool call's result right behind it, in call order; make up the missing, or note them as pending."""
    results = {
        (m.run_id, m.step, part.index): part
        for m in outputs
        if m.role == "tool"
        for part in m.parts
        if isinstance(part, ToolResult)
    }
    out: list[ContextMessage] = []
    for message in outputs:
        if message.role == "tool":
            continue
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        if message.is_incomplete:  # its calls were never made
            texts = tuple(part for part in message.parts if isinstance(part, Text))
            out += [ContextMessage(message.role, texts)] if texts else []
            continue
        out.append(ContextMessage(message.role, message.parts))
        for call in calls:
            result = results.get((message.run_id, message.step, call.index))
            if result is None and pending is not None and message.run_id == current_run:
                pending.append(PendingCall(message.step or 0, call))
                continue
            out.append(ContextMessage("tool", (result or _made_up(call),)))
    return out


def _made_up(call: ToolCall) -> ToolResult:
    return ToolResult(call.call_id, call.name, NO_RESULT, call.index, is_error=True, outcome_unknown=True)
