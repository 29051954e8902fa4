from agent_runner_builders import a_key
from weft_agent_runner.domain.lease import ClaimBook, Claims, Findings, Lease, compare
from weft_agent_runner.domain.run import OwnedRun, RunKey

NONE: frozenset[RunKey] = frozenset()
IDLE = Claims(begun=4, ended=4)


def test_lease_is_trusted_from_before_the_request_less_the_margin() -> None:
    lease = Lease(margin_seconds=1.0)
    assert lease.trusted_for(100.0) < 0
    lease.renew(sent_at=100.0, lease_seconds=4.0)
    assert lease.trusted_for(100.5) == 2.5
    assert lease.trusted_for(103.5) < 0


def test_older_answer_does_not_shorten_the_lease_when_it_comes_late() -> None:
    lease = Lease(margin_seconds=1.0)
    lease.renew(101.0, 4.0)
    lease.renew(100.0, 4.0)
    assert lease.trusted_for(101.0) == 3.0
    lease.void()
    assert lease.trusted_for(101.0) < 0


def test_run_is_stopped_when_its_owner_is_told_to() -> None:
    held = frozenset({a_key(1), a_key(2)})
    owned = [OwnedRun(a_key(1), is_stop_requested=True), OwnedRun(a_key(2))]
    findings = compare(owned, held, held, {}, IDLE)
    assert findings.to_stop == (a_key(1),)
    assert not findings.to_drop


def test_run_is_dropped_when_it_was_held_before_and_is_not_owned() -> None:
    findings = compare([], frozenset({a_key(1)}), frozenset({a_key(1), a_key(2)}), {}, IDLE)
    assert findings.to_drop == (a_key(1),)


def test_run_is_dropped_when_it_is_owned_under_another_epoch() -> None:
    held = frozenset({a_key(1, epoch=1)})
    assert compare([OwnedRun(a_key(1, epoch=2))], held, held, {}, IDLE).to_drop == (a_key(1, epoch=1),)


def owned_and_unknown(before: Findings, claims: Claims) -> Findings:
    return compare([OwnedRun(a_key(1))], NONE, NONE, before.unknown, claims)


def test_unknown_run_is_given_back_when_two_heartbeats_in_a_row_name_it() -> None:
    first = owned_and_unknown(Findings(), IDLE)
    assert not first.to_release
    assert owned_and_unknown(first, IDLE).to_release == (a_key(1),)


def test_unknown_run_is_given_back_when_the_claim_that_may_bring_it_has_ended_whatever_claims_follow() -> None:
    first = owned_and_unknown(Findings(), Claims(begun=5, ended=4))
    second = owned_and_unknown(first, Claims(begun=5, ended=4))
    assert not second.to_release
    assert owned_and_unknown(second, Claims(begun=7, ended=6)).to_release == (a_key(1),)


def test_run_is_not_given_back_when_it_came_in_hand_meanwhile() -> None:
    first = owned_and_unknown(Findings(), IDLE)
    held = frozenset({a_key(1)})
    assert not compare([OwnedRun(a_key(1))], NONE, held, first.unknown, IDLE).to_release


def test_run_that_ended_meanwhile_is_not_unknown() -> None:
    findings = compare([OwnedRun(a_key(1))], frozenset({a_key(1)}), NONE, {}, IDLE)
    assert not findings.unknown


def test_claims_have_ended_up_to_the_oldest_that_is_under_way() -> None:
    book = ClaimBook()
    assert book.claims() == Claims(0, 0)
    held, other = book.begin(), book.begin()
    book.end(other)
    assert book.claims() == Claims(begun=2, ended=0)
    book.end(held)
    assert book.claims() == Claims(begun=2, ended=2)
