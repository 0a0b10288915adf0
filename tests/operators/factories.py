"""Runs one operator outside of a scheduler: its real ``execute``, with the few facts of a task it asks for."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, BaseOperator
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.evidence.order import METHODS, Covered, Order
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.sensors.approval import ApprovalSensor
from airflow_provider_records.sensors.opus import OpusDueRecordsSensor

ASKING = (DisposalApprovalOperator, ApprovalSensor, OpusDueRecordsSensor)

DAG_ID, RUN_ID = "night", "manual__2026-11-22T04:30:00+00:00"
TASKS = ("delete", "again", "mark")
HOOKS: dict[str, type[VendorHook]] = {"enaio": EnaioHook, "unifier": UnifierHook, "opus": OpusHook}


def connected(conn_type: str) -> bool:
    """Tell whether a test has a connection of this type."""
    return f"AIRFLOW_CONN_{conn_type.upper()}_DEFAULT" in os.environ


def covered() -> list[Covered]:
    """Return everything that the tasks of a night could do in the sandbox."""
    hooks = {conn_type: kind(f"{conn_type}_default") for conn_type, kind in HOOKS.items() if connected(conn_type)}
    return [
        Covered(task_id, system, method, hook.target, hook.conn_id)
        for task_id in TASKS
        for system, hook in hooks.items()
        for method in METHODS
    ]


def given(store: Store, digest: str, **change: Any) -> dict[str, Any]:
    """Return what an approval states of what it allows, where a test does not care."""
    known: dict[str, Any] = {
        "tasks": covered(),
        "dag_id": DAG_ID,
        "run_id": RUN_ID,
        "asked_at": "2026-11-22T04:31:00.000Z",
        "valid_until": "2999-01-01T00:00:00.000Z",
    }
    order = Order(digest, **{**known, **change})
    order.write(store)
    return {"approver_type": "person", "order": order.id}


def at_night(step: BaseOperator) -> BaseOperator:
    """Put an approving step that nothing follows before the disposing tasks of the night."""
    if not isinstance(step, ASKING) or step.downstream_task_ids:
        return step
    if (dag := step.get_dag()) is None:
        dag = DAG(DAG_ID)
        dag.add_task(step)
    with dag:
        if connected("enaio"):
            step >> EnaioDeleteObjectOperator(task_id="delete", records=[], hard_delete=True)
            step >> EnaioDeleteObjectOperator(task_id="again", records=[], hard_delete=True)
        if connected("opus"):
            step >> OpusDestroyRecordsOperator(task_id="mark", records=[])
        if connected("unifier") and not connected("enaio"):
            step >> UnifierDeleteDocumentOperator(task_id="delete", records=[])
    return step


@dataclass
class TaskInstance:
    """What operators ask of a running task instance."""

    task_id: str
    try_number: int = 1
    map_index: int = -1
    dag_id: str = DAG_ID
    run_id: str = RUN_ID
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@dataclass
class DagRun:
    """What operators ask of a DAG run."""

    start_date: datetime = datetime(2026, 11, 22, 4, 30, tzinfo=UTC)
    run_after: datetime = datetime(2026, 11, 22, 4, 30, tzinfo=UTC)


def context(operator: BaseOperator, try_number: int = 1, **facts: Any) -> Any:
    """Return a context for one try of an operator."""
    at_night(operator)
    return {
        "ti": TaskInstance(operator.task_id, try_number, **facts),
        "dag_run": DagRun(),
        "outlet_events": OutletEventAccessors(),
    }


def run(operator: BaseOperator, try_number: int = 1, **facts: Any) -> Any:
    """Execute an operator once."""
    return operator.execute(context(operator, try_number, **facts))
