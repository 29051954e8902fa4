"""Finds what blocks an event loop: a thread that waits for the loop to answer, and looks at what it does meanwhile.

Only what the loop's own thread did counts, computing or waiting: time for which the machine had no processor left for
it is taken off, by the scheduler's own account. Source: Linux `Documentation/scheduler/sched-stats.rst`.
"""

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final

BEAT_SECONDS: Final = 0.02
SAMPLE_SECONDS: Final = 0.005
_FRAMES_SHOWN: Final = 12
_NICE: Final = -15


@dataclass(frozen=True, slots=True)
class Stall:
    """A block: for how long, and what the loop's thread was doing, the innermost call last."""

    seconds: float
    stack: str


class _Sample:
    """What the loop's thread does at a moment, and what it has spent so far: on a processor, and waiting for one."""

    __slots__ = ("computed", "frame", "is_answered", "stack", "waited", "wall")

    def __init__(self, account: int, ident: int, beat: threading.Event) -> None:
        computed, waited, _ = os.pread(account, 100, 0).split()
        # From here on the interpreter lock is held: all of it is of one moment.
        self.wall = time.perf_counter()
        self.computed, self.waited = int(computed) / 1e9, int(waited) / 1e9
        self.is_answered = beat.is_set()
        innermost = sys._current_frames().get(ident)
        self.frame = _step_of(innermost)
        self.stack = traceback.StackSummary.extract(
            traceback.walk_stack(innermost), limit=_FRAMES_SHOWN, lookup_lines=False
        )

    def spent_since(self, before: "_Sample") -> float:
        """Return the seconds that were spent by the thread itself."""
        return self.wall - before.wall - (self.waited - before.waited)


class StallWatch:
    """Watches the running loop of the thread that starts it. `on_stall` is called on the watching thread."""

    def __init__(self, limit_seconds: float, on_stall: Callable[[Stall], None]) -> None:
        self._limit, self._on_stall = limit_seconds, on_stall
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stall watch", daemon=True)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ident, self._native_id = threading.get_ident(), threading.get_native_id()
        self._account = os.open(f"/proc/self/task/{self._native_id}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        os.close(self._account)

    def _watch(self) -> None:
        try:  # on a machine with too much to do it would see too little
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        except OSError:
            pass
        while not self._stopped.wait(BEAT_SECONDS):
            beat, others = threading.Event(), self._others_waited()
            asked = self._sample(beat)
            try:
                self._loop.call_soon_threadsafe(beat.set)
            except RuntimeError:  # it is closed
                return
            if not beat.wait(BEAT_SECONDS):
                self._follow(beat, asked, others)

    def _sample(self, beat: threading.Event) -> _Sample:
        return _Sample(self._account, self._ident, beat)

    def _follow(self, beat: threading.Event, asked: _Sample, others: dict[int, float]) -> None:
        """Look at what the loop does until it answers. Many short steps are no stall, one long one is."""
        last = self._sample(beat)
        seen = [last]
        if last.wall - asked.wall > BEAT_SECONDS + self._limit and last.computed - asked.computed > self._limit:
            seen = [asked, last, last]  # a call that kept the interpreter lock: nobody could look
        while not self._stopped.is_set():
            now = self._sample(beat)
            if now.spent_since(last) - (now.computed - last.computed) > self._limit:
                seen = [now]  # this thread slept as well: the process was stopped, or starved
            elif now.frame is not last.frame or now.is_answered:
                self._judge(seen, now, others)
                seen = [now]
            else:
                seen.append(now)
            if now.is_answered:
                break
            last = now
            beat.wait(SAMPLE_SECONDS)

    def _judge(self, seen: list[_Sample], now: _Sample, others: dict[int, float]) -> None:
        """A step was `seen`, and is over `now`. What the kernel had not booked then, it has now."""
        began, last = seen[0], seen[-1]
        seconds = min(last.spent_since(began), now.spent_since(began))
        if last.frame is None or seconds < self._limit:
            return
        # Where it did not compute, it may have waited for a thread that had no processor: one that is new, or has the
        # interpreter lock.
        waited, computed = self._others_waited(), last.computed - began.computed
        longest = max((spent - others.get(each, 0.0) for each, spent in waited.items()), default=0.0)
        seconds = computed + max(seconds - computed - longest, 0.0)
        if seconds >= self._limit:
            shown = seen[len(seen) // 2].stack  # most likely of what took longest
            shown.reverse()
            self._on_stall(Stall(seconds, "".join(shown.format())))

    def _others_waited(self) -> dict[int, float]:
        """Return for how long each thread but the loop's and this one has waited for a processor."""
        mine = (self._native_id, threading.get_native_id())
        return {each: _waited(each) for each in map(int, os.listdir("/proc/self/task")) if each not in mine}


def _waited(thread: int) -> float:
    try:
        with open(f"/proc/self/task/{thread}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except OSError:  # it ended meanwhile
        return 0.0


def _step_of(frame: FrameType | None) -> FrameType | None:
    """Return the outermost frame of what the loop runs now, None while it waits for something to happen."""
    inner = None
    while frame is not None:
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if (file.endswith("asyncio/events.py") and name == "_run") or (
            file.endswith("asyncio/runners.py") and name == "run"
        ):
            is_loop_itself = inner is not None and inner.f_code.co_filename.endswith("asyncio/base_events.py")
            return None if is_loop_itself else inner
        inner, frame = frame, frame.f_back
    return None
