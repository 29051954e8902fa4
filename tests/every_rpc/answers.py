"""What an RPC answered, so that two answers can be compared."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from every_rpc.catalogue import Rpc

SECONDS = 15.0
_ID = re.compile(r"\b([a-z]{3})_[0-7][0-9a-hjkmnp-tv-z]{25}\b")

Metadata = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """An empty `reason` with a code other than OK means that no ErrorInfo came."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    retry_seconds: float | None = None
    responses: tuple[Any, ...] = ()

    @property
    def is_ok(self) -> bool:
        return self.code is grpc.StatusCode.OK

    @property
    def verdict(self) -> tuple[str, str]:
        return self.code.name, self.reason

    @property
    def shape(self) -> tuple[object, ...]:
        """All of it, with ids replaced by their kind: what tells nothing about which id was asked for."""
        told = sorted((key, without_ids(value)) for key, value in self.metadata.items())
        texts = tuple(without_ids(str(each)) for each in self.responses)
        return self.code.name, self.reason, without_ids(self.message), told, self.fields, self.retry_seconds, texts

    def __str__(self) -> str:
        return f"{self.code.name} {self.reason}: {self.message}" if not self.is_ok else "OK"


def without_ids(text: str) -> str:
    return _ID.sub(r"\1_…", text)


async def ask(channel: grpc.aio.Channel, rpc: Rpc, request: Message | bytes, metadata: Metadata = ()) -> Answer:
    """Call, and read a stream to its end, where it has one."""
    return await ask_path(
        channel,
        rpc.contract.path,
        request if isinstance(request, bytes) else request.SerializeToString(),
        metadata,
        response=rpc.response,
        is_stream=rpc.contract.is_server_streaming,
        is_endless=rpc.is_endless,
    )


async def ask_path(
    channel: grpc.aio.Channel,
    path: str,
    data: bytes,
    metadata: Metadata = (),
    *,
    response: type[Message] | None = None,
    is_stream: bool = False,
    is_endless: bool = False,
    seconds: float = SECONDS,
) -> Answer:
    deserializer: Any = response.FromString if response is not None else None
    terms: Any = {"metadata": tuple(metadata), "timeout": seconds}
    make: Any = channel.unary_stream if is_stream else channel.unary_unary
    call = make(path, request_serializer=None, response_deserializer=deserializer)(data, **terms)
    try:
        if is_endless:
            responses = [await anext(aiter(call))]
        else:
            responses = [each async for each in call] if is_stream else [await call]
    except grpc.aio.AioRpcError as error:
        return answer_of(error)
    finally:
        call.cancel()
    return Answer(grpc.StatusCode.OK, responses=tuple(responses))


def answer_of(error: grpc.aio.AioRpcError) -> Answer:
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    call: Any = error
    status: Any = rpc_status.from_call(call)
    found = {
        kind.DESCRIPTOR.name
        for each in (status.details if status else ())
        for kind in (info, bad, retry)
        if each.Unpack(kind)
    }
    assert not info.reason or info.domain == "weft", info
    return Answer(
        code=error.code(),
        reason=info.reason,
        message=error.details() or "",
        metadata=dict(info.metadata),
        fields=tuple(each.field for each in bad.field_violations),
        retry_seconds=retry.retry_delay.ToMilliseconds() / 1000 if "RetryInfo" in found else None,
    )
