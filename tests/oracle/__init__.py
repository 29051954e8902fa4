"""The oracle: reads PostgreSQL and what watchers recorded, and decides whether the invariants held.

I1 a run ends once, and its terminal event is its last. I2 what was acknowledged is there. I3 seqs have no gap, epochs
never go down. I4 a watcher saw exactly the log. I5 nothing was written under a stale epoch. I6 one active run a thread,
in turn order; inputs of superseded runs are answered exactly once. I7 no effect twice under one key. I8 a thread's log
marks each run: queued, started if it ever started, ended; and each message from outside.
"""

from oracle.check import Verdict, assert_clean, check
from oracle.recordings import Recordings

__all__ = ["Recordings", "Verdict", "assert_clean", "check"]
