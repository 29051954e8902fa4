"""Write requirements.lock and requirements-uv.lock: pinned, hashed, for every platform, naming no host.

Keeps the versions already locked; `--upgrade` and `--upgrade-package NAME` are handed to uv. `--check` writes nothing
and needs no network: it says which requirement the lock does not satisfy.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
UV = ROOT / ".venv/bin/uv"
LOCK, UV_LOCK = ROOT / "requirements.lock", ROOT / "requirements-uv.lock"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def requirements() -> list[str]:
    """Return what the members and the development tools ask for, without the members themselves."""
    found: set[str] = set()
    for file in [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]:
        project = tomllib.loads(file.read_text())["project"]
        found.update(project["dependencies"], *project.get("optional-dependencies", {}).values())
    found.update(tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"])
    return sorted(each for each in found if not each.startswith("weft-"))


def compile_lock(wanted: list[str], target: Path, *arguments: str) -> None:
    """Resolve `wanted` into `target`, starting from what it holds."""
    options = (
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-emit-index-url",
        "--no-header",
        "--no-annotate",
    )
    subprocess.run(
        [UV, "pip", "compile", "--quiet", *options, "--output-file", target, *arguments, "-"],
        check=True,
        cwd=ROOT,
        text=True,
        input="\n".join(wanted),
        env={**os.environ, "UV_SYSTEM_CERTS": "1"},
    )


def unsatisfied() -> list[str]:
    """Return the requirements for which the lock has no fitting version."""
    pinned: dict[str, list[str]] = {}
    for name, version in PIN.findall(LOCK.read_text()):
        pinned.setdefault(canonicalize_name(name), []).append(version)
    wanted = {text: Requirement(text) for text in requirements()}
    return [
        text
        for text, each in wanted.items()
        if not any(each.specifier.contains(version) for version in pinned.get(canonicalize_name(each.name), []))
    ]


def main() -> None:
    """Write both locks, or check the one that members decide."""
    if sys.argv[1:] == ["--check"]:
        if missing := unsatisfied():
            sys.exit(f"lock: run `make lock`: not satisfied: {', '.join(missing)}")
        return
    compile_lock(requirements(), LOCK, *sys.argv[1:])
    compile_lock(["uv"], UV_LOCK, *sys.argv[1:])


if __name__ == "__main__":
    main()
