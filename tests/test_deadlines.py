"""A deadline that has passed is said in Airflow's log and by any notifier."""

from __future__ import annotations

import asyncio
import importlib
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG

from airflow_provider_records.airflow_version import dag_bag_class
from airflow_provider_records.deadlines import deadlines, report
from airflow_provider_records.demo import example_dags
from tests.minors import before, since
from tests.smtp_sink import smtp_sink

DAY, MORNING = timedelta(days=3), timedelta(minutes=90)
CONTEXT = {
    "dag_run": {"dag_id": "night", "dag_run_id": "scheduled__2026-11-22T04:30:00+00:00", "state": "running"},
    "deadline": {"id": "x", "deadline_time": "2026-11-22T06:00:00+00:00"},
}


def passed(alert: Any) -> None:
    """Let the triggerer do what it does for a deadline that has passed."""
    module, _, name = alert.callback.path.rpartition(".")
    asyncio.run(getattr(importlib.import_module(module), name)(**alert.callback.kwargs, context=CONTEXT))


@since("3.3")
def test_both_deadlines_are_logged_with_a_link(caplog: pytest.LogCaptureFixture) -> None:
    alerts = deadlines(approval=DAY, certificate=MORNING)
    assert alerts is not None
    assert [(alert.name, alert.interval) for alert in alerts] == [("Approval", DAY), ("Certificate", MORNING)]
    for alert in alerts:
        passed(alert)
    first, second = caplog.messages
    assert first.startswith("Approval overdue: night, scheduled__2026-11-22T04:30:00+00:00\n")
    assert "has not succeeded by 2026-11-22 06:00 UTC; it is running. If it waits for an approval" in first
    assert "/plugin/disposals/records/run?dag_id=night&run_id=scheduled__2026" in first
    assert "no certificate yet" in second


@since("3.3")
def test_a_mail_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {
        "from_email": "airflow@example.org",
        "to": "records@example.org",
        "subject": "{{ summary.splitlines()[0] }}",
        "html_content": "<pre>{{ summary | e }}</pre>",
    }
    with smtp_sink() as sink:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", sink.connection)
        found = deadlines(certificate=MORNING, notifier=SmtpNotifier, arguments=arguments)
        assert found is not None
        (alert,) = found
        passed(alert)
        (mail,) = sink.mails
        assert mail["Subject"] == "Certificate overdue: night, scheduled__2026-11-22T04:30:00+00:00"
        assert "Run: " in sink.text()


@since("3.3")
def test_every_example_has_a_deadline_for_its_certificate() -> None:
    bag = dag_bag_class()(example_dags(), bundle_path=example_dags())
    assert not bag.import_errors
    assert bag.dags
    for dag in bag.dags.values():
        wanted = {"Certificate"} | (set() if dag.dag_id == "records_rehearsal" else {"Approval"})
        assert {alert.name for alert in dag.deadline} == wanted, dag.dag_id


@before("3.3")
def test_an_older_airflow_has_no_deadlines() -> None:
    assert deadlines(approval=DAY) is None
    assert DAG("night", schedule=None, deadline=deadlines(approval=DAY)).deadline is None


def test_dags_test_has_no_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/airflow", "dags", "test", "night"])
    assert deadlines(approval=DAY) is None


def test_report_needs_no_notifier(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(report("Approval", None, {}, CONTEXT))
    assert "Approval overdue" in caplog.text
