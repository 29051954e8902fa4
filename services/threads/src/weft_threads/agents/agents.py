"""What can be done with agents. Each use case is one transaction."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.caller import Caller
from weft_core.errors import FailedPreconditionError
from weft_core.ids import format_id

from weft_threads.agents import store
from weft_threads.agents.agent import Agent, AgentVersion, StoredSpec
from weft_threads.missing import not_found
from weft_threads.store.database import Database


class Agents:
    def __init__(self, database: Database, new_id: Callable[[], UUID]) -> None:
        self._database, self._new_id = database, new_id

    async def create(self, caller: Caller, display_name: str, description: str, spec: StoredSpec) -> Agent:
        async def work(tx: AsyncConnection) -> Agent:
            agent_id = await add_agent(tx, self._new_id, caller.principal, display_name, description, spec)
            return await _get(tx, agent_id)

        return await self._database.transact(caller.tenant_id, work)

    async def get(self, caller: Caller, agent_id: UUID) -> Agent:
        return await self._database.transact(caller.tenant_id, lambda tx: _get(tx, agent_id))

    async def list(self, caller: Caller, before: UUID | None, limit: int) -> Sequence[Agent]:
        return await self._database.transact(caller.tenant_id, lambda tx: store.list_agents(tx, before, limit))

    async def update(
        self,
        caller: Caller,
        agent_id: UUID,
        changes: Mapping[str, str],
        change_spec: Callable[[bytes], StoredSpec] | None,
    ) -> Agent:
        """Change an agent; `change_spec` makes the content of a new version from that of the newest."""

        async def work(tx: AsyncConnection) -> Agent:
            if not await store.lock_agent(tx, agent_id):
                raise not_found("agt", agent_id)
            new = dict[str, str | UUID](changes)
            if change_spec is not None:
                agent = await _get(tx, agent_id)
                new["current_version_id"] = version_id = self._new_id()
                spec = change_spec(agent.spec)
                await store.insert_version(tx, agent_id, version_id, agent.version_number + 1, spec, caller.principal)
            await store.update_agent(tx, agent_id, new)
            return await _get(tx, agent_id)

        return await self._database.transact(caller.tenant_id, work)

    async def delete(self, caller: Caller, agent_id: UUID, *, force: bool) -> None:
        async def work(tx: AsyncConnection) -> None:
            is_default = await store.is_default_agent(tx, agent_id)
            if not await store.lock_agent(tx, agent_id):
                raise not_found("agt", agent_id)
            if is_default:
                raise _is_default(agent_id)
            if not force and await store.has_open_runs(tx, agent_id):
                raise _in_use(agent_id)
            await store.delete_agent(tx, agent_id)

        await self._database.transact(caller.tenant_id, work)

    async def get_version(self, caller: Caller, version_id: UUID) -> AgentVersion:
        version = await self._database.transact(caller.tenant_id, lambda tx: store.find_version(tx, version_id))
        if version is None:
            raise not_found("agv", version_id)
        return version

    async def list_versions(
        self, caller: Caller, agent_id: UUID, before: int | None, limit: int
    ) -> Sequence[AgentVersion]:
        async def work(tx: AsyncConnection) -> Sequence[AgentVersion]:
            await _get(tx, agent_id)
            return await store.list_versions(tx, agent_id, before, limit)

        return await self._database.transact(caller.tenant_id, work)


async def add_agent(
    tx: AsyncConnection,
    new_id: Callable[[], UUID],
    principal: str,
    display_name: str,
    description: str,
    spec: StoredSpec,
) -> UUID:
    """Insert an agent with its first version, and return its id."""
    agent_id, version_id = new_id(), new_id()
    await store.insert_agent(tx, agent_id, version_id, display_name, description, principal)
    await store.insert_version(tx, agent_id, version_id, 1, spec, principal)
    return agent_id


async def _get(tx: AsyncConnection, agent_id: UUID) -> Agent:
    agent = await store.find_agent(tx, agent_id)
    if agent is None:
        raise not_found("agt", agent_id)
    return agent


def _is_default(agent_id: UUID) -> FailedPreconditionError:
    return FailedPreconditionError(
        "AGENT_IN_USE",
        f"{format_id('agt', agent_id)} is the tenant's default agent; have the operator name another one first",
        metadata={"default_agent": "true"},
    )


def _in_use(agent_id: UUID) -> FailedPreconditionError:
    told = f"runs of {format_id('agt', agent_id)} have not ended; wait, cancel them, or set force"
    return FailedPreconditionError("AGENT_IN_USE", told)
