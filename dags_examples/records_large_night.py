"""A large run: one approved list, split into parts that run as mapped tasks.

Each part is a mapped task group with its own journal, retries and ``max_records``. The pool limits how many parts send
requests to enaio at once. Each part sends up to the connection's ``max_concurrency`` requests at once, so the pool's
slots multiply it.

Connections: ``opus_default``, ``unifier_default``, ``enaio_default``. Pool: ``default_pool``; use a pool of its own for
enaio in production. A list can contain about a million records: 1,024 parts of 1,000.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, task_group

from airflow_provider_records.deadlines import deadlines
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.manifest import SplitManifestOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.retry import RecordsRetryPolicy
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor

# What your installation decides. Nothing below this block has to change.
TARGET_ID_PATTERN = r"enaio-(\d+)"  # the enaio id within the rowKey, which is set when a record is submitted to Opus
PROJECT_NUMBER, BPNAME, DIGEST_FIELD = "P-0001", "Disposal Request", "disposal_digest"  # of the approval in Unifier
APPROVED, REJECTED = ("Approved",), ("Rejected",)  # the statuses that end the approval
RECORD_NO = "DR-LARGE-{{ ti.xcom_pull(task_ids='due')['digest'][7:19] }}"  # derived from the list
APPROVAL_TIMEOUT = timedelta(days=7)
PART = 1000  # records, at most max_records; Airflow maps 1,024 parts ([core] max_map_length), more are an error
POOL, PARTS_AT_ONCE = "default_pool", 4  # requests to enaio at once: PARTS_AT_ONCE x the connection's max_concurrency
NO_APPROVAL_AFTER = timedelta(days=3)  # somebody is told; the run goes on waiting
NO_CERTIFICATE_AFTER = timedelta(hours=25)

with DAG(
    dag_id="records_large_night",
    description="One approved list, destroyed in parts by mapped tasks",
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
