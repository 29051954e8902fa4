"""`python -m weft_agent_runner`: a runner, until SIGTERM."""

import logging

from weft_grpckit.program import run_service
from weft_grpckit.settings import load_settings

from weft_agent_runner.server import composed
from weft_agent_runner.settings import RunnerSettings

if __name__ == "__main__":
    settings = load_settings(RunnerSettings)
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of every model call
    run_service("agent-runner", settings, composed(settings))
