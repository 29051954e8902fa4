"""Logging of a service process."""

import re
import subprocess
import sys

PROGRAM = """
import logging
from weft_telemetry.logs import set_up_logging
set_up_logging("tools", "INFO")
logging.getLogger("weft_tools.x").debug("too quiet")
logging.getLogger("weft_tools.x").info("said %d times", 3)
try:
    raise ValueError("why")
except ValueError:
    logging.getLogger("weft_tools.x").exception("failed")
"""


def test_records_reach_stderr_with_time_service_and_trace_before_the_process_ends() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    lines = done.stderr.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO tools weft_tools\.x: said 3 times", lines[0])
    assert lines[-1] == "ValueError: why"
    assert "too quiet" not in done.stderr
    assert done.stdout == ""
