"""What can be done with threads and messages. Each use case is one transaction."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from weft.runs.v1 import thread_event_pb2
from weft_core.caller import Caller
from weft_core.errors import ResourceExhaustedError

from weft_threads.agents.store import find_agent
from weft_threads.missing import not_found
from weft_threads.projects.store import require_project
from weft_threads.store.database import Database
from weft_threads.threads import store
from weft_threads.threads.thread import Message, NewThread, Place, Thread, ThreadFilter


class Threads:
    """`delete_thread(tenant, thread)` ends a thread's runs, tells their watchers, and deletes it.

    `announce(thread)` tells watchers, after the commit, that a thread's log has grown.
    """

    def __init__(
        self,
        database: Database,
        new_id: Callable[[], UUID],
        delete_thread: Callable[[UUID, UUID], Awaitable[object]],
        announce: Callable[[UUID], None],
    ) -> None:
        self._database, self._new_id = database, new_id
        self._delete_thread, self._announce = delete_thread, announce

    async def create(self, caller: Caller, new: NewThread) -> Thread:
        async def work(tx: AsyncConnection) -> Thread:
            default_project, default_agent = await store.tenant_defaults(tx)
            project_id, agent_id = new.project_id or default_project, new.agent_id or default_agent
            await require_project(tx, project_id)
            await _require_agent(tx, agent_id)
            limit, free = await store.free_threads(tx)
            if free <= 0:
                raise _too_many(limit)
            thread_id = self._new_id()
            filled = NewThread(project_id, agent_id, new.title, new.metadata)
            thread = await store.insert_thread(tx, thread_id, filled, caller.principal)
            await store.count_thread(tx, thread_id)
            return thread

        return await self._database.transact(caller.tenant_id, work)

    async def get(self, caller: Caller, thread_id: UUID) -> Thread:
        return await self._database.transact(caller.tenant_id, lambda tx: store.get_thread(tx, thread_id))

    async def list(self, caller: Caller, wanted: ThreadFilter, before: UUID | None, limit: int) -> Sequence[Thread]:
        return await self._database.transact(caller.tenant_id, lambda tx: store.list_threads(tx, wanted, before, limit))

    async def update(self, caller: Caller, thread_id: UUID, changes: Mapping[str, Any]) -> Thread:
        async def work(tx: AsyncConnection) -> Thread:
            new = dict(changes)
            if "title" in new:
                new["is_title_edited"] = True
            if "agent_id" in new:
                await _require_agent(tx, new["agent_id"])
            thread = await store.update_thread(tx, thread_id, new)
            if "title" in changes:
                told = thread_event_pb2.ThreadTitleUpdated(title=thread.title)
                await store.log_event(tx, thread_id, "title.updated", payload=told.SerializeToString())
            if changes.keys() - {"title"}:
                await store.log_event(tx, thread_id, "thread.updated")
            return thread

        thread = await self._database.transact(caller.tenant_id, work)
        self._announce(thread_id)
        return thread

    async def delete(self, caller: Caller, thread_id: UUID) -> None:
        await self._delete_thread(caller.tenant_id, thread_id)

    async def create_message(
        self, caller: Caller, thread_id: UUID, *, role: str, content: bytes, first_words: str
    ) -> Message:
        async def work(tx: AsyncConnection) -> Message:
            turn = await store.next_turn(tx, thread_id, first_words)
            message = await store.insert_message(
                tx, self._new_id(), thread_id, turn, role=role, content=content, principal=caller.principal
            )
            await store.log_event(tx, thread_id, "message.created", message.message_id)
            return message

        message = await self._database.transact(caller.tenant_id, work)
        self._announce(thread_id)
        return message

    async def list_messages(
        self, caller: Caller, thread_id: UUID, after: Place | None, limit: int, *, newest_first: bool
    ) -> Sequence[Message]:
        async def work(tx: AsyncConnection) -> Sequence[Message]:
            await store.get_thread(tx, thread_id)
            return await store.list_messages(tx, thread_id, after, limit, newest_first=newest_first)

        return await self._database.transact(caller.tenant_id, work)


async def _require_agent(tx: AsyncConnection, agent_id: UUID) -> None:
    if await find_agent(tx, agent_id) is None:
        raise not_found("agt", agent_id)


def _too_many(limit: int) -> ResourceExhaustedError:
    told = "the tenant has as many threads as it may; delete some, or ask the operator for more"
    return ResourceExhaustedError("THREAD_LIMIT", told, metadata={"limit": str(limit)})
