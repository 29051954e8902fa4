"""Write requirements.lock and what is cut out of it: pinned, hashed, for every platform, naming no host.

requirements-uv.lock is for `make install`; deploy/locks has what each service needs, and what builds its image. Keeps
the versions already locked; `--upgrade` and `--upgrade-package NAME` are handed to uv. `--check` writes nothing and
needs no network: it says which requirement a lock does not satisfy.
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
DEPLOYED = ROOT / "deploy/locks"
BUILD_TOOLS = ["hatchling", "uv"]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def requirements() -> list[str]:
    """Return what the members and the development tools ask for, without the members themselves."""
    found: set[str] = set()
    for file in [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]:
        project = tomllib.loads(file.read_text())["project"]
        found.update(project["dependencies"], *project.get("optional-dependencies", {}).values())
    found.update(tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"])
    return sorted(each for each in found if not each.startswith("weft-"))


def needed_by(member: str) -> set[str]:
    """Return what a member of the workspace asks for, with what the members that it names ask for."""
    (file,) = [*ROOT.glob(f"*/{member}/pyproject.toml")]
    found: set[str] = set()
    for each in tomllib.loads(file.read_text())["project"]["dependencies"]:
        found |= needed_by(Requirement(each).name.removeprefix("weft-")) if each.startswith("weft-") else {each}
    return found


def deployed() -> dict[Path, list[str]]:
    """Return the locks of images with what goes into them."""
    services = sorted(file.parent.name for file in ROOT.glob("services/*/pyproject.toml"))
    locks = {DEPLOYED / f"{service}.lock": sorted(needed_by(service)) for service in services}
    return {**locks, DEPLOYED / "build.lock": BUILD_TOOLS}


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


def pins(lock: Path) -> dict[str, list[str]]:
    """Return the versions in a lock; some packages have several, each for other platforms."""
    found: dict[str, list[str]] = {}
    for name, version in PIN.findall(lock.read_text() if lock.exists() else ""):
        found.setdefault(canonicalize_name(name), []).append(version)
    return found


def unsatisfied(wanted: list[str], lock: Path) -> list[str]:
    """Return the requirements for which a lock has no fitting version."""
    pinned = pins(lock)
    return [
        text
        for text in wanted
        if not any(
            Requirement(text).specifier.contains(version)
            for version in pinned.get(canonicalize_name(Requirement(text).name), [])
        )
    ]


def faults() -> list[str]:
    """Say what the locks lack, and where those of images are not cut out of the whole one."""
    found = [f"not satisfied: {text}" for text in unsatisfied(requirements(), LOCK)]
    whole = {**pins(UV_LOCK), **pins(LOCK)}
    for lock, wanted in deployed().items():
        found += [f"{lock.name}: not satisfied: {text}" for text in unsatisfied(wanted, lock)]
        found += [
            f"{lock.name}: another version of {name}"
            for name, versions in pins(lock).items()
            if not set(versions) <= set(whole.get(name, []))
        ]
    return found


def main() -> None:
    """Write all locks, or check what members decide."""
    if sys.argv[1:] == ["--check"]:
        if missing := faults():
            sys.exit("lock: run `make lock`: " + "; ".join(missing))
        return
    compile_lock(requirements(), LOCK, *sys.argv[1:])
    compile_lock(["uv"], UV_LOCK, *sys.argv[1:])
    DEPLOYED.mkdir(exist_ok=True)
    for lock, wanted in deployed().items():
        lock.unlink(missing_ok=True)  # only the whole lock says which version
        compile_lock(wanted, lock, "--constraint", str(LOCK), "--constraint", str(UV_LOCK))


if __name__ == "__main__":
    main()
