"""What every scene of the demonstration works with."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.message import Message as ProtoMessage
from weft.agents.v1 import agent_pb2, agent_service_pb2
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway_pb
from weft.runs.v1 import run_pb2, run_service_pb2
from weft.threads.v1 import message_pb2, thread_service_pb2

from weft_cli.api import Api
from weft_cli.console import Printer
from weft_cli.demo.checks import Checks
from weft_cli.demo.model_record import ModelRecord
from weft_cli.talk import show_ids


@dataclass(frozen=True)
class Stage:
    """`api` calls the gateway itself; `edge` comes through Envoy."""

    api: Api
    edge: Api
    model: ModelRecord
    printer: Printer
    checks: Checks

    async def make_agent(self, name: str, model: str, tools: tuple[str, ...] = ()) -> str:
        spec = agent_pb2.AgentSpec(
            system_instructions="You help with the documents of a repository.",
            model=model,
            tools=tools,
            busy_strategy=run_pb2.BUSY_STRATEGY_MERGE,
        )
        request = agent_service_pb2.CreateAgentRequest(display_name=name, spec=spec)
        return (await self.api.call(self.api.agents.CreateAgent, request)).agent.agent_id

    async def initiate(self, text: str, **fields: str) -> tuple[gateway_pb.InitiateAgentResponse, float]:
        """Return the ids, shown, and the milliseconds that they took."""
        self.printer.line(f"> {text}", "bold magenta")
        request = gateway_pb.InitiateAgentRequest(text=text, **fields)  # type: ignore[arg-type]
        began = time.perf_counter()
        answer = await self.api.call(self.api.gateway.InitiateAgent, request)
        milliseconds = (time.perf_counter() - began) * 1000
        show_ids(self.printer, answer, milliseconds)
        return answer, milliseconds

    async def run(self, run_id: str) -> run_pb2.Run:
        request = run_service_pb2.GetRunRequest(run_id=run_id)
        return (await self.api.call(self.api.runs.GetRun, request)).run

    async def messages(self, thread_id: str) -> list[message_pb2.Message]:
        request = thread_service_pb2.ListMessagesRequest(thread_id=thread_id, page_size=1000)
        return list((await self.api.call(self.api.threads.ListMessages, request)).messages)


def said(message: message_pb2.Message) -> str:
    return "".join(part.text for part in message.parts if part.WhichOneof("content") == "text")


def state_name(run: run_pb2.Run) -> str:
    return run_pb2.RunState.Name(run.state).removeprefix("RUN_STATE_")


def serialized(events: Iterable[ProtoMessage]) -> list[bytes]:
    return [event.SerializeToString(deterministic=True) for event in events]
