"""AgentService on the real service."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from threads_world import ThreadsWorld, all_refused, an_agent, refused, unknown_id
from weft.agents.v1 import agent_pb2
from weft.agents.v1 import agent_service_pb2 as pb
from weft.runs.v1 import admission_service_pb2, run_pb2


@pytest.mark.row("B1")
async def test_agent_comes_back_with_every_limit_filled_in(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    limits = agent_pb2.AgentLimits(max_model_calls=2, run_timeout=Duration(seconds=7))
    made = await an_agent(client, "create_task", "read_document", system_instructions="Be brief.", limits=limits)

    read = (await client.agents.GetAgent(pb.GetAgentRequest(agent_id=made.agent_id))).agent

    assert read == made
    assert read.spec.system_instructions == "Be brief."
    assert list(read.spec.tools) == ["create_task", "read_document"]
    filled = read.spec.limits
    assert (filled.max_model_calls, filled.max_tool_calls_per_turn, filled.max_tries) == (2, 16, 3)
    assert (filled.run_timeout.seconds, filled.queue_timeout.seconds, filled.model_call_timeout.seconds) == (
        7,
        86400,
        300,
    )
    assert read.spec.busy_strategy == run_pb2.BUSY_STRATEGY_ENQUEUE
    assert (read.version_number, read.created_by) == (1, "key_test")


@pytest.mark.row("B1")
async def test_update_makes_a_new_version_and_leaves_the_old_one(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent = await an_agent(client, "create_task", model="small", task_instructions="old")
    change = pb.UpdateAgentRequest(
        agent_id=agent.agent_id,
        spec=agent_pb2.AgentSpec(task_instructions="new", model="ignored"),
        update_mask=FieldMask(paths=["spec.task_instructions", "spec.tools"]),
    )

    new = (await client.agents.UpdateAgent(change)).agent

    assert (new.version_number, new.spec.task_instructions, new.spec.model, list(new.spec.tools)) == (
        2,
        "new",
        "small",
        [],
    )
    old = (
        await client.agents.GetAgentVersion(pb.GetAgentVersionRequest(agent_version_id=agent.agent_version_id))
    ).agent_version
    assert (old.version_number, old.spec) == (1, agent.spec)
    listed = (
        await client.agents.ListAgentVersions(pb.ListAgentVersionsRequest(agent_id=agent.agent_id))
    ).agent_versions
    assert [each.version_number for each in listed] == [2, 1]


async def test_update_of_the_name_makes_no_version(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent = await an_agent(client)
    change = pb.UpdateAgentRequest(agent_id=agent.agent_id, display_name="Other", description="for tests")

    new = (await client.agents.UpdateAgent(change)).agent

    assert (new.display_name, new.description, new.version_number) == ("Other", "for tests", 1)
    assert new.agent_version_id == agent.agent_version_id


@pytest.mark.parametrize(
    ("paths", "field"),
    [(["agent_id"], "update_mask"), (["spec.nothing"], "update_mask"), (["display_name"], "display_name")],
)
async def test_update_is_refused_when_the_mask_does_not_fit(world: ThreadsWorld, paths: list[str], field: str) -> None:
    _, client = await world.tenant()
    agent = await an_agent(client)
    with refused("INVALID_FIELDS") as refusal:
        await client.agents.UpdateAgent(
            pb.UpdateAgentRequest(agent_id=agent.agent_id, update_mask=FieldMask(paths=paths))
        )
    assert refusal.fields == {field}


async def test_update_is_refused_when_it_changes_nothing(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent = await an_agent(client)
    with refused("INVALID_FIELDS") as refusal:
        await client.agents.UpdateAgent(pb.UpdateAgentRequest(agent_id=agent.agent_id))
    assert refusal.fields == {"update_mask"}


async def test_list_pages_through_all_agents_newest_first(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    made = [(await an_agent(client, name=f"agent {n}")).agent_id for n in range(7)]
    seen, token = [], ""
    while True:
        page = await client.agents.ListAgents(pb.ListAgentsRequest(page_size=3, page_token=token))
        assert len(page.agents) <= 3
        seen += [agent.agent_id for agent in page.agents]
        token = page.next_page_token
        if not token:
            break
    assert seen == [*reversed(made), tenant.default_agent_id]


async def test_list_ends_a_page_early_when_agents_are_large(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    for _ in range(40):
        await an_agent(client, system_instructions="x" * 250_000)
    first = await client.agents.ListAgents(pb.ListAgentsRequest(page_size=1000))
    assert 0 < len(first.agents) < 40
    rest = await client.agents.ListAgents(pb.ListAgentsRequest(page_size=1000, page_token=first.next_page_token))
    assert len(first.agents) + len(rest.agents) == 41
    assert rest.next_page_token == ""


async def test_delete_hides_the_agent_and_keeps_its_versions(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent = await an_agent(client)
    await client.agents.DeleteAgent(pb.DeleteAgentRequest(agent_id=agent.agent_id))
    await all_refused(
        "AGENT_NOT_FOUND",
        (client.agents.GetAgent, pb.GetAgentRequest(agent_id=agent.agent_id)),
        (client.agents.DeleteAgent, pb.DeleteAgentRequest(agent_id=agent.agent_id)),
        (client.agents.UpdateAgent, pb.UpdateAgentRequest(agent_id=agent.agent_id, display_name="x")),
        (client.agents.ListAgentVersions, pb.ListAgentVersionsRequest(agent_id=agent.agent_id)),
    )
    version = pb.GetAgentVersionRequest(agent_version_id=agent.agent_version_id)
    assert (await client.agents.GetAgentVersion(version)).agent_version.spec == agent.spec


async def test_delete_is_refused_while_runs_have_not_ended_unless_forced(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent = await an_agent(client)
    await client.admission.InitiateRun(admission_service_pb2.InitiateRunRequest(text="hello", agent_id=agent.agent_id))
    with refused("AGENT_IN_USE"):
        await client.agents.DeleteAgent(pb.DeleteAgentRequest(agent_id=agent.agent_id))
    await client.agents.DeleteAgent(pb.DeleteAgentRequest(agent_id=agent.agent_id, force=True))


async def test_delete_of_the_default_agent_is_refused_even_when_forced(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    with refused("AGENT_IN_USE") as refusal:
        await client.agents.DeleteAgent(pb.DeleteAgentRequest(agent_id=tenant.default_agent_id, force=True))
    assert refusal.metadata["default_agent"] == "true"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (agent_pb2.AgentSpec(tools=["a", "a"]), "spec.tools"),
        (agent_pb2.AgentSpec(tools=["no spaces"]), "spec.tools[0]"),
        (
            agent_pb2.AgentSpec(model_parameters=agent_pb2.ModelParameters(temperature=3)),
            "spec.model_parameters.temperature",
        ),
        (agent_pb2.AgentSpec(limits=agent_pb2.AgentLimits(max_tries=11)), "spec.limits.max_tries"),
        (agent_pb2.AgentSpec(limits=agent_pb2.AgentLimits(run_timeout=Duration())), "spec.limits.run_timeout"),
        (agent_pb2.AgentSpec(system_instructions="x" * 300_000), "spec.system_instructions"),
    ],
)
async def test_create_names_the_field_that_breaks_its_rule(
    world: ThreadsWorld, spec: agent_pb2.AgentSpec, field: str
) -> None:
    _, client = await world.tenant()
    with refused("INVALID_FIELDS") as refusal:
        await client.agents.CreateAgent(pb.CreateAgentRequest(display_name="Agent", spec=spec))
    assert refusal.fields == {field}


async def test_unknown_version_is_not_found(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    with refused("AGENT_VERSION_NOT_FOUND"):
        await client.agents.GetAgentVersion(pb.GetAgentVersionRequest(agent_version_id=unknown_id("agv")))


async def test_nul_becomes_the_replacement_character(world: ThreadsWorld) -> None:
    _, client = await world.tenant()
    agent = await an_agent(client, name="a\0b")
    assert agent.display_name == "a\ufffdb"
