"""Plays one answer onto an HTTP response, at its pace, with its faults."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto

from weft_testkit.scripted_model.grammar import SILENT_AFTER_HEADERS, Script
from weft_testkit.scripted_model.wire import Answer, error_object, to_json

UNPACED_BATCH = 64
"""Tokens written at once when there is no pace: often enough to notice that the client has gone."""
GRID_SECONDS = 0.002
"""Streams that are due within the same grid step are served by one turn of the event loop."""

Write = Callable[[bytes], Awaitable[None]]
OnToken = Callable[[int], None]


class Stop(Enum):
    """How the playing ended."""

    WHOLE = auto()
    CUT = auto()  # close the connection without ending the response
    ENDED_EARLY = auto()  # end the response properly, though the answer is not whole


async def play(answer: Answer, script: Script, write: Write, on_token: OnToken) -> Stop:
    """`on_token` is told how many tokens have been written so far."""
    if script.silent in (0, SILENT_AFTER_HEADERS):
        await silence()
    await asyncio.sleep(script.ttft)
    fault_at = _fault_position(script)
    end = len(answer.tokens) if fault_at is None else min(fault_at, len(answer.tokens))
    await _write(write, answer.head, script)
    await _play_tokens(answer, end, script, write, on_token)
    if fault_at is None:
        await _write(write, answer.tail, script)
        return Stop.WHOLE
    return await _fail(script, write)


async def silence() -> None:
    """Ends only by cancellation, when the client has gone or the server stops."""
    await asyncio.Event().wait()


def _fault_position(script: Script) -> int | None:
    positions = (script.cut, script.nofinish, script.malformed, script.error, script.silent)
    return min((position for position in positions if position is not None), default=None)


async def _play_tokens(answer: Answer, end: int, script: Script, write: Write, on_token: OnToken) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    sent = 0
    while sent < end:
        due = int((loop.time() - started) * script.tps) + 1 if script.tps else sent + UNPACED_BATCH
        due = min(end, due)
        if due > sent:
            await _write(write, b"".join(answer.tokens[sent:due]), script)
            sent = due
            on_token(sent)
        if script.tps and sent < end:
            wake = started + sent / script.tps
            await asyncio.sleep(max(0.0, -(-wake // GRID_SECONDS) * GRID_SECONDS - loop.time()))


async def _fail(script: Script, write: Write) -> Stop:
    if script.silent is not None:
        await silence()
    if script.malformed is not None:
        await write(b'data: {"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"nev\n\n')
    if script.error is not None:
        message = "The server had an error while processing your request."
        error = error_object(message, "server_error", script.code or None)
        await write(b"data: " + to_json(error) + b"\n\n")
    return Stop.CUT if script.cut is not None else Stop.ENDED_EARLY


async def _write(write: Write, data: bytes, script: Script) -> None:
    if not script.dribble:
        await write(data)
        return
    for start in range(0, len(data), script.dribble):
        await write(data[start : start + script.dribble])
        await asyncio.sleep(0)
