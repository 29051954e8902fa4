"""As which runner this process is registered, and until when it may trust that."""

import asyncio

from weft_core.clock import Clock, SystemClock

from weft_agent_runner.domain.lease import Lease

MARGIN_SECONDS = 1.0


class Tenure:
    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lease = Lease(MARGIN_SECONDS)
        self._changed = asyncio.Condition()
        self.runner_id = ""

    @property
    def trusted_for(self) -> float:
        """For how many seconds the lease can be trusted; negative when it cannot."""
        return self._lease.trusted_for(self._clock.monotonic())

    async def wait(self) -> None:
        """Return when the lease can be trusted: only then may a model or tool call be started."""
        if self.trusted_for > 0:
            return
        async with self._changed:
            await self._changed.wait_for(lambda: self.trusted_for > 0)

    async def other_runner_id(self, known: str) -> str:
        """Return the id of this runner as soon as it is another than `known`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.runner_id not in ("", known))
            return self.runner_id

    async def renew(self, runner_id: str, sent_at: float, lease_seconds: float) -> None:
        """Take in that the queue renewed the lease in answer to a request sent at `sent_at`."""
        async with self._changed:
            self.runner_id = runner_id
            self._lease.renew(sent_at, lease_seconds)
            self._changed.notify_all()

    def end(self) -> None:
        """Forget the registration: the queue does not know it."""
        self.runner_id = ""
        self._lease.void()
