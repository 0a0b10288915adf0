"""The addresses of runs, certificates and lists, and which task links to which of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.task.links import CertificateLink, DisposalLink, ListLink, list_url, page_url, request_url
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import TaskInstance, run
from tests.operators.opus_night import DUE

RUN = "manual__2026-11-22T04:30:00+00:00"


@pytest.mark.parametrize(
    ("base_url", "begins"),
    [
        ("", "/plugin/disposals/records/"),
        ("https://airflow.example.org", "https://airflow.example.org/plugin/disposals/records/"),
        ("https://example.org/air/", "https://example.org/air/plugin/disposals/air/records/"),
    ],
)
def test_each_link_leads_to_its_page(monkeypatch: pytest.MonkeyPatch, base_url: str, begins: str) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    operator = OpusDestroyRecordsOperator(task_id="mark", records=[])
    ti: Any = TaskInstance("mark")
    where = "dag_id=night&run_id=manual__2026-11-22T04%3A30%3A00%2B00%3A00"
    assert DisposalLink().get_link(operator, ti_key=ti) == f"{begins}run?{where}#task-mark"
    assert CertificateLink().get_link(operator, ti_key=ti) == f"{begins}certificate.html?{where}"
    assert ListLink().get_link(operator, ti_key=ti) == ""
    operator.listed = f"sha256:{'b' * 64}"
    assert ListLink().get_link(operator, ti_key=ti) == f"{begins}manifests/{'b' * 64}?{where}"
    assert list_url(f"sha256:{'a' * 64}", "night", RUN) == f"{begins}manifests/{'a' * 64}?{where}"


def test_the_due_list_can_be_opened_from_its_task_and_from_its_log(
    served: ServedSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    operator = OpusDueRecordsOperator(task_id="due", due_before=DUE)
    reference = run(operator)
    ti: Any = TaskInstance("due")
    link = ListLink().get_link(operator, ti_key=ti)
    assert reference["digest"].removeprefix("sha256:") in link
    assert link in capsys.readouterr().out


@pytest.mark.parametrize("base_url", ["", "https://airflow.example.org/"], ids=["no base URL", "base URL"])
def test_no_id_adds_a_parameter_or_leaves_the_path(monkeypatch: pytest.MonkeyPatch, base_url: str) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    host = base_url.rstrip("/")
    expected = f"{host}/plugin/disposals/records/run?dag_id=a%26b%23%2F..&run_id=%3Fx%3D%C3%A4"
    assert page_url("/run", dag_id="a&b#/..", run_id="?x=ä") == expected


def test_a_task_id_does_not_end_the_link_to_its_disposal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "")
    ti: Any = TaskInstance("group.a b#c")
    operator = OpusDestroyRecordsOperator(task_id="mark", records=[])
    assert DisposalLink().get_link(operator, ti_key=ti).partition("#")[2] == "task-group.a%20b%23c"


@pytest.mark.parametrize(
    ("map_index", "region", "ends"),
    [
        (-1, None, ""),  # before Airflow 3.4
        (-1, (UUID(int=0), -1), ""),
        (3, None, ""),
        (-1, (UUID(int=7), 1), "?region_id=00000000-0000-0000-0000-000000000007&region_index=1"),
    ],
)
def test_a_request_is_answered_on_the_page_of_its_iteration(
    monkeypatch: pytest.MonkeyPatch, map_index: int, region: tuple[UUID, int] | None, ends: str
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "")
    ti: Any = TaskInstance("review", map_index=map_index)
    if region:
        ti.region_id, ti.region_index = region
    mapped = "/mapped/3" if map_index == 3 else ""
    context: Any = {"ti": ti}
    assert request_url(context).partition("/tasks/review")[2] == f"{mapped}/required_actions{ends}"


def test_a_task_without_a_list_has_no_link_to_one() -> None:
    ti: Any = TaskInstance("due")
    due = OpusDueRecordsOperator(task_id="due", due_before=DUE)
    assert ListLink().get_link(due, ti_key=ti) == ""
