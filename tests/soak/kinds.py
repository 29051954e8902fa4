"""The kinds of runs of the mix. Each makes one or more runs, sees them end as they should, and returns how many."""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.duration_pb2 import Duration
from public_api import Api, text_of, type_of
from weft.agents.v1 import agent_pb2
from weft.documents.v1 import document_service_pb2 as documents_pb
from weft.gateway.v1 import agent_gateway_service_pb2 as gateway_pb
from weft.projects.v1 import project_service_pb2 as projects_pb
from weft.runs.v1 import run_pb2
from weft.threads.v1 import attachment_pb2
from weft.threads.v1 import thread_service_pb2 as threads_pb

TOOLS = ("search_documents", "read_document", "create_task")
ASK_TOOLS = 'Search the documents for "roses", read the best one, then create a task "Prune the roses".'


@dataclass
class Ground:
    """What the kinds share: agents by model, a project with something to find."""

    api: Api
    rng: random.Random
    project_id: str = ""
    agents: dict[str, str] = field(default_factory=dict)

    async def prepare(self) -> None:
        made = await self.api.projects.CreateProject(
            projects_pb.CreateProjectRequest(display_name="soak"), metadata=self.api.metadata, timeout=10
        )
        self.project_id = made.project.project_id
        await self.api.documents.PutDocument(
            documents_pb.PutDocumentRequest(
                project_id=self.project_id, title="Roses", text="Roses are pruned in March."
            ),
            metadata=self.api.metadata,
            timeout=10,
        )
        for name, (model, spec) in _AGENTS.items():
            self.agents[name] = await self.api.make_agent(model, **spec)

    def place(self, agent: str) -> dict[str, str]:
        return {"agent_id": self.agents[agent], "project_id": self.project_id}


def _limits(**seconds: float) -> agent_pb2.AgentLimits:
    limits = agent_pb2.AgentLimits()
    for name, value in seconds.items():
        getattr(limits, name).CopyFrom(Duration(nanos=int(value * 1e9) % 10**9, seconds=int(value)))
    return limits


_AGENTS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "plain": ("scripted:count=12", {}),
    "paced": ("scripted:tps=60,count=30", {}),
    "slow": ("scripted:tps=20,count=2000", {}),
    "tools": ("scripted", {"tools": TOOLS}),
    "loops": ("scripted:tools=9,tool=search_documents", {"tools": TOOLS}),
    "wrong": ("scripted:tools=1,tool=search_documents,args=invalid", {"tools": TOOLS}),
    "refused": ("scripted:status=400", {}),
    "cut": ("scripted:cut=5,fail_first=1,count=10", {}),
    "busy": ("scripted:status=429,fail_first=1,count=5", {}),
    "short": ("scripted:tps=20,count=2000", {"limits": _limits(run_timeout=0.5)}),
    "merging": ("scripted:tps=40,count=40", {"busy_strategy": run_pb2.BUSY_STRATEGY_MERGE}),
    "queueing": ("scripted:tps=200,count=10", {"busy_strategy": run_pb2.BUSY_STRATEGY_ENQUEUE}),
}


async def plain(ground: Ground) -> int:
    made = await ground.api.initiate(_unique(ground), **ground.place("plain"))
    events = await ground.api.events(made.run_id)
    assert type_of(events[-1]) == "run_succeeded", events[-1]
    messages = await ground.api.messages(made.thread_id)
    assert text_of(events) == messages[-1].parts[0].text
    return 1


async def waited(ground: Ground) -> int:
    """Nobody watches."""
    made = await ground.api.initiate(_unique(ground), **ground.place("plain"))
    assert (await ground.api.wait(made.run_id)).state == run_pb2.RUN_STATE_SUCCEEDED
    return 1


async def resumed(ground: Ground) -> int:
    """The watcher lets go again and again."""
    made = await ground.api.initiate(_unique(ground), **ground.place("paced"))
    events = await ground.api.events(made.run_id, drop_chance=0.3)
    assert type_of(events[-1]) == "run_succeeded", events[-1]
    return 1


async def streamed(ground: Ground) -> int:
    """Started and watched in one call."""
    where: dict[str, Any] = ground.place("plain")
    initiate = gateway_pb.InitiateAgentRequest(text=_unique(ground), **where)
    request = gateway_pb.StreamAgentRequest(initiate=initiate)
    call = ground.api.gateway.StreamAgent(request, metadata=ground.api.metadata, timeout=60)
    responses = [response async for response in call]
    made, events = responses[0].initiated, [event for response in responses for event in response.events]
    ground.api.recordings.initiated(made.run_id, made.message_id)
    ground.api.recordings.watched(made.run_id, events)
    assert type_of(events[-1]) == "run_succeeded", events[-1]
    return 1


async def with_file(ground: Ground) -> int:
    word = f"w{ground.rng.getrandbits(64):x}"
    file = attachment_pb2.NewAttachment(name="note.md", content=f"# Note\n\n{word}\n".encode())
    made = await ground.api.initiate(_unique(ground), attachments=[file], **ground.place("plain"))
    events = await ground.api.events(made.run_id)
    assert type_of(events[-1]) == "run_succeeded", events[-1]
    question = (await ground.api.messages(made.thread_id))[0]
    assert word in question.parts[1].attachment.text, question
    return 1


async def with_tools(ground: Ground) -> int:
    made = await ground.api.initiate(ASK_TOOLS, **ground.place("tools"))
    events = await ground.api.events(made.run_id)
    assert type_of(events[-1]) == "run_succeeded", events[-1]
    assert [event.tool_completed.name for event in events if type_of(event) == "tool_completed"] == list(TOOLS)
    return 1


