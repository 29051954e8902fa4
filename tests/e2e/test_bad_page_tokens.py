"""Page tokens that are forged, altered, too old, or of another list."""

import base64

import pytest
from e2e.asking import refused
from every_rpc.servers import a_gateway, open_ahead
from public_api import Api, new_tenant
from weft.agents.v1 import agent_service_pb2 as agents
from weft.projects.v1 import project_service_pb2 as projects
from weft.threads.v1 import thread_service_pb2 as threads
from weft_cli.stack import Stack

INVALID = ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


async def list_threads(api: Api, **fields: object) -> threads.ListThreadsResponse:
    request = threads.ListThreadsRequest(page_size=1, **fields)  # type: ignore[arg-type]
    page: threads.ListThreadsResponse = await api.threads.ListThreads(request, metadata=api.metadata, timeout=10)
    return page


@pytest.fixture
async def agent(api: Api) -> str:
    """An agent with two threads, and a thread of nobody's that has run, for the oracle to look at."""
    agent = await api.make_agent("scripted:count=1")
    for _ in range(2):
        await api.events((await api.initiate("hello", agent_id=agent)).run_id)
    return agent


async def test_pages_follow_each_other_to_the_end(api: Api, agent: str) -> None:
    first = await list_threads(api, agent_id=agent)
    second = await list_threads(api, agent_id=agent, page_token=first.next_page_token)
    assert first.threads[0].thread_id > second.threads[0].thread_id
    assert second.next_page_token == ""


async def test_a_forged_or_altered_token_is_refused(api: Api, agent: str) -> None:
    token = (await list_threads(api, agent_id=agent)).next_page_token
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    altered = []
    for place in (0, 5, len(raw) // 2, len(raw) - 1):
        copy = raw.copy()
        copy[place] ^= 1
        altered.append(base64.urlsafe_b64encode(copy).decode().rstrip("="))
    for bad in ("x", "Zm9yZ2Vk", "é", "\0", token[:-1], token + "A", token + "=", token * 2, *altered):
        await refused(list_threads(api, agent_id=agent, page_token=bad), *INVALID)
    told = await refused(list_threads(api, page_token="A" * 2049), "INVALID_ARGUMENT", "INVALID_FIELDS")
    assert told.fields == ("page_token",)


async def test_a_token_of_another_filter_method_or_tenant_is_refused(api: Api, stack: Stack, agent: str) -> None:
    token = (await list_threads(api, agent_id=agent)).next_page_token
    terms = {"metadata": api.metadata, "timeout": 10}
    await refused(list_threads(api, page_token=token), *INVALID)
    await refused(list_threads(api, agent_id=agent, is_active=True, page_token=token), *INVALID)
    await refused(api.agents.ListAgents(agents.ListAgentsRequest(page_token=token), **terms), *INVALID)
    await refused(api.projects.ListProjects(projects.ListProjectsRequest(page_token=token), **terms), *INVALID)
    async with new_tenant([stack.address("gateway")], stack.operator_key) as stranger:
        await refused(list_threads(stranger, agent_id=agent, page_token=token), *INVALID)
    assert (await list_threads(api, agent_id=agent, page_token=token)).threads


async def test_a_token_older_than_a_day_has_expired(api: Api, stack: Stack, agent: str) -> None:
    """Asked of a Weft whose clock is ahead by more than that."""
    token = (await list_threads(api, agent_id=agent)).next_page_token
    async with (
        open_ahead(stack) as ahead,
        a_gateway(stack, threads_addresses=ahead.servers["threads"].address) as later,
    ):
        tomorrow = Api([later.address], api.key)
        told = await refused(
            list_threads(tomorrow, agent_id=agent, page_token=token), "INVALID_ARGUMENT", "PAGE_TOKEN_EXPIRED"
        )
        assert "first page" in told.message
        assert (await list_threads(tomorrow, agent_id=agent)).threads
        await tomorrow.close()
