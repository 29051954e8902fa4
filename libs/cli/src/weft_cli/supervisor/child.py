"""One running program that cannot outlive this process."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from weft_cli.supervisor.spec import Spec

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)  # loaded before any fork: a child must allocate nothing it can avoid


def adopt_orphans() -> None:
    """Become the parent of what our children leave behind, or it stays a zombie where PID 1 does not reap."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _die_with(parent: int, death_signal: int) -> Callable[[], None]:
    """Return a preexec_fn; subprocess runs it after the change of uid, which would clear the setting."""

    def arm() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:
            os._exit(1)

    return arm


@dataclass
class Child:
    """`tickets` are the commands to answer once it has ended."""

    spec: Spec
    process: "subprocess.Popen[bytes]"
    is_wanted: bool = True
    tickets: list[int] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def ask_to_stop(self) -> None:
        self.is_wanted = False
        self.send(self.spec.stop_signal)
        self.send(signal.SIGCONT)  # a paused program would never see it

    def send(self, number: int) -> None:
        """Signal without looking: `Popen.send_signal` would take the status of an ended program away from the loop."""
        if self.process.returncode is None:
            os.kill(self.process.pid, number)

    def sweep(self) -> None:
        """Kill what the ended program left in its process group."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def start(spec: Spec, text: str | None = None) -> Child:
    """Start a program, with `text` as its standard input when given."""
    stdin = _filled_pipe(text, spec) if text is not None else None
    try:
        with open(spec.log, "ab") as out:
            process = subprocess.Popen(
                spec.argv,
                env=dict(spec.env),
                cwd="/",
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid(), spec.death_signal),
                user=spec.uid,
                group=spec.gid,
                extra_groups=None if spec.uid is None else [],
            )
    finally:
        if stdin is not None:
            os.close(stdin)
    return Child(spec, process)


def _filled_pipe(text: str, spec: Spec) -> int:
    """A secret on a pipe appears neither in a file nor in a command line. The text must fit into the pipe (64 KiB)."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    try:
        if os.write(write_end, text.encode()) < len(text.encode()):
            raise ValueError("standard input of a program must fit into a pipe")
        if spec.uid is not None and spec.gid is not None:
            os.fchown(read_end, spec.uid, spec.gid)
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    return read_end
