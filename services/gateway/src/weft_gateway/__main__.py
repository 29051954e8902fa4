"""`python -m weft_gateway` runs the gateway until SIGTERM."""

from weft_grpckit.program import run_service
from weft_grpckit.settings import load_settings

from weft_gateway.server import compose
from weft_gateway.settings import GatewaySettings

if __name__ == "__main__":
    settings = load_settings(GatewaySettings)
    run_service("gateway", settings, lambda program: compose(program, settings))
