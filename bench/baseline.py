"""What a call costs without Weft: a bare grpc.aio server in its own process, which may commit one row to PostgreSQL."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import grpc

SERVICE = "baseline.Baseline"
PAYLOAD = b"x" * 100
TABLE = "CREATE TABLE IF NOT EXISTS baseline (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload bytea)"
INSERT = "INSERT INTO baseline (payload) VALUES ($1)"
DATABASE_URL = "BASELINE_DATABASE_URL"


async def serve(database_url: str) -> None:
    """Serve Bare (answers at once) and Commit (answers after an autocommit INSERT); print the port."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(TABLE)

    async def bare(request: bytes, context: Any) -> bytes:
        return request

    async def commit(request: bytes, context: Any) -> bytes:
        await connection.execute(INSERT, request)
        return request

    server = grpc.aio.server()
    methods: dict[str, Any] = {
        "Bare": grpc.unary_unary_rpc_method_handler(bare),
        "Commit": grpc.unary_unary_rpc_method_handler(commit),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


class Baseline:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._bare: Any = channel.unary_unary(f"/{SERVICE}/Bare")
        self._commit: Any = channel.unary_unary(f"/{SERVICE}/Commit")

    async def bare(self) -> None:
        await self._bare(PAYLOAD, timeout=10)

    async def commit(self) -> None:
        await self._commit(PAYLOAD, timeout=10)


@asynccontextmanager
async def open_baseline(database_url: str) -> AsyncIterator[Baseline]:
    environment = {**os.environ, DATABASE_URL: database_url}
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, stdout=asyncio.subprocess.PIPE, env=environment
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            port = int(await process.stdout.readline())
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Baseline(channel)
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(serve(os.environ[DATABASE_URL]))
