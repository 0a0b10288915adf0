"""Every night: move Unifier documents of a folder to the recycle bin when they are old enough, approved there; no Opus.

Connection: ``unifier_default``. For each list, the records manager creates a record of the business process with the
number and the digest that the log of the task ``approve`` states, and sends it through the workflow.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_records.deadlines import deadlines
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator, UnifierDueDocumentsOperator
from airflow_provider_records.retry import RecordsRetryPolicy
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor

# What your installation decides. Nothing below this block has to change.
SCHEDULE = "0 5 * * *"  # UTC
PROJECT_NUMBER, PARENT_PATH = "P-0001", "/Closed"  # the documents below this folder of this shell
DATE_FIELD, YEARS = "Upload Date", 11  # label of the date as listings show it, and how long a document is kept after it
BPNAME, DIGEST_FIELD = "Disposal Request", "disposal_digest"  # of the approval in Unifier
APPROVED, REJECTED = ("Approved",), ("Rejected",)  # the statuses that end the approval
RECORD_NO = "DR-DOCS-{{ ti.xcom_pull(task_ids='due')['digest'][7:19] }}"  # derived from the list
APPROVAL_TIMEOUT = timedelta(days=7)
NO_APPROVAL_AFTER = timedelta(days=3)  # somebody is told; the run goes on waiting
NO_CERTIFICATE_AFTER = timedelta(hours=25)  # from the schedule on: 06:00 on the day after

with DAG(
    dag_id="records_unifier_only",
    description="Recycle old Unifier documents after approval in Unifier, certify",
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
    params={"years": YEARS},
    tags=["records"],
    doc_md=__doc__,
):
    due = UnifierDueDocumentsOperator(
        task_id="due",
        project_number=PROJECT_NUMBER,
        parent_path=PARENT_PATH,
        date_field=DATE_FIELD,
        due_before="{{ (dag_run.run_after - macros.timedelta(days=366 * params.years)).strftime('%Y-%m-%d') }}",
    )
    approve = UnifierApprovalSensor(
        task_id="approve",
        records=due.output,
        project_number=PROJECT_NUMBER,
        bpname=BPNAME,
        # The documents must not be attached to this record: Unifier refuses to delete an attached document.
        record_no=RECORD_NO,
        digest_field=DIGEST_FIELD,
        approved=APPROVED,
        rejected=REJECTED,
        wait_for_record=True,
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        timeout=APPROVAL_TIMEOUT,
    )
    delete = UnifierDeleteDocumentOperator(task_id="delete", records=approve.output)
    DestructionCertificateOperator(task_id="certificate", disposals=[delete.output], trigger_rule="all_done")
