"""Make or refresh .venv: uv by its hash, every dependency by its hash, the workspace members editable.

Standard library only. Does nothing when the lock, the members' pyprojects and this file are as they were.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin/python"
STAMP = VENV / "weft-installed"
UV_LOCK = ROOT / "requirements-uv.lock"
LOCK = ROOT / "requirements.lock"


def members() -> list[Path]:
    """Return the workspace members' folders; a folder counts once it has a pyproject."""
    return [
        file.parent for file in sorted([*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")])
    ]


def fingerprint() -> str:
    """Return what decides the contents of .venv; the folder is part of it, as editable installs point into it."""
    digest = hashlib.sha256(str(ROOT).encode())
    for file in (UV_LOCK, LOCK, Path(__file__), *(member / "pyproject.toml" for member in members())):
        digest.update(b"\0" + file.read_bytes())
    return digest.hexdigest()


def is_current(wanted: str) -> bool:
    """Say whether .venv holds what is wanted and its interpreter still starts."""
    if not STAMP.exists() or STAMP.read_text() != wanted:
        return False
    return subprocess.run([PYTHON, "-c", ""], check=False, capture_output=True).returncode == 0


def run(*command: str | Path) -> None:
    """Run one step; its output is shown only when it fails."""
    # The system's certificates, so that it also works behind a company's proxy; never another Python than ours.
    env = {**os.environ, "UV_SYSTEM_CERTS": "1", "UV_PYTHON_DOWNLOADS": "never", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    env.pop("VIRTUAL_ENV", None)
    done = subprocess.run(command, check=False, cwd=ROOT, env=env, text=True, capture_output=True)
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        sys.exit(f"install: failed: {' '.join(map(str, command))}")


def install_uv() -> None:
    """Put the pinned uv into .venv with whatever this Python has: its own pip, another uv, or the bundled pip."""
    required = ("--require-hashes", "-r", UV_LOCK)
    if importlib.util.find_spec("pip"):
        run(sys.executable, "-m", "pip", "--python", PYTHON, "install", "--quiet", *required)
    elif other := shutil.which("uv"):
        run(other, "pip", "install", "--quiet", "--python", PYTHON, *required)
    else:
        run(PYTHON, "-m", "ensurepip", "--default-pip")
        run(PYTHON, "-m", "pip", "install", "--quiet", *required)


def install() -> None:
    """Fill .venv from the locks; the members come last, without dependencies and without a build of their own."""
    print("install: preparing .venv …", flush=True)
    STAMP.unlink(missing_ok=True)
    if not PYTHON.exists() or subprocess.run([PYTHON, "-c", ""], check=False, capture_output=True).returncode != 0:
        venv.create(VENV, clear=VENV.exists(), symlinks=True, with_pip=False)
    install_uv()
    uv = (VENV / "bin/uv", "pip", "install", "--quiet", "--python", PYTHON)
    run(*uv, "--require-hashes", "-r", LOCK)
    editable = [part for member in members() for part in ("--editable", member)]
    run(*uv, "--no-deps", "--no-build-isolation", *editable)


def main() -> None:
    """Install once, however many ask at the same time."""
    handle = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    wanted = fingerprint()
    if is_current(wanted):
        return
    install()
    STAMP.write_text(wanted)
    print("install: .venv is ready")


if __name__ == "__main__":
    main()
