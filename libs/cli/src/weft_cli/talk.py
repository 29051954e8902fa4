"""`weft chat`, `weft events` and `weft cancel`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import grpc
from google.protobuf.duration_pb2 import Duration
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway_pb
from weft.runs.v1 import run_pb2, run_service_pb2
from weft.runs.v1.event_pb2 import RunEvent

from weft_cli import faults
from weft_cli.api import Api
from weft_cli.console import Printer
from weft_cli.view import EventView

CANCEL_WAIT_SECONDS = 5
INTERRUPTED = 130


@dataclass(frozen=True)
class Target:
    """Where to call, and with which key."""

    address: str
    api_key: str


def perform(target: Target, printer: Printer, command: Callable[[Api, Printer], Awaitable[int]]) -> int:
    """Run a command to its exit code; a refused call is told and is 1."""

    async def session() -> int:
        async with Api(target.address, target.api_key) as api:
            return await command(api, printer)

    try:
        return asyncio.run(session())
    except grpc.aio.AioRpcError as fault:
        printer.error(faults.describe(fault))
        if fault.code() == grpc.StatusCode.UNAVAILABLE:
            printer.error(f"  is a stack up at {target.address}? Start one with: weft up")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


async def chat(api: Api, printer: Printer, request: gateway_pb.InitiateAgentRequest) -> int:
    began = time.perf_counter()
    answer = await api.call(api.gateway.InitiateAgent, request)
    milliseconds = (time.perf_counter() - began) * 1000
    show_ids(printer, answer, milliseconds)
    return await follow(api, printer, answer.run_id)


def show_ids(printer: Printer, answer: gateway_pb.InitiateAgentResponse, milliseconds: float) -> None:
    ids = f"thread {answer.thread_id}  run {answer.run_id}  message {answer.message_id}"
    state = run_pb2.RunState.Name(answer.state).removeprefix("RUN_STATE_").lower()
    printer.line(f"{ids}  project {answer.project_id}  in {milliseconds:.1f} ms", "bold")
    merged = ", merged with what was under way" if answer.is_merged else ""
    printer.line(f"{state}, {answer.queue_position} before it{merged}", "dim")


async def follow(api: Api, printer: Printer, run_id: str, after_seq: int = 0) -> int:
    """Show a run's events to its end, and the run's that took it over."""
    try:
        last = await show_events(api, printer, run_id, after_seq)
        while last is not None and last.WhichOneof("payload") == "run_superseded":
            run_id = last.run_superseded.successor_run_id
            last = await show_events(api, printer, run_id, 0)
    except asyncio.CancelledError:
        printer.line(f"the run goes on: weft events {run_id}; to stop it: weft cancel {run_id}", "yellow")
        raise
    return 0 if last is None or last.WhichOneof("payload") == "run_succeeded" else 1


async def show_events(api: Api, printer: Printer, run_id: str, after_seq: int) -> RunEvent | None:
    """Return the last event, None when there was none after `after_seq`."""
    view, last = EventView(printer), None
    try:
        async with aclosing(api.watch(run_id, after_seq)) as events:
            async for event in events:
                view.show(event)
                last = event
    finally:
        printer.end_parts()
    return last


async def cancel(api: Api, printer: Printer, run_id: str, *, wait: bool) -> int:
    request = run_service_pb2.CancelRunRequest(run_id=run_id)
    if wait:
        request.wait.CopyFrom(Duration(seconds=CANCEL_WAIT_SECONDS))
    began = time.perf_counter()
    run = (await api.call(api.runs.CancelRun, request)).run
    milliseconds = (time.perf_counter() - began) * 1000
    state = run_pb2.RunState.Name(run.state).removeprefix("RUN_STATE_").lower()
    printer.line(f"{run.run_id} is {state}, answered in {milliseconds:.1f} ms", "bold")
    for name in ("cancel_time", "model_closed_time", "end_time"):
        if run.HasField(name):
            printer.line(f"  {name:<18} {getattr(run, name).ToJsonString()}")
    return 0
