"""How values read: times as a person says them, amounts, states with their colour."""

import re
from datetime import UTC, datetime, timedelta

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from weft.runs.v1 import run_pb2

STATE_STYLES = {
    "succeeded": "green",
    "running": "cyan",
    "queued": "blue",
    "waiting": "yellow",
    "failed": "red",
    "timed out": "red",
    "cancelled": "magenta",
    "superseded": "dim",
    "denied": "red",
    "unknown": "yellow",
    "idle": "dim",
}
_UNITS = ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_SINCE = re.compile(r"(\d+) ?(min|[smhdw])")
_SINCE_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def now() -> datetime:
    return datetime.now(UTC)


def state_style(state: str) -> str:
    return STATE_STYLES.get(state, "")


def state_of(run: run_pb2.Run) -> str:
    return enum_word(run_pb2.RunState.Name(run.state), "RUN_STATE_")


def enum_word(name: str, prefix: str) -> str:
    """Return `timed out` for `RUN_STATE_TIMED_OUT`."""
    return name.removeprefix(prefix).lower().replace("_", " ")


def span(seconds: float) -> str:
    """Return a length of time by its largest unit: `12 s`, `3 min`, `5 d`; fractions below ten seconds."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    size, unit = next(each for each in _UNITS if seconds >= each[0])
    return f"{seconds / size:.0f} {unit}"


def ago(stamp: Timestamp, at: datetime | None = None) -> str:
    """Return how long ago, `now` for the last moments; empty for no time at all."""
    if not (stamp.seconds or stamp.nanos):
        return ""
    seconds = ((at or now()) - stamp.ToDatetime(tzinfo=UTC)).total_seconds()
    if seconds < 1:
        return "now"
    return f"{int(seconds)} s ago" if seconds < 60 else f"{span(seconds)} ago"


def local(stamp: Timestamp) -> str:
    """Return a time in the local zone, and how long ago it was."""
    if not (stamp.seconds or stamp.nanos):
        return ""
    return f"{stamp.ToDatetime(tzinfo=UTC).astimezone():%Y-%m-%d %H:%M:%S} ({ago(stamp)})"


def took(message: Message, start: str, end: str) -> str:
    """Return how long it was from one time of a message to another; empty while one of them is not there."""
    if not (message.HasField(start) and message.HasField(end)):
        return ""
    between: timedelta = getattr(message, end).ToDatetime() - getattr(message, start).ToDatetime()
    return span(between.total_seconds())


def amount(number: int) -> str:
    return f"{number:,}" if number else "0"


def money(micros: int) -> str:
    """Return millionths of a US dollar: by the cent from a dollar on, in full below."""
    if micros >= 1_000_000:
        return f"${micros / 1e6:,.2f}"
    return f"${micros / 1e6:.6f}".rstrip("0").rstrip(".")


def size(count: int) -> str:
    if count < 1 << 10:
        return f"{count} B"
    return f"{count / 2**10:,.1f} KiB" if count < 1 << 20 else f"{count / 2**20:,.1f} MiB"


def moment(text: str, at: datetime | None = None) -> datetime:
    """Return the time that `7d`, `24h`, `2026-01-31` or an ISO time means, a length of time counted back from now.

    Raises: ValueError: it means none.
    """
    found = _SINCE.fullmatch(text.strip())
    if found:
        try:
            return (at or now()) - timedelta(**{_SINCE_UNITS[found[2]]: int(found[1])})
        except OverflowError:
            raise ValueError(f"{text!r} is too long ago") from None
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no time: say 7d, 24h, 30min, 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return time if time.tzinfo else time.astimezone()
