"""`python -m weft_agent_runner`: a runner, until SIGTERM."""

import logging

from weft_grpckit.program import run_program
from weft_grpckit.settings import load_settings
from weft_telemetry.logs import set_up_logging

from weft_agent_runner.server import composed
from weft_agent_runner.settings import RunnerSettings

if __name__ == "__main__":
    settings = load_settings(RunnerSettings)
    set_up_logging("agent-runner", settings.log_level)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of every model call
    run_program(composed(settings), grace_seconds=settings.stop_grace_seconds)
