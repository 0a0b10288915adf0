"""Destroy the enaio objects that a CSV file names, approved in Unifier.

Connections: ``unifier_default``, ``enaio_default``. Airflow variable ``records_due_file``: URL or absolute path of the
file, in any storage (``s3://conn_id@bucket/due.csv``).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_records.deadlines import deadlines
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.manifest import RecordListOperator
from airflow_provider_records.retry import RecordsRetryPolicy
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor

# What your installation decides. Nothing below this block has to change.
SOURCE = "{{ var.value.records_due_file }}"
COLUMNS = {"key": "File no.", "target_id": "Object", "title": "Title"}  # the other columns become attributes
PROJECT_NUMBER, BPNAME, DIGEST_FIELD = "P-0001", "Disposal Request", "disposal_digest"  # of the approval in Unifier
APPROVED, REJECTED = ("Approved",), ("Rejected",)  # the statuses that end the approval
RECORD_NO = "DR-FILE-{{ ti.xcom_pull(task_ids='due')['digest'][7:19] }}"  # derived from the list
APPROVAL_TIMEOUT = timedelta(days=7)
NO_APPROVAL_AFTER = timedelta(days=3)  # somebody is told; the run goes on waiting
NO_CERTIFICATE_AFTER = timedelta(hours=25)

with DAG(
    dag_id="records_from_file",
    description="Destroy the enaio objects that a file names after approval in Unifier, certify",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    deadline=deadlines(approval=NO_APPROVAL_AFTER, certificate=NO_CERTIFICATE_AFTER),
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
        # The pause grows with each try. An error that a person must correct is not retried.
        "retry_policy": RecordsRetryPolicy(timedelta(minutes=5)),
    },
    tags=["records"],
    doc_md=__doc__,
):
    due = RecordListOperator(task_id="due", source=SOURCE, columns=COLUMNS)
    approve = UnifierApprovalSensor(
        task_id="approve",
        records=due.output,
        project_number=PROJECT_NUMBER,
        bpname=BPNAME,
        record_no=RECORD_NO,
        digest_field=DIGEST_FIELD,
        approved=APPROVED,
        rejected=REJECTED,
        wait_for_record=True,
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        timeout=APPROVAL_TIMEOUT,
    )
    delete = EnaioDeleteObjectOperator(task_id="delete", records=approve.output, hard_delete=True)
    DestructionCertificateOperator(task_id="certificate", disposals=[delete.output], trigger_rule="all_done")
