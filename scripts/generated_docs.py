"""Write the parts of docs/ that follow from the code, between `<!-- generated: NAME -->` and `<!-- end -->`.

`generated_docs.py write` writes them anew, `generated_docs.py check` names the files that are not fresh. The rest of
each file is written by hand.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import settings_table
from google.protobuf.descriptor import MethodDescriptor
from weft.errors.v1 import error_reason_pb2
from weft_gateway.public import SERVICES
from weft_grpckit.contract import contract_of
from weft_telemetry import names
from weft_threads.runs.states import NEXT, TERMINAL, RunState

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
VALUE = re.compile(r"((?: *//[^\n]*\n)+) *(\w+) = (\d+);")
REASON_PREFIX = "ERROR_REASON_"
LAST_COMMON = 99


def commented_values(proto: str, enum: str) -> Mapping[str, str]:
    """Return each value of an enum with the sentences of its comment, on one line."""
    text = (ROOT / "protos" / proto).read_text()
    body = re.search(rf"^enum {enum} {{\n(.*?)^}}", text, re.DOTALL | re.MULTILINE)
    if body is None:
        raise LookupError(f"{proto} has no enum {enum}")
    return {
        name: " ".join(line.strip().removeprefix("//").strip() for line in comment.splitlines())
        for comment, name, _ in VALUE.findall(body[1])
    }


def run_diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> queued"]
    lines += [f"    {state} --> {after}" for state in NEXT for after in RunState if after in NEXT[state]]
    return "\n".join([*lines, *(f"    {state} --> [*]" for state in RunState if state in TERMINAL), "```"])


def run_table() -> str:
    meanings = commented_values("weft/runs/v1/run.proto", "RunState")
    lines = ["| state | meaning | may become |", "|---|---|---|"]
    for state in RunState:
        following = ", ".join(after for after in RunState if after in NEXT[state])
        meaning = meanings[f"RUN_STATE_{state.name}"]
        lines.append(f"| `{state}` | {meaning} | {following or 'nothing: it is terminal'} |")
    return "\n".join(lines)


def public_methods() -> list[MethodDescriptor]:
    return [method for service in SERVICES for method in service.methods]


def reasons(*, common: bool) -> str:
    declared: dict[str, list[str]] = {}
    for method in public_methods():
        for reason in contract_of(method).reasons:
            declared.setdefault(reason, []).append(method.name)
    numbers = error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name
    lines = ["| reason | code | what it means, and what to do |", "|---|---|---|"]
    if not common:
        lines = ["| reason | code | what it means, and what to do | methods |", "|---|---|---|---|"]
    for name, comment in commented_values("weft/errors/v1/error_reason.proto", "ErrorReason").items():
        number = numbers[name].number
        if number == 0 or (number <= LAST_COMMON) != common:
            continue
        reason = name.removeprefix(REASON_PREFIX)
        code, _, what = comment.partition(": ")
        # A comment may begin with that of its group, which says the code last.
        row = f"| `{reason}` | {code.rsplit(' ', 1)[-1]} | {what[:1].upper()}{what[1:]} |"
        lines.append(row if common else f"{row} {', '.join(declared.get(reason, ())) or 'between services'} |")
    return "\n".join(lines)


def scopes() -> str:
    by_scope: dict[str, list[str]] = {}
    for method in public_methods():
        by_scope.setdefault(contract_of(method).scope, []).append(f"{method.containing_service.name}.{method.name}")
    lines = ["| scope | opens |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{scope}` | {', '.join(by_scope[scope])} |" for scope in sorted(by_scope))])


def telemetry_spans() -> str:
    lines = ["| name | kind | service | what |", "|---|---|---|---|"]
    return "\n".join(
        [*lines, *(f"| `{each.name}` | {each.kind} | {each.service} | {each.meaning} |" for each in names.SPANS)]
    )


def telemetry_metrics() -> str:
    lines = ["| name | kind | unit | attributes | what |", "|---|---|---|---|---|"]
    for each in sorted(names.METRICS, key=lambda metric: metric.name):
        attributes = ", ".join(f"`{name}`" for name in each.attributes)
        lines.append(f"| `{each.name}` | {each.kind} | {each.unit} | {attributes} | {each.meaning} |")
    return "\n".join(lines)


BLOCKS: Mapping[str, Callable[[], str]] = {
    "run_diagram": run_diagram,
    "run_table": run_table,
    "common_reasons": lambda: reasons(common=True),
    "reasons": lambda: reasons(common=False),
    "scopes": scopes,
    "settings": settings_table.tables,
    "telemetry_spans": telemetry_spans,
    "telemetry_metrics": telemetry_metrics,
}


def fresh(text: str) -> str:
    """Return a document with its generated blocks made anew."""
    return BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]()}\n{found[3]}", text)


def stale_documents() -> list[Path]:
    return [file for file in sorted((ROOT / "docs").glob("*.md")) if fresh(file.read_text()) != file.read_text()]


def main() -> int:
    stale = stale_documents()
    if sys.argv[1:] == ["write"]:
        for file in stale:
            file.write_text(fresh(file.read_text()))
            print(f"written: {file.relative_to(ROOT)}")
        return 0
    for file in stale:
        print(f"not fresh, run `make docs`: {file.relative_to(ROOT)}")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
