"""weft.documents.v1.DocumentService."""

from weft.documents.v1 import document_service_pb2 as pb
from weft.documents.v1 import document_service_pb2_grpc as grpc_pb
from weft_core.ids import parse_id
from weft_grpckit.context import Context, caller_of

from weft_threads.documents import convert
from weft_threads.documents.documents import Documents
from weft_threads.paging import Pager, PageRequest, uuid_of

DEFAULT_HITS = 10


class DocumentServicer(grpc_pb.DocumentServiceServicer):
    def __init__(self, documents: Documents, pager: Pager) -> None:
        self._documents, self._pager = documents, pager

    async def PutDocument(self, request: pb.PutDocumentRequest, context: Context) -> pb.PutDocumentResponse:
        document = await self._documents.put(caller_of(context), convert.new_document_from(request))
        return pb.PutDocumentResponse(document=convert.document_to_proto(document))

    async def GetDocument(self, request: pb.GetDocumentRequest, context: Context) -> pb.GetDocumentResponse:
        document = await self._documents.get(caller_of(context), parse_id("doc", request.document_id, "document_id"))
        return pb.GetDocumentResponse(document=convert.document_to_proto(document))

    async def ReadDocument(self, request: pb.ReadDocumentRequest, context: Context) -> pb.ReadDocumentResponse:
        document_id = parse_id("doc", request.document_id, "document_id")
        read = await self._documents.read(caller_of(context), document_id, request.offset, request.length or None)
        return convert.range_to_proto(read)

    async def ListDocuments(self, request: pb.ListDocumentsRequest, context: Context) -> pb.ListDocumentsResponse:
        caller = caller_of(context)
        project_id = parse_id("prj", request.project_id, "project_id") if request.project_id else None
        filters = {"project_id": request.project_id, "title": request.title}
        page = await self._pager.page(
            PageRequest(caller.tenant_id, "ListDocuments", filters, request.page_size, request.page_token),
            lambda cursor, limit: self._documents.list(caller, project_id, request.title, uuid_of(cursor), limit),
            lambda document: document.document_id.bytes,
        )
        documents = [convert.document_to_proto(document) for document in page.items]
        return pb.ListDocumentsResponse(documents=documents, next_page_token=page.next_page_token)

    async def SearchDocuments(self, request: pb.SearchDocumentsRequest, context: Context) -> pb.SearchDocumentsResponse:
        project_id, limit = parse_id("prj", request.project_id, "project_id"), request.max_hits or DEFAULT_HITS
        hits = await self._documents.search(caller_of(context), project_id, request.query, limit)
        return pb.SearchDocumentsResponse(hits=[convert.hit_to_proto(hit) for hit in hits])

    async def DeleteDocument(self, request: pb.DeleteDocumentRequest, context: Context) -> pb.DeleteDocumentResponse:
        await self._documents.delete(caller_of(context), parse_id("doc", request.document_id, "document_id"))
        return pb.DeleteDocumentResponse()
