"""Documents in PostgreSQL."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from weft_threads.documents.document import Document, Hit, NewDocument, Range, passages
from weft_threads.missing import not_found
from weft_threads.store.database import DriverConnection
from weft_threads.store.tables import NOW, TENANT, document_passages, documents

_COLUMNS = (
    documents.c.document_id,
    documents.c.project_id,
    documents.c.title,
    documents.c.content_type,
    documents.c.size_bytes,
    documents.c.create_time,
    documents.c.update_time,
    documents.c.created_by,
)
_DOCUMENTS = sa.select(*_COLUMNS)

_INSERT_PASSAGES = sa.text(
    """
    INSERT INTO document_passages (tenant_id, document_id, project_id, index, text)
    SELECT current_tenant(), :document, :project, n - 1, text FROM unnest(:texts) WITH ORDINALITY AS p(text, n)
    """
).bindparams(sa.bindparam("texts", type_=ARRAY(sa.Text)))

# The passages that a range touches, each with where it begins.
_READ = sa.text(
    """
    SELECT text, start, total FROM (
      SELECT index, text, char_length(text) AS length, sum(char_length(text)) OVER () AS total,
        sum(char_length(text)) OVER (ORDER BY index) - char_length(text) AS start
      FROM document_passages WHERE document_id = :document) p
    WHERE (start < :stop AND start + length > :offset) OR index = 0 ORDER BY index
    """
)

_SEARCH = "SELECT * FROM search_documents($1, $2, $3, $4)"


async def put_document(tx: AsyncConnection, document_id: UUID, new: NewDocument, principal: str) -> Document:
    """Insert a document, or replace the one of its title. `document_id` is taken only where there was none."""
    changed = {"content_type": new.content_type, "size_bytes": len(new.text.encode())}
    keys = {"tenant_id": TENANT, "document_id": document_id, "project_id": new.project_id, "title": new.title}
    statement = (
        insert(documents)
        .values(**keys, **changed, created_by=principal)
        .on_conflict_do_update(
            index_elements=[documents.c.tenant_id, documents.c.project_id, documents.c.title],
            set_={**changed, "update_time": NOW},
        )
        .returning(*_COLUMNS)
    )
    document = Document(**(await tx.execute(statement)).one()._mapping)
    await tx.execute(sa.delete(document_passages).where(document_passages.c.document_id == document.document_id))
    values = {"document": document.document_id, "project": new.project_id, "texts": list(passages(new.text))}
    await tx.execute(_INSERT_PASSAGES, values)
    return document


async def get_document(tx: AsyncConnection, document_id: UUID) -> Document:
    row = (await tx.execute(_DOCUMENTS.where(documents.c.document_id == document_id))).one_or_none()
    if row is None:
        raise not_found("doc", document_id)
    return Document(**row._mapping)


async def read_document(tx: AsyncConnection, document_id: UUID, offset: int, length: int | None) -> Range:
    """Return up to `length` code points from `offset` on; None means to the end."""
    # One row lock against a put between the two reads, which would mix an old length with a new text.
    row = (
        await tx.execute(_DOCUMENTS.where(documents.c.document_id == document_id).with_for_update(read=True))
    ).one_or_none()
    if row is None:
        raise not_found("doc", document_id)
    stop = 2**53 if length is None else offset + length
    rows = (await tx.execute(_READ, {"document": document_id, "offset": offset, "stop": stop})).all()
    first = next((each for each in rows if each.start + len(each.text) > offset), None)
    total = int(rows[0].total) if rows else 0
    if first is None or stop <= offset:
        return Range(Document(**row._mapping), "", offset, total)
    start = int(first.start)
    text = "".join(each.text for each in rows if each.start >= start)
    return Range(Document(**row._mapping), text[offset - start : stop - start], offset, total)


async def list_documents(
    tx: AsyncConnection, project_id: UUID | None, title: str, before: UUID | None, limit: int
) -> Sequence[Document]:
    query = _DOCUMENTS if project_id is None else _DOCUMENTS.where(documents.c.project_id == project_id)
    if title:
        query = query.where(documents.c.title == title)
    if before is not None:
        query = query.where(documents.c.document_id < before)
    rows = await tx.execute(query.order_by(documents.c.document_id.desc()).limit(limit))
    return [Document(**row._mapping) for row in rows]


async def search_documents(
    connection: DriverConnection, tenant_id: UUID, project_id: UUID, query: str, limit: int
) -> Sequence[Hit]:
    """One round trip: models search often."""
    rows = await connection.fetch(_SEARCH, tenant_id, project_id, query, limit)
    if not rows:
        raise not_found("prj", project_id)
    return [Hit(Document(*row[:8]), row["start"], row["length"], row["snippet"], row["rank"]) for row in rows[1:]]


async def delete_document(tx: AsyncConnection, document_id: UUID) -> None:
    if (await tx.execute(sa.delete(documents).where(documents.c.document_id == document_id))).rowcount == 0:
        raise not_found("doc", document_id)
