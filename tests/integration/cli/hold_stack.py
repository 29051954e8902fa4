"""A program that holds a stack until it is killed; prints what the test needs to know as one line of JSON."""

import json
import sys
import time
from pathlib import Path

from weft_cli.stack import Stack

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    stack = Stack(folder, members={"postgres", "redis"}, postgres_settings={"fsync": "off"})
    with stack:
        pids = {name: stack.pid(name) for name in stack.names}
        print(json.dumps({"pids": pids, "supervisor": stack.supervisor_pid}), flush=True)  # noqa: T201
        time.sleep(60)
