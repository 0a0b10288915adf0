"""Every night: destroy the enaio content whose retention has ended, approved in Unifier, marked in Opus.

Connections: ``opus_default`` (with the connector id of the enaio records), ``unifier_default``, ``enaio_default``.
For each list, the records manager creates a record of the business process with the number and the digest that the log
of the task ``approve`` states, and sends it through the workflow.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_records.deadlines import deadlines
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.retry import RecordsRetryPolicy
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor

# What your installation decides. Nothing below this block has to change.
SCHEDULE = "30 4 * * *"  # UTC; Opus moves due records into review between 22:00 and 04:00
TARGET_ID_PATTERN = r"enaio-(\d+)"  # the enaio id within the rowKey, which is set when a record is submitted to Opus
PROJECT_NUMBER, BPNAME, DIGEST_FIELD = "P-0001", "Disposal Request", "disposal_digest"  # of the approval in Unifier
APPROVED, REJECTED = ("Approved",), ("Rejected",)  # the statuses that end the approval
RECORD_NO = "DR-ENAIO-{{ ti.xcom_pull(task_ids='due')['digest'][7:19] }}"  # derived from the list
APPROVAL_TIMEOUT = timedelta(days=7)
NO_APPROVAL_AFTER = timedelta(days=3)  # somebody is told; the run goes on waiting
NO_CERTIFICATE_AFTER = timedelta(hours=25, minutes=30)  # from the schedule on: 06:00 on the day after

with DAG(
    dag_id="records_nightly_enaio",
    description="Destroy due enaio content after approval in Unifier, mark it in Opus, certify",
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
    due = OpusDueRecordsOperator(
        task_id="due",
        # 14 hours back: no record is listed too early, whatever the time zone of the Opus tenant is.
        due_before="{{ (dag_run.run_after - macros.timedelta(hours=14)).strftime('%Y-%m-%dT%H:%M:%S') }}",
        target_id_pattern=TARGET_ID_PATTERN,
    )
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
    mark = OpusDestroyRecordsOperator(
        task_id="mark",
        records=delete.output,
        # absent: otherwise content that others deleted, or a run that died, would stay due in Opus forever.
        accept=("destroyed", "absent"),
        # Runs even if some records could not be deleted: the others are marked in the same run.
        trigger_rule="one_done",
    )
    DestructionCertificateOperator(
        task_id="certificate",
        disposals=[delete.output, mark.output],
        # Runs in any case, and fails if anything is left to do, so that it is noticed.
        trigger_rule="all_done",
    )
