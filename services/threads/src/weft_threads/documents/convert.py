"""Documents between the contract and values."""

from collections.abc import Mapping
from typing import Final

from weft.documents.v1 import document_pb2 as pb
from weft.documents.v1 import document_service_pb2 as service_pb
from weft_core.ids import format_id, parse_id

from weft_threads.documents.document import Document, Hit, NewDocument, Range
from weft_threads.times import timestamp

_TYPES: Final[Mapping[str, pb.ContentType.ValueType]] = {
    "text/plain": pb.CONTENT_TYPE_PLAIN,
    "text/markdown": pb.CONTENT_TYPE_MARKDOWN,
}
_STORED: Final[Mapping[pb.ContentType.ValueType, str]] = {kind: name for name, kind in _TYPES.items()}
_FRAGMENT_BREAK: Final = " … "


def document_to_proto(document: Document) -> pb.Document:
    return pb.Document(
        document_id=format_id("doc", document.document_id),
        project_id=format_id("prj", document.project_id),
        title=document.title,
        content_type=_TYPES[document.content_type],
        size_bytes=document.size_bytes,
        create_time=timestamp(document.create_time),
        update_time=timestamp(document.update_time),
        created_by=document.created_by,
    )


def new_document_from(request: service_pb.PutDocumentRequest) -> NewDocument:
    return NewDocument(
        project_id=parse_id("prj", request.project_id, "project_id"),
        title=request.title,
        content_type=_STORED.get(request.content_type, "text/plain"),
        text=request.text,
    )


def range_to_proto(read: Range) -> service_pb.ReadDocumentResponse:
    end = read.offset + len(read.text)
    return service_pb.ReadDocumentResponse(
        document=document_to_proto(read.document),
        text=read.text,
        next_offset=end if end < read.total_length else 0,
        total_length=read.total_length,
    )


def hit_to_proto(hit: Hit) -> pb.SearchHit:
    return pb.SearchHit(
        document=document_to_proto(hit.document),
        offset=hit.offset,
        length=hit.length,
        snippet=hit.snippet.replace(" ... ", _FRAGMENT_BREAK),
        score=hit.score,
    )
