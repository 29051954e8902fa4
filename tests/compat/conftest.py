"""A server written by others, llama-cpp-python's, with a tiny random model; run by `make compat` only.

Compiling it takes about ten minutes, once. WEFT_COMPAT_PYTHON names a Python that has it already, with gguf and numpy.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

HERE = Path(__file__).parent
HOME = HERE.parent.parent / ".cache" / "compat"
PACKAGES = ["llama-cpp-python[server]==0.3.36", "gguf==0.19.0", "numpy"]
START_SECONDS = 60


@pytest.fixture(scope="session")
def llama_python() -> str:
    """An interpreter with llama-cpp-python, in an environment of its own."""
    given = os.environ.get("WEFT_COMPAT_PYTHON")
    if given:
        return given
    python = HOME / "venv" / "bin" / "python"
    done = HOME / "installed"
    wanted = "\n".join(PACKAGES)
    if not done.exists() or done.read_text() != wanted:
        HOME.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", HOME / "venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        done.write_text(wanted)
    return str(python)


@pytest.fixture
def llama_url(llama_python: str, tmp_path: Path) -> Iterator[str]:
    """A server for each test: after an error, or a client that left in mid-stream, it may answer nobody any more."""
    model = tmp_path / "tiny.gguf"
    subprocess.run([llama_python, HERE / "tiny_gguf.py", model], check=True)
    port = a_free_port()
    options: list[str | Path] = ["--model", model, "--host", "127.0.0.1", "--port", str(port), "--n_ctx", "4096"]
    command: list[str | Path] = [
        llama_python,
        "-m",
        "llama_cpp.server",
        *options,
        "--chat_format",
        "chatml-function-calling",
    ]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        url = f"http://127.0.0.1:{port}/v1"
        try:
            wait_until_it_answers(url, server)
            yield url
        finally:
            server.kill()


def wait_until_it_answers(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(START_SECONDS * 10):
        assert server.poll() is None, "the server has ended"
        try:
            httpx2.get(f"{url}/models", trust_env=False).raise_for_status()
            return
        except httpx2.HTTPError:
            time.sleep(0.1)
    raise TimeoutError(f"no answer from {url}")


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
