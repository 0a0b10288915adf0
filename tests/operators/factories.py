"""Runs one operator outside of a scheduler: its real ``execute``, with the few facts of a task it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.execution_time.context import OutletEventAccessors

GIVEN: dict[str, Any] = {
    "approver_type": "person",
    "dag_id": "night",
    "run_id": "manual__2026-11-22T04:30:00+00:00",
    "valid_until": "2999-01-01T00:00:00Z",
}
"""Where an approval was given, and how long it holds, where a test does not care."""


@dataclass
class TaskInstance:
    """What operators ask of a running task instance."""

    task_id: str
    try_number: int = 1
    map_index: int = -1
    dag_id: str = "night"
    run_id: str = "manual__2026-11-22T04:30:00+00:00"
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
    return {
        "ti": TaskInstance(operator.task_id, try_number, **facts),
        "dag_run": DagRun(),
        "outlet_events": OutletEventAccessors(),
    }


def run(operator: BaseOperator, try_number: int = 1, **facts: Any) -> Any:
    """Execute an operator once."""
    return operator.execute(context(operator, try_number, **facts))
