"""A run for the page "Disposals", and a DAG that follows what it destroys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, task

from airflow_provider_records.operators.assets import disposed
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator

# A busy machine may lose a task before it has begun.
AGAIN = {"retries": 3, "retry_delay": timedelta(seconds=1)}

with DAG("page_run", schedule=None, params={"ids": []}, is_paused_upon_creation=False, default_args=AGAIN):

    @task
    def given(params: dict[str, Any] | None = None) -> list[str]:
        """Return the ids that the run was triggered with."""
        return list((params or {})["ids"])

    delete = EnaioDeleteObjectOperator(
        task_id="delete", records=given(), hard_delete=True, require_approval=False, concurrency=2
    )
    DestructionCertificateOperator(task_id="certificate", disposals=[delete.output])

with DAG("page_follower", schedule=[disposed("enaio")], is_paused_upon_creation=False):
    EmptyOperator(task_id="told")
