"""Every night: destroy due enaio content after two people have approved the list in Airflow, one after the other.

Connections: ``opus_default`` (with the connector id of the enaio records), ``enaio_default``. The reviewers are users
of Airflow. They answer under *Required Actions* and can withhold single records of the list. Configure them in the
simple auth manager with ``[core] simple_auth_manager_users = reviewer_1:user,reviewer_2:user`` and
``simple_auth_manager_all_admins = False``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_records.deadlines import deadlines
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.retry import RecordsRetryPolicy

# What your installation decides. Nothing below this block has to change.
SCHEDULE = "30 4 * * *"  # UTC; Opus moves due records into review between 22:00 and 04:00
TARGET_ID_PATTERN = r"enaio-(\d+)"  # the enaio id within the rowKey, which is set when a record is submitted to Opus
REVIEWERS = {"reviewer_1": "Reviewer 1", "reviewer_2": "Reviewer 2"}  # id of Airflow's auth manager: name
RESPONSE_TIMEOUT = timedelta(days=7)
NO_APPROVAL_AFTER = timedelta(days=3)  # somebody is told; the run goes on waiting
NO_CERTIFICATE_AFTER = timedelta(hours=25, minutes=30)  # from the schedule on: 06:00 on the day after

with DAG(
    dag_id="records_nightly_approval",
    description="Destroy due enaio content after two approvals in Airflow, mark it in Opus, certify",
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
    review = DisposalApprovalOperator(
        task_id="review",
        records=due.output,
        assigned_users=[{"id": user, "name": name} for user, name in REVIEWERS.items()],
        response_timeout=RESPONSE_TIMEOUT,
    )
    # Its input is the output of the first one, so it refuses the person who answered there.
    confirm = DisposalApprovalOperator(
        task_id="confirm",
        records=review.output,
        assigned_users=[{"id": user, "name": name} for user, name in REVIEWERS.items()],
        response_timeout=RESPONSE_TIMEOUT,
    )
    delete = EnaioDeleteObjectOperator(task_id="delete", records=confirm.output, hard_delete=True, min_approvals=2)
    mark = OpusDestroyRecordsOperator(
        task_id="mark",
        records=delete.output,
        # absent: otherwise content that others deleted, or a run that died, would stay due in Opus forever.
        accept=("destroyed", "absent"),
        min_approvals=2,
        # Runs even if some records could not be deleted: the others are marked in the same run.
        trigger_rule="one_done",
    )
    DestructionCertificateOperator(
        task_id="certificate",
        disposals=[delete.output, mark.output],
        # Runs in any case, and fails if anything is left to do. Only a rejection skips it: there is nothing to certify.
        trigger_rule="all_done",
    )
