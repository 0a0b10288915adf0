"""Every night: move the Unifier documents whose retention has ended to the recycle bin, and mark them in Opus.

Connections: ``opus_projects`` (type opus, with the connector id of the project documents), ``unifier_default``.
Unifier's REST interface cannot destroy a document. It moves the document to the recycle bin, which a person empties in
Unifier. This DAG decides (``accept``) that a record is marked in Opus when its document is in the recycle bin.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_records.deadlines import deadlines
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.retry import RecordsRetryPolicy
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor

# What your installation decides. Nothing below this block has to change.
SCHEDULE = "0 5 * * *"  # UTC
TARGET_ID_PATTERN = r"unifier-(\d+)"  # the node id within the rowKey, which is set when a record is submitted to Opus
PROJECT_NUMBER, BPNAME, DIGEST_FIELD = "P-0001", "Disposal Request", "disposal_digest"  # of the approval in Unifier
APPROVED, REJECTED = ("Approved",), ("Rejected",)  # the statuses that end the approval
RECORD_NO = "DR-UNIFIER-{{ ti.xcom_pull(task_ids='due')['digest'][7:19] }}"  # derived from the list
OPUS_CONN_ID = "opus_projects"  # with the connector id of the project documents
APPROVAL_TIMEOUT = timedelta(days=7)
NO_APPROVAL_AFTER = timedelta(days=3)  # somebody is told; the run goes on waiting
NO_CERTIFICATE_AFTER = timedelta(hours=25)  # from the schedule on: 06:00 on the day after

with DAG(
    dag_id="records_nightly_unifier",
    description="Recycle due Unifier documents after approval in Unifier, mark them in Opus, certify",
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
        due_before="{{ (dag_run.run_after - macros.timedelta(hours=14)).strftime('%Y-%m-%dT%H:%M:%S') }}",
        target_id_pattern=TARGET_ID_PATTERN,
        opus_conn_id=OPUS_CONN_ID,
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
    mark = OpusDestroyRecordsOperator(
        task_id="mark",
        records=delete.output,
        accept=("recycled", "absent"),
        opus_conn_id=OPUS_CONN_ID,
        trigger_rule="one_done",
    )
    DestructionCertificateOperator(
        task_id="certificate", disposals=[delete.output, mark.output], trigger_rule="all_done"
    )
