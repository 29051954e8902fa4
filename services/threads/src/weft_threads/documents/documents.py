"""What can be done with documents. Each use case is one transaction."""

from collections.abc import Callable, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection
from weft_core.caller import Caller

from weft_threads.documents import store
from weft_threads.documents.document import Document, Hit, NewDocument, Range
from weft_threads.projects.store import get_project, require_project
from weft_threads.store.database import Database


class Documents:
    def __init__(self, database: Database, new_id: Callable[[], UUID]) -> None:
        self._database, self._new_id = database, new_id

    async def put(self, caller: Caller, new: NewDocument) -> Document:
        async def work(tx: AsyncConnection) -> Document:
            await require_project(tx, new.project_id)
            return await store.put_document(tx, self._new_id(), new, caller.principal)

        return await self._database.transact(caller.tenant_id, work)

    async def get(self, caller: Caller, document_id: UUID) -> Document:
        return await self._database.transact(caller.tenant_id, lambda tx: store.get_document(tx, document_id))

    async def read(self, caller: Caller, document_id: UUID, offset: int, length: int | None) -> Range:
        return await self._database.transact(
            caller.tenant_id, lambda tx: store.read_document(tx, document_id, offset, length)
        )

    async def list(
        self, caller: Caller, project_id: UUID | None, title: str, before: UUID | None, limit: int
    ) -> Sequence[Document]:
        """List documents of a project (None: of all), of a title (empty: of all)."""

        async def work(tx: AsyncConnection) -> Sequence[Document]:
            if project_id is not None:
                await get_project(tx, project_id)
            return await store.list_documents(tx, project_id, title, before, limit)

        return await self._database.transact(caller.tenant_id, work)

    async def search(self, caller: Caller, project_id: UUID, query: str, limit: int) -> Sequence[Hit]:
        return await self._database.call(store.search_documents, caller.tenant_id, project_id, query, limit)

    async def delete(self, caller: Caller, document_id: UUID) -> None:
        await self._database.transact(caller.tenant_id, lambda tx: store.delete_document(tx, document_id))
