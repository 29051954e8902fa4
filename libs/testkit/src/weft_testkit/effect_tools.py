"""Tools for tests, added by `WEFT_TOOL_PLUGINS=weft_testkit.effect_tools:effect_tools`.

`count_effect` is not idempotent: each execution appends the call's id to the file that `WEFT_TEST_EFFECTS_FILE` names,
so that a test can count how often a call had its effect. The others misbehave.
"""

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import Any, Final

from weft_tools.domain.tool import Arguments, Tool, ToolContext, ToolError

EFFECTS_FILE: Final = "WEFT_TEST_EFFECTS_FILE"
HUGE_CHARACTERS: Final = 100 * 1024 * 1024
PROGRESS_SECONDS: Final = 0.2


def effect_tools() -> list[Tool]:
    return [COUNT_EFFECT, HUGE_OUTPUT, NEVER_RETURN, IGNORE_CANCEL, RAISE_ERROR]


def effects_in(path: str | Path) -> Counter[str]:
    """Return how often each call had its effect, by the call's id; empty before the first effect."""
    file = Path(path)
    return Counter(file.read_text().split() if file.exists() else ())


async def count_effect(arguments: Arguments, context: ToolContext) -> object:
    await _sleep(arguments.get("seconds", 0.0), "before the effect", context)
    _append(os.environ[EFFECTS_FILE], context.execution_id)
    context.report("effect done", 0.5)
    await _sleep(arguments.get("seconds_after", 0.0), "after the effect", context)
    return {"effect": context.execution_id, "attempt": context.attempt, "note": arguments.get("note", "")}


async def huge_output(arguments: Arguments, context: ToolContext) -> object:
    return "é" * int(arguments.get("characters", HUGE_CHARACTERS))


async def never_return(arguments: Arguments, context: ToolContext) -> object:
    context.report("waiting for ever", None)
    return await asyncio.Event().wait()


async def ignore_cancel(arguments: Arguments, context: ToolContext) -> object:
    """Goes on for `seconds` whatever is asked of it."""
    loop = asyncio.get_running_loop()
    end = loop.time() + float(arguments.get("seconds", 10.0))
    while loop.time() < end:
        try:
            await asyncio.sleep(end - loop.time())
        except asyncio.CancelledError:
            context.report("not stopping", None)
    return "done after all"


async def raise_error(arguments: Arguments, context: ToolContext) -> object:
    kind = arguments.get("kind", "error")
    if kind == "tool_error":
        raise ToolError("nothing of that kind can be done here")
    if kind == "exit":
        raise SystemExit(3)
    raise RuntimeError("a secret that the model must not see")


async def _sleep(seconds: float, what: str, context: ToolContext) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    while (past := loop.time() - began) < seconds:
        context.report(what, past / seconds)
        await asyncio.sleep(min(PROGRESS_SECONDS, seconds - past))


def _append(path: str, line: str) -> None:
    """One write: lines of several processes never mix."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def _parameters(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


SECONDS: Final = {"type": "number", "minimum": 0, "maximum": 600}

COUNT_EFFECT = Tool(
    name="count_effect",
    description="Have an effect that must not happen twice, and count it.",
    parameters=_parameters(seconds=SECONDS, seconds_after=SECONDS, note={"type": "string"}),
    handler=count_effect,
    timeout_seconds=60.0,
)
HUGE_OUTPUT = Tool(
    name="huge_output",
    description="Return far more than a model can take.",
    parameters=_parameters(characters={"type": "integer", "minimum": 0}),
    handler=huge_output,
    is_idempotent=True,
)
NEVER_RETURN = Tool(
    name="never_return",
    description="Never return.",
    parameters=_parameters(),
    handler=never_return,
    timeout_seconds=2.0,
)
IGNORE_CANCEL = Tool(
    name="ignore_cancel",
    description="Go on although told to stop.",
    parameters=_parameters(seconds=SECONDS),
    handler=ignore_cancel,
    timeout_seconds=1.0,
)
RAISE_ERROR = Tool(
    name="raise_error",
    description="Fail.",
    parameters=_parameters(kind={"type": "string", "enum": ["error", "tool_error", "exit"]}),
    handler=raise_error,
)
