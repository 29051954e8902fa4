"""The HTTP side of the scripted model: the OpenAI paths, and /scripted/… for tests."""

import asyncio
import hashlib
import itertools
import json
import time
import weakref
from contextlib import AsyncExitStack
from email.utils import formatdate
from typing import Any, Self

from aiohttp import ClientConnectionResetError, web

from weft_testkit.scripted_model.conversation import Conversation, read_request
from weft_testkit.scripted_model.grammar import PREFIX, Script, ScriptError, parse_script, without_faults
from weft_testkit.scripted_model.planner import make_plan
from weft_testkit.scripted_model.player import Stop, play, silence
from weft_testkit.scripted_model.record import CallLog, CallRecord, Ending, records_as_json
from weft_testkit.scripted_model.wire import Answer, build_answer, error_object, to_json

MAX_BODY_BYTES = 64 * 1024 * 1024
LONGEST_WAIT_SECONDS = 60.0
KINDS = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
KINDS |= {429: "rate_limit_exceeded", 503: "overloaded_error"}


class ScriptedModelServer:
    """Serves on a loopback port inside `async with`; `base_url` is what OPENAI_BASE_URL wants, `log` the record."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.log = CallLog()
        self._host = host
        self._port = port
        self._numbers = itertools.count(1)
        self._is_stopping = False
        self._connections: weakref.WeakSet[asyncio.Transport] = weakref.WeakSet()
        self.connections_opened = 0
        self._stack = AsyncExitStack()

    @property
    def base_url(self) -> str:
        return f"http://{self._host}:{self._port}/v1"

    async def __aenter__(self) -> Self:
        runner = web.AppRunner(
            self._application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1, keepalive_timeout=75
        )
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, self._host, self._port, backlog=4096, reuse_port=False)
        try:
            await site.start()
        except BaseException:
            await self._stack.aclose()
            raise
        self._port = runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_stopping = True
        await self._stack.aclose()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_post("/v1/chat/completions", self._chat_completions)
        application.router.add_get("/v1/models", self._models)
        application.router.add_get("/scripted/calls", self._calls)
        application.router.add_post("/scripted/reset", self._reset)
        return application

    def _count_connection(self, request: web.Request) -> None:
        if request.transport is not None and request.transport not in self._connections:
            self._connections.add(request.transport)
            self.connections_opened += 1

    async def _chat_completions(self, request: web.Request) -> web.StreamResponse:
        self._count_connection(request)
        try:
            conversation = read_request(json.loads(await request.read()))
            script = parse_script(conversation.model)
        except ScriptError as error:
            return _error(404, str(error), "model_not_found")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return _error(400, f"Not a chat-completions request: {error}", None)
        record = self.log.begin(conversation)
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        record.key_sha256 = hashlib.sha256(key.encode()).hexdigest()
        try:
            return await self._answer(request, conversation, script, record)
        except (asyncio.CancelledError, ClientConnectionResetError):
            self.log.end(record, Ending.STOPPED if self._is_stopping else Ending.CLIENT_CLOSED)
            raise

    async def _answer(
        self, request: web.Request, conversation: Conversation, script: Script, record: CallRecord
    ) -> web.StreamResponse:
        script = without_faults(script, record.call_of_conversation)
        if script.silent == 0:
            await silence()
        if script.status is not None:
            await asyncio.sleep(script.ttft)
            record.status = script.status
            self.log.end(record, Ending.REFUSED)
            return _scripted_error(script.status, script)
        plan = make_plan(conversation, script)
        record.status = 200
        record.calls_made = [call.name for call in plan.calls]
        answer = build_answer(conversation, script, plan, f"chatcmpl-{next(self._numbers):06d}", int(time.time()))
        if conversation.stream:
            return await self._stream(request, answer, script, record)
        return await self._whole(answer, script, record)

    async def _stream(
        self, request: web.Request, answer: Answer, script: Script, record: CallRecord
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
        )
        await response.prepare(request)

        def on_token(count: int) -> None:
            record.tokens_sent = count
            self.log.first_token(record)

        stop = await play(answer, script, response.write, on_token)
        if stop is Stop.CUT:
            self.log.end(record, Ending.CUT)
            if request.transport is not None:
                request.transport.close()
            await silence()
        self.log.end(record, Ending.COMPLETED if stop is Stop.WHOLE else Ending.CUT)
        await response.write_eof()
        return response

    async def _whole(self, answer: Answer, script: Script, record: CallRecord) -> web.Response:
        await asyncio.sleep(script.ttft + (len(answer.tokens) / script.tps if script.tps else 0))
        record.tokens_sent = len(answer.tokens)
        self.log.first_token(record)
        self.log.end(record, Ending.COMPLETED)
        return web.Response(body=to_json(answer.whole), content_type="application/json")

    async def _models(self, _: web.Request) -> web.Response:
        model = {"id": PREFIX, "object": "model", "created": 0, "owned_by": "weft"}
        return web.json_response({"object": "list", "data": [model]})

    async def _calls(self, request: web.Request) -> web.Response:
        """The calls that match `model` and `marker`; with `started=n` or `ended=n`, once there are so many."""
        query = request.query
        try:
            started, ended = int(query.get("started", 0)), int(query.get("ended", 0))
            timeout = min(float(query.get("timeout", 5.0)), LONGEST_WAIT_SECONDS)
        except ValueError as error:
            return _error(400, str(error), None)

        def is_enough(found: list[CallRecord]) -> bool:
            return len(found) >= started and sum(1 for record in found if record.ending) >= ended

        only = {"model": query.get("model"), "marker": query.get("marker")}
        try:
            found = await self.log.wait_until(is_enough, **only, timeout_seconds=timeout)
        except TimeoutError:
            seen = len(self.log.find(**only))
            return _error(504, f"Not so many calls within {timeout} s: {seen} have started.", None)
        return web.json_response({"calls": records_as_json(found)})

    async def _reset(self, _: web.Request) -> web.Response:
        self.log.reset()
        return web.json_response({})


def _scripted_error(status: int, script: Script) -> web.Response:
    response = _error(status, f"The script asked for status {status}.", script.code or None)
    if script.retry_after is not None:
        response.headers["retry-after"] = f"{script.retry_after:g}"
    if script.retry_after_date is not None:
        response.headers["retry-after"] = formatdate(time.time() + script.retry_after_date, usegmt=True)
    return response


def _error(status: int, message: str, code: str | None) -> web.Response:
    kind = KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    body: dict[str, Any] = error_object(message, kind, code)
    return web.Response(status=status, body=to_json(body), content_type="application/json")
