"""A list that was rejected in this run is not carried out, whoever approved it; other rejections forbid nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_records.evidence.approval import Rejection
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ApprovalLapsedError, EvidenceError
from tests.evidence import evidence_factory
from tests.evidence.claims import (
    BEGUN,
    Asked,
    Claims,
    Setup,
    a_part_under_the_approvals_of_the_whole,
    an_approval_of_a_dag_that_counts_here,
    from_files,
    gate,
    one_approval,
)

claims = Claims()


def rejected(setup: Setup, listed: Manifest, **change: Any) -> None:
    given: dict[str, Any] = {"rejected_at": "2026-11-22T07:30:00.000Z", "name": "Ben", "comment": "still needed"}
    run = {"dag_id": evidence_factory.DAG, "run_id": evidence_factory.RUN}
    Rejection(listed.digest, "ben", source={"kind": "airflow"}, **{**given, **run, **change}).write(setup.store)


@claims.good
def a_list_that_was_rejected_in_another_run(setup: Setup) -> Asked:
    rejected(setup, setup.whole, run_id="r0")
    rejected(setup, setup.whole, dag_id="other")
    return one_approval(setup)


@claims.good
def a_part_beside_the_rejected_one(setup: Setup) -> Asked:
    rejected(setup, setup.list("a", "b"))
    return a_part_under_the_approvals_of_the_whole(setup)


@claims.refused(
    "Ben rejected this list, .* at 2026-11-22T07:30:00.000Z: still needed. A rejection", ApprovalLapsedError
)
def a_list_that_somebody_else_rejected(setup: Setup) -> Asked:
    rejected(setup, setup.whole)
    return one_approval(setup)


@claims.refused("Ben rejected this list", ApprovalLapsedError)
def a_rejected_list_where_no_approval_is_required(setup: Setup) -> Asked:
    return replace(a_list_that_somebody_else_rejected(setup), approvals=(), approval_required=False)


@claims.refused("Ben rejected this list", ApprovalLapsedError)
def a_part_of_a_rejected_list(setup: Setup) -> Asked:
    rejected(setup, setup.whole)
    return a_part_under_the_approvals_of_the_whole(setup)


@claims.refused("Ben rejected this list", ApprovalLapsedError)
def a_list_of_which_a_part_was_rejected(setup: Setup) -> Asked:
    rejected(setup, setup.list("e"))
    return one_approval(setup)


@claims.refused("Ben rejected this list", ApprovalLapsedError)
def a_list_that_was_rejected_in_the_accepted_run_of_another_dag(setup: Setup) -> Asked:
    rejected(setup, setup.whole, dag_id="other", run_id="r1")
    return an_approval_of_a_dag_that_counts_here(setup)


test_allowed, test_refused, test_gate_and_audit_say_the_same = claims.tests()


def test_a_rejection_after_the_first_call_forbids_no_more_than_what_came_later(store: Store) -> None:
    setup = Setup(store)
    asked = one_approval(setup)
    rejected(setup, setup.whole, rejected_at=BEGUN)
    from_files(store, asked)
    with pytest.raises(ApprovalLapsedError, match="rejected"):
        gate(store, asked)


@pytest.mark.parametrize("change", [b"changed", b""])
def test_a_changed_rejection_is_found(store: Store, change: bytes) -> None:
    setup = Setup(store)
    rejected(setup, setup.list("x"))
    (name,) = store.names("rejections")
    store.write(name, store.read(name).replace(b"still needed", change))
    for ask in (gate, from_files):
        with pytest.raises(EvidenceError, match="was changed"):
            ask(store, one_approval(setup))
