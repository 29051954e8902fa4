"""`weft up` as a program, with all services."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from weft_cli.stack.ports import reserve_base
from weft_testkit.scripted_model import ScriptedModelServer

UP_SECONDS = 90.0
# Several starts of everything, on a machine that may be busy with other tests.
pytestmark = pytest.mark.timeout(400)

WEFT = (sys.executable, "-m", "weft_cli")
CLEAN_ENV = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "WEFT_"))}


class Up:
    """A running `weft up`; its lines are read as they come."""

    def __init__(self, folder: Path, base: int, *options: str, env: Mapping[str, str] | None = None) -> None:
        command = [*WEFT, "up", "--data-dir", str(folder), "--port-base", str(base), *options]
        self.folder = folder
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**CLEAN_ENV, **(env or {})}
        )
        self.lines: list[str] = []

    def read_until(self, text: str) -> str:
        """Return the first line with this text. Fails when the program ends before."""
        for line in self._out:
            self.lines.append(line.rstrip())
            if text in line:
                return self.lines[-1]
        raise AssertionError(f"ended without {text!r}: {self.lines}")

    def place(self) -> dict[str, str]:
        place: dict[str, str] = json.loads((self.folder / "weft.json").read_text())
        return place

    def descendants(self) -> dict[int, str]:
        """Return the command lines of the supervisor and of what it started, by process id."""
        found: dict[int, str] = {}
        waiting = [self.process.pid]
        while waiting:
            for pid in children_of(waiting.pop()):
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                waiting.append(pid)
        return found

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        with self._out:
            self.lines += [line.rstrip() for line in self._out]
        return self.process.wait(30)

    @property
    def _out(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    def close(self) -> None:
        if not self._out.closed:
            self.end(signal.SIGTERM)


def children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def wait_gone(pids: dict[int, str], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while alive := {pid: name for pid, name in pids.items() if is_alive(pid)}:
        assert time.monotonic() < until, f"still there: {alive}"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def weft_up(folder: Path, base: int, *options: str, env: Mapping[str, str] | None = None) -> Iterator[Up]:
    up = Up(folder, base, *options, env=env)
    try:
        up.read_until("weft is up")
        yield up
    finally:
        up.close()


def weft(up: Up, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [*WEFT, *arguments, "--data-dir", str(up.folder)]
    return subprocess.run(command, capture_output=True, text=True, env=CLEAN_ENV, check=False, timeout=60)


@pytest.fixture(scope="module")
def base() -> Iterator[int]:
    number, claim = reserve_base()
    with claim:
        yield number


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="weft-test-"))
    yield path
    shutil.rmtree(path)


def test_the_whole_life_of_weft_up(folder: Path, base: int) -> None:
    with weft_up(folder, base) as up:
        assert any("the scripted one, offline, because OPENAI_API_KEY is not set" in line for line in up.lines)
        assert stat.S_IMODE((folder / "weft.json").stat().st_mode) == 0o600
        key = up.place()["api_key"]
        chat = weft(up, "chat", "Hello there")
        assert chat.returncode == 0, chat.stdout + chat.stderr
        assert 'You said: "Hello there"' in chat.stdout
        run_id = chat.stdout.split("run ")[1].split()[0]
        members = up.descendants()
        assert up.end(signal.SIGTERM) == 0
        assert up.lines[-1] == "weft is down"
        wait_gone(members)
    with weft_up(folder, base) as up:
        assert up.place()["api_key"] == key
        events = weft(up, "events", run_id, "--after", "1")
        assert events.returncode == 0, events.stdout + events.stderr
        assert "run.succeeded" in events.stdout
        assert "run.queued" not in events.stdout
        cancelled = weft(up, "cancel", run_id, "--wait")
        assert re.search(r"state +succeeded", cancelled.stdout)
        unknown = weft(up, "events", f"run_{'0' * 26}")
        assert unknown.returncode == 1
        assert "[RUN_NOT_FOUND]; try: weft runs list" in unknown.stderr
        members = up.descendants()
        up.end(signal.SIGKILL)
        wait_gone(members)


def test_a_service_that_dies_is_started_again_and_told(folder: Path, base: int) -> None:
    with weft_up(folder, base) as up:
        (runner,) = [pid for pid, command in up.descendants().items() if "weft_agent_runner" in command]
        os.kill(runner, signal.SIGKILL)
        assert "agent-runner was killed by SIGKILL; starting it again in 0.2 s" in up.read_until(
            "agent-runner was killed"
        )
        up.read_until("agent-runner was started again")
        assert weft(up, "chat", "Still there?").returncode == 0
        assert up.end(signal.SIGINT) == 0


async def test_replicas_have_their_own_ports_and_the_environment_chooses_the_model(folder: Path, base: int) -> None:
    async with ScriptedModelServer() as model:
        env = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "any", "WEFT_MODEL": "scripted:tag=chosen"}
        await asyncio.to_thread(talk_to_the_second_gateway, folder, base, env)
        assert model.log.find(model="scripted:tag=chosen")[0].user_text == "Hello"  # a title may be asked for after it


def talk_to_the_second_gateway(folder: Path, base: int, env: Mapping[str, str]) -> None:
    with weft_up(folder, base, "--replicas", "2", env=env) as up:
        assert any(f"model: scripted:tag=chosen at {env['OPENAI_BASE_URL']}" in line for line in up.lines)
        addresses = json.loads((folder / "weft.json").read_text())["addresses"]
        assert addresses["threads-2"] == f"127.0.0.1:{base + 41}"
        second = weft(up, "chat", "Hello", "--address", addresses["gateway-2"])
        assert second.returncode == 0, second.stdout + second.stderr


def test_a_taken_port_ends_the_start_and_names_both(folder: Path, base: int) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", base + 10))
        other.listen()
        up = Up(folder, base)
        assert f"port {base + 10}, wanted by envoy, is taken by process {os.getpid()}" in up.read_until("port ")
        assert up.wait() == 1


def test_without_a_stack_the_commands_say_how_to_start_one(folder: Path) -> None:
    command = [*WEFT, "chat", "Hello", "--data-dir", str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, env=CLEAN_ENV, check=False, timeout=60)
    assert answer.returncode == 2
    assert "start a stack with `weft up`" in answer.stderr


def test_a_stack_that_is_down_is_said_to_be_so(folder: Path, base: int) -> None:
    command = [*WEFT, "events", f"run_{'0' * 26}", "--address", f"127.0.0.1:{base}", "--api-key", "weft_none"]
    answer = subprocess.run(
        command, capture_output=True, text=True, env=CLEAN_ENV, check=False, timeout=110, cwd=folder
    )
    assert answer.returncode == 1
    assert "start one: weft up" in answer.stderr
