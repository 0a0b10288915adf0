"""A large night: one approved list, cut into parts that run as mapped tasks.

Each part is a mapped task group of its own: its journal, its retries, its ``max_records``. The pool bounds how many
parts talk to enaio at once; each brings the connection's ``max_concurrency`` along, and the pool's slots multiply it.

Connections: ``opus_default``, ``unifier_default``, ``enaio_default``. Pool: ``default_pool``; production has one of
its own for enaio. A list may hold about a million records: 1,000 a part, 1,024 parts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task_group

from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.manifest import SplitManifestOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.retry import RecordsRetryPolicy
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor

# What your installation decides. Nothing below this block has to change.
TARGET_ID_PATTERN = r"enaio-(\d+)"  # where the rowKey, given when a record was submitted to Opus, holds the enaio id
PROJECT_NUMBER, BPNAME, DIGEST_FIELD = "P-0001", "Disposal Request", "disposal_digest"  # of the approval, in Unifier
APPROVED, REJECTED = ("Approved",), ("Rejected",)  # the statuses that decide
RECORD_NO = "DR-LARGE-{{ ti.xcom_pull(task_ids='due')['digest'][7:19] }}"  # of the list: another list, another number
APPROVAL_TIMEOUT = timedelta(days=7)
PART = 1000  # records, at most max_records; Airflow maps 1,024 parts ([core] max_map_length), more are refused in words
POOL, PARTS_AT_ONCE = "default_pool", 4  # PARTS_AT_ONCE x max_concurrency of the connection: calls to enaio at once

with DAG(
    dag_id="records_large_night",
    description="One approved list, destroyed in parts by mapped tasks",
    schedule=None,
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
) as dag:
    due = OpusDueRecordsOperator(
        task_id="due",
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
    split = SplitManifestOperator(task_id="split", records=approve.output, size=PART)

    @task_group
    def part(records: object) -> None:
        """Delete and mark one part."""
        delete = EnaioDeleteObjectOperator(
            task_id="delete", records=records, hard_delete=True, pool=POOL, max_active_tis_per_dagrun=PARTS_AT_ONCE
        )
        OpusDestroyRecordsOperator(
            task_id="mark", records=delete.output, accept=("destroyed", "absent"), trigger_rule="one_done"
        )

    part.expand(records=split.output)
    DestructionCertificateOperator(
        task_id="certificate",
        disposals=[dag.get_task("part.delete").output, dag.get_task("part.mark").output],
        trigger_rule="all_done",
    )
