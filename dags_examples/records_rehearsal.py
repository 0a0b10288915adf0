"""A rehearsal: what would a run destroy? It looks up every record, changes nothing and needs no approval.

Connections: ``opus_default``, ``enaio_default``. The certificate states that it is the certificate of a rehearsal.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_records.deadlines import deadlines
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDueRecordsOperator

# What your installation decides. Nothing below this block has to change.
TARGET_ID_PATTERN = r"enaio-(\d+)"  # the enaio id within the rowKey, which is set when a record is submitted to Opus
NO_CERTIFICATE_AFTER = timedelta(hours=1, minutes=30)

with DAG(
    dag_id="records_rehearsal",
    description="Look up every due record and change nothing",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    deadline=deadlines(certificate=NO_CERTIFICATE_AFTER),
    tags=["records"],
    doc_md=__doc__,
):
    due = OpusDueRecordsOperator(
        task_id="due",
        due_before="{{ (dag_run.run_after - macros.timedelta(hours=14)).strftime('%Y-%m-%dT%H:%M:%S') }}",
        target_id_pattern=TARGET_ID_PATTERN,
    )
    look = EnaioDeleteObjectOperator(task_id="look", records=due.output, hard_delete=True, dry_run=True)
    DestructionCertificateOperator(task_id="certificate", disposals=[look.output], require_complete=False)
