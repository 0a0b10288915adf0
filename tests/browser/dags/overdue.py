"""A list that nobody approves in time."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_records.deadlines import deadlines
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator

with DAG(dag_id="overdue", schedule=None, deadline=deadlines(approval=timedelta(seconds=1))):
    approve = DisposalApprovalOperator(
        task_id="approve",
        records=["1"],
        assigned_users={"id": "reviewer_1", "name": "Reviewer 1"},
        response_timeout=timedelta(hours=1),
    )
    EnaioDeleteObjectOperator(task_id="delete", records=approve.output, hard_delete=True)
