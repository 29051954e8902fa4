"""The trace of a run, as a collector gets it: from the call that made it to the last tool call."""

import secrets
from collections import Counter

import pytest
from faults_world import FaultWorld
from public_api import Api, type_of
from telemetry_world import Watched, parents_of
from weft.gateway.v1 import agent_gateway_service_pb2 as pb
from weft_telemetry import names
from weft_testkit.otlp_receiver import OtlpReceiver, ReceivedSpan

INITIATE, INITIATE_RUN = "weft.gateway.v1.AgentGateway/InitiateAgent", "weft.runs.v1.AdmissionService/InitiateRun"
EXECUTE, CREATE_TASK = "weft.tools.v1.ToolService/ExecuteTool", "weft.tasks.v1.TaskService/CreateTask"
BEGIN, FINISH = (f"weft.tools.v1.ToolJournalService/{name}Execution" for name in ("Begin", "Finish"))
HANDLE = f"{names.HANDLE_SPAN} create_task"
CALLER_SPAN = "b7ad6b7169203331"


async def initiated(api: Api, agent: str, text: str) -> tuple[str, pb.InitiateAgentResponse]:
    """Initiate as a caller that traces; return the id of its trace too."""
    trace_id = secrets.token_hex(16)
    metadata = (*api.metadata, ("traceparent", f"00-{trace_id}-{CALLER_SPAN}-01"))
    request = pb.InitiateAgentRequest(text=text, agent_id=agent)
    return trace_id, await api.gateway.InitiateAgent(request, metadata=metadata, timeout=20)


def whole_trace(receiver: OtlpReceiver, trace_id: str) -> list[ReceivedSpan]:
    """Return a run's trace when the run's last span has come, and all those around it."""

    def is_whole() -> bool:
        spans = receiver.trace(trace_id)
        by_id = {span.span_id for span in spans} | {CALLER_SPAN}
        return any(span.name.startswith(names.INVOKE_AGENT) for span in spans) and all(
            span.parent_id in by_id for span in spans
        )

    assert receiver.wait_for(is_whole), [f"{span.service} {span.name}" for span in receiver.trace(trace_id)]
    return receiver.trace(trace_id)


def one(spans: list[ReceivedSpan], name: str, kind: str) -> ReceivedSpan:
    found = [span for span in spans if span.name == name and span.kind == kind]
    assert len(found) == 1, Counter((span.kind, span.name) for span in spans)
    return found[0]


@pytest.mark.row("E9")
async def test_a_run_with_a_tool_is_one_trace_from_the_call_that_made_it_to_what_the_tool_did(
    watched: Watched, api: Api
) -> None:
    agent = await api.make_agent("scripted:tag=trace", tools=["create_task"])
    trace_id, made = await initiated(api, agent, 'call create_task {"title": "Prune the roses"}')
    assert type_of((await api.events(made.run_id))[-1]) == "run_succeeded"
    spans = whole_trace(watched.receiver, trace_id)

    served = one(spans, INITIATE, "SERVER")
    assert (served.service, served.parent_id) == ("gateway", CALLER_SPAN)
    accepted = one(spans, INITIATE_RUN, "SERVER")
    assert parents_of(accepted, spans) == [f"gateway: {INITIATE_RUN}", f"gateway: {INITIATE}"]
    to_queue = [f"threads: {INITIATE_RUN}", *parents_of(accepted, spans)]
    claim = one(spans, names.CLAIM_SPAN, "CONSUMER")
    run = one(spans, f"{names.INVOKE_AGENT} {agent}", "INTERNAL")
    assert parents_of(claim, spans) == parents_of(run, spans) == to_queue
    assert (run.attributes[names.RUN], run.attributes[names.RUN_STATE]) == (made.run_id, "succeeded")
    in_run = [f"agent-runner: {run.name}", *to_queue]
    chats = [span for span in spans if span.name == f"{names.CHAT} scripted:tag=trace"]
    assert [(span.kind, parents_of(span, spans)) for span in chats] == [("CLIENT", in_run)] * 2
    assert all(span.attributes[names.INPUT_TOKENS] > 0 for span in chats)

    call = one(spans, f"{names.EXECUTE_TOOL} create_task", "INTERNAL")
    assert parents_of(call, spans) == in_run
    executed = one(spans, EXECUTE, "SERVER")
    assert executed.service == "tools"
    in_tools = [f"agent-runner: {EXECUTE}", f"agent-runner: {call.name}", *in_run]
    assert parents_of(executed, spans) == in_tools
    for name in (BEGIN, FINISH):
        assert parents_of(one(spans, name, "SERVER"), spans) == [f"tools: {name}", f"tools: {EXECUTE}", *in_tools]
    created = one(spans, CREATE_TASK, "SERVER")
    assert created.service == "threads"
    assert parents_of(created, spans) == [f"tools: {CREATE_TASK}", f"tools: {HANDLE}", f"tools: {EXECUTE}", *in_tools]


async def test_what_is_said_is_not_in_a_trace(watched: Watched, api: Api) -> None:
    agent = await api.make_agent("scripted:tag=secret", tools=["create_task"])
    trace_id, made = await initiated(api, agent, 'call create_task {"title": "The password is swordfish"}')
    await api.events(made.run_id)
    assert "swordfish" not in str(whole_trace(watched.receiver, trace_id))


@pytest.mark.row("E9")
async def test_a_run_that_another_runner_takes_over_stays_in_its_trace(watched: Watched, api: Api) -> None:
    world = FaultWorld(watched.stack, api, watched.stack.data_dir)
    agent = await api.make_agent("scripted:tps=10,count=30,tag=takeover")
    trace_id, made = await initiated(api, agent, "tell me")
    await api.events(made.run_id, stop_when=lambda event: type_of(event) == "message_delta" and event.seq > 6)
    killed = await world.runner_of(made.run_id)
    await world.kill(killed)
    try:
        assert type_of((await api.events(made.run_id))[-1]) == "run_succeeded"
    finally:
        await world.start(killed)
    # What the killed runner had not sent yet is missing: its own span, which others name as their parent.
    run_span = f"{names.INVOKE_AGENT} {agent}"
    assert watched.receiver.wait_for(lambda: any(span.name == run_span for span in watched.receiver.trace(trace_id)))
    spans = watched.receiver.trace(trace_id)
    claims = [span for span in spans if span.name == names.CLAIM_SPAN]
    assert [span.attributes[names.EPOCH] for span in claims] == [1, 2]
    run = one(spans, run_span, "INTERNAL")
    assert run.attributes[names.EPOCH] == 2
    accepted = one(spans, INITIATE_RUN, "SERVER")
    assert {span.parent_id for span in (*claims, run)} == {accepted.span_id}


async def test_a_refused_call_says_why_in_its_span(watched: Watched, api: Api) -> None:
    agent = "agt_01h455vb4pex5vsknk084sn02q"
    with pytest.raises(Exception, match="agent"):
        await initiated(api, agent, "hello")
    assert watched.receiver.wait_for(
        lambda: any(span.attributes.get(names.REASON) == "AGENT_NOT_FOUND" for span in watched.receiver.spans)
    )
    refused = [span for span in watched.receiver.spans if span.attributes.get(names.REASON) == "AGENT_NOT_FOUND"]
    assert not any(span.is_error for span in refused if span.kind == "SERVER"), "the caller's fault is no server's"
