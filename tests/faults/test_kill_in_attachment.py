"""kill -9 of a runner while it reads a file: another one reads it, and the model is asked once."""

import pytest
from extraction_processes import an_extraction_of, is_gone
from faults_world import FaultWorld
from oracle.ids import uuid_of
from pdf_files import a_slow_pdf
from public_api import type_of
from weft.threads.v1 import attachment_pb2


@pytest.mark.row("A3", "G6")
async def test_another_runner_reads_the_file_when_its_runner_is_killed(world: FaultWorld) -> None:
    model = "scripted:tag=killed-in-file"
    agent = await world.api.make_agent(model)
    slow = attachment_pb2.NewAttachment(name="slow.pdf", content=a_slow_pdf(150_000, "words of the file"))
    made = await world.api.initiate("Read this.", agent_id=agent, attachments=[slow])
    runners = [world.stack.pid(name) for name in world.stack.names if name.startswith("agent-runner")]
    process = await an_extraction_of(*runners)
    await world.kill(await world.runner_of(made.run_id))
    assert await is_gone(process), "what read the file for it is gone too"
    events = await world.api.events(made.run_id)
    types = [type_of(event) for event in events]
    assert types.count("run_resumed") == 1
    assert types[-1] == "run_succeeded"
    calls = await world.calls(model=model)
    assert len(calls) == 1
    assert "words of the file" in str(calls[0]["messages"])
    rows = await world.fetch(
        "SELECT type FROM thread_events WHERE thread_id = $1 AND type LIKE 'attachment.%'", uuid_of(made.thread_id)
    )
    assert [row["type"] for row in rows] == ["attachment.ready"]