async def endless(ground: Ground) -> int:
    """The model asks for tools for ever."""
    made = await ground.api.initiate(_unique(ground), **ground.place("loops"))
    run = await ground.api.wait(made.run_id)
    assert (run.state, run.finish) == (run_pb2.RUN_STATE_SUCCEEDED, run_pb2.FINISH_ITERATION_LIMIT), run
    return 1


async def wrong_arguments(ground: Ground) -> int:
    made = await ground.api.initiate(_unique(ground), **ground.place("wrong"))
    events = await ground.api.events(made.run_id)
    assert [type_of(event) for event in events].count("tool_failed") == 1
    assert type_of(events[-1]) == "run_succeeded", events[-1]
    return 1


async def refused(ground: Ground) -> int:
    made = await ground.api.initiate(_unique(ground), **ground.place("refused"))
    run = await ground.api.wait(made.run_id)
    assert run.state == run_pb2.RUN_STATE_FAILED, run
    assert run.failure.reason == run_pb2.FAILURE_REASON_MODEL_REFUSED, run
    return 1


async def cut(ground: Ground) -> int:
    """The model's first stream breaks off."""
    made = await ground.api.initiate(_unique(ground), **ground.place("cut"))
    events = await ground.api.events(made.run_id)
    types = [type_of(event) for event in events]
    assert types.count("message_discarded") == 1, types
    assert types[-1] == "run_succeeded", events[-1]
    return 1


async def limited(ground: Ground) -> int:
    made = await ground.api.initiate(_unique(ground), **ground.place("busy"))
    assert (await ground.api.wait(made.run_id)).state == run_pb2.RUN_STATE_SUCCEEDED
    return 1


async def cancelled(ground: Ground) -> int:
    made = await ground.api.initiate(_unique(ground), **ground.place("slow"))
    await ground.api.events(made.run_id, stop_when=lambda event: type_of(event) == "message_delta")
    run = await ground.api.cancel(made.run_id)
    assert run.state == run_pb2.RUN_STATE_CANCELLED, run
    return 1


async def cancelled_early(ground: Ground) -> int:
    made = await ground.api.initiate(_unique(ground), **ground.place("slow"))
    run = await ground.api.cancel(made.run_id)
    assert run.state == run_pb2.RUN_STATE_CANCELLED, run
    return 1


async def timed_out(ground: Ground) -> int:
    made = await ground.api.initiate(_unique(ground), **ground.place("short"))
    assert (await ground.api.wait(made.run_id)).state == run_pb2.RUN_STATE_TIMED_OUT
    return 1


async def merged(ground: Ground) -> int:
    first = await ground.api.initiate(_unique(ground), **ground.place("merging"))
    await ground.api.events(first.run_id, stop_when=lambda event: type_of(event) == "run_started")
    second = await ground.api.initiate(_unique(ground), thread_id=first.thread_id)
    events = await ground.api.events(second.run_id)
    assert type_of(events[-1]) == "run_succeeded", events[-1]
    state = (await ground.api.wait(first.run_id)).state
    expected = run_pb2.RUN_STATE_SUPERSEDED if second.is_merged else run_pb2.RUN_STATE_SUCCEEDED
    assert state == expected, (second.is_merged, state)
    return 2


async def queued(ground: Ground) -> int:
    first = await ground.api.initiate(_unique(ground), **ground.place("queueing"))
    others = [await ground.api.initiate(_unique(ground), thread_id=first.thread_id) for _ in range(2)]
    runs = [await ground.api.wait(made.run_id) for made in (first, *others)]
    assert [run.state for run in runs] == [run_pb2.RUN_STATE_SUCCEEDED] * 3
    starts = [run.start_time.ToNanoseconds() for run in runs]
    assert starts == sorted(starts)
    return 3


async def repeated(ground: Ground) -> int:
    """The same request three times makes one run."""
    text, request_id = _unique(ground), f"soak-{ground.rng.getrandbits(64):x}"
    runs = {(await ground.api.initiate(text, request_id=request_id, **ground.place("plain"))).run_id for _ in range(3)}
    assert len(runs) == 1, runs
    assert (await ground.api.wait(runs.pop())).state == run_pb2.RUN_STATE_SUCCEEDED
    return 1


async def deleted(ground: Ground) -> int:
    """The thread goes while its run goes on: the watch that is open sees the end."""
    made = await ground.api.initiate(_unique(ground), **ground.place("slow"))
    seen = []
    async for event in ground.api.follow(made.run_id):
        seen.append(type_of(event))
        if seen[-1] == "message_started":
            request = threads_pb.DeleteThreadRequest(thread_id=made.thread_id)
            await ground.api.threads.DeleteThread(request, metadata=ground.api.metadata, timeout=10)
    assert seen[-1] == "run_cancelled", seen
    return 1


Kind = Callable[[Ground], Awaitable[int]]
# How often each kind comes, relative to the others.
MIX: Mapping[Kind, int] = {
    plain: 20, waited: 10, resumed: 8, streamed: 10, with_file: 2,
    with_tools: 12, endless: 2, wrong_arguments: 3, refused: 3, cut: 3, limited: 3,
    cancelled: 5, cancelled_early: 5, timed_out: 2, merged: 6, queued: 6, repeated: 3, deleted: 3,
}  # fmt: skip


def _unique(ground: Ground) -> str:
    """Return a text of its own: the scripted model counts calls by it."""
    return f"Say something about {ground.rng.getrandbits(64):x}."
