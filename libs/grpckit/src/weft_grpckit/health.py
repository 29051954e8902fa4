"""`python -m weft_grpckit.health [HOST:PORT]`: ends with 0 when the service is SERVING; for a container's health check.

Without an address it asks the one that WEFT_LISTEN_ADDRESS names, on this machine.
"""

import os
import sys
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SECONDS = 2.0


def is_serving(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        try:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def own_address() -> str:
    return "127.0.0.1:" + os.environ["WEFT_LISTEN_ADDRESS"].rpartition(":")[2]


if __name__ == "__main__":
    sys.exit(not is_serving(sys.argv[1] if len(sys.argv) > 1 else own_address()))
