"""Logging of a service process."""

import json
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


JSON_PROGRAM = """
import logging
from weft_telemetry.logs import set_up_logging
from weft_telemetry.work import work_for, worked_for
set_up_logging("tools", "INFO", "json", worked_for)
work_for(run_id="run_1", tenant_id="ten_1")
work_for(thread_id="thr_1")
logging.getLogger("weft_tools.x").info("said %d\\ntimes", 3)
try:
    raise ValueError("why")
except ValueError:
    logging.getLogger("weft_tools.x").exception("failed")
"""


def test_as_json_each_record_is_one_object_with_the_ids_of_the_work() -> None:
    done = subprocess.run([sys.executable, "-c", JSON_PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    first, second = (json.loads(line) for line in done.stderr.splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    ids = {"run_id": "run_1", "tenant_id": "ten_1", "thread_id": "thr_1"}
    assert first == {
        "level": "INFO",
        "service": "tools",
        "logger": "weft_tools.x",
        "message": "said 3\ntimes",
        **ids,
    }
    assert (second["message"], second["level"]) == ("failed", "ERROR")
    assert second["exception"].endswith("ValueError: why")
    assert ids.items() <= second.items()
