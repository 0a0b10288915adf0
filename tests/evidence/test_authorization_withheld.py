"""Records that a reviewer withholds are not disposed of, whoever else approves them; nothing else may be missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from airflow_provider_records.evidence.audit import audit
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.reader import EvidenceReader
from airflow_provider_records.evidence.store import Store
from tests.evidence import evidence_factory
from tests.evidence.claims import Asked, Claims, Setup

claims = Claims()


@claims.good
def what_a_reviewer_left(setup: Setup) -> Asked:
    left, approval = setup.withhold("b", "d")
    return Asked(left, [left], [approval])


@claims.good
def a_part_of_what_a_reviewer_left(setup: Setup) -> Asked:
    _, approval = setup.withhold("b", "d")
    part = setup.list("c", "e")
    return Asked(part, [part], [setup.part(part, approval)])


@claims.good
def two_reviewers_each_withhold_one(setup: Setup) -> Asked:
    first, by_anna = setup.withhold("a")
    second, by_ben = setup.withhold("b", shown=first, person="ben")
    return Asked(second, [second], [setup.part(second, by_anna), by_ben], min_approvals=2)


@claims.refused("'b' is on the list, but was withheld by Anna: court hold")
def a_withheld_record_that_somebody_else_approved(setup: Setup) -> Asked:
    left, approval = setup.withhold("b")
    return Asked(setup.whole, [left, setup.whole], [approval, setup.approve(setup.whole, "ben")])


@claims.refused("'b' is on the list, but was withheld by Anna: court hold")
def a_withheld_record_where_no_approval_is_required(setup: Setup) -> Asked:
    return replace(a_withheld_record_that_somebody_else_approved(setup), approval_required=False)


@claims.refused("'b' is on the list, but was withheld by Anna: court hold")
def a_withheld_record_in_a_rehearsal(setup: Setup) -> Asked:
    return replace(a_withheld_record_that_somebody_else_approved(setup), dry_run=True)


@claims.refused("'b' is on the list, but was withheld by Anna: court hold")
def a_record_that_was_withheld_from_another_part(setup: Setup) -> Asked:
    _, by_anna = setup.withhold("b")
    one, two = setup.list("a"), setup.list("b", "c")
    by_ben = setup.approve(setup.whole, "ben")
    return Asked(setup.list("a", "b", "c"), [one, two], [setup.part(one, by_anna), setup.part(two, by_ben)])


def approval_that_states(setup: Setup, left: Sequence[str], *keys: str, shown: Manifest | None = None) -> Asked:
    """An approval whose withheld records do not explain the difference between the shown and the approved list."""
    approved = setup.list(*left)
    reasons = dict.fromkeys(keys, "court hold")
    approval = setup.approve(approved, shown=(shown or setup.whole).digest, withheld=reasons)
    return Asked(approved, [approved], [approval])


@claims.refused("is on the approved list, but was withheld by Anna")
def a_withheld_record_on_the_approved_list(setup: Setup) -> Asked:
    return approval_that_states(setup, "abcde", "b")


@claims.refused("it has 'e' where 'd' should be")
def fewer_withheld_records_than_are_gone(setup: Setup) -> Asked:
    return approval_that_states(setup, "ace", "b")


@claims.refused("'x' was not on the list that was shown")
def a_withheld_record_that_was_never_shown(setup: Setup) -> Asked:
    return approval_that_states(setup, "acde", "b", "x")


@claims.refused("it has 'x' where its end should be")
def a_record_more_than_was_shown(setup: Setup) -> Asked:
    return approval_that_states(setup, "acdex", "b")


@claims.refused("it has 'e' where 'd' should be")
def a_part_of_an_approval_that_states_fewer_withheld_records(setup: Setup) -> Asked:
    whole = approval_that_states(setup, "ace", "b")
    part = setup.list("a")
    return Asked(part, [part], [setup.part(part, whole.approvals[0])])


test_allowed, test_refused, test_gate_and_audit_say_the_same = claims.tests()


def test_the_audit_states_what_was_withheld(store: Store) -> None:
    setup = Setup(store)
    left, approval = setup.withhold("b")
    done = evidence_factory.carry_out(store, left, [approval])
    found = audit(EvidenceReader(store, store.root), {store.name(done.uri): done})
    (stated,) = found.facts["approvals"]
    assert stated["withheld"] == {"b": "court hold"}
    assert {each["digest"] for each in found.facts["manifests"]} == {setup.whole.digest, left.digest}
    assert store.name(setup.whole.uri) in found.names
