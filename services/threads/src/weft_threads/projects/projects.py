"""What can be done with projects. Each use case is one transaction, but for the deletion."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.caller import Caller
from weft_core.errors import FailedPreconditionError, NotFoundError
from weft_core.ids import format_id

from weft_threads.projects import store
from weft_threads.projects.project import Project
from weft_threads.store.database import Database

THREADS_AT_ONCE = 100


class Projects:
    """`delete_thread(tenant, thread)` ends a thread's runs, tells their watchers, and deletes it."""

    def __init__(
        self, database: Database, new_id: Callable[[], UUID], delete_thread: Callable[[UUID, UUID], Awaitable[object]]
    ) -> None:
        self._database, self._new_id, self._delete_thread = database, new_id, delete_thread

    async def create(self, caller: Caller, display_name: str) -> Project:
        project_id = self._new_id()
        return await self._database.transact(
            caller.tenant_id, lambda tx: store.insert_project(tx, project_id, display_name, caller.principal)
        )

    async def get(self, caller: Caller, project_id: UUID) -> Project:
        return await self._database.transact(caller.tenant_id, lambda tx: store.get_project(tx, project_id))

    async def list(self, caller: Caller, before: UUID | None, limit: int) -> Sequence[Project]:
        return await self._database.transact(caller.tenant_id, lambda tx: store.list_projects(tx, before, limit))

    async def rename(self, caller: Caller, project_id: UUID, display_name: str) -> Project:
        return await self._database.transact(
            caller.tenant_id, lambda tx: store.rename_project(tx, project_id, display_name)
        )

    async def delete(self, caller: Caller, project_id: UUID, *, force: bool) -> None:
        """Delete the threads, some at a time, then the project with the rest. Cut short, it can be called again."""

        async def work(tx: AsyncConnection) -> Sequence[UUID]:
            await store.lock_project(tx, project_id)
            if await store.default_project(tx) == project_id:
                raise _is_default(project_id)
            if not force and await store.has_open_runs(tx, project_id):
                raise _in_use(project_id)
            left = await store.thread_ids(tx, project_id, THREADS_AT_ONCE)
            if not left:
                await store.delete_project(tx, project_id)
            return left

        while threads := await self._database.transact(caller.tenant_id, work):
            for thread_id in threads:
                with suppress(NotFoundError):  # somebody else has just deleted it
                    await self._delete_thread(caller.tenant_id, thread_id)


def _is_default(project_id: UUID) -> FailedPreconditionError:
    return FailedPreconditionError(
        "PROJECT_IN_USE",
        f"{format_id('prj', project_id)} is the tenant's default project, which stays",
        metadata={"default_project": "true"},
    )


def _in_use(project_id: UUID) -> FailedPreconditionError:
    told = f"runs in {format_id('prj', project_id)} have not ended; wait, cancel them, or set force"
    return FailedPreconditionError("PROJECT_IN_USE", told)
