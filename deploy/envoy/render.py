"""Fill in envoy.template.yaml from the environment: `python render.py TEMPLATE FOLDER` writes envoy.yaml there.

Standard library and the contracts only, so that it runs in the image of any service. `weft up` does the same by itself.
"""

import json
import os
import shutil
import sys
from importlib.resources import as_file, files
from pathlib import Path
from string import Template


def endpoints(addresses: str) -> str:
    """Return Envoy's form of a comma list of host:port."""
    pairs = (address.strip().rpartition(":") for address in addresses.split(","))
    sockets = [{"socket_address": {"address": host, "port_value": int(port)}} for host, _, port in pairs]
    return json.dumps([{"endpoint": {"address": socket}} for socket in sockets])


def main(template: Path, folder: Path) -> None:
    descriptors = folder / "descriptors.binpb"
    with as_file(files("weft").joinpath("descriptors.binpb")) as file:
        shutil.copyfile(file, descriptors)
    filled = Template(template.read_text()).substitute(
        admin_host="127.0.0.1",
        admin_port=os.environ.get("WEFT_EDGE_ADMIN_PORT", "9901"),
        listen_host="0.0.0.0",
        listen_port=os.environ.get("WEFT_EDGE_PORT", "8080"),
        # A regular expression inside of a quoted YAML string.
        cors_origins=os.environ["WEFT_EDGE_CORS_ORIGINS"].replace("\\", "\\\\").replace('"', '\\"'),
        descriptors=descriptors,
        gateways=endpoints(os.environ["WEFT_EDGE_GATEWAYS"]),
    )
    (folder / "envoy.yaml").write_text(filled)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
