"""The demonstration from an empty folder to `demo: ok`."""

import asyncio
import signal
import urllib.error
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import grpc
from weft.threads.v1 import message_pb2

from weft_cli import faults
from weft_cli.api import Api
from weft_cli.console import Printer
from weft_cli.demo import interruptions, question
from weft_cli.demo.checks import CheckFailedError, Checks
from weft_cli.demo.library import read_documents
from weft_cli.demo.model_record import ModelRecord
from weft_cli.demo.scene import Stage, said
from weft_cli.stack import Stack, StackError
from weft_cli.stack.development import set_up_development

SCENE_SECONDS = 60.0

T = TypeVar("T")


def perform(folder: Path, printer: Printer) -> int:
    """Return the exit code."""
    try:
        return asyncio.run(_perform(folder, printer))
    except (KeyboardInterrupt, asyncio.CancelledError):
        printer.line("demo: stopped")
        return 130


async def _perform(folder: Path, printer: Printer) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    checks = Checks(printer)
    try:
        await _on_a_stack(folder, printer, checks)
    except CheckFailedError as fault:
        printer.line(f"demo: FAILED {fault.name}: {fault.sentence}", "bold red")
        return 1
    printer.line(f"{checks.count} checks held", "dim")
    printer.line("demo: ok", "bold green")
    return 0


async def _on_a_stack(folder: Path, printer: Printer, checks: Checks) -> None:
    printer.title("A stack of its own: PostgreSQL, Redis, Envoy, four services, the scripted model")
    stack = Stack(
        env={"agent-runner": {"WEFT_TITLES": "0"}},  # the checks count the model's calls
        on_progress=lambda member, what: printer.line(f"  {member:<14} {what}", "dim"),
    )
    try:
        async with stack:
            development = await asyncio.to_thread(set_up_development, stack)
            checks.that("stack.up", True, f"{len(stack.names)} processes, gateway at {stack.address('gateway')}")
            async with (
                Api(stack.address("gateway"), development.api_key) as api,
                Api(stack.address("envoy"), development.api_key) as edge,
            ):
                await _tell(Stage(api, edge, ModelRecord(stack.model_url), printer, checks), folder)
    except StackError as fault:
        raise CheckFailedError("stack.up", str(fault)) from fault


async def _tell(stage: Stage, folder: Path) -> None:
    texts = read_documents(folder)
    stage.printer.title("The repository's own documents, in a project")
    project_id = await _scene("documents", question.put_documents(stage, texts))
    stage.printer.title("A question that takes search, reading and a task; a second watcher joins in the middle")
    thread_id = await _scene("question", question.ask(stage, project_id, texts))
    stage.printer.title("A second message, merged into a running answer")
    await _scene("merge", interruptions.merge(stage))
    stage.printer.title("A cancel")
    await _scene("cancel", interruptions.cancel(stage))
    stage.printer.title("The messages, read back")
    await _scene("messages", _read_back(stage, thread_id))


async def _scene(name: str, work: Awaitable[T]) -> T:
    """Run a scene; whatever ends it early becomes a failed check of its name."""
    try:
        async with asyncio.timeout(SCENE_SECONDS):
            return await work
    except Exception as fault:
        raise _as_failed_check(name, fault) from fault


def _as_failed_check(name: str, fault: BaseException) -> CheckFailedError:
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    match fault:
        case CheckFailedError():
            return fault
        case TimeoutError():
            return CheckFailedError(f"{name}.in_time", f"not done within {SCENE_SECONDS:.0f} s")
        case grpc.aio.AioRpcError():
            return CheckFailedError(f"{name}.call", faults.describe(fault))
        case urllib.error.URLError():
            return CheckFailedError(f"{name}.model", f"the scripted model did not tell what reached it: {fault}")
        case _:
            return CheckFailedError(f"{name}.fault", f"{type(fault).__name__}: {fault}")


async def _read_back(stage: Stage, thread_id: str) -> None:
    messages = await stage.messages(thread_id)
    for message in messages:
        role = message_pb2.Role.Name(message.role).removeprefix("ROLE_").lower()
        stage.printer.line(f"  {message.turn}.{message.index}  {role:<10} {_summary(message)}")
    places = [(message.turn, message.index) for message in messages]
    stage.checks.equal(
        "messages.order", places, sorted(set(places)), f"{len(messages)} messages in order of turn and index"
    )
    stage.checks.equal(
        "messages.question", said(messages[0]), question.QUESTION, "the first is the question, word by word"
    )


def _summary(message: message_pb2.Message) -> str:
    pieces = []
    for part in message.parts:
        match part.WhichOneof("content"):
            case "tool_call":
                pieces.append(f"{part.tool_call.name} {part.tool_call.arguments_json}")
            case "tool_result":
                pieces.append(f"{part.tool_result.name} → {part.tool_result.content}")
            case _:
                pieces.append(part.text)
    text = " ".join(" ".join(pieces).split())
    return text if len(text) <= 160 else f"{text[:160]} …"
