"""An approval counts in the run that it was given in, and from another DAG only where that one is accepted."""

from __future__ import annotations

from dataclasses import replace

from tests.evidence import evidence_factory
from tests.evidence.claims import Asked, Claims, Setup, an_approval_of_a_dag_that_counts_here

claims = Claims()
claims.good(an_approval_of_a_dag_that_counts_here)


@claims.refused("was given in the run scheduled__2026-10-22, not in this one")
def an_approval_of_another_run(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, run_id="scheduled__2026-10-22")])


@claims.refused("was given in the DAG other, not in this one .* accept_approvals_from")
def an_approval_of_another_dag(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, dag_id="other")])


@claims.refused("was given in the DAG other, not in this one")
def an_approval_of_a_dag_that_is_not_the_accepted_one(setup: Setup) -> Asked:
    asked = an_approval_of_another_dag(setup)
    return replace(asked, accept_approvals_from=["another"])


@claims.refused("was given in the run r0, not in this one")
def an_approval_of_another_run_where_the_own_dag_is_accepted(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole, run_id="r0")
    return Asked(setup.whole, [setup.whole], [approval], accept_approvals_from=[evidence_factory.DAG])


@claims.refused("was given in the run r0, not in this one")
def an_approval_of_another_run_beside_one_of_this(setup: Setup) -> Asked:
    approvals = [setup.approve(setup.whole), setup.approve(setup.whole, "ben", run_id="r0")]
    return Asked(setup.whole, [setup.whole], approvals)


@claims.refused("was given in the run r0, not in this one")
def an_approval_of_another_run_where_none_is_required(setup: Setup) -> Asked:
    return replace(an_approval_of_another_run_beside_one_of_this(setup), approval_required=False)


@claims.refused("was given in the run r0, not in this one")
def an_approval_of_another_run_in_a_rehearsal(setup: Setup) -> Asked:
    return replace(an_approval_of_another_run_beside_one_of_this(setup), dry_run=True)


@claims.refused("was given in the run r0, not in this one")
def a_part_of_a_list_that_was_approved_in_another_run(setup: Setup) -> Asked:
    part = setup.list("c", "d")
    return Asked(part, [part], [setup.part(part, setup.approve(setup.whole, run_id="r0"))])


@claims.refused("does not fit the one that it rests on")
def a_part_that_hides_the_run_of_its_approval(setup: Setup) -> Asked:
    part = setup.list("c", "d")
    original = setup.approve(setup.whole, run_id="r0")
    return Asked(part, [part], [setup.part(part, original, order=evidence_factory.order(setup.store, part.digest))])


test_allowed, test_refused, test_gate_and_audit_say_the_same = claims.tests()
