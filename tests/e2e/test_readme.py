"""The documents are run as they stand: the blocks of each, in their order, in one shell, on a stack of `make up`.

Only ports, the folder of the data and the model's address are put in the place of those of the text. What a fence
says is not run is left out; see tests/snippets.py.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest
from snippets import BLOCKS, ROOT, Block
from weft_cli.stack.keys import load_keys
from weft_cli.stack.ports import ports, reserve_base
from weft_cli.stack.postgres import remove_data

CLEAN_ENV = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "WEFT_"))}
SHELL_SECONDS, STOP_SECONDS = 120, 60

pytestmark = pytest.mark.timeout(420)

# What a block must print, by a part of the block that only it has.
PRINTS: Mapping[str, tuple[str, ...]] = {
    'weft chat "Hello"': (r"run\.queued", r'You said: "Hello"', r"run\.succeeded"),
    "--list-methods": ("weft.gateway.v1.AgentGateway/InitiateAgent", "weft.tools.v1.ToolService/ExecuteTool"),
    '{"text": "Say hello."}': (r'"threadId": "thr_', r'"seq": "1"', r'"runSucceeded"'),
    '"after_seq": 4': (r'"seq": "5"', r'"runSucceeded"'),
    "StreamAgent": (r'(?s)"initiated": .*"runId": "(run_\w+)".*"initiated": .*"runId": "\1"', r'"runSucceeded"'),
    "ThreadEvents": (r'"messageCreated"', r'"runStarted"', r'"runEvent"', r'"threadDeleted"', r'"cursor"'),
    "WaitRun": ("RUN_STATE_SUCCEEDED", '"runs": '),
    "CancelRun": ("RUN_STATE_CANCELLED", '"modelClosedTime"', '"endTime"'),
    "Prune the roses": ("search_documents", "read_document", r'"title": "Prune the roses"'),
    "--protocol grpcweb": (r"Say hello over the web", r'"runSucceeded"'),
    "Say hello by REST.": (r'^data: {.*"seq":"1"', r'You said: \\"Say hello by REST', r'"runSucceeded"'),
    "?after_seq=5": (r'^data: {.*"seq":"6"', r'"role":"ROLE_ASSISTANT"'),
    "-X PATCH": (r'"displayName":"Bard"', r"^\{\}$"),
    "Say hello from Python.": ('You said: "Say hello from Python."', r"^1 run\.queued $", r"^\d+ run\.succeeded $"),
    "What is a warp?": (r'And a weft\?" .*run_\w{26} [1-9]\d*$',),
    "Tell me about looms.": (r"^thr_\w{26} run_\w{26}$", r"^1 run\.queued $", 'You said: "Tell me about looms."$'),
    "Tell me about threads.": (r"^3 \w+\.\w+$", r"^4 1$"),
    "Tell me about knots.": (r"^run\.started \d+ 0$", r"^run\.succeeded \d+ [1-9]\d*$", r"^run\.ended \d+ 0$"),
    'display_name="Loom"': (r"Z$", r"^2 msg_", "NOT_FOUND RUN_NOT_FOUND"),
    "weft chat --file": (r"<attachment name=\"roses.md\"", "pruned in March", r"run\.succeeded"),
    '"attachments": [': (r'"runId": "run_',),
    "weft documents put": (r"doc_\w+ +ARCHITECTURE\.md", r"run\.succeeded", r"MODEL +RUNS"),
    "weft runs wait": (r"state +succeeded", "deleted: agt_"),
    "grpc_health": ("7400 status: SERVING", "7403 status: SERVING", "LIVE"),
    "RUN_STATE_WAITING": (r"\{",),
    "ListActiveRuns": (r'"runnerId": "rnr_', r'"maxRuns"'),
}
PRINTS_NOT: Mapping[str, str] = {"Tell me about threads.": r"(?m)^1 ", '"after_seq": 4': r'"seq": "[1-4]"'}


README = [block for block in BLOCKS if block.document == "README.md"]
RUNNABLE = [block for block in BLOCKS if block.document != "README.md" and block.is_run]
# How a block is given to the shell: a block in Python is a process of its own.
END_OF_BLOCK = "END_OF_BLOCK"


def as_shell(block: Block) -> str:
    if block.language == "python":
        return f"'{sys.executable}' - <<'{END_OF_BLOCK}'\n{block.text}{END_OF_BLOCK}\n"
    return block.text


@dataclass
class RunningStack:
    """A `make up` in the foreground of its own session, as a reader has it in a terminal."""

    folder: Path
    base: int
    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)

    def wait_up(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if self.lines[-1] == "weft is up":
                return
        raise AssertionError("\n".join(["make up ended before the stack was up:", *self.lines]))

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        assert self.process.stdout is not None
        os.killpg(self.process.pid, signal.SIGINT)
        rest, _ = self.process.communicate(timeout=STOP_SECONDS)
        self.lines += rest.splitlines()

    def placed(self, text: str) -> str:
        """Return a block with the ports and the folder of this stack."""
        text = re.sub(r"127\.0\.0\.1:74(\d\d)\b", lambda port: f"127.0.0.1:{self.base + int(port[1])}", text)
        return text.replace(".weft/", f"{self.folder}/")

    def printed(self, text: str) -> str:
        """Return an output with the ports of the text."""
        return re.sub(rf"127\.0\.0\.1:{self.base // 100}(\d\d)\b", r"127.0.0.1:74\1", text)

    def run(self, blocks: list[Block]) -> None:
        """Run blocks in one shell, and check what each of them prints."""
        for block, output in zip(blocks, self.shell([as_shell(block) for block in blocks]), strict=True):
            check_output(block, output)

    def shell(self, texts: list[str]) -> list[str]:
        """Run texts in one shell; return what each printed. Fails with all output when one of them does."""
        marked = [f"echo '@@ block'\n{self.placed(text)}" for text in texts]
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(marked)],
            cwd=ROOT,
            env={**CLEAN_ENV, "WEFT_DATA_DIR": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SHELL_SECONDS,
        )
        assert ended.returncode == 0, ended.stdout
        return [self.printed(output) for output in ended.stdout.split("@@ block\n")[1:]]


@contextmanager
def make_up(command: str) -> Iterator[RunningStack]:
    folder, (base, claim) = Path(tempfile.mkdtemp(prefix="weft-readme-")), reserve_base()
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        env={**CLEAN_ENV, "WEFT_DATA_DIR": str(folder), "PORT_BASE": str(base)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    stack = RunningStack(folder, base, process)
    try:
        stack.wait_up()
        yield stack
    finally:
        if process.poll() is None:
            stack.interrupt()
        claim.close()
        remove_data(folder)


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    command = next(block.text for block in README if block.is_up)
    with make_up(command) as running:
        yield running
    assert "weft is down" in running.lines, "\n".join(running.lines)


def check_output(block: Block, output: str) -> None:
    for part, patterns in PRINTS.items():
        missing = [
            pattern for pattern in patterns if part in block.text and not re.search(pattern, output, re.MULTILINE)
        ]
        assert missing == [], f"{block.document}: {block.text}\nprinted no {missing}:\n{output}"
    for part, pattern in PRINTS_NOT.items():
        assert part not in block.text or not re.search(pattern, output), output


def test_every_expected_output_belongs_to_one_block() -> None:
    texts = [block.text for block in (*README, *RUNNABLE)]
    parts = {*PRINTS, *PRINTS_NOT}
    assert {part: sum(part in text for text in texts) for part in parts} == dict.fromkeys(parts, 1)


def test_readme_runs_as_it_stands(stack: RunningStack) -> None:
    stack.run([block for block in README if block.is_run and not block.is_up])


@pytest.mark.parametrize("document", sorted({block.document for block in RUNNABLE}))
def test_document_runs_as_it_stands(document: str, stack: RunningStack) -> None:
    stack.run([block for block in RUNNABLE if block.document == document and block.language != "sql"])


async def test_queries_of_documents_run_as_they_stand(stack: RunningStack) -> None:
    queries = [block.text for block in RUNNABLE if block.language == "sql"]
    port, password = ports(stack.base)["postgres"], load_keys(stack.folder).postgres
    async with asyncio.timeout(20):
        connection = await asyncpg.connect(f"postgresql://postgres:{password}@127.0.0.1:{port}/weft")
        try:
            for query in queries:
                await connection.fetch(query)
        finally:
            await connection.close()
    assert queries


def test_a_real_model_is_chosen_as_the_readme_says(stack: RunningStack) -> None:
    """The scripted model of the first stack stands for the provider."""
    command = next(block.text for block in README if block.is_up and "OPENAI_API_KEY" in block.text)
    provider = f"http://127.0.0.1:{ports(stack.base)['model']}/v1"
    command = command.replace("https://api.openai.com/v1", provider).replace("gpt-5-mini", "scripted")
    with make_up(command) as second:
        assert f"model: scripted at {provider}" in second.lines
        (output,) = second.shell(['. .venv/bin/activate\nweft chat "Hello"'])
    assert 'You said: "Hello"' in output
    assert "run.succeeded" in output
