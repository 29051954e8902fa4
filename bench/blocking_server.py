"""The comparison of D4: a server that does the same work with threads that block.

A call holds a thread of the pool to its end. It commits what Weft commits and when Weft does: the message and its run,
the taking up, the first delta, further deltas every 25 ms, the answer and the end; it shows a delta once it is
committed. It reads the model's stream as Weft does: with the openai client, raw, without its parsed chunks.
"""

import json
import os
import queue
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import openai
import psycopg

SERVICE = "baseline.Blocking"
DATABASE_URL, MODEL_URL, THREADS = "BLOCKING_DATABASE_URL", "BLOCKING_MODEL_URL", "BLOCKING_THREADS"
CONNECTIONS = 16  # as many as threads has: WEFT_APP_CONNECTIONS and WEFT_QUEUE_CONNECTIONS
WINDOW_SECONDS = 0.025
TABLES = """
CREATE TABLE IF NOT EXISTS b_threads (id uuid PRIMARY KEY, title text, create_time timestamptz DEFAULT now());
CREATE TABLE IF NOT EXISTS b_messages (id uuid PRIMARY KEY, thread_id uuid REFERENCES b_threads, role text,
  content text, create_time timestamptz DEFAULT now());
CREATE INDEX IF NOT EXISTS b_messages_thread ON b_messages (thread_id);
CREATE TABLE IF NOT EXISTS b_runs (id uuid PRIMARY KEY, thread_id uuid REFERENCES b_threads, state text,
  last_seq bigint, create_time timestamptz DEFAULT now(), end_time timestamptz);
CREATE TABLE IF NOT EXISTS b_events (run_id uuid REFERENCES b_runs, seq bigint, type text, payload text,
  create_time timestamptz DEFAULT now(), PRIMARY KEY (run_id, seq));
"""


class Server:
    def __init__(self, database_url: str, model_url: str) -> None:
        self._model = openai.OpenAI(base_url=model_url, api_key="none", max_retries=0)
        self._pool: queue.Queue[psycopg.Connection[Any]] = queue.Queue()
        for _ in range(CONNECTIONS):
            self._pool.put(psycopg.connect(database_url, prepare_threshold=1))
        with self._transaction() as connection:
            connection.execute(TABLES)

    def ask(self, request: bytes, context: Any) -> Iterator[bytes]:
        """Answer a question; yield pieces of the answer."""
        model, _, text = request.decode().partition("\n")
        thread, run = uuid.uuid4(), uuid.uuid4()
        self._initiate(thread, run, text)
        messages = self._take_up(thread, run)
        pieces: list[str] = []
        seq = 2
        for delta in self._deltas(model, messages):
            seq += 1
            self._append(run, seq, delta)
            pieces.append(delta)
            yield delta.encode()
        self._finish(thread, run, seq + 1, "".join(pieces))

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[Any]]:
        connection = self._pool.get()
        try:
            with connection.transaction():
                yield connection
        finally:
            self._pool.put(connection)

    def _initiate(self, thread: uuid.UUID, run: uuid.UUID, text: str) -> None:
        with self._transaction() as connection:
            connection.execute("INSERT INTO b_threads VALUES (%s, %s)", (thread, text[:80]))
            message = (uuid.uuid4(), thread, "user", text)
            connection.execute("INSERT INTO b_messages VALUES (%s, %s, %s, %s)", message)
            connection.execute("INSERT INTO b_runs VALUES (%s, %s, 'queued', 1)", (run, thread))
            connection.execute("INSERT INTO b_events VALUES (%s, 1, 'run.queued', '')", (run,))

    def _take_up(self, thread: uuid.UUID, run: uuid.UUID) -> list[Any]:
        with self._transaction() as connection:
            connection.execute("UPDATE b_runs SET state = 'running', last_seq = 2 WHERE id = %s", (run,))
            connection.execute("INSERT INTO b_events VALUES (%s, 2, 'run.started', '')", (run,))
            found = connection.execute(
                "SELECT role, content FROM b_messages WHERE thread_id = %s ORDER BY create_time", (thread,)
            )
            return [{"role": role, "content": content} for role, content in found]

    def _append(self, run: uuid.UUID, seq: int, delta: str) -> None:
        with self._transaction() as connection:
            connection.execute("UPDATE b_runs SET last_seq = %s WHERE id = %s AND state = 'running'", (seq, run))
            connection.execute("INSERT INTO b_events VALUES (%s, %s, 'message.delta', %s)", (run, seq, delta))

    def _finish(self, thread: uuid.UUID, run: uuid.UUID, seq: int, text: str) -> None:
        with self._transaction() as connection:
            message = (uuid.uuid4(), thread, "assistant", text)
            connection.execute("INSERT INTO b_messages VALUES (%s, %s, %s, %s)", message)
            connection.execute(
                "UPDATE b_runs SET state = 'succeeded', end_time = now(), last_seq = %s WHERE id = %s", (seq, run)
            )
            connection.execute("INSERT INTO b_events VALUES (%s, %s, 'run.succeeded', '')", (run, seq))

    def _deltas(self, model: str, messages: list[Any]) -> Iterator[str]:
        """Yield the first piece at once, then what came in each window."""
        completions = self._model.chat.completions.with_streaming_response
        with completions.create(model=model, messages=messages, stream=True) as response:
            waiting: list[str] = []
            due = 0.0
            for line in response.iter_lines():
                waiting += _texts(line)
                if waiting and time.monotonic() >= due:
                    yield "".join(waiting)
                    waiting, due = [], time.monotonic() + WINDOW_SECONDS
            if waiting:
                yield "".join(waiting)


def _texts(line: str) -> list[str]:
    if not line.startswith("data: {"):
        return []
    return [text for choice in json.loads(line[6:])["choices"] if (text := choice["delta"].get("content"))]


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(int(os.environ[THREADS])))
    ask = Server(os.environ[DATABASE_URL], os.environ[MODEL_URL]).ask
    handlers: dict[str, Any] = {"Ask": grpc.unary_stream_rpc_method_handler(ask)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
