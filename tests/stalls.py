"""Blocks of event loops: services that tests start as processes tell of them, and tests with one fail (row C1)."""

import json
from collections.abc import Mapping
from typing import Final

from weft_cli.stack import Stack

LIMIT_SECONDS: Final = 0.05
WATCHING: Final[Mapping[str, str]] = {"WEFT_STALL_SECONDS": str(LIMIT_SECONDS)}
_TOLD: Final = "the event loop was blocked for"
_LINES_SHOWN: Final = 30
_OF_SERVICES: Final = ("/services/", "/libs/core/", "/libs/grpckit/", "/libs/wire/", "/libs/egress/")
_STARTING: Final = (", in compose", ", in serve", ", in start")
# Starting a process waits until the machine has got it going: that is no work of ours.
_OF_THE_MACHINE: Final = ", in _execute_child"


def stalls_of(stack: Stack) -> list[str]:
    """Return what the services of a stack that runs with `WATCHING` told so far, with the stacks of what blocked."""
    found = []
    for name in stack.names:
        lines = [_text_of(line) for line in stack.log(name).read_text(errors="replace").splitlines()]
        found += [
            f"{name}: " + "\n".join(lines[place : place + _LINES_SHOWN])
            for place, line in enumerate(lines)
            if _TOLD in line
        ]
    return [each for each in found if _OF_THE_MACHINE not in each]


def assert_no_stalls(stack: Stack) -> None:
    found = stalls_of(stack)
    assert not found, f"{len(found)} blocks of an event loop:\n" + "\n\n".join(found[:5])


def _text_of(line: str) -> str:
    return str(json.loads(line)["message"]) if line.startswith('{"time"') else line


def is_of_services(stack: str) -> bool:
    """Tell whether code of a service was at it, after its start: tests and the test kit may block their own loop."""
    files = [line for line in stack.splitlines() if line.lstrip().startswith('File "')]
    return any(part in line for line in files for part in _OF_SERVICES) and not any(
        line.endswith((*_STARTING, _OF_THE_MACHINE)) for line in files
    )
