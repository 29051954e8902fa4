"""When a program that crashed is started again."""

from collections import Counter

FIRST_DELAY_SECONDS = 0.2
LONGEST_DELAY_SECONDS = 5.0
STEADY_SECONDS = 30.0
MOST_CRASHES = 5


class Restarts:
    """Backoff per program: doubled by each crash, forgotten once it ran steadily, given up after repeated ones."""

    def __init__(self) -> None:
        self.is_on = False
        self._crashes: Counter[str] = Counter()
        self._generation: Counter[str] = Counter()

    def delay_after(self, name: str, ran_seconds: float) -> float | None:
        """Return the wait before the next start, None for no more starts."""
        if not self.is_on:
            return None
        if ran_seconds >= STEADY_SECONDS:
            self._crashes[name] = 0
        self._crashes[name] += 1
        if self._crashes[name] > MOST_CRASHES:
            return None
        return min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** (self._crashes[name] - 1))

    def schedule(self, name: str) -> int:
        self._generation[name] += 1
        return self._generation[name]

    def is_due(self, name: str, generation: int) -> bool:
        return self.is_on and self._generation[name] == generation

    def forget(self, name: str) -> None:
        """What was planned for it does not happen: somebody decided otherwise."""
        self._crashes[name] = 0
        self._generation[name] += 1
