"""`python -m weft_agent_runner.extraction`: reads one file from its input, writes its text, and ends.

The input is a line of JSON (`media_type`, `max_bytes`, `memory_bytes`, `seconds`), then the file. The output is a line
of JSON (`reason` and `message`, or `media_type` and `is_truncated`), then the text.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time
from typing import Any

_KILLED_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux
_NICENESS = 5  # runs go first
_SHARE_OF_TIME = 0.6  # after which what is found so far has to do


def limit(memory_bytes: int, seconds: int) -> None:
    """Bound this process for good. Its parent kills it besides, when it takes too long by the clock."""
    ctypes.CDLL(None).prctl(_KILLED_WITH_PARENT, signal.SIGKILL)
    os.nice(_NICENESS)
    for kind, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        resource.setrlimit(kind, (value, value))


def answer(asked: dict[str, Any], content: bytes) -> tuple[dict[str, Any], str]:
    from weft_agent_runner.extraction.found import UnreadableError
    from weft_agent_runner.extraction.reading import read_file

    late_at = time.process_time() + asked["seconds"] * _SHARE_OF_TIME
    try:
        found = read_file(
            asked["media_type"], content, asked["max_bytes"], is_late=lambda: time.process_time() > late_at
        )
    except UnreadableError as error:
        return {"reason": error.reason, "message": error.message}, ""
    except MemoryError:
        return {"reason": "TOO_COMPLEX", "message": "reading it takes more memory than a file is given"}, ""
    return {"media_type": found.media_type, "is_truncated": found.is_truncated}, found.text


def main() -> None:
    asked = json.loads(sys.stdin.buffer.readline())
    limit(asked["memory_bytes"], asked["seconds"])
    told, text = answer(asked, sys.stdin.buffer.read())
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n" + text.encode())
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
