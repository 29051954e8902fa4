"""The process in which a file is read: whatever the file does, it is answered in bounded time, and nothing is left."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from pdf_files import a_bomb, a_pdf, a_slow_pdf
from weft_agent_runner.domain.attachment import Extracted, Unreadable
from weft_agent_runner.extractor import ExtractionLimits, ProcessExtractor

MEMORY = 256 * 1024 * 1024


def an_extractor(script: str = "", **limits: int) -> ProcessExtractor:
    """Return an extractor; with a script, that is what its processes do."""
    made = ExtractionLimits(**{"seconds": 20, "memory_bytes": MEMORY, **limits})
    return ProcessExtractor(made, command=(sys.executable, "-I", "-c", script)) if script else ProcessExtractor(made)


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pid"
    os.mkfifo(path)
    return path


def tells_its_pid(pipe: Path, script: str) -> str:
    return f"import os, sys, time\nopen({str(pipe)!r}, 'w').write(str(os.getpid()))\n{script}"


async def pid_from(pipe: Path) -> int:
    """Wait for a process that tells its pid."""
    return int(await asyncio.to_thread(pipe.read_text))


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_extractor_reads_a_file_in_another_process() -> None:
    found = await an_extractor().extract("application/pdf", a_pdf("hello", "world"))
    assert found == Extracted("hello\n\nworld", "application/pdf")


async def test_extractor_takes_15_mib_and_keeps_what_fits() -> None:
    found = await an_extractor(text_bytes=1000).extract("text/plain", b"words " * (15 * 1024 * 1024 // 6))
    assert isinstance(found, Extracted)
    assert found.is_truncated
    assert len(found.text) == 1000


async def test_bomb_is_too_complex_and_the_runner_stays_small() -> None:
    bomb = a_bomb()
    assert len(bomb) < 2 << 20
    found = await an_extractor().extract("application/pdf", bomb)
    assert isinstance(found, Unreadable)
    assert found.reason == "TOO_COMPLEX"


async def test_process_that_dies_of_hunger_is_answered() -> None:
    hog = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))\nx = bytearray(1 << 30)"
    assert await an_extractor(hog).extract("", b"") == Unreadable("INTERNAL", "reading it failed by a fault of Weft")


async def test_page_that_takes_more_memory_than_there_is_is_too_complex() -> None:
    wide = "<p>\U0001f600".encode() + b"x" * (14 << 20)  # four bytes for each character, several times over
    found = await an_extractor(memory_bytes=128 * 1024 * 1024, text_bytes=1 << 19).extract("text/html", wide)
    assert isinstance(found, Unreadable)
    assert found.reason == "TOO_COMPLEX"


async def test_file_that_takes_too_much_computing_is_too_complex() -> None:
    found = await an_extractor(seconds=1).extract("application/pdf", a_slow_pdf(600_000))
    assert isinstance(found, Unreadable)
    assert found.reason == "TOO_COMPLEX"


async def test_process_that_hangs_is_killed(pipe: Path) -> None:
    extractor = an_extractor(tells_its_pid(pipe, "time.sleep(600)"))
    extractor.patience_seconds = 1.0
    found, pid = await asyncio.gather(extractor.extract("", b"x"), pid_from(pipe))
    assert isinstance(found, Unreadable)
    assert found.reason == "TOO_COMPLEX"
    assert is_gone(pid)


async def test_cancelling_kills_the_process(pipe: Path) -> None:
    extractor = an_extractor(tells_its_pid(pipe, "time.sleep(600)"))
    extracting = asyncio.create_task(extractor.extract("", b"x" * (15 << 20)))
    pid = await pid_from(pipe)
    extracting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await extracting
    assert is_gone(pid)


async def test_answer_without_end_is_cut_off(pipe: Path) -> None:
    extractor = an_extractor(tells_its_pid(pipe, "while True: sys.stdout.write('x' * 65536)"))
    found, pid = await asyncio.gather(extractor.extract("", b"x"), pid_from(pipe))
    assert isinstance(found, Unreadable)
    assert found.reason == "INTERNAL"
    assert is_gone(pid)


@pytest.mark.parametrize("script", ["raise SystemExit(3)", "print('no JSON')", "print('[]')", "import os; os.abort()"])
async def test_process_that_fails_is_answered(script: str) -> None:
    assert isinstance(await an_extractor(script).extract("text/plain", b"x" * (1 << 20)), Unreadable)


async def test_process_has_nothing_of_the_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    script = (
        "import json, os, sys; sys.stdin.buffer.read();"
        "print(json.dumps({'media_type': '', 'is_truncated': False}));"
        "print(sorted(os.environ), os.listdir('/proc/self/fd'))"
    )
    found = await an_extractor(script).extract("", b"")
    assert isinstance(found, Extracted)
    assert "LC_ALL" in found.text
    assert "OPENAI" not in found.text
    assert "WEFT" not in found.text
    files = found.text.strip().split("] [")[1]
    assert files.count(",") < 4, f"what the runner has open is open here: {files}"


async def test_extraction_is_limited_whatever_it_reads() -> None:
    """The limits are set before the file is read, and hold for good."""
    script = (
        "import sys, resource, json; from weft_agent_runner.extraction.__main__ import limit; sys.stdin.buffer.read();"
        "limit(1 << 28, 7); names = ('AS', 'CPU', 'FSIZE', 'CORE', 'NOFILE');"
        "print(json.dumps({'media_type': '', 'is_truncated': False}));"
        "print([resource.getrlimit(getattr(resource, 'RLIMIT_' + name)) for name in names])"
    )
    found = await an_extractor(script).extract("", b"")
    assert isinstance(found, Extracted)
    assert found.text.strip() == f"[({1 << 28}, {1 << 28}), (7, 7), (0, 0), (0, 0), (32, 32)]"


@pytest.mark.parametrize(("deaths", "told"), [(2, Extracted), (3, Unreadable)])
async def test_extractor_starts_again_when_a_process_ends_before_it_has_taken_the_file(
    tmp_path: Path, deaths: int, told: type
) -> None:
    starts = tmp_path / "starts"
    script = (
        f"import os, runpy\nwith open({str(starts)!r}, 'a+b') as starts:\n"
        f"    starts.write(b'.'); starts.flush(); number = os.fstat(starts.fileno()).st_size\n"
        f"if number <= {deaths}: os._exit(1)\n"
        "runpy.run_module('weft_agent_runner.extraction', run_name='__main__')"
    )
    found = await an_extractor(script).extract("text/plain", b"hello " * 500_000)
    assert isinstance(found, told), found
    assert starts.stat().st_size == 3
