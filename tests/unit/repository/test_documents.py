"""Documents say what the code says: generated parts are fresh, and what they name exists."""

import re
from pathlib import Path

import generated_docs
import pytest
import settings_table

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
MEMBERS = sorted(folder for kind in ("libs", "services") for folder in (ROOT / kind).iterdir() if folder.is_dir())
SOURCES = [member / "src" for member in MEMBERS]
# Read by the command line program and the tests, not by a settings class.
OTHER_VARIABLES = {"WEFT_DATA_DIR", "WEFT_ADDRESS", "WEFT_API_KEY"}
ROW = re.compile(r"^\| .+ \| `([\w/.]+)` \| `(\w+)` \|$", re.MULTILINE)


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def find_in_sources(path: str) -> Path | None:
    """Return the file that ARCHITECTURE.md calls `weft_threads/…`."""
    return next((source / path for source in SOURCES if (source / path).exists()), None)


def test_generated_parts_of_documents_are_fresh() -> None:
    assert [names(file) for file in generated_docs.stale_documents()] == [], "run `make docs`"


def test_every_generated_part_stands_in_a_document() -> None:
    texts = "".join(file.read_text() for file in DOCUMENTS)
    assert {found[1] for found in generated_docs.BLOCK.findall(texts)} == set(generated_docs.BLOCKS)


def test_architecture_names_files_that_exist() -> None:
    paths = set(re.findall(r"`(weft_\w+/[\w/.]+)`", (ROOT / "ARCHITECTURE.md").read_text()))
    assert len(paths) > 20
    assert [path for path in sorted(paths) if find_in_sources(path) is None] == []


def test_architecture_names_what_is_in_those_files() -> None:
    rows = ROW.findall((ROOT / "ARCHITECTURE.md").read_text())
    assert len(rows) > 15
    for path, name in rows:
        file = find_in_sources(path)
        assert file is not None
        assert re.search(rf"\b(def|class|FUNCTION) {name}\b", file.read_text()), f"{path} defines no {name}"


def test_architecture_is_one_page() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text().splitlines()) <= 100


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_member_has_a_readme(member: Path) -> None:
    assert (member / "README.md").read_text().startswith("# ")


@pytest.mark.parametrize("service", sorted((ROOT / "services").iterdir()), ids=lambda service: service.name)
def test_files_that_a_readme_of_a_service_names_exist(service: Path) -> None:
    source = next(folder for folder in (service / "src").iterdir() if folder.name.startswith("weft_"))
    named = re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:\.py|/))`", (service / "README.md").read_text())
    assert named
    assert [path for path in named if not any(source.rglob(path.rstrip("/")))] == []


def test_variables_that_documents_name_exist() -> None:
    known = OTHER_VARIABLES | set(settings_table.variables())
    documents = [*DOCUMENTS, *(member / "README.md" for member in MEMBERS)]
    unknown = [
        f"{names(file)}: {name}"
        for file in documents
        for name in re.findall(r"\bWEFT_[A-Z_]+[A-Z]\b", file.read_text())
        if name not in known
    ]
    assert unknown == []


def test_links_to_headings_lead_to_one() -> None:
    broken = [
        f"{names(file)}: {target}#{anchor}"
        for file in DOCUMENTS
        for target, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)]+)\)", file.read_text())
        if anchor not in headings_of(file.parent / target if target else file)
    ]
    assert broken == []


def headings_of(file: Path) -> set[str]:
    """Return the anchors of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_documents_name_no_host_and_no_machine() -> None:
    """Documents are read anywhere: a path of one machine, or the host of a package index, is of no use there."""
    told = re.compile(r"/(?:home|root|work|Users)/|pypi\.|index-url", re.IGNORECASE)
    documents = [*DOCUMENTS, *(member / "README.md" for member in MEMBERS), *sorted(ROOT.glob("docs/adr/*.md"))]
    assert [f"{names(file)}: {found}" for file in documents for found in told.findall(file.read_text())] == []


def test_commands_that_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = [
        f"{names(file)}: make {target}"
        for file in DOCUMENTS
        for target in re.findall(r"[`\n](?:[A-Z_]+=\d+ )?make ([a-z]+)", file.read_text())
        if target not in targets
    ]
    assert unknown == []
