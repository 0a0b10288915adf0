"""Parts of an approved list, and the approvals that are derived for them: each must fit the one that it rests on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.audit import audit
from airflow_provider_records.evidence.reader import EvidenceReader
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError
from airflow_provider_records.task.records import Selection
from tests.evidence import evidence_factory
from tests.evidence.claims import NOBODY, Asked, Claims, Setup, a_part_under_the_approvals_of_the_whole

claims = Claims()
claims.good(a_part_under_the_approvals_of_the_whole)


def forged_part(setup: Setup, **changes: Any) -> Asked:
    part = setup.list("c", "d")
    return Asked(part, [part], [setup.part(part, setup.approve(setup.whole), **changes)])


@claims.refused("does not fit the one that it rests on")
def a_part_that_says_an_earlier_time(setup: Setup) -> Asked:
    part = setup.list("c")
    forged = setup.part(part, setup.approve(setup.whole), approved_at="2026-11-01T07:00:00Z")
    return Asked(part, [part], [forged])


@claims.refused("does not fit the one that it rests on")
def a_part_that_says_another_name(setup: Setup) -> Asked:
    part = setup.list("c")
    return Asked(part, [part], [setup.part(part, setup.approve(setup.whole), name="Somebody else")])


@claims.refused("does not fit the one that it rests on")
def a_part_approved_by_somebody_else(setup: Setup) -> Asked:
    return forged_part(setup, approver="mallory")


@claims.refused("does not fit the one that it rests on")
def a_part_of_another_list(setup: Setup) -> Asked:
    return forged_part(setup, part_of=NOBODY)


@claims.refused("is no approval", EvidenceError)
def a_part_that_rests_on_nothing(setup: Setup) -> Asked:
    return forged_part(setup, source={})


@claims.refused("does not lie in", EvidenceError)
def a_part_that_rests_on_something_else(setup: Setup) -> Asked:
    return forged_part(setup, source={"approval": 7})


@claims.refused("does not lie in", EvidenceError)
def a_part_that_rests_on_a_file_outside_of_the_store(setup: Setup) -> Asked:
    return forged_part(setup, source={"approval": "file:///x"})


@claims.refused("does not fit the one that it rests on")
def a_part_of_a_part(setup: Setup) -> Asked:
    part, smaller = setup.list("c", "d"), setup.list("c")
    of_the_part = setup.part(part, setup.approve(setup.whole))
    return Asked(smaller, [smaller], [setup.part(smaller, of_the_part)])


@claims.refused("'x' of the list .* is not on the list that was approved")
def a_part_with_a_record_that_the_whole_does_not_have(setup: Setup) -> Asked:
    part = setup.list("c", "x")
    return Asked(part, [part], [setup.part(part, setup.approve(setup.whole))])


@claims.refused("'x' of the list .* is not on the list that was approved")
def a_forged_part_where_no_approval_is_required(setup: Setup) -> Asked:
    return replace(a_part_with_a_record_that_the_whole_does_not_have(setup), approval_required=False)


@claims.refused("is missing", EvidenceError)
def a_part_whose_original_approval_is_missing(setup: Setup) -> Asked:
    part, original = setup.list("c"), setup.approve(setup.whole)
    derived = setup.part(part, original)
    setup.remove(original)
    return Asked(part, [part], [derived])


test_allowed, test_refused, test_gate_and_audit_say_the_same = claims.tests()


def test_an_authorization_hands_approvals_on_to_a_shorter_list(store: Store) -> None:
    setup = Setup(store)
    left, approval = setup.withhold("b")
    original = Approval.read(store, approval)
    authorization = Selection(left, [left.digest], [original]).authorize(approval_required=True)
    assert authorization.own_approvals == authorization.own_originals == authorization.for_part(left.digest)
    assert authorization.withheld == {"b": original}
    part = setup.list("a", "c")
    (derived,) = authorization.for_part(part.digest)
    assert (derived.digest, derived.part_of, derived.approver) == (part.digest, left.digest, "anna")
    assert (derived.shown, derived.withheld, derived.source) == ("", {}, {"approval": approval})
    derived = Approval.read(store, derived.write(store))
    authorization = Selection(part, [part.digest], [derived]).authorize(approval_required=True)
    assert authorization.own_originals == [original]
    (again,) = authorization.for_part(setup.list("a").digest)
    assert (again.part_of, again.source) == (left.digest, {"approval": approval})


def test_an_approval_that_many_parts_share_is_verified_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit of a thousand parts must not read the list that was shown a thousand times."""
    setup = Setup(store)
    _, approval = setup.withhold("b")
    check = Mock(wraps=withheld.check)
    monkeypatch.setattr(withheld, "check", check)
    disposals = {}
    for place, key in enumerate("acde"):
        part = setup.list(key)
        origin = evidence_factory.provenance("delete", map_index=place)
        done = evidence_factory.carry_out(store, part, [setup.part(part, approval)], by=origin)
        disposals[store.name(done.uri)] = done
    audit(EvidenceReader(store, store.root), disposals)
    assert check.call_count == 1
