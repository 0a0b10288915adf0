"""The order that an approval allows: this task, place and list, and of another DAG one run takes it, once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.order import Covered, order_name, spend, spent_by
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ApprovalError, EvidenceError
from tests.evidence import evidence_factory
from tests.evidence.claims import NOBODY, PLACE, TASK, Asked, Claims, Setup, from_files

claims = Claims()

COVERED: dict[str, Any] = {"task_id": TASK, **vars(PLACE)}


# Orders for something else


def covering(setup: Setup, **change: str) -> Asked:
    """An order for one task, which differs in one thing from what is carried out."""
    known: dict[str, Any] = COVERED
    approval = setup.approve(setup.whole, tasks=[Covered(**{**known, **change})])
    return Asked(setup.whole, [setup.whole], [approval])


@claims.good
def an_order_for_exactly_this_task(setup: Setup) -> Asked:
    return covering(setup)


@claims.good
def an_order_for_another_connection_to_the_same_target(setup: Setup) -> Asked:
    return covering(setup, conn_id="enaio_by_another_name")


@claims.refused("covers 'delete_elsewhere', not task 'delete_enaio'")
def an_order_for_another_task(setup: Setup) -> Asked:
    return covering(setup, task_id="delete_elsewhere")


@claims.refused("covers tasks of another DAG, not task 'delete_enaio'")
def an_order_for_another_dag(setup: Setup) -> Asked:
    return covering(setup, task_id="")


@claims.refused("set up for enaio at https://enaio.example.org, method destroy: another target")
def an_order_for_another_target(setup: Setup) -> Asked:
    return covering(setup, target="https://test.example.org")


@claims.refused("is for enaio at https://enaio.example.org, method recycle. .*: another method")
def an_order_for_another_method(setup: Setup) -> Asked:
    return covering(setup, method="recycle")


@claims.refused("is for unifier at .*: another system")
def an_order_for_another_system(setup: Setup) -> Asked:
    return covering(setup, system="unifier")


@claims.refused("covers 'delete_elsewhere', not task")
def an_order_for_another_task_beside_one_for_this(setup: Setup) -> Asked:
    asked = an_order_for_another_task(setup)
    return replace(asked, approvals=[setup.approve(setup.whole, "ben"), *asked.approvals])


@claims.refused("covers 'delete_elsewhere', not task")
def a_part_under_an_order_for_another_task(setup: Setup) -> Asked:
    (approval,) = an_order_for_another_task(setup).approvals
    part = setup.list("c", "d")
    return Asked(part, [part], [setup.part(part, approval)])


@claims.refused("its order for another one")
def an_order_for_another_list(setup: Setup) -> Asked:
    order = evidence_factory.order(setup.store, setup.list("a").digest)
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, order=order)])


@claims.refused("its order for another one")
def an_order_for_what_was_left_and_not_for_what_was_shown(setup: Setup) -> Asked:
    left, approval = setup.withhold("a")
    order = evidence_factory.order(setup.store, left.digest)
    forged = replace(Approval.read(setup.store, approval), order=order).write(setup.store)
    return Asked(left, [left], [forged])


@claims.refused("the order .* is missing|is missing", EvidenceError)
def an_order_that_is_gone(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole, order=NOBODY)
    return Asked(setup.whole, [setup.whole], [approval])


@claims.refused("was changed", EvidenceError)
def an_order_that_was_changed(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole)
    setup.change(setup.store.uri(order_name(Approval.read(setup.store, approval).order)))
    return Asked(setup.whole, [setup.whole], [approval])


# Orders of other DAGs


def foreign(setup: Setup, **change: str) -> Asked:
    known: dict[str, Any] = {**COVERED, "task_id": "", "conn_id": "theirs"}
    approval = setup.approve(setup.whole, dag_id="other", run_id="r1", tasks=[Covered(**{**known, **change})])
    return Asked(setup.whole, [setup.whole], [approval], accept_approvals_from=["other"], spends=True)


@claims.good
def an_order_of_another_dag_for_this_place(setup: Setup) -> Asked:
    return foreign(setup)


@claims.good
def an_order_of_another_dag_for_a_task_of_its_own(setup: Setup) -> Asked:
    return foreign(setup, task_id="delete_there")


@claims.refused("another target")
def an_order_of_another_dag_for_another_target(setup: Setup) -> Asked:
    return foreign(setup, target="https://test.example.org")


@claims.refused("was carried out by the run r2 of elsewhere already")
def an_order_that_another_run_has_spent(setup: Setup) -> Asked:
    asked = foreign(setup)
    spend(setup.store, Approval.read(setup.store, asked.approvals[0]).order, "elsewhere", "r2")
    return replace(asked, spends=False)


test_allowed, test_refused, test_gate_and_audit_say_the_same = claims.tests()


def test_a_run_that_took_no_order_of_another_dag_is_found_afterwards(store: Store) -> None:
    asked = foreign(Setup(store))
    with pytest.raises(ApprovalError, match="did not state that it carries its order out"):
        from_files(store, replace(asked, spends=False))


def test_of_two_runs_one_takes_the_order(store: Store) -> None:
    order = evidence_factory.order(store, Setup(store).whole.digest)
    for _ in range(2):
        spend(store, order, "night", "r1")
    before = store.names("spent")
    with pytest.raises(ApprovalError, match="was carried out by the run r1 of night already"):
        spend(store, order, "night", "r2")
    assert store.names("spent") == before


def test_two_runs_that_take_an_order_at_once_do_not_both_have_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    order = evidence_factory.order(store, Setup(store).whole.digest)
    write = Store.write

    def late(self: Store, name: str, content: bytes) -> str:
        monkeypatch.undo()
        spend(store, order, "night", "r2")
        return write(self, name, content)

    monkeypatch.setattr(Store, "write", late)
    with pytest.raises(ApprovalError, match="by the run r2 of night already"):
        spend(store, order, "night", "r1")
    assert list(spent_by(store, order).values()) == [("night", "r2")]
