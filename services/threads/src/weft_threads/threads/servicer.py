"""weft.threads.v1.ThreadService."""

from dataclasses import asdict

from weft.threads.v1 import thread_service_pb2 as pb
from weft.threads.v1 import thread_service_pb2_grpc as grpc_pb
from weft_core.ids import parse_id
from weft_grpckit.context import Context, caller_of

from weft_threads.paging import Pager, PageRequest, uuid_of
from weft_threads.threads import convert
from weft_threads.threads.threads import Threads


class ThreadServicer(grpc_pb.ThreadServiceServicer):
    def __init__(self, threads: Threads, pager: Pager) -> None:
        self._threads, self._pager = threads, pager

    async def CreateThread(self, request: pb.CreateThreadRequest, context: Context) -> pb.CreateThreadResponse:
        thread = await self._threads.create(caller_of(context), convert.new_thread_from(request))
        return pb.CreateThreadResponse(thread=convert.thread_to_proto(thread))

    async def GetThread(self, request: pb.GetThreadRequest, context: Context) -> pb.GetThreadResponse:
        thread = await self._threads.get(caller_of(context), parse_id("thr", request.thread_id, "thread_id"))
        return pb.GetThreadResponse(thread=convert.thread_to_proto(thread))

    async def ListThreads(self, request: pb.ListThreadsRequest, context: Context) -> pb.ListThreadsResponse:
        caller, wanted = caller_of(context), convert.filter_from(request)
        page = await self._pager.page(
            PageRequest(caller.tenant_id, "ListThreads", asdict(wanted), request.page_size, request.page_token),
            lambda cursor, limit: self._threads.list(caller, wanted, uuid_of(cursor), limit),
            lambda thread: thread.thread_id.bytes,
            convert.thread_bytes,
        )
        threads = [convert.thread_to_proto(thread) for thread in page.items]
        return pb.ListThreadsResponse(threads=threads, next_page_token=page.next_page_token)

    async def UpdateThread(self, request: pb.UpdateThreadRequest, context: Context) -> pb.UpdateThreadResponse:
        thread_id = parse_id("thr", request.thread_id, "thread_id")
        thread = await self._threads.update(caller_of(context), thread_id, convert.changes_from(request))
        return pb.UpdateThreadResponse(thread=convert.thread_to_proto(thread))

    async def DeleteThread(self, request: pb.DeleteThreadRequest, context: Context) -> pb.DeleteThreadResponse:
        await self._threads.delete(caller_of(context), parse_id("thr", request.thread_id, "thread_id"))
        return pb.DeleteThreadResponse()

    async def CreateMessage(self, request: pb.CreateMessageRequest, context: Context) -> pb.CreateMessageResponse:
        message = await self._threads.create_message(
            caller_of(context),
            parse_id("thr", request.thread_id, "thread_id"),
            role=convert.role_from(request.role),
            content=convert.content_from(request),
            first_words=convert.first_words(request),
        )
        return pb.CreateMessageResponse(message=convert.message_to_proto(message))

    async def ListMessages(self, request: pb.ListMessagesRequest, context: Context) -> pb.ListMessagesResponse:
        caller, thread_id = caller_of(context), parse_id("thr", request.thread_id, "thread_id")
        backwards = request.newest_first
        filters = {"thread_id": request.thread_id, "newest_first": backwards}
        page = await self._pager.page(
            PageRequest(caller.tenant_id, "ListMessages", filters, request.page_size, request.page_token),
            lambda cursor, limit: self._threads.list_messages(
                caller, thread_id, convert.place_of(cursor), limit, newest_first=backwards
            ),
            convert.cursor_of,
            lambda message: len(message.content),
        )
        messages = [convert.message_to_proto(message) for message in page.items]
        return pb.ListMessagesResponse(messages=messages, next_page_token=page.next_page_token)
