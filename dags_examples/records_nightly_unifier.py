"""Every night: move the Unifier documents whose retention has ended to the recycle bin, and mark them in Opus.

Connections: ``opus_projects`` (type opus, with the connector id of the project documents), ``unifier_default``.
Unifier's REST interface cannot destroy: a document goes to the recycle bin, which a person empties in Unifier. That
``recycled`` counts as enough for the mark in Opus is this DAG's written choice (``accept``).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.retry import RecordsRetryPolicy
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor

with DAG(
    dag_id="records_nightly_unifier",
    description="Recycle due Unifier documents after approval in Unifier, mark them in Opus, certify",
    schedule="0 5 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
        # Errors that time may cure: later with each try. Those that somebody must cure: no further try.
        "retry_policy": RecordsRetryPolicy(timedelta(minutes=5)),
    },
    tags=["records"],
    doc_md=__doc__,
):
    due = OpusDueRecordsOperator(
        task_id="due",
        due_before="{{ (dag_run.run_after - macros.timedelta(hours=14)).strftime('%Y-%m-%dT%H:%M:%S') }}",
        target_id_pattern=r"unifier-(\d+)",
        opus_conn_id="opus_projects",
    )
    approve = UnifierApprovalSensor(
        task_id="approve",
        records=due.output,
        project_number="P-0001",
        bpname="Disposal Request",
        # The documents must not be attached to this record: an attached document is linked and cannot be deleted.
        record_no="DR-UNIFIER-{{ dag_run.run_after.strftime('%Y%m%d') }}",
        digest_field="disposal_digest",
        wait_for_record=True,
        deferrable=True,
        poke_interval=timedelta(seconds=30),
        timeout=timedelta(days=7),
    )
    delete = UnifierDeleteDocumentOperator(task_id="delete", records=approve.output)
    mark = OpusDestroyRecordsOperator(
        task_id="mark",
        records=delete.output,
        accept=("recycled", "absent"),
        opus_conn_id="opus_projects",
        trigger_rule="one_done",
    )
    DestructionCertificateOperator(
        task_id="certificate", disposals=[delete.output, mark.output], trigger_rule="all_done"
    )
