"""The demonstration: whole on the services as they are, and red by name where one of them is sabotaged."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

DEMO_SECONDS = 200
WEFT = (sys.executable, "-m", "weft_cli")
CLEAN_ENV = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "WEFT_"))}

pytestmark = pytest.mark.timeout(DEMO_SECONDS + 30)


@dataclass(frozen=True)
class Sabotage:
    """A text in a module of a service, once there, and what stands in its place; the check that must see it."""

    package: str
    module: str
    old: str
    new: str
    check: str


SEARCH_FINDS_NOTHING = Sabotage(
    package="weft_threads",
    module="documents/documents.py",
    old="return await self._database.call(store.search_documents, caller.tenant_id, project_id, query, limit)",
    new="return []",
    check="search.finds",
)
LOG_IS_OFF_BY_ONE = Sabotage(
    package="weft_threads",
    module="events/frames.py",
    old="_integer(2, event.seq),",
    new="_integer(2, event.seq + 1),",
    check="log.seq",
)
CANCEL_DOES_NOTHING = Sabotage(
    package="weft_threads",
    module="runs/run_servicer.py",
    old="await self._ending.cancel(tenant_id, run_id)",
    new="pass",
    check="cancel.state",
)


def demo(*folders: Path) -> "subprocess.CompletedProcess[str]":
    """Run the demonstration with the packages of these folders in place of the installed ones."""
    paths = [*map(str, folders), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**CLEAN_ENV, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.run([*WEFT, "demo"], capture_output=True, text=True, env=env, check=False, timeout=DEMO_SECONDS)


def sabotaged_copy(sabotage: Sabotage, folder: Path) -> None:
    spec = find_spec(sabotage.package)
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(Path(spec.origin).parent, folder / sabotage.package, ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / sabotage.package / sabotage.module
    text = module.read_text()
    assert text.count(sabotage.old) == 1
    module.write_text(text.replace(sabotage.old, sabotage.new))


def test_the_demonstration_ends_with_ok() -> None:
    ended = demo()
    assert ended.stdout.splitlines()[-1] == "demo: ok", ended.stdout + ended.stderr
    assert ended.returncode == 0


@pytest.mark.parametrize(
    "sabotage",
    [
        pytest.param(SEARCH_FINDS_NOTHING, id="search"),
        pytest.param(LOG_IS_OFF_BY_ONE, id="log"),
        pytest.param(CANCEL_DOES_NOTHING, id="cancel"),
    ],
)
def test_a_sabotaged_service_fails_the_demonstration_by_name(sabotage: Sabotage, tmp_path: Path) -> None:
    sabotaged_copy(sabotage, tmp_path)
    ended = demo(tmp_path)
    assert ended.stdout.splitlines()[-1].startswith(f"demo: FAILED {sabotage.check}:"), ended.stdout + ended.stderr
    assert ended.returncode == 1
