"""A night for each vendor in which people decide, and others have time to decide until the deletion."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator, EnaioDueRecordsOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator, UnifierDueDocumentsOperator

BOUND = "2026-01-01"


@task
def later(reference: Any) -> Any:
    """Wait until the test says that the days after the approval are over."""
    evidence = Path(os.environ["AIRFLOW__RECORDS__EVIDENCE_PATH"].removeprefix("file://"))
    deadline = time.monotonic() + 300
    while not (evidence.parent / "later").exists():
        if time.monotonic() > deadline:
            raise TimeoutError("nobody said that it is later")
        time.sleep(0.1)
    return reference


def reviewed(due: Any) -> Any:
    """Return the list that people approve, after a while."""
    review = DisposalApprovalOperator(
        task_id="review",
        records=due.output,
        assigned_users={"id": "reviewer_1", "name": "Reviewer 1"},
        response_timeout=timedelta(minutes=10),
    )
    return later(review.output)


with DAG("three_nights_opus", schedule=None):
    listed: Any = OpusDueRecordsOperator(task_id="due", due_before=BOUND, target_id_pattern=r"enaio-(\d+)")
    delete: Any = EnaioDeleteObjectOperator(task_id="delete", records=reviewed(listed), hard_delete=True)
    mark = OpusDestroyRecordsOperator(task_id="mark", records=delete.output, trigger_rule="one_done")
    DestructionCertificateOperator(
        task_id="certificate", disposals=[delete.output, mark.output], trigger_rule="all_done"
    )

with DAG("three_nights_enaio", schedule=None):
    listed = EnaioDueRecordsOperator(
        task_id="due", object_type="Letter", due_field="Ends", due_before=BOUND, key_field="FileNo"
    )
    delete = EnaioDeleteObjectOperator(task_id="delete", records=reviewed(listed), hard_delete=True)
    DestructionCertificateOperator(task_id="certificate", disposals=[delete.output], trigger_rule="all_done")

with DAG("three_nights_unifier", schedule=None):
    listed = UnifierDueDocumentsOperator(
        task_id="due", project_number="P-0001", parent_path="/Nights", date_field="Upload Date", due_before=BOUND
    )
    delete = UnifierDeleteDocumentOperator(task_id="delete", records=reviewed(listed))
    DestructionCertificateOperator(task_id="certificate", disposals=[delete.output], trigger_rule="all_done")
