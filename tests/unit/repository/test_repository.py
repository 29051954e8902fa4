"""The habits of the repository that no linter knows."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOCKS = sorted(str(file.relative_to(ROOT)) for file in (*ROOT.glob("*.lock"), *ROOT.glob("deploy/locks/*.lock")))
GENERATED = ("libs/contracts/src/", "requirements")


def committed() -> list[Path]:
    """Return the files of the repository; in an unpacked archive without git there are none to judge."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def text_of(file: Path) -> str:
    return file.read_bytes().decode(errors="replace")


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_every_entry_with_a_hash(lock: str) -> None:
    entries = (ROOT / lock).read_text().replace("\\\n", " ").splitlines()
    loose = [entry for entry in entries if not re.match(r"[a-z0-9._-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)]
    assert entries
    assert loose == []


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_host(lock: str) -> None:
    assert re.findall(r"://|--(?:extra-)?index|find-links| @ ", (ROOT / lock).read_text()) == []


def test_help_has_a_line_for_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = next(line for line in makefile.splitlines() if line.startswith(".PHONY:")).split()[1:]
    described = re.findall(r"^([a-z]+):[^\n]*## \S", makefile, re.MULTILINE)
    assert sorted(described) == sorted(phony)


def test_adr_is_short_and_complete() -> None:
    records = sorted((ROOT / "docs/adr").glob("*.md"))
    assert records
    for record in records:
        text = record.read_text()
        assert len(text.splitlines()) <= 40, record.name
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Situation", "Decision", "Instead of", "Price"], record.name


def test_numbers_of_adrs_are_used_once() -> None:
    numbers = [record.name.split("-")[0] for record in (ROOT / "docs/adr").glob("*.md")]
    assert len(numbers) == len(set(numbers))


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{file.relative_to(ROOT)}: {target}"
        for file in committed()
        if file.suffix == ".md"
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text_of(file))
        if not (file.parent / target).exists()
    ]
    assert broken == []


def test_every_member_is_typed_and_described() -> None:
    for member in [*(ROOT / "libs").iterdir(), *(ROOT / "services").iterdir()]:
        packages = [each for each in (member / "src").iterdir() if each.name.startswith("weft") and each.is_dir()]
        assert packages, member.name
        assert all((package / "py.typed").exists() for package in packages), member.name


def test_nothing_is_left_for_later() -> None:
    words = "|".join(("TO" + "DO", "FIX" + "ME", "mark\\.skip", "pytest\\.skip", "x" + "fail", "mock\\.pa" + "tch"))
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in committed()
        if file.suffix in {".py", ".sql", ".proto"} and not str(file.relative_to(ROOT)).startswith(GENERATED)
        for number, line in enumerate(text_of(file).splitlines(), start=1)
        if re.search(rf"\b(?:{words})", line) and file != Path(__file__)
    ]
    assert found == []
