"""`python -m weft_gateway` runs the gateway until SIGTERM."""

from weft_grpckit.program import run_program
from weft_grpckit.settings import load_settings
from weft_telemetry import logs

from weft_gateway.server import compose
from weft_gateway.settings import GatewaySettings

if __name__ == "__main__":
    settings = load_settings(GatewaySettings)
    logs.set_up_logging("gateway", settings.log_level)
    run_program(lambda program: compose(program, settings), grace_seconds=settings.stop_grace_seconds)
