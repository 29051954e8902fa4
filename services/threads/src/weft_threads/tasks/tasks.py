"""What can be done with tasks. Each use case is one transaction."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.caller import Caller
from weft_core.errors import InvalidArgumentError

from weft_threads.projects.store import get_project, require_project
from weft_threads.store.database import Database
from weft_threads.tasks import store
from weft_threads.tasks.task import NewTask, Task


class Tasks:
    def __init__(self, database: Database, new_id: Callable[[], UUID]) -> None:
        self._database, self._new_id = database, new_id

    async def create(self, caller: Caller, new: NewTask) -> Task:
        """Make a task, or return the one that was made under the same `request_id` before."""

        async def work(tx: AsyncConnection) -> Task:
            await require_project(tx, new.project_id)
            task = await store.insert_task(tx, self._new_id(), new, caller.principal, caller.run_id)
            if task is not None:
                return task
            task, digest = await store.get_made_before(tx, new.request_id)
            if digest != new.digest():
                raise _reused()
            return task

        return await self._database.transact(caller.tenant_id, work)

    async def get(self, caller: Caller, task_id: UUID) -> Task:
        return await self._database.transact(caller.tenant_id, lambda tx: store.get_task(tx, task_id))

    async def list(
        self, caller: Caller, project_id: UUID | None, state: str | None, before: UUID | None, limit: int
    ) -> Sequence[Task]:
        async def work(tx: AsyncConnection) -> Sequence[Task]:
            if project_id is not None:
                await get_project(tx, project_id)
            return await store.list_tasks(tx, project_id, state, before, limit)

        return await self._database.transact(caller.tenant_id, work)

    async def update(self, caller: Caller, task_id: UUID, changes: Mapping[str, str]) -> Task:
        return await self._database.transact(caller.tenant_id, lambda tx: store.update_task(tx, task_id, changes))

    async def delete(self, caller: Caller, task_id: UUID) -> None:
        await self._database.transact(caller.tenant_id, lambda tx: store.delete_task(tx, task_id))


def _reused() -> InvalidArgumentError:
    told = "this request_id made a task with another body; use a new one for another task"
    return InvalidArgumentError("REQUEST_ID_REUSED", told)
