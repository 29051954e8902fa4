"""What the tools service needs of threads, in memory; its journal is proven by the contract suite of the real one."""

from weft_testkit.fake_threads.journal import FakeToolJournal
from weft_testkit.fake_threads.server import FakeThreads, fake_threads
from weft_testkit.fake_threads.world import FakeRun, FakeWorld

__all__ = ["FakeRun", "FakeThreads", "FakeToolJournal", "FakeWorld", "fake_threads"]
