"""A run queue without a database, for tests of runners: the rules of threads' SQL over plain objects.

async with FakeRunQueue() as queue:          # a real gRPC server on a loopback port
    run = queue.add_run("hello")
    await queue.until(lambda: run.is_ended)
    run.kinds()                              # ["run_queued", "run_started", "step_started", …]
"""

from weft_testkit.run_queue.runs import FakeRun, FakeStep
from weft_testkit.run_queue.server import FakeRunQueue

__all__ = ["FakeRun", "FakeRunQueue", "FakeStep"]
