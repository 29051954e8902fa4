"""Generate libs/contracts from protos/, and prove that contracts are well formed, compatible and freshly generated.

`protos.py generate` writes the package; `protos.py check` writes nothing into the tree. What protos/ imports of others
comes as descriptors out of installed packages, never as copied text: validate.proto out of protovalidate, google/api
and google/rpc out of googleapis-common-protos. buf reads the image which protoc makes.
"""

import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, field_mask_pb2, timestamp_pb2
from google.protobuf.descriptor import FileDescriptor
from google.rpc import error_details_pb2, status_pb2
from protovalidate import ViolationPb

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / ".venv/bin"
PROTOS = ROOT / "protos"
PACKAGE = ROOT / "libs/contracts/src/weft"
DESCRIPTORS = "descriptors.binpb"
KNOWN = (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2)  # in the pool: validate.proto imports them
# What no message of ours has in it, and who prints an error must know: Envoy makes JSON of it.
ERROR_DETAILS = (status_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR)


def known() -> bytes:
    """Return what protos/ may import of others as a serialized FileDescriptorSet, dependencies first."""
    validate = descriptor_pb2.FileDescriptorProto.FromString(ViolationPb.desc().file.proto.to_binary())
    found: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    pool = descriptor_pool.Default()
    for file in (
        *(pool.FindFileByName(name) for name in validate.dependency),
        annotations_pb2.DESCRIPTOR,
        *ERROR_DETAILS,
    ):
        add_with_imports(file, found)
    return descriptor_pb2.FileDescriptorSet(file=[*found.values(), validate]).SerializeToString()


def add_with_imports(file: FileDescriptor, found: dict[str, descriptor_pb2.FileDescriptorProto]) -> None:
    """Add a file after what it imports, which is the order that protoc wants."""
    for imported in file.dependencies:
        add_with_imports(imported, found)
    if file.name not in found:
        found[file.name] = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(found[file.name])


def protoc(protos: Path, *arguments: str, only: str = "", also: Sequence[str] = ()) -> None:
    """Run the protoc of grpcio-tools over every file under `protos` whose text has `only`, and over `also`."""
    found = [file for file in protos.rglob("*.proto") if only in file.read_text()]
    sources = [*sorted(str(file.relative_to(protos)) for file in found), *also]
    with tempfile.NamedTemporaryFile(suffix=".binpb") as others:
        others.write(known())
        others.flush()
        subprocess.run(
            [
                sys.executable,
                "-m",
                "grpc_tools.protoc",
                f"--descriptor_set_in={others.name}",
                "-I.",
                *arguments,
                *sources,
            ],
            check=True,
            cwd=protos,
            env={**os.environ, "PATH": f"{BIN}:{os.environ.get('PATH', '')}"},
        )


def image(protos: Path, target: Path) -> Path:
    """Write what buf reads: every file with its imports and comments."""
    protoc(protos, "--include_imports", "--include_source_info", f"--descriptor_set_out={target}")
    return target


def generate(folder: Path) -> Path:
    """Write the package `weft` into `folder` and return its path."""
    protoc(PROTOS, f"--python_out={folder}", f"--mypy_out=quiet:{folder}")
    protoc(PROTOS, f"--grpc_python_out={folder}", f"--mypy_grpc_out=quiet:{folder}", only="\nservice ")
    package = folder / "weft"
    details = [file.name for file in ERROR_DETAILS]
    protoc(PROTOS, "--include_imports", f"--descriptor_set_out={package / DESCRIPTORS}", also=details)
    (package / "py.typed").touch()
    for inside in [package, *(each for each in package.rglob("*") if each.is_dir())]:
        (inside / "__init__.py").touch()
    return package


def replace() -> None:
    """Bring PACKAGE up to date file by file, so that a process which imports from it meanwhile is not surprised."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = generate(Path(folder))
        for name in stale(fresh):
            target = PACKAGE / name
            if (fresh / name).exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_name(f".{target.name}.new")
                shutil.copyfile(fresh / name, partial)
                partial.replace(target)
            else:
                target.unlink()
    for each in sorted((each for each in PACKAGE.rglob("*") if each.is_dir()), reverse=True):
        if each.name != "__pycache__" and all(inside.name == "__pycache__" for inside in each.iterdir()):
            shutil.rmtree(each)


def stale(fresh: Path) -> list[str]:
    """Return the files that differ between PACKAGE and a fresh generation, missing and superfluous ones included."""
    there = {str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("*") if file.is_file() and file.suffix != ".pyc"}
    wanted = {str(file.relative_to(fresh)) for file in fresh.rglob("*") if file.is_file()}
    same = {name for name in there & wanted if filecmp.cmp(PACKAGE / name, fresh / name, shallow=False)}
    return sorted((there | wanted) - same)


def is_fresh() -> bool:
    """Say whether the committed package is what protos/ generates."""
    with tempfile.TemporaryDirectory() as folder:
        names = stale(generate(Path(folder)))
    if names:
        print(f"contracts: not what protos/ generates; run `make protos`: {', '.join(names)}")
    return not names


def buf(*arguments: str | Path) -> bool:
    """Run buf; it prints what it finds."""
    return subprocess.run([BIN / "buf", *arguments], check=False, cwd=ROOT).returncode == 0


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git in the repository; a failure is an answer."""
    return subprocess.run(["git", *arguments], check=False, cwd=ROOT, capture_output=True)


def is_compatible(now: Path, folder: Path) -> bool:
    """Compare with the protos of the last commit of main, or of the commit that AGAINST names."""
    named = os.environ.get("AGAINST")
    candidates = [named] if named else ["main", "origin/main", "HEAD"]
    base = next(
        (each for each in candidates if git("rev-parse", "-q", "--verify", f"{each}^{{commit}}").returncode == 0), None
    )
    if base is None:
        print(f"contracts: nothing to compare with: no commit {', '.join(candidates)}")
        return not named
    archive = git("archive", "--format=zip", base, "protos")
    if archive.returncode != 0:
        print(f"contracts: nothing to compare with: {base} has no protos/")
        return True
    with zipfile.ZipFile(BytesIO(archive.stdout)) as packed:
        packed.extractall(folder)
    return buf("breaking", now, "--against", image(folder / "protos", folder / "base.binpb"))


def check() -> bool:
    """Run every gate, also when an earlier one fails."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        now = image(PROTOS, folder / "now.binpb")
        results = [
            buf("format", PROTOS, "--diff", "--exit-code"),
            buf("lint", now, "--config", ROOT / "buf.yaml"),
            is_compatible(now, folder),
            is_fresh(),
        ]
    return all(results)


if __name__ == "__main__":
    if sys.argv[1:] == ["check"]:
        sys.exit(not check())
    replace()
