"""Write requirements.lock and requirements-uv.lock: pinned, hashed, for every platform, naming no host.

Keeps the versions already locked; `--upgrade` and `--upgrade-package NAME` are handed to uv.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV = ROOT / ".venv/bin/uv"


def requirements() -> list[str]:
    """Return what the members and the development tools ask for, without the members themselves."""
    found: set[str] = set()
    for file in [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]:
        project = tomllib.loads(file.read_text())["project"]
        found.update(project["dependencies"], *project.get("optional-dependencies", {}).values())
    found.update(tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"])
    return sorted(each for each in found if not re.match(r"weft-", each))


def compile_lock(wanted: list[str], target: str, *arguments: str) -> None:
    """Resolve `wanted` into `target`, starting from what it holds."""
    subprocess.run(
        [UV, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes",
         "--no-emit-index-url", "--no-header", "--no-annotate", "--output-file", target, *arguments, "-"],
        check=True, cwd=ROOT, text=True, input="\n".join(wanted),
        env={**os.environ, "UV_SYSTEM_CERTS": "1"},
    )  # fmt: skip


def main() -> None:
    """Write both locks."""
    compile_lock(requirements(), "requirements.lock", *sys.argv[1:])
    compile_lock(["uv"], "requirements-uv.lock", *sys.argv[1:])


if __name__ == "__main__":
    main()
