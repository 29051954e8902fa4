"""`python -m weft_cli.supervisor FOLDER`: hold the folder's lock, then obey the commands on standard input."""

import json
import os
import sys
from pathlib import Path

from weft_cli.supervisor.child import adopt_orphans
from weft_cli.supervisor.lock import FolderLock
from weft_cli.supervisor.loop import Supervisor


def main() -> int:
    commands, answers = os.dup(0), os.dup(1)
    lock = FolderLock(Path(sys.argv[1]))
    holder = lock.take()
    os.write(answers, json.dumps({"event": "locked", "holder": holder}).encode() + b"\n")
    if holder is not None:
        return 3
    adopt_orphans()
    Supervisor(commands, answers, on_closing=lock.say_stopping).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
