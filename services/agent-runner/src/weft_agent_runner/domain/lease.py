"""How long this process may trust that it owns its runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from weft_agent_runner.domain.run import OwnedRun, RunKey


class Lease:
    """`margin_seconds` is kept back for clocks that run at different speeds and for calls already being started."""

    def __init__(self, margin_seconds: float) -> None:
        self._margin_seconds = margin_seconds
        self._trusted_until = float("-inf")

    def renew(self, sent_at: float, lease_seconds: float) -> None:
        """Take in an answer to a request that was sent at `sent_at`: the lease was renewed then or later."""
        self._trusted_until = max(self._trusted_until, sent_at + lease_seconds - self._margin_seconds)

    def void(self) -> None:
        self._trusted_until = float("-inf")

    def trusted_for(self, now: float) -> float:
        return self._trusted_until - now


@dataclass(frozen=True, slots=True)
class Claims:
    """How many claims of this process have begun, and up to which of them all have ended."""

    begun: int = 0
    ended: int = 0


class ClaimBook:
    """Numbers the claims of this process, of which several may be under way."""

    def __init__(self) -> None:
        self._begun = 0
        self._under_way: set[int] = set()

    def begin(self) -> int:
        self._begun += 1
        self._under_way.add(self._begun)
        return self._begun

    def end(self, number: int) -> None:
        self._under_way.discard(number)

    def claims(self) -> Claims:
        return Claims(self._begun, min(self._under_way, default=self._begun + 1) - 1)


@dataclass(frozen=True, slots=True)
class Findings:
    """What a heartbeat told about runs. `unknown` are owned and not in hand, each with the claim that may still bring
    it."""

    to_stop: tuple[RunKey, ...] = ()
    to_drop: tuple[RunKey, ...] = ()
    to_release: tuple[RunKey, ...] = ()
    unknown: Mapping[RunKey, int] = field(default_factory=dict)


def compare(
    owned: Iterable[OwnedRun],
    held_before: frozenset[RunKey],
    held_now: frozenset[RunKey],
    unknown_before: Mapping[RunKey, int],
    claims: Claims,
) -> Findings:
    """Compare what the queue says with what is in hand.

    `held_before` was in hand when the heartbeat was sent: what of it is not owned has been taken over, or ended. What
    is owned and not in hand was claimed by a call whose answer was lost; or the answer is still on its way, so it is
    given back only when a further heartbeat names it, after the claim that was under way has ended.
    """
    runs = {run.key: run for run in owned}
    unknown = {key: unknown_before.get(key, claims.begun) for key in frozenset(runs) - held_now - held_before}
    lost = {key for key, claim in unknown.items() if key in unknown_before and claims.ended >= claim}
    return Findings(
        to_stop=tuple(key for key, run in runs.items() if run.is_stop_requested and key in held_now),
        to_drop=tuple((held_before & held_now) - frozenset(runs)),
        to_release=tuple(lost),
        unknown={key: claim for key, claim in unknown.items() if key not in lost},
    )
