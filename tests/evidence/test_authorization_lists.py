"""The list that is carried out: its approvals are for it, are there unchanged, and cover each of its records."""

from __future__ import annotations

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.authorization import journal_key
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError
from airflow_provider_records.task.records import Selection
from tests.evidence.claims import Asked, Claims, Setup

claims = Claims()


@claims.good
def some_records_of_an_approved_list(setup: Setup) -> Asked:
    return Asked(setup.list("b", "d"), [setup.whole], [setup.approve(setup.whole)])


@claims.good
def records_of_two_approved_lists(setup: Setup) -> Asked:
    more = setup.list("f", "g")
    approvals = [setup.approve(setup.whole), setup.approve(more, "ben")]
    return Asked(setup.list("b", "g"), [setup.whole, more], approvals)


# Approvals of another list, or that are not what was written


@claims.refused("has 0 distinct approvers and needs 1")
def only_one_of_two_lists_was_approved(setup: Setup) -> Asked:
    more = setup.list("f", "g")
    return Asked(setup.list("a", "f"), [setup.whole, more], [setup.approve(setup.whole)])


@claims.refused("by 'anna' is for another list")
def an_approval_of_another_list(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.list("x"))])


@claims.refused("by 'ben' is for another list")
def one_approval_of_another_list_spoils_all(setup: Setup) -> Asked:
    approvals = [setup.approve(setup.whole), setup.approve(setup.list("x"), "ben")]
    return Asked(setup.whole, [setup.whole], approvals)


@claims.refused("is for another list")
def an_approval_of_another_list_where_none_is_required(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.list("x"))], approval_required=False)


@claims.refused("was changed", EvidenceError)
def a_changed_approval(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole)
    setup.change(approval)
    return Asked(setup.whole, [setup.whole], [approval])


@claims.refused("is missing", EvidenceError)
def a_missing_approval(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole)
    setup.remove(approval)
    return Asked(setup.whole, [setup.whole], [approval])


# Records that are on no approved list


@claims.refused("'x' of the list .* is not on the list that was approved")
def a_record_that_nobody_approved(setup: Setup) -> Asked:
    return Asked(setup.list("a", "x"), [setup.whole], [setup.approve(setup.whole)])


@claims.refused("'a' of the list .* is not on the list that was approved")
def an_approved_record_with_another_field(setup: Setup) -> Asked:
    return Asked(setup.list({"key": "a", "target_id": "9"}), [setup.whole], [setup.approve(setup.whole)])


@claims.refused("'a' of the list .* is not on the list that was approved")
def a_list_that_comes_from_nowhere(setup: Setup) -> Asked:
    return Asked(setup.whole, [])


@claims.refused("'x' of the list .* is not on the list that was approved")
def a_stranger_where_no_approval_is_required(setup: Setup) -> Asked:
    return Asked(setup.list("a", "x"), [setup.whole], approval_required=False)


@claims.refused("'x' of the list .* is not on the list that was approved")
def a_stranger_in_a_rehearsal(setup: Setup) -> Asked:
    return Asked(setup.list("a", "x"), [setup.whole], dry_run=True)


@claims.refused("is missing", EvidenceError)
def the_approved_list_is_missing(setup: Setup) -> Asked:
    part = setup.list("a")
    approval = setup.approve(setup.whole)
    setup.remove(setup.whole.uri)
    return Asked(part, [part], [setup.part(part, approval)])


@claims.refused("was changed", EvidenceError)
def the_approved_list_was_changed(setup: Setup) -> Asked:
    part = setup.list("a")
    approval = setup.approve(setup.whole)
    setup.change(setup.whole.uri)
    return Asked(part, [part], [setup.part(part, approval)])


test_allowed, test_refused, test_gate_and_audit_say_the_same = claims.tests()


def test_approvals_of_longer_lists_are_not_handed_on(store: Store) -> None:
    setup = Setup(store)
    approval = Approval.read(store, setup.approve(setup.whole))
    part = setup.list("a", "c")
    authorization = Selection(part, [setup.whole.digest], [approval]).authorize(approval_required=True)
    assert authorization.approvals == [approval]
    assert authorization.own_approvals == authorization.for_part(setup.list("a").digest) == []
    assert authorization.journal_key == setup.whole.digest


def test_a_journal_belongs_to_its_lists_in_any_order() -> None:
    one, two = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    assert journal_key([one]) == journal_key([one, one]) == one
    assert journal_key([one, two]) == journal_key([two, one, two]) not in {one, two}
