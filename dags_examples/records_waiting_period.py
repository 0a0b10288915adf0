"""Destroy enaio objects a week after a person in Airflow approved the list, so that others can object; no Opus.

Connection: ``enaio_default``. During the week, ``airflow-records hold add`` keeps single records; whoever clears the
task ``review`` and rejects, withdraws the approval. Nothing is deleted earlier (``min_wait``), whatever becomes of the
task that waits. The reviewer is a user of Airflow, as in ``records_nightly_approval``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_records.deadlines import deadlines
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator, EnaioDueRecordsOperator
from airflow_provider_records.retry import RecordsRetryPolicy
from airflow_provider_records.sensors.waiting import WaitingPeriodSensor

# What your installation decides. Nothing below this block has to change.
SCHEDULE = "30 4 1 * *"  # UTC; once a month, as a run takes longer than a night
OBJECT_TYPE, TITLE_FIELD = "Invoice", "Title"  # internal names
DUE_FIELD = "RetentionEnd"  # an index field with a date, or system:OBJECT_RETENTION
REVIEWERS = {"reviewer_1": "Reviewer 1"}  # id of Airflow's auth manager: name
RESPONSE_TIMEOUT = timedelta(days=7)
WAIT = timedelta(days=7)  # between the approval and the first delete
NO_APPROVAL_AFTER = timedelta(days=3)  # somebody is told; the run goes on waiting
NO_CERTIFICATE_AFTER = timedelta(days=15)  # from the schedule on

with DAG(
    dag_id="records_waiting_period",
    description="Destroy due enaio objects a week after a person approved them, certify",
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
        title_field=TITLE_FIELD,
    )
    review = DisposalApprovalOperator(
        task_id="review",
        records=due.output,
        assigned_users=[{"id": user, "name": name} for user, name in REVIEWERS.items()],
        response_timeout=RESPONSE_TIMEOUT,
    )
    wait = WaitingPeriodSensor(
        task_id="wait", records=review.output, delay=WAIT, deferrable=True, poke_interval=timedelta(seconds=30)
    )
    delete = EnaioDeleteObjectOperator(task_id="delete", records=wait.output, hard_delete=True, min_wait=WAIT)
    DestructionCertificateOperator(task_id="certificate", disposals=[delete.output], trigger_rule="all_done")
