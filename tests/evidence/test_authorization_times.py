"""When an approval counts: after its waiting period, until it expires, and for marks of what was destroyed in time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_records.evidence.audit import audit
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.reader import EvidenceReader
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ApprovalLapsedError, EvidenceError
from tests.evidence import evidence_factory
from tests.evidence.claims import BEGUN, Asked, Claims, Setup

claims = Claims()


# The waiting period


@claims.good
def an_approval_that_has_waited_just_long_enough(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole)], min_wait=timedelta(hours=1))


@claims.good
def a_rehearsal_within_the_waiting_period(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole)], min_wait=timedelta(days=1), dry_run=True)


@claims.good
def no_waiting_period_without_an_approval(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], approval_required=False, min_wait=timedelta(days=1))


@claims.refused(r"at 2026-11-22T07:00:00Z.*1:00:01 after it .*before 2026-11-22T08:00:01Z", ApprovalLapsedError)
def an_approval_that_has_not_waited_long_enough(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole)], min_wait=timedelta(seconds=3601))


@claims.refused(r"at 2026-11-22T07:30:00Z.*before 2026-11-22T08:30:00Z", ApprovalLapsedError)
def the_last_of_two_approvals_has_not_waited_long_enough(setup: Setup) -> Asked:
    given = [setup.approve(setup.whole), setup.approve(setup.whole, "ben", approved_at="2026-11-22T08:30:00+01:00")]
    return Asked(setup.whole, [setup.whole], given, min_wait=timedelta(hours=1))


@claims.refused("before 2026-11-22T09:00:00Z", ApprovalLapsedError)
def a_part_waits_as_long_as_the_whole(setup: Setup) -> Asked:
    part = setup.list("c")
    return Asked(part, [part], [setup.part(part, setup.approve(setup.whole))], min_wait=timedelta(hours=2))


@claims.refused(r"by 'anna' expires before that, at 2026-11-22T10:00:00Z.* longer than min_wait", ApprovalLapsedError)
def an_approval_that_expires_within_the_waiting_period(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole, valid_until="2026-11-22T10:00:00Z")
    return Asked(setup.whole, [setup.whole], [approval], min_wait=timedelta(hours=3))


# Approvals that expire


@claims.good
def an_approval_that_is_valid_for_a_moment_more(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, valid_until="2026-11-22T08:00:00.001Z")])


@claims.good
def an_empty_list_with_an_expired_approval_of_another_run(setup: Setup) -> Asked:
    approval = setup.approve(setup.list(), run_id="r0", valid_until=BEGUN)
    return Asked(setup.list(), [setup.list()], [approval])


@claims.refused("by 'anna' expired at 2026-11-22T08:00:00.000Z", ApprovalLapsedError)
def an_expired_approval(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, valid_until=BEGUN)])


@claims.refused("by 'anna' expired at 2026-11-22T08:30:00", ApprovalLapsedError)
def an_approval_that_expired_in_another_time_zone(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, valid_until="2026-11-22T08:30:00+01:00")])


@claims.refused("by 'ben' expired", ApprovalLapsedError)
def an_expired_approval_beside_a_valid_one(setup: Setup) -> Asked:
    approvals = [setup.approve(setup.whole), setup.approve(setup.whole, "ben", valid_until=BEGUN)]
    return Asked(setup.whole, [setup.whole], approvals)


@claims.refused("by 'anna' expired", ApprovalLapsedError)
def a_part_of_a_list_whose_approval_has_expired(setup: Setup) -> Asked:
    part = setup.list("c", "d")
    return Asked(part, [part], [setup.part(part, setup.approve(setup.whole, valid_until=BEGUN))])


@claims.refused("does not fit the one that it rests on")
def a_part_that_holds_longer_than_its_approval(setup: Setup) -> Asked:
    part = setup.list("c", "d")
    original = setup.approve(setup.whole, valid_until=BEGUN)
    longer = evidence_factory.order(setup.store, setup.whole.digest)
    return Asked(part, [part], [setup.part(part, original, order=longer)])


test_allowed, test_refused, test_gate_and_audit_say_the_same = claims.tests()


# What is done after an approval expired


EXPIRED = "2999-01-01T00:00:00.000Z"


def marked_later(store: Store, *keys: str, **change: Any) -> None:
    """Audit a mark that was made when the approval had expired, of a disposal that left "b" alone."""
    setup = Setup(store)
    approval = setup.approve(setup.whole)
    system = evidence_factory.ObedientSystem({"b": OutcomeKind.BLOCKED})
    deleted = evidence_factory.carry_out(store, setup.whole, [approval], system=system, begun=BEGUN)
    given: dict[str, Any] = {"name": "opus", "options": {"accept": ["destroyed"]}, "follows": [deleted.uri], **change}
    marked = evidence_factory.carry_out(
        store, setup.list(*keys), [approval], approved=setup.whole, begun=EXPIRED, **given
    )
    both = {store.name(disposal.uri): disposal for disposal in (marked, deleted)}
    audit(EvidenceReader(store, store.root), both)


def test_what_was_destroyed_in_time_may_be_marked_later(store: Store) -> None:
    marked_later(store, *"acde")


def test_what_was_not_destroyed_may_not_be_marked_later(store: Store) -> None:
    with pytest.raises(EvidenceError, match="has 'b', which the disposals that it follows did not destroy"):
        marked_later(store, *"abc")


@pytest.mark.parametrize(
    "change",
    [
        {"follows": None},
        {"follows": []},
        {"options": {"accept": ["absent", "destroyed"]}},
        {"options": {}},
        {"name": "unifier"},
    ],
)
def test_no_other_disposal_is_allowed_after_the_approval_expired(store: Store, change: dict[str, Any]) -> None:
    with pytest.raises(ApprovalLapsedError, match="expired"):
        marked_later(store, *"ac", **change)


def test_a_try_that_calls_under_an_expired_approval_is_found(store: Store) -> None:
    """Its first try was in time; the second one deleted what the first had left."""
    setup = Setup(store)
    approval = setup.approve(setup.whole)
    left = evidence_factory.ObedientSystem({"b": OutcomeKind.FAILED})
    evidence_factory.carry_out(store, setup.whole, [approval], system=left, begun=BEGUN)
    by = evidence_factory.provenance("delete_enaio", 2)
    second = evidence_factory.carry_out(store, setup.whole, [approval], by=by, begun=EXPIRED)
    with pytest.raises(ApprovalLapsedError, match="expired"):
        audit(EvidenceReader(store, store.root), {store.name(second.uri): second})
