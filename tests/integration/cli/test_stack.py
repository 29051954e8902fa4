"""The embedded stack with its real programs, but for the services."""

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from weft_cli.stack import MemberFailedError, PortTakenError, Stack, StackError
from weft_cli.stack.ports import reserve_base
from weft_cli.stack.postgres import remove_data

STORES = {"postgres", "redis"}
FAST = {"fsync": "off"}


@pytest.fixture(scope="module")
def stores() -> Iterator[Stack]:
    with Stack(members=STORES, postgres_settings=FAST) as stack:
        yield stack


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="weft-test-"))
    yield path
    shutil.rmtree(path)


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest.mark.parametrize("role", ["weft_owner", "weft_app", "weft_queue"])
async def test_each_role_logs_into_the_database_weft(stores: Stack, role: str) -> None:
    assert await fetch(stores.database_url(role), "SELECT current_user || '@' || current_database()") == f"{role}@weft"


async def test_the_owner_hands_functions_to_the_definer(stores: Stack) -> None:
    connection = await asyncpg.connect(stores.database_url("weft_owner"))
    try:
        await connection.execute(
            "CREATE SCHEMA handed; GRANT CREATE ON SCHEMA handed TO weft_definer;"
            "CREATE FUNCTION handed.one() RETURNS int LANGUAGE sql AS 'SELECT 1';"
            "ALTER FUNCTION handed.one() OWNER TO weft_definer"
        )
    finally:
        await connection.close()
    owner = "SELECT rolname FROM pg_proc JOIN pg_roles ON proowner = pg_roles.oid WHERE proname = 'one'"
    assert await fetch(stores.database_url("weft_owner"), owner) == "weft_definer"


async def test_the_database_loses_nothing_that_it_acknowledged() -> None:
    async with Stack(members=STORES) as stack:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await fetch(stack.database_url("weft_app"), f"SHOW {setting}") == "on"


def test_a_killed_member_stays_dead_until_it_is_started(stores: Stack) -> None:
    stores.kill("redis")
    assert not stores.is_ready("redis")
    stores.start("redis")
    assert stores.is_ready("redis")


def test_postgres_starts_again_after_kill_9(stores: Stack) -> None:
    stores.kill("postgres")
    stores.start("postgres")
    assert stores.is_ready("postgres")


def test_a_paused_member_can_be_stopped(stores: Stack) -> None:
    stores.signal("redis", signal.SIGSTOP)
    began = time.monotonic()
    stores.stop("redis")
    assert time.monotonic() - began < 5
    stores.start("redis")


def test_an_unknown_member_is_named(stores: Stack) -> None:
    with pytest.raises(StackError, match="this stack has no gateway; it has postgres, redis"):
        stores.kill("gateway")


def test_a_taken_port_is_named_with_who_wanted_it() -> None:
    base, claim = reserve_base()
    with claim, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", base + 79))
        other.listen()
        with pytest.raises(
            PortTakenError, match=rf"port {base + 79}, wanted by redis, is taken by process {os.getpid()}"
        ):
            Stack(members=STORES, port_base=base).open()


def test_a_member_that_cannot_start_is_named_with_the_end_of_its_log() -> None:
    with pytest.raises(MemberFailedError, match=r"postgres ended with code 1 while starting[\s\S]*no_such_setting"):
        Stack(members={"postgres"}, postgres_settings={"no_such_setting": "1"}).open()


def test_a_second_stack_in_the_same_folder_is_refused(folder: Path) -> None:
    with Stack(folder, members={"redis"}), pytest.raises(StackError, match="is in use by process"):
        Stack(folder, members={"redis"}).open()


def test_data_and_keys_survive_a_restart(folder: Path) -> None:
    with Stack(folder, members=STORES, postgres_settings=FAST) as stack:
        url, key = stack.database_url("weft_owner"), stack.token_key
        asyncio.run(fetch(url, "SELECT lo_from_bytea(4711, 'kept')"))
    with Stack(folder, members=STORES, postgres_settings=FAST) as stack:
        assert stack.token_key == key
        assert asyncio.run(fetch(stack.database_url("weft_owner"), "SELECT lo_get(4711)")) == b"kept"


def test_secrets_are_readable_by_their_owner_only(folder: Path) -> None:
    with Stack(folder, members={"redis"}):
        assert stat.S_IMODE((folder / "secrets.json").stat().st_mode) == 0o600
        assert stat.S_IMODE((folder / "logs").stat().st_mode) == 0o700


def test_a_temporary_stack_leaves_no_folder() -> None:
    with Stack(members=STORES, postgres_settings=FAST) as stack:
        path = stack.data_dir
        cluster = (path / "postgres").resolve()
    assert not path.exists()
    assert not cluster.exists()


def test_a_private_folder_gets_its_cluster_where_its_server_may_enter(folder: Path) -> None:
    private = folder / "home"
    private.mkdir(mode=0o700)
    is_root = os.geteuid() == 0
    for _ in range(2):
        with Stack(private / "weft", members={"postgres"}, postgres_settings=FAST) as stack:
            assert (stack.data_dir / "postgres").resolve().is_relative_to(private) != is_root
    remove_data(private / "weft")


def hold(folder: Path | None = None) -> tuple["subprocess.Popen[str]", list[int], int]:
    """Start a program with a stack; return it, its members' process ids and its supervisor's."""
    script = Path(__file__).with_name("hold_stack.py")
    command = [sys.executable, str(script), *([str(folder)] if folder else [])]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    told = json.loads(holder.stdout.readline())
    return holder, list(told["pids"].values()), told["supervisor"]


def wait_gone(pids: list[int], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while alive := [pid for pid in pids if is_alive(pid)]:
        assert time.monotonic() < until, f"still there: {alive}"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("victims", [["client"], ["supervisor"], ["client", "supervisor"], ["supervisor", "client"]])
def test_nothing_outlives_a_kill_9(folder: Path, victims: list[str]) -> None:
    holder, members, supervisor = hold(folder)
    backends = [pid for member in members for pid in children_of(member)]
    assert backends
    for victim in victims:
        os.kill(holder.pid if victim == "client" else supervisor, signal.SIGKILL)
    wait_gone([*members, *backends, supervisor])
    end(holder)
    with Stack(folder, members=STORES, postgres_settings=FAST) as stack:
        assert stack.is_ready("postgres")


def test_nothing_is_left_when_a_member_died_just_before_the_end(folder: Path) -> None:
    holder, members, supervisor = hold(folder)
    os.kill(supervisor, signal.SIGSTOP)  # it finds the end of its client and of the member together
    os.kill(members[-1], signal.SIGKILL)
    wait_gone([members[-1]])
    end(holder)
    os.kill(supervisor, signal.SIGCONT)
    wait_gone([*members, supervisor])


def test_a_stack_starts_at_once_after_a_kill_9(folder: Path) -> None:
    holder, _, _ = hold(folder)
    holder.kill()
    with Stack(folder, members=STORES, postgres_settings=FAST) as stack:
        assert stack.is_ready("postgres")
    end(holder)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def end(holder: "subprocess.Popen[str]") -> None:
    holder.kill()
    holder.wait()
    assert holder.stdout is not None
    holder.stdout.close()
