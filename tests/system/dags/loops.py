"""A night in a loop (Airflow 3.4): a list of its own in each iteration, one certificate after the loop."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task_group

from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.manifest import RecordListOperator
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor

LISTED = os.environ.get("LISTS_OF_LOOPS", "/nowhere") + "/{{ loop.index }}.csv"


@task_group
def by_vendor() -> None:
    """Destroy what Unifier has approved."""
    listed = RecordListOperator(task_id="list", source=LISTED, set_aside=True)
    approve = UnifierApprovalSensor(
        task_id="approve",
        records=listed.output,
        project_number="P-0001",
        bpname="Disposal Request",
        record_no="DR-{{ ti.xcom_pull(task_ids='by_vendor.list')['digest'][7:19] }}",
        digest_field="disposal_digest",
        approved=["Approved"],
        wait_for_record=True,
        deferrable=True,
        poke_interval=timedelta(seconds=1),
    )
    EnaioDeleteObjectOperator(task_id="delete", records=approve.output, hard_delete=True)


@task_group
def by_person() -> None:
    """Destroy what a person has approved."""
    listed = RecordListOperator(task_id="list", source=LISTED)
    review = DisposalApprovalOperator(
        task_id="review",
        records=listed.output,
        assigned_users=[{"id": "reviewer_1", "name": "Reviewer 1"}],
        response_timeout=timedelta(hours=1),
    )
    EnaioDeleteObjectOperator(task_id="delete", records=review.output, hard_delete=True)


@task_group
def certifying() -> None:
    """Write a certificate in each iteration, which a run cannot have."""
    DestructionCertificateOperator(task_id="certificate", disposals=[])


def with_certificate(group: Any) -> None:
    """Write the one certificate after the loop."""
    with DAG(f"loop_{group.function.__name__}", schedule=None):
        delete = group.loop(max_iterations=3).get_child_by_label("delete")
        DestructionCertificateOperator(task_id="certificate", disposals=[delete.output])


def alone(group: Any) -> None:
    """Make a DAG of nothing but the loop."""
    with DAG(f"loop_{group.function.__name__}", schedule=None):
        group.loop(max_iterations=2)


if hasattr(by_vendor, "loop"):  # since Airflow 3.4
    with_certificate(by_vendor)
    with_certificate(by_person)
    alone(certifying)
