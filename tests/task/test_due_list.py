"""The bound of a due list: never later than now, in UTC, and a warning where a tenant's zone could matter."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.operators.opus import OpusDueRecordsOperator
from airflow_provider_records.sensors.opus import OpusDueRecordsSensor
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run
from tests.sensors.factories import MODES, wait

KINDS = pytest.mark.parametrize("kind", [OpusDueRecordsOperator, OpusDueRecordsSensor])
EAST, WEST = timezone(timedelta(hours=10)), timezone(timedelta(hours=-10))
FORMS = pytest.mark.parametrize(
    "form",
    [
        lambda moment: moment,
        lambda moment: moment.astimezone(EAST),
        lambda moment: moment.replace(tzinfo=None),
        lambda moment: moment.isoformat(),
        lambda moment: moment.astimezone(WEST).isoformat(),
        lambda moment: moment.replace(tzinfo=None).isoformat(),
        lambda moment: moment.strftime(" %Y-%m-%d %H:%M:%S "),
    ],
    ids=["utc", "east", "naive", "utc text", "west text", "naive text", "blanks"],
)
Form = Callable[[datetime], Any]


def later(**ahead: float) -> datetime:
    return datetime.now(UTC) + timedelta(**ahead)


def listed(kind: Any, bound: Any, mode: str = "poke") -> Any:
    if kind is OpusDueRecordsOperator:
        return run(kind(task_id="due", due_before=bound))
    return wait(lambda **more: kind(task_id="due", due_before=bound, **more), mode)


@KINDS
@FORMS
def test_a_bound_later_than_now_is_refused_before_any_request(served: ServedSandbox, kind: Any, form: Form) -> None:
    for mode in MODES:
        with pytest.raises(AirflowFailException, match=r"due_before is .* UTC, which is later than now"):
            listed(kind, form(later(minutes=5)), mode)
    assert not served.sandbox.log
    assert not served.store.names("manifests")


@KINDS
@FORMS
def test_a_bound_of_a_moment_ago_is_listed(served: ServedSandbox, kind: Any, form: Form) -> None:
    assert listed(kind, form(later(minutes=-5)))["count"] == 60


@KINDS
@FORMS
def test_a_bound_a_day_ahead_is_refused_when_the_dag_is_read(kind: Any, form: Form) -> None:
    with DAG("night"):
        with pytest.raises(ConfigurationError, match="later than now"):
            kind(task_id="far", due_before=form(later(days=1, minutes=5)))
        kind(task_id="near", due_before=form(later(days=1, minutes=-5)))


@KINDS
def test_what_is_rendered_later_is_not_refused_when_the_dag_is_read(served: ServedSandbox, kind: Any) -> None:
    with DAG("night"):
        first = OpusDueRecordsOperator(task_id="first", due_before="{{ ds }}")
        kind(task_id="due", due_before=first.output)
    task: Any = kind(task_id="due", due_before="{{ tomorrow }}")
    task.render_template_fields({"tomorrow": later(days=9).isoformat()})
    with pytest.raises(AirflowFailException, match="later than now"):
        task.execute({})
    assert not served.sandbox.log


@KINDS
@pytest.mark.parametrize(("hours", "warns"), [(1, True), (11.9, True), (12.1, False), (9999, False)])
def test_a_bound_that_may_be_early_in_the_tenants_zone_is_said(
    served: ServedSandbox, kind: Any, hours: float, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "airflow_provider_records.task.due_list"):
        listed(kind, later(hours=-hours))
    assert ("less than 12 hours ago" in caplog.text) is warns
