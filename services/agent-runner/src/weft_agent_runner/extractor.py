"""Reads files in processes of their own, so that none of them can harm the runner: a process has so much memory, so
much time and so many bytes to answer with, and is killed with the run that wants it."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from weft_agent_runner.domain.attachment import Extracted, Extraction, Unreadable

_LOG = logging.getLogger(__name__)

# Isolated: it takes nothing of the environment, where the runner's secrets are, nor from the current folder.
COMMAND = (sys.executable, "-I", "-m", "weft_agent_runner.extraction")
_HEAD_BYTES = 4096
_STARTS = 3
_STARTING_SECONDS = 10.0  # for the interpreter on a busy machine; what counts is the time that a process computes
_TOO_LONG = Unreadable("TOO_COMPLEX", "reading it takes longer than a file is given")
_FAULT = Unreadable("INTERNAL", "reading it failed by a fault of Weft")
_KILLED = {-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS}


class _NotTakenError(Exception):
    """The process ended before it had taken the file: that says nothing of the file."""


@dataclass(frozen=True, slots=True)
class ExtractionLimits:
    """Of one file: `seconds` of computing, and twice that and a while by the clock."""

    seconds: int = 20
    memory_bytes: int = 512 * 1024 * 1024
    text_bytes: int = 256 * 1024


class ProcessExtractor:
    def __init__(self, limits: ExtractionLimits, *, command: Sequence[str] = COMMAND) -> None:
        self._limits, self._command = limits, command
        self.patience_seconds = 2 * limits.seconds + _STARTING_SECONDS

    async def extract(self, media_type: str, content: bytes) -> Extraction:
        """Return the text of a file. Cancelling the task kills the process."""
        for _ in range(_STARTS):
            with contextlib.suppress(_NotTakenError):
                return await self._extract(media_type, content)
        return _FAULT

    async def _extract(self, media_type: str, content: bytes) -> Extraction:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            cwd="/",
        )
        try:
            async with asyncio.timeout(self.patience_seconds):
                return await self._ask(process, media_type, content)
        except TimeoutError:
            return _TOO_LONG
        finally:
            await _killed(process)

    async def _ask(self, process: asyncio.subprocess.Process, media_type: str, content: bytes) -> Extraction:
        assert process.stdin is not None
        assert process.stdout is not None
        limits = self._limits
        asked = {
            "media_type": media_type,
            "max_bytes": limits.text_bytes,
            "memory_bytes": limits.memory_bytes,
            "seconds": limits.seconds,
        }
        is_taken = False
        # uvloop tells of a pipe that was closed meanwhile by a RuntimeError.
        with contextlib.suppress(ConnectionError, RuntimeError):
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.write(content)
            await process.stdin.drain()
            process.stdin.close()
            is_taken = True
        answer = await _read(process.stdout, _HEAD_BYTES + limits.text_bytes)
        if answer is None:
            return Unreadable("INTERNAL", "reading it gave more than was asked for")
        if await process.wait() == 0 and answer:
            return _understood(answer)
        if not is_taken:
            _LOG.warning("a process for a file ended with %s before it had taken the file", process.returncode)
            raise _NotTakenError
        return _fault(process.returncode)


async def _read(stream: asyncio.StreamReader, limit: int) -> bytes | None:
    """Return all that comes; None for more than `limit`."""
    pieces: list[bytes] = []
    left = limit
    while left >= 0:
        piece = await stream.read(64 * 1024)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        left -= len(piece)
    return None


def _understood(answer: bytes) -> Extraction:
    head, _, text = answer.partition(b"\n")
    try:
        told = json.loads(head)
        if "reason" in told:
            return Unreadable(told["reason"], told["message"])
        return Extracted(text.decode(), told["media_type"], told["is_truncated"])
    except (ValueError, TypeError, KeyError) as error:
        _LOG.error("the extraction of a file answered nonsense: %r", error)
        return _FAULT


def _fault(returncode: int | None) -> Extraction:
    if returncode in _KILLED:
        return _TOO_LONG
    _LOG.error("the extraction of a file ended with %s", returncode)
    return _FAULT


async def _killed(process: asyncio.subprocess.Process) -> None:
    """End a process, whatever it does, and what belongs to it."""
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    with contextlib.suppress(ConnectionError):
        await process.communicate()
