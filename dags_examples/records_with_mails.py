"""Every night: destroy due enaio objects after an approval in Airflow, with a mail at each step; no Opus.

Connections: ``enaio_default``, ``smtp_default`` (Airflow's SMTP provider). Reviewers get a mail that links the request;
the records manager gets one of what was done, with the certificate. Any other notifier takes the same texts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG

from airflow_provider_records.deadlines import deadlines
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator, EnaioDueRecordsOperator
from airflow_provider_records.retry import RecordsRetryPolicy

# What your installation decides. Nothing below this block has to change.
SCHEDULE = "30 4 * * *"  # UTC
OBJECT_TYPE, TITLE_FIELD = "Invoice", "Title"  # internal names
DUE_FIELD = "RetentionEnd"  # an index field with a date, or system:OBJECT_RETENTION
REVIEWERS = {"reviewer_1": "Reviewer 1", "reviewer_2": "Reviewer 2"}  # id of Airflow's auth manager: name
RESPONSE_TIMEOUT = timedelta(days=7)
FROM, REVIEWERS_MAIL, MANAGERS_MAIL = "airflow@example.org", "reviewers@example.org", "records@example.org"
# The page of the certificate as a file. With an evidence store that is no folder: []; the mail has a link to it.
ATTACHED = ["{{ ti.xcom_pull(task_ids='certificate')['html'] | replace('file://', '') }}"]
SUMMARY = "{{ (ti.xcom_pull(task_ids='certificate') or {})['summary'] | default(exception, true) | e }}"
NO_APPROVAL_AFTER = timedelta(days=3)  # somebody is told; the run goes on waiting
NO_CERTIFICATE_AFTER = timedelta(hours=25, minutes=30)  # from the schedule on: 06:00 on the day after

with DAG(
    dag_id="records_with_mails",
    description="Destroy due enaio objects after an approval in Airflow, certify, mail at each step",
    schedule=SCHEDULE,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    deadline=deadlines(
        approval=NO_APPROVAL_AFTER,
        certificate=NO_CERTIFICATE_AFTER,
        notifier=SmtpNotifier,
        arguments={
            "from_email": FROM,
            "to": MANAGERS_MAIL,
            "subject": "{{ summary.splitlines()[0] }}",
            "html_content": "<pre>{{ summary | e }}</pre>",
        },
    ),
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
        # The pause grows with each try. An error that a person must correct is not retried.
        "retry_policy": RecordsRetryPolicy(timedelta(minutes=5)),
        "on_failure_callback": SmtpNotifier(
            from_email=FROM,
            to=MANAGERS_MAIL,
            subject="{{ dag.dag_id }}: {{ ti.task_id }} failed",
            html_content="<pre>{{ exception | e }}\n{{ ti.log_url | e }}</pre>",
        ),
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
        # A notifier that fails is only logged: the request can be answered all the same.
        notifiers=[
            SmtpNotifier(
                from_email=FROM,
                to=REVIEWERS_MAIL,
                subject="{{ task.subject }}",
                html_content="<pre>{{ task.summary | e }}</pre>",
            )
        ],
    )
    delete = EnaioDeleteObjectOperator(task_id="delete", records=review.output, hard_delete=True)
    DestructionCertificateOperator(
        task_id="certificate",
        disposals=[delete.output],
        # Runs in any case, and fails if anything is left to do, so that it is noticed.
        trigger_rule="all_done",
        on_success_callback=SmtpNotifier(
            from_email=FROM,
            to=MANAGERS_MAIL,
            subject="{{ dag.dag_id }}: certified",
            html_content=f"<pre>{SUMMARY}</pre>",
            files=ATTACHED,
        ),
        # There may be no certificate, so nothing is attached.
        on_failure_callback=SmtpNotifier(
            from_email=FROM,
            to=MANAGERS_MAIL,
            subject="{{ dag.dag_id }}: not complete",
            html_content=f"<pre>{SUMMARY}</pre>",
        ),
    )
