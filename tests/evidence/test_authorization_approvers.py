"""How many people have approved a list: nobody counts twice, and no process counts beside another approval."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError
from tests.evidence.claims import Asked, Claims, Setup, from_files, one_approval

claims = Claims()
claims.good(one_approval)


@claims.good
def two_people(setup: Setup) -> Asked:
    people = [setup.approve(setup.whole, person) for person in ("anna", "ben", "carl")]
    return Asked(setup.whole, [setup.whole], people, min_approvals=3)


@claims.good
def one_approval_of_a_process(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, approver_type="process")])


@claims.good
def one_choice_of_the_dag(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, approver_type="dag")])


@claims.good
def no_approval_is_required(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], approval_required=False)


@claims.good
def a_rehearsal_without_approval(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], dry_run=True)


@claims.good
def an_empty_list_without_approval(setup: Setup) -> Asked:
    return Asked(setup.list(), [setup.list()], min_approvals=2)


@claims.refused("has 0 distinct approvers and needs 1")
def no_approval(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole])


@claims.refused("has 1 distinct approvers and needs 2")
def one_person_twice(setup: Setup) -> Asked:
    approvals = [setup.approve(setup.whole), setup.approve(setup.whole, comment="again")]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=2)


@claims.refused("has 1 distinct approvers and needs 2")
def one_person_in_different_writing(setup: Setup) -> Asked:
    approvals = [
        setup.approve(setup.whole, "airflow:DR-7", name=""),
        setup.approve(setup.whole, "unifier: dr-7 ", name=""),
    ]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=2)


@claims.refused("has 1 distinct approvers and needs 2")
def one_person_in_airflow_and_in_a_vendors_field(setup: Setup) -> Asked:
    approvals = [
        setup.approve(setup.whole, "airflow:7", name="Jane Doe"),
        setup.approve(setup.whole, "unifier:JANE  DOE", name="JANE  DOE"),
    ]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=2)


@claims.refused("has 1 distinct approvers and needs 2")
def one_name_with_two_ids(setup: Setup) -> Asked:
    approvals = [
        setup.approve(setup.whole, f"airflow:{id_}", name=name) for id_, name in (("7", "ANNA"), ("8", "Anna "))
    ]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=2)


@claims.refused("has 1 distinct approvers and needs 3")
def three_that_a_common_name_makes_one(setup: Setup) -> Asked:
    named = (("7", "A"), ("8", "B"), ("7", "b"))
    approvals = [setup.approve(setup.whole, f"airflow:{id_}", name=name) for id_, name in named]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=3)


@claims.refused("has 1 distinct approvers and needs 2")
def a_process_and_a_person(setup: Setup) -> Asked:
    approvals = [setup.approve(setup.whole, "enaio:Disposal", approver_type="process"), setup.approve(setup.whole)]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=2)


@claims.refused("has 0 distinct approvers and needs 2")
def the_dag_and_a_process(setup: Setup) -> Asked:
    types = ("dag", "process")
    approvals = [setup.approve(setup.whole, type_, approver_type=type_) for type_ in types]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=2)


@claims.refused("does not fit the one that it rests on")
def a_part_that_makes_a_person_of_a_process(setup: Setup) -> Asked:
    part = setup.list("c")
    original = setup.approve(setup.whole, approver_type="process")
    return Asked(part, [part], [setup.part(part, original, approver_type="person")])


@claims.refused("has 1 distinct approvers and needs 2")
def one_person_for_the_whole_and_for_the_part(setup: Setup) -> Asked:
    part = setup.list("c", "d")
    approvals = [setup.part(part, setup.approve(setup.whole)), setup.approve(part)]
    return Asked(part, [part], approvals, min_approvals=2)


test_allowed, test_refused, test_gate_and_audit_say_the_same = claims.tests()


@pytest.mark.parametrize("number", [0, -1, True, "2", 1.5, None])
def test_a_summary_states_a_possible_number_of_approvals(store: Store, number: Any) -> None:
    asked = replace(one_approval(Setup(store)), min_approvals=number)
    with pytest.raises(EvidenceError, match="must be a whole number of at least 1"):
        from_files(store, asked)
