"""Recipes of threads and messages."""

from google.protobuf.message import Message
from weft.threads.v1 import message_pb2
from weft.threads.v1 import thread_service_pb2 as threads

from every_rpc.recipe import Asked, plain, recipe
from every_rpc.world import Estate


@plain(threads.CreateThreadRequest)
def _(estate: Estate) -> Message:
    return threads.CreateThreadRequest(project_id=estate.project_id, agent_id=estate.agent_id, title="new")


@plain(threads.GetThreadRequest)
def _(estate: Estate) -> Message:
    return threads.GetThreadRequest(thread_id=estate.thread_id)


@plain(threads.ListThreadsRequest)
def _(estate: Estate) -> Message:
    return threads.ListThreadsRequest(project_id=estate.project_id, agent_id=estate.agent_id, page_size=1)


@plain(threads.ListThreadsRequest, "metadata")
def _(estate: Estate) -> Message:
    return threads.ListThreadsRequest(metadata={"kind": "furniture"}, page_size=1)


@plain(threads.UpdateThreadRequest)
def _(estate: Estate) -> Message:
    return threads.UpdateThreadRequest(thread_id=estate.thread_id, title="renamed", agent_id=estate.agent_id)


@recipe(threads.DeleteThreadRequest)
async def delete_thread(estate: Estate) -> Asked:
    return Asked(threads.DeleteThreadRequest(thread_id=await estate.make_thread()))


@plain(threads.CreateMessageRequest)
def _(estate: Estate) -> Message:
    parts = [message_pb2.Part(text="a message")]
    return threads.CreateMessageRequest(thread_id=estate.thread_id, role=message_pb2.ROLE_USER, parts=parts)


@plain(threads.ListMessagesRequest)
def _(estate: Estate) -> Message:
    return threads.ListMessagesRequest(thread_id=estate.thread_id, page_size=1)
