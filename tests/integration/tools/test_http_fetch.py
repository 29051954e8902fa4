"""http_fetch by ExecuteTool, on a server of this machine."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from egress_world import LoopbackSite, a_fetcher, a_site, head
from integration.tools.harness import Setting, ToolsServer, a_place, a_request, last_of
from weft.runs.v1 import event_pb2
from weft_egress.fetch import FetchLimits
from weft_tools.builtin.http_fetch import http_fetch

PAGE = """<!doctype html><html><head><title>Roses &amp; more</title><style>p { color: red }</style></head><body>
<h1>Roses</h1><p>Prune them in <b>March</b>, as <a href="/why">here</a> is told.<script>alert("no")</script></p>
<ul><li>one<li>two</ul></body></html>"""
LIMITS = FetchLimits(total_seconds=20, max_bytes=100_000)


@dataclass
class Fetching:
    setting: Setting
    server: ToolsServer
    site: LoopbackSite

    async def outcome(self, **arguments: Any) -> Any:
        request = a_request(self.setting.agent("http_fetch"), "http_fetch", json.dumps(arguments))
        return await last_of(self.server.stub.ExecuteTool(request, metadata=self.setting.caller()), 30)

    async def shown(self, **arguments: Any) -> Any:
        return json.loads((await self.outcome(**arguments)).content)


@pytest.fixture
async def fetching(setting: Setting) -> AsyncIterator[Fetching]:
    async with a_site() as site, a_fetcher(site, limits=LIMITS) as (fetcher, _):
        setting.more_tools.append(http_fetch(fetcher, 30))
        yield Fetching(setting, await setting.server(), site)


async def test_a_page_is_shown_as_text_with_its_links(fetching: Fetching) -> None:
    fetching.site.pages["/roses"] = head(content_type="text/html; charset=utf-8") + PAGE.encode()
    url = fetching.site.url("/roses")
    text = f"Roses\nPrune them in March, as here ({fetching.site.url('/why')}) is told.\n- one\n- two"
    assert await fetching.shown(url=url) == {
        "url": url,
        "status": 200,
        "content_type": "text/html",
        "title": "Roses & more",
        "offset": 0,
        "length": len(text),
        "text": text,
    }


async def test_a_long_text_comes_in_passages_and_a_larger_one_says_that_it_was_cut(fetching: Fetching) -> None:
    text = "é🌿\n" * 10_000  # 30,000 characters, 70,000 bytes
    fetching.site.pages["/long"] = head() + text.encode()
    whole, offset = "", 0
    while True:
        outcome = await fetching.outcome(url=fetching.site.url("/long"), offset=offset, length=12_000)
        assert not outcome.is_truncated
        passage = json.loads(outcome.content)
        whole += passage["text"]
        offset = passage.get("next_offset", 0)
        if not offset:
            break
    assert (whole, "note" in passage) == (text, False)
    fetching.site.pages["/huge"] = head() + b"x" * 100_001
    assert "this is its beginning" in (await fetching.shown(url=fetching.site.url("/huge"), length=10))["note"]


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("application/json", b'{"a": 1}', '{"a": 1}'),
        ("application/problem+json; charset=utf-8", b"{}", "{}"),
        ("application/atom+xml", b"<a>b</a>", "<a>b</a>"),
        ("text/csv;charset=windows-1252", b"caf\xe9", "café"),
        ("text/plain; charset=punycode", b"x-y", "x-y"),
        ("text/plain; charset=no-such", b"\xc3\xa9", "é"),
        ("text/plain", b"\xff", "\ufffd"),
        ("", b"plain", "plain"),
    ],
)
async def test_texts_of_other_kinds_are_shown_as_they_are(
    fetching: Fetching, content_type: str, body: bytes, text: str
) -> None:
    fetching.site.pages["/"] = head(content_type=content_type) + body
    assert (await fetching.shown(url=fetching.site.url()))["text"] == text


async def test_an_error_of_the_server_is_a_result_and_head_shows_what_there_is(fetching: Fetching) -> None:
    fetching.site.pages["/gone"] = head("404 Not Found") + b"no such page"
    gone = await fetching.shown(url=fetching.site.url("/gone"))
    assert (gone["status"], gone["text"]) == (404, "no such page")
    fetching.site.pages["/film"] = head(content_type="video/mp4", Content_Length=10**9)
    film = await fetching.shown(url=fetching.site.url("/film"), method="HEAD")
    assert film["headers"] == {"content-type": "video/mp4", "content-length": str(10**9)}


@pytest.mark.parametrize(
    ("path", "answer", "told"),
    [
        ("/film", head(content_type="video/mp4"), "it is video/mp4, and only text can be read"),
        ("/nul", head() + b"a\x00b", "says that it is text, and is not"),
        ("/gone", b"", "the server went away"),
    ],
)
async def test_what_cannot_be_read_fails_with_what_the_model_should_know(
    fetching: Fetching, path: str, answer: bytes, told: str
) -> None:
    fetching.site.pages[path] = answer
    outcome = await fetching.outcome(url=fetching.site.url(path))
    assert outcome.reason == event_pb2.TOOL_FAILURE_REASON_FAILED
    assert outcome.message.startswith(f"{fetching.site.url(path)} could not be read: ")
    assert told in outcome.message


@pytest.mark.row("E4")
async def test_what_may_not_be_reached_is_denied_and_journaled_as_denied(fetching: Fetching) -> None:
    run = fetching.setting.run("http_fetch")
    inside = f"http://127.0.0.1:{fetching.site.port}/secret"
    for index, url in enumerate(
        [inside, fetching.site.url(f"/to?{inside}"), fetching.site.url("/to?file:///etc/passwd")]
    ):
        request = a_place("http_fetch", index=index, arguments=json.dumps({"url": url}))
        call = fetching.server.stub.ExecuteTool(request, metadata=fetching.setting.runner(run))
        outcome = await last_of(call)
        assert outcome.reason == event_pb2.TOOL_FAILURE_REASON_DENIED
        assert outcome.message.startswith(f"{url} was not fetched: ")
    assert not any("GET /secret" in asked for asked in fetching.site.heads)
    kept = fetching.setting.threads.journal.executions.values()
    journaled = [execution.result for execution in kept if execution.result is not None]
    assert [each.failed.reason for each in journaled] == [event_pb2.TOOL_FAILURE_REASON_DENIED] * 3
    assert all("was not fetched" in each.failed.message for each in journaled)
