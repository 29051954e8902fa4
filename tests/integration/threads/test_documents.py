"""DocumentService on the real service."""

import pytest
from threads_world import Client, ThreadsWorld, all_refused, refused, unknown_id
from weft.documents.v1 import document_pb2
from weft.documents.v1 import document_service_pb2 as pb
from weft.projects.v1 import project_service_pb2

PARAGRAPHS = "\n\n".join(
    f"## Chapter {n}\n\nThe weaver of village {n} throws the shuttle, beat after beat, and the cloth grows."
    for n in range(300)
)
LONG = PARAGRAPHS + "\n\n# Dyes\n\nIndigo is fermented in a vat before the yarn is dipped into it. 🧶\n"


async def put(client: Client, project_id: str, title: str, text: str) -> document_pb2.Document:
    request = pb.PutDocumentRequest(
        project_id=project_id, title=title, text=text, content_type=document_pb2.CONTENT_TYPE_MARKDOWN
    )
    return (await client.documents.PutDocument(request)).document


async def read(client: Client, document_id: str, offset: int = 0, length: int = 0) -> pb.ReadDocumentResponse:
    request = pb.ReadDocumentRequest(document_id=document_id, offset=offset, length=length)
    return await client.documents.ReadDocument(request)


async def search(client: Client, project_id: str, query: str, max_hits: int = 0) -> list[document_pb2.SearchHit]:
    request = pb.SearchDocumentsRequest(project_id=project_id, query=query, max_hits=max_hits)
    return list((await client.documents.SearchDocuments(request)).hits)


async def test_document_reads_back_byte_for_byte(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    document = await put(client, tenant.default_project_id, "looms.md", LONG)
    whole = await read(client, document.document_id)
    assert (whole.text, whole.next_offset, whole.total_length) == (LONG, 0, len(LONG))
    assert document.size_bytes == len(LONG.encode())
    assert document.content_type == document_pb2.CONTENT_TYPE_MARKDOWN
    assert whole.document == document


async def test_document_reads_in_ranges_of_code_points(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    document = await put(client, tenant.default_project_id, "looms.md", LONG)
    pieces, offset = [], 0
    while True:
        part = await read(client, document.document_id, offset, 7001)
        pieces.append(part.text)
        offset = part.next_offset
        if not offset:
            break
    assert "".join(pieces) == LONG
    assert (await read(client, document.document_id, 5, 10)).text == LONG[5:15]
    assert (await read(client, document.document_id, len(LONG) - 3)).text == LONG[-3:]
    behind = await read(client, document.document_id, len(LONG) + 10, 5)
    assert (behind.text, behind.next_offset, behind.total_length) == ("", 0, len(LONG))


@pytest.mark.row("E4")
async def test_search_ranks_and_says_where_to_read_on(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    project_id = tenant.default_project_id
    dyes = await put(client, project_id, "looms.md", LONG)
    await put(client, project_id, "other.md", "A vat is a large vessel.")

    hits = await search(client, project_id, "fermenting indigo vats")

    assert [hit.document.title for hit in hits] == ["looms.md", "other.md"]
    best = hits[0]
    assert best.document.document_id == dyes.document_id
    assert best.score > hits[1].score > 0
    assert "Indigo is fermented in a vat" in best.snippet
    found = (await read(client, dyes.document_id, best.offset, best.length)).text
    assert "Indigo is fermented" in found
    assert await search(client, project_id, "zeppelin") == []
    assert await search(client, project_id, "the of and") == []
    assert len(await search(client, project_id, "weaver", max_hits=2)) == 2


@pytest.mark.parametrize("query", ["'", "a & | !", "(((", ":*", "\\", "don't <-> 'panic'", "%_", "💥"])
async def test_search_takes_any_text_as_words(world: ThreadsWorld, query: str) -> None:
    tenant, client = await world.tenant()
    await put(client, tenant.default_project_id, "a.md", "nothing of the kind")
    await search(client, tenant.default_project_id, query)


async def test_search_sees_only_its_own_project(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    await put(client, tenant.default_project_id, "a.md", "indigo")
    request = project_service_pb2.CreateProjectRequest(display_name="other")
    other = (await client.projects.CreateProject(request)).project
    assert await search(client, other.project_id, "indigo") == []
    with refused("PROJECT_NOT_FOUND"):
        await search(client, unknown_id("prj"), "indigo")


async def test_put_replaces_the_document_of_the_same_title(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    old = await put(client, tenant.default_project_id, "a.md", LONG)
    new = await put(client, tenant.default_project_id, "a.md", "madder root")
    assert (new.document_id, new.create_time) == (old.document_id, old.create_time)
    assert new.update_time.ToNanoseconds() > old.update_time.ToNanoseconds()
    assert (await read(client, new.document_id)).text == "madder root"
    assert await search(client, tenant.default_project_id, "indigo") == []
    assert len(await search(client, tenant.default_project_id, "madder")) == 1
    listed = (await client.documents.ListDocuments(pb.ListDocumentsRequest())).documents
    assert [each.document_id for each in listed] == [old.document_id]


async def test_list_is_of_one_project_or_of_all(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    titles = [f"{n}.md" for n in range(5)]
    for title in titles:
        await put(client, tenant.default_project_id, title, "text")
    request = pb.ListDocumentsRequest(project_id=tenant.default_project_id, page_size=4)
    first = await client.documents.ListDocuments(request)
    request.page_token = first.next_page_token
    second = await client.documents.ListDocuments(request)
    assert [each.title for each in [*first.documents, *second.documents]] == titles[::-1]
    titled = await client.documents.ListDocuments(pb.ListDocumentsRequest(title="3.md"))
    assert [each.title for each in titled.documents] == ["3.md"]
    with refused("PROJECT_NOT_FOUND"):
        await client.documents.ListDocuments(pb.ListDocumentsRequest(project_id=unknown_id("prj")))


async def test_delete_takes_the_document_out_of_searches(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    document = await put(client, tenant.default_project_id, "a.md", "indigo")
    await client.documents.DeleteDocument(pb.DeleteDocumentRequest(document_id=document.document_id))
    assert await search(client, tenant.default_project_id, "indigo") == []
    await all_refused(
        "DOCUMENT_NOT_FOUND",
        (client.documents.GetDocument, pb.GetDocumentRequest(document_id=document.document_id)),
        (client.documents.ReadDocument, pb.ReadDocumentRequest(document_id=document.document_id)),
        (client.documents.DeleteDocument, pb.DeleteDocumentRequest(document_id=document.document_id)),
    )


async def test_put_refuses_what_is_too_large_or_has_no_project(world: ThreadsWorld) -> None:
    tenant, client = await world.tenant()
    with refused("INVALID_FIELDS") as refusal:
        await put(client, tenant.default_project_id, "a.md", "x" * (1 << 20) + "x")
    assert refusal.fields == {"text"}
    with refused("PROJECT_NOT_FOUND"):
        await put(client, unknown_id("prj"), "a.md", "text")
    largest = await put(client, tenant.default_project_id, "words.md", "word " * 209_715)
    assert largest.size_bytes == 1_048_575
    without_breaks = await put(client, tenant.default_project_id, "solid.md", "é" * (1 << 19))
    assert (await read(client, without_breaks.document_id, 1 << 18, 3)).text == "ééé"
