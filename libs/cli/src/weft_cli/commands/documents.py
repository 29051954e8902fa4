"""`weft documents`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from weft.documents.v1 import document_pb2
from weft.documents.v1 import document_service_pb2 as pb
from weft.documents.v1.document_pb2 import Document, SearchHit

from weft_cli import words
from weft_cli.commands.command import CommandError, Session, command
from weft_cli.commands.options import Limit, OfProject, Project, Yes, confirm
from weft_cli.commands.projects import the_project
from weft_cli.tables import Column, one_line

group = typer.Typer(no_args_is_help=True, help="Documents: put, list, read, search, delete. Agents' tools read them.")

MARKDOWN = {".md", ".markdown"}


def _kind(document: Document) -> str:
    return words.enum_word(document_pb2.ContentType.Name(document.content_type), "CONTENT_TYPE_")


COLUMNS = (
    Column[Document]("DOCUMENT", lambda document: document.document_id),
    Column[Document]("TITLE", lambda document: document.title, width=14),
    Column[Document]("SIZE", lambda document: words.size(document.size_bytes), rank=1, is_number=True),
    Column[Document]("KIND", _kind, rank=3),
    Column[Document]("PUT", lambda document: words.ago(document.update_time), rank=2),
    Column[Document]("PROJECT", lambda document: document.project_id, rank=4),
)
HITS = (
    Column[SearchHit]("DOCUMENT", lambda hit: hit.document.document_id, rank=2),
    Column[SearchHit]("TITLE", lambda hit: hit.document.title, width=14),
    Column[SearchHit]("AT", lambda hit: words.amount(hit.offset), rank=3, is_number=True),
    Column[SearchHit]("SCORE", lambda hit: f"{hit.score:.2f}", rank=1, is_number=True),
    Column[SearchHit]("WORDS", lambda hit: one_line(hit.snippet), width=20),
)

DocumentArgument = Annotated[str, typer.Argument(metavar="DOCUMENT", help="Id of the document, as doc_01h…")]


@command(
    group,
    "put",
    examples="""
weft documents put README.md docs/*.md --project prj_01h…
echo "Roses are pruned in March." | weft documents put - --title Roses""",
)
async def put_documents(
    session: Session,
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="Text files; - is standard input.")],
    project: Project = "",
    title: Annotated[str, typer.Option(help="The title of a single file; else its path, as given.")] = "",
) -> None:
    """Put texts into a project. A document of the same title there is replaced."""
    if title and len(files) > 1:
        raise CommandError("--title is for a single file")
    if "-" in files and not title:
        raise CommandError("standard input has no name: give --title")
    requests = [_put_request(file, title) for file in files]  # all can be read before the first is put
    project_id, documents = await the_project(session, project), list[Document]()
    for request in requests:
        request.project_id = project_id
        documents.append((await session.api.call(session.api.documents.PutDocument, request)).document)
    session.out.rows("documents", documents, COLUMNS, "no documents")


def _put_request(file: str, title: str) -> pb.PutDocumentRequest:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{file} cannot be read as text: it is not UTF-8; weft chat --file reads PDF too") from None
    is_markdown = Path(title or file).suffix.lower() in MARKDOWN
    kind = document_pb2.CONTENT_TYPE_MARKDOWN if is_markdown else document_pb2.CONTENT_TYPE_PLAIN
    return pb.PutDocumentRequest(title=title or file, text=text, content_type=kind)


@command(group, "list", examples="weft documents list --project prj_01h…")
async def list_documents(session: Session, project: OfProject = "", limit: Limit = None) -> None:
    """List documents."""
    request = pb.ListDocumentsRequest(project_id=project)
    documents = await session.api.pages(session.api.documents.ListDocuments, request, "documents", limit)
    session.out.rows("documents", documents, COLUMNS, "no documents")


@command(
    group,
    "get",
    examples="""
weft documents get doc_01h…
weft documents get doc_01h… --text > roses.md""",
)
async def get_document(
    session: Session,
    document: DocumentArgument,
    text: Annotated[bool, typer.Option("--text", help="Print the text itself.")] = False,
) -> None:
    """Show a document, or its text."""
    if text:
        request = pb.ReadDocumentRequest(document_id=document)
        answer = await session.api.call(session.api.documents.ReadDocument, request)
        if session.out.is_json:
            session.out.done(answer, "")
        else:
            session.out.printer.raw(answer.text.removesuffix("\n"))
        return
    got = await session.api.call(session.api.documents.GetDocument, pb.GetDocumentRequest(document_id=document))
    session.out.one(got.document, COLUMNS)


@command(group, "search", examples='weft documents search "when are roses pruned" --project prj_01h…')
async def search_documents(
    session: Session,
    query: Annotated[str, typer.Argument(metavar="WORDS", help="What to look for.")],
    project: Project = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many places at most.")] = 10,
) -> None:
    """Search the texts of a project, best places first."""
    request = pb.SearchDocumentsRequest(project_id=await the_project(session, project), query=query, max_hits=limit)
    answer = await session.api.call(session.api.documents.SearchDocuments, request)
    session.out.rows("hits", answer.hits, HITS, "nothing fits")


@command(group, "delete", examples="weft documents delete doc_01h… --yes")
async def delete_document(session: Session, document: DocumentArgument, yes: Yes = False) -> None:
    """Delete a document, for good."""
    confirm(session, f"Delete {document} for good?", yes=yes)
    request = pb.DeleteDocumentRequest(document_id=document)
    answer = await session.api.call(session.api.documents.DeleteDocument, request)
    session.out.done(answer, f"deleted: {document}")
