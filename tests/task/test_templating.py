"""What Airflow renders of ``records``, and what it must leave alone."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.manifest import RecordListOperator, SplitManifestOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.sensors.enaio import EnaioApprovalSensor
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor
from airflow_provider_records.sensors.waiting import WaitingPeriodSensor
from airflow_provider_records.task.templating import RecordsOperator

MORE: dict[type[BaseOperator], dict[str, Any]] = {
    EnaioDeleteObjectOperator: {},
    UnifierDeleteDocumentOperator: {},
    OpusDestroyRecordsOperator: {},
    RecordListOperator: {},
    SplitManifestOperator: {},
    DisposalApprovalOperator: {"assigned_users": [{"id": "anna", "name": "Anna"}], "response_timeout": None},
    EnaioApprovalSensor: {"field": "state", "approved": "yes"},
    UnifierApprovalSensor: {"project_number": None, "bpname": "Disposal", "record_no": "1", "digest_field": "digest"},
    WaitingPeriodSensor: {"delay": timedelta(days=1)},
}
EVERY = pytest.mark.parametrize("kind", MORE)
LIKE_A_TEMPLATE = {
    "key": "{{ 1 }}",
    "target_id": "{{ 2 }}",
    "title": "{{ params.id }} {% raw %}",
    "attributes": {"a": {"b": ["{{ 3 }}"]}},
}


def leaves(kind: type[RecordsOperator]) -> set[type[RecordsOperator]]:
    return set().union(*(leaves(each) for each in kind.__subclasses__())) or {kind}


def rendered(task: Any, dag: DAG) -> Any:
    """Return ``records`` as ``execute`` finds it."""
    context: Any = {
        "ti": SimpleNamespace(map_index=0),
        "task": task,
        "dag": dag,
        "dag_run": SimpleNamespace(conf={}),
        "params": {"id": "7"},
    }
    task.render_template_fields(context)
    return context["task"].records


def test_these_are_all_that_take_records() -> None:
    ours = {kind for kind in leaves(RecordsOperator) if kind.__module__.startswith("airflow_provider_records.")}
    assert ours == set(MORE)


@EVERY
def test_a_record_that_looks_like_a_template_is_data(kind: type[BaseOperator]) -> None:
    with DAG("night", params={"id": "7"}) as dag:
        tasks = [
            kind(task_id="plain", records=[LIKE_A_TEMPLATE], **MORE[kind]),
            kind.partial(task_id="expanded", **MORE[kind]).expand(records=[[LIKE_A_TEMPLATE]]),
            kind.partial(task_id="by_kwargs", **MORE[kind]).expand_kwargs([{"records": [LIKE_A_TEMPLATE]}]),
        ]
    assert [rendered(task, dag) for task in tasks] == [[LIKE_A_TEMPLATE]] * len(tasks)


@EVERY
def test_an_id_may_be_a_template_and_what_is_in_a_record_an_output(kind: type[BaseOperator]) -> None:
    with DAG("night", params={"id": "7"}) as dag:
        one = kind(task_id="one", records="{{ params.id }}", **MORE[kind])
        several = kind(task_id="several", records=["{{ params.id }}", {"key": dag.param("id")}], **MORE[kind])
    assert rendered(one, dag) == "7"
    assert rendered(several, dag) == ["7", {"key": "7"}]
