"""Every night: destroy the enaio objects of one type whose retention has ended, approved in a field of theirs; no Opus.

Connection: ``enaio_default``. The department sets the field ``Disposal`` of what may go; the DAG lists those
of them that are due, and deletes exactly these. An object that is changed after it was listed is not deleted.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_records.deadlines import deadlines
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator, EnaioDueRecordsOperator
from airflow_provider_records.retry import RecordsRetryPolicy
from airflow_provider_records.sensors.enaio import EnaioApprovalSensor

# What your installation decides. Nothing below this block has to change.
SCHEDULE = "30 4 * * *"  # UTC
OBJECT_TYPE, TITLE_FIELD = "Invoice", "Title"  # internal names
DUE_FIELD = "RetentionEnd"  # an index field with a date, or system:OBJECT_RETENTION
FIELD, APPROVED, REJECTED = "Disposal", ("approved",), ("rejected",)  # who may set it, approves
WHERE = "Disposal='approved'"
APPROVAL_TIMEOUT = timedelta(days=7)
NO_APPROVAL_AFTER = timedelta(days=3)  # somebody is told; the run goes on waiting
NO_CERTIFICATE_AFTER = timedelta(hours=1, minutes=30)  # from the schedule on: 06:00

with DAG(
    dag_id="records_enaio_only",
    description="Destroy due enaio objects that a field of theirs approves, certify",
    schedule=SCHEDULE,
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
    due = EnaioDueRecordsOperator(
        task_id="due",
        object_type=OBJECT_TYPE,
        due_field=DUE_FIELD,
        due_before="{{ (dag_run.run_after - macros.timedelta(hours=14)).strftime('%Y-%m-%dT%H:%M:%S') }}",
        where=WHERE,
        title_field=TITLE_FIELD,
    )
    approve = EnaioApprovalSensor(
        task_id="approve",
        records=due.output,
        field=FIELD,
        approved=APPROVED,
        rejected=REJECTED,
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        timeout=APPROVAL_TIMEOUT,
    )
    delete = EnaioDeleteObjectOperator(task_id="delete", records=approve.output, hard_delete=True)
    DestructionCertificateOperator(task_id="certificate", disposals=[delete.output], trigger_rule="all_done")
