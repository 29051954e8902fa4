"""One question per kind of member: is it ready? Each answers within a second and never raises."""

import socket
import struct
import urllib.error
import urllib.request

from weft_cli.stack.ports import HOST

PROBE_SECONDS = 1.0
_PROTOCOL_3_0 = 196_608
_SERVING = b"\x08\x01"  # grpc.health.v1.HealthCheckResponse with status 1


def is_listening(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def is_postgres_ready(port: int) -> bool:
    """A server that is ready asks for a password ('R'); one that starts or recovers sends an error."""
    body = struct.pack("!i", _PROTOCOL_3_0) + b"user\0postgres\0database\0postgres\0\0"
    return _first_byte(port, struct.pack("!i", len(body) + 4) + body) == b"R"


def is_redis_ready(port: int) -> bool:
    return _first_byte(port, b"PING\r\n") == b"+"


def _first_byte(port: int, question: bytes) -> bytes:
    try:
        with socket.create_connection((HOST, port), PROBE_SECONDS) as connection:
            connection.sendall(question)
            return connection.recv(1)
    except OSError:
        return b""


def is_envoy_ready(admin_port: int, gateways: int) -> bool:
    """It serves, and has found this many gateways healthy."""
    healthy = _http_get(admin_port, "/stats?filter=^cluster.gateway.membership_healthy$").rpartition(":")[2].strip()
    return healthy.isdigit() and int(healthy) >= gateways and _http_get(admin_port, "/ready") != ""


def _http_get(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=PROBE_SECONDS) as answer:
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return ""


def is_grpc_serving(port: int) -> bool:
    """Standard gRPC health of the whole server. On a new channel: one that failed once waits before it tries again."""
    if not is_listening(port):
        return False
    import grpc  # late: a stack without services does without it

    with grpc.insecure_channel(f"{HOST}:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            return bool(check(b"", timeout=PROBE_SECONDS, wait_for_ready=True) == _SERVING)
        except grpc.RpcError:
            return False
