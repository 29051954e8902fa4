"""Starting a run and showing it, as it goes on."""

import asyncio
import time
from contextlib import aclosing

from weft.gateway.v1 import agent_gateway_service_pb2 as gateway_pb
from weft.runs.v1 import run_pb2
from weft.runs.v1.event_pb2 import RunEvent

from weft_cli.api import Api
from weft_cli.console import Printer
from weft_cli.view import EventView, JsonView, ThreadView, json_line


async def chat(api: Api, printer: Printer, request: gateway_pb.InitiateAgentRequest, *, is_json: bool = False) -> int:
    began = time.perf_counter()
    answer = await api.call(api.gateway.InitiateAgent, request)
    milliseconds = (time.perf_counter() - began) * 1000
    if is_json:
        printer.raw(json_line(answer))
    else:
        show_ids(printer, answer, milliseconds)
    return await follow(api, printer, answer.run_id, is_json=is_json)


def show_ids(printer: Printer, answer: gateway_pb.InitiateAgentResponse, milliseconds: float) -> None:
    ids = f"thread {answer.thread_id}  run {answer.run_id}  message {answer.message_id}"
    state = run_pb2.RunState.Name(answer.state).removeprefix("RUN_STATE_").lower()
    printer.line(f"{ids}  project {answer.project_id}  in {milliseconds:.1f} ms", "bold")
    merged = ", merged with what was under way" if answer.is_merged else ""
    printer.line(f"{state}, {answer.queue_position} before it{merged}", "dim")


async def follow(api: Api, printer: Printer, run_id: str, after_seq: int = 0, *, is_json: bool = False) -> int:
    """Show a run's events to its end, and the run's that took it over."""
    view = JsonView(printer) if is_json else EventView(printer)
    try:
        last = await show_events(api, view, run_id, after_seq)
        while last is not None and last.WhichOneof("payload") == "run_superseded":
            run_id = last.run_superseded.successor_run_id
            last = await show_events(api, view, run_id, 0)
    except asyncio.CancelledError:
        printer.error_line(f"the run goes on: weft events {run_id}; to stop it: weft cancel {run_id}")
        raise
    return 0 if last is None or last.WhichOneof("payload") == "run_succeeded" else 1


async def show_events(api: Api, view: EventView | JsonView, run_id: str, after_seq: int) -> RunEvent | None:
    """Return the last event, None when there was none after `after_seq`."""
    last = None
    try:
        async with aclosing(api.watch(run_id, after_seq)) as events:
            async for event in events:
                view.show(event)
                last = event
    finally:
        view.end()
    return last


async def watch_thread(api: Api, printer: Printer, thread_id: str, *, from_now: bool, is_json: bool = False) -> None:
    """Show what happens in a thread until it is deleted."""
    view = JsonView(printer) if is_json else ThreadView(printer)
    try:
        async with aclosing(api.watch_thread(thread_id, from_now=from_now)) as items:
            async for item in items:
                view.show(item)
    finally:
        view.end()
