"""Do what deploy/Dockerfile says without an engine: its steps, as they stand there, under a folder instead of `/`.

`dockerfile.py SERVICE FOLDER` installs a service into FOLDER and prints how to start it and how to ask for its health.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
DOCKERFILE: Final = ROOT / "deploy/Dockerfile"
OURS: Final = ("/opt/weft", "/build")  # the absolute paths of the file that are not the base image's
VARIABLE: Final = re.compile(r"\$\{(\w+)\}")


@dataclass
class Image:
    """A service that was installed: its environment, and the commands of the file."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    user: str = ""


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction with its arguments, lines that are continued joined."""
    joined = re.sub(r"\\\n\s*", "", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    for line in filter(None, map(str.strip, joined.splitlines())):
        name, _, rest = line.partition(" ")
        yield name.upper(), rest.strip()


class Builder:
    """Runs the stages one after the other in one folder: what the last takes over from the first stays where it is."""

    def __init__(self, folder: Path, arguments: Mapping[str, str]) -> None:
        self.image = Image(folder)
        self._arguments = dict(arguments)
        self._place = folder
        self._base = folder / "base"  # what the base image has: a Python of the name `python`
        self._base.mkdir(parents=True)
        (self._base / "python").symlink_to(getattr(sys, "_base_executable", sys.executable))

    def build(self, text: str) -> Image:
        for name, rest in instructions(text):
            step = getattr(self, f"_do_{name.lower()}", None)
            if step is None:
                raise NotImplementedError(f"{name} is nothing that this script knows")
            step(rest)
        return self.image

    def _do_arg(self, rest: str) -> None:
        name, is_set, value = rest.partition("=")
        if is_set:
            self._arguments.setdefault(name, value)
        elif name not in self._arguments:
            raise ValueError(f"build argument {name} is missing")

    def _do_from(self, rest: str) -> None:
        """Begin a stage as a base image is: nothing set, no place chosen."""
        self.image.env, self._place = {}, self.image.folder

    def _do_workdir(self, rest: str) -> None:
        self._place = Path(self._at_home(rest))
        self._place.mkdir(parents=True, exist_ok=True)

    def _do_copy(self, rest: str) -> None:
        *sources, target = self._filled(rest).split()
        if sources[0].startswith("--from="):
            assert sources[1:] == [target], (
                "what a later stage takes over must keep its place: venvs have paths in them"
            )
            return
        for source in sources:
            self._copy(ROOT / source, self._place / target)

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=ignore)
        else:
            shutil.copy(source, target)

    def _do_run(self, rest: str) -> None:
        path = f"{self._base}:{os.environ.get('PATH', os.defpath)}"
        env = {**os.environ, **self._arguments, "PATH": path, "UV_SYSTEM_CERTS": "1"}
        env.pop("VIRTUAL_ENV", None)
        done = subprocess.run(
            ["/bin/sh", "-c", self._at_home(rest)],
            cwd=self._place,
            env=env,
            check=False,
            text=True,
            capture_output=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"RUN {rest}\n{done.stdout}{done.stderr}")

    def _do_env(self, rest: str) -> None:
        pairs = (pair.partition("=") for pair in self._filled(rest).split())
        self.image.env |= {name: self._at_home(value) for name, _, value in pairs}

    def _do_user(self, rest: str) -> None:
        self.image.user = rest

    def _do_expose(self, rest: str) -> None:
        int(rest)

    def _do_healthcheck(self, rest: str) -> None:
        self.image.health = json.loads(rest.partition(" CMD ")[2])

    def _do_cmd(self, rest: str) -> None:
        self.image.command = json.loads(rest)

    def _filled(self, text: str) -> str:
        return VARIABLE.sub(lambda found: self._arguments[found[1]], text)

    def _at_home(self, text: str) -> str:
        """Put the folder before the paths that are ours."""
        return re.sub(rf"(?<![\w.])({'|'.join(OURS)})\b", rf"{self.image.folder}\1", text)


def build(service: str, folder: Path) -> Image:
    """Install a service as its image has it. Raises: RuntimeError: a step failed, with what it printed."""
    return Builder(folder, {"SERVICE": service}).build(DOCKERFILE.read_text())


if __name__ == "__main__":
    built = build(sys.argv[1], Path(sys.argv[2]).absolute())
    variables = [f"{name}={value}" for name, value in built.env.items()]
    print("start: ", " ".join(["env", *variables, *built.command]))
    print("health:", " ".join(["env", *variables, *built.health]))
