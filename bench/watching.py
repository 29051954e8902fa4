"""Many watchers in a process of their own: `python bench/watching.py ADDRESS COUNT SAMPLED RUN…`, the key on stdin.

Prints `open` once each has its first message, ends when its input does or all watches have ended, and prints what it
saw. Only every SAMPLED-th watcher parses what it gets, so that the clients' work does not look like Weft's delay.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import grpc
from weft.gateway.v1 import agent_gateway_service_pb2 as pb

METHOD = "/weft.gateway.v1.AgentGateway/RunEvents"
CHANNELS = 16
OPENING_AT_ONCE = 200
OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 16 << 20)]


@dataclass(slots=True)
class Seen:
    lags: list[float] = field(default_factory=list)
    messages: int = 0
    refused: int = 0
    opened: int = 0
    all_open: asyncio.Event = field(default_factory=asyncio.Event)


class Watchers:
    def __init__(self, count: int, sampled: int, seen: Seen) -> None:
        self._count, self._sampled, self._seen = count, sampled, seen
        self._opening = asyncio.Semaphore(OPENING_AT_ONCE)

    async def watch(self, number: int, call: Any) -> None:
        is_sample = number % self._sampled == 0
        seen, has_begun = self._seen, False
        try:
            await self._opening.acquire()
            async for response in call():
                seen.messages += 1
                if not has_begun:
                    has_begun = True
                    self._note_open()
                elif is_sample:
                    _note_lags(response, seen.lags)
        except grpc.aio.AioRpcError as error:
            print(f"watch {number}: {error.code()} {error.details()}", file=sys.stderr)
            seen.refused += 1
        finally:
            if not has_begun:
                self._note_open()

    def _note_open(self) -> None:
        self._opening.release()
        self._seen.opened += 1
        if self._seen.opened == self._count:
            self._seen.all_open.set()


def _note_lags(response: bytes, lags: list[float]) -> None:
    now = time.time()
    for event in pb.RunEventsResponse.FromString(response).events:
        if event.HasField("message_delta"):
            lags.append((now - event.create_time.ToNanoseconds() / 1e9) * 1e3)


async def watch_all(address: str, count: int, sampled: int, runs: list[str], key: str) -> None:
    seen = Seen()
    channels = [grpc.aio.insecure_channel(address, OPTIONS) for _ in range(CHANNELS)]
    methods: list[Any] = [channel.unary_stream(METHOD, response_deserializer=lambda data: data) for channel in channels]
    watchers = Watchers(count, sampled, seen)
    metadata = (("x-api-key", key),)
    requests = [pb.RunEventsRequest(run_id=run).SerializeToString() for run in runs]

    def call_of(number: int) -> Any:
        return lambda: methods[number % CHANNELS](requests[number % len(requests)], metadata=metadata)

    tasks = [asyncio.create_task(watchers.watch(number, call_of(number))) for number in range(count)]
    watching = asyncio.gather(*tasks)
    await seen.all_open.wait()
    print("open", flush=True)
    stopped = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await asyncio.wait({watching, stopped}, return_when=asyncio.FIRST_COMPLETED)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    for channel in channels:
        await channel.close()
    # Here, for the thread that still reads the input holds up the end of the loop until the input ends.
    print(json.dumps({"refused": seen.refused, "messages": seen.messages, "lags": sorted(seen.lags)}), flush=True)


def main() -> None:
    address, count, sampled, *runs = sys.argv[1:]
    asyncio.run(watch_all(address, int(count), int(sampled), runs, sys.stdin.readline().strip()))


if __name__ == "__main__":
    main()
