"""The processes in which a runner reads files, seen from outside."""

import asyncio
from pathlib import Path


def extractions_of(runner_pid: int) -> list[int]:
    """Return the pids of those that read a file now."""
    try:
        children = [int(pid) for pid in Path(f"/proc/{runner_pid}/task/{runner_pid}/children").read_text().split()]
        return [pid for pid in children if b"weft_agent_runner.extraction" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    except FileNotFoundError:
        return []


async def an_extraction_of(*runner_pids: int, seconds: float = 20) -> int:
    """Wait until one of these runners reads a file, and return the pid that does."""
    async with asyncio.timeout(seconds):
        while True:
            for runner_pid in runner_pids:
                for pid in extractions_of(runner_pid):
                    return pid
            await asyncio.sleep(0.02)


async def is_gone(pid: int, seconds: float = 10) -> bool:
    """Wait for a process to be gone, or to be a zombie of somebody else's."""
    try:
        async with asyncio.timeout(seconds):
            while _is_alive(pid):  # noqa: ASYNC110 - nothing tells of the end of what is no child
                await asyncio.sleep(0.02)
    except TimeoutError:
        return False
    return True


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
