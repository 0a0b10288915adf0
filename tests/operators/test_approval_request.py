"""What is asked and who is told: the request names exactly one list, and notifiers link it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk.bases.notifier import BaseNotifier

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.set_aside import OddRow, SetAside
from airflow_provider_records.evidence.store import Store
from tests.minors import TaskAwaitingInput, has
from tests.operators import factories
from tests.operators.reviewer import ANNA, BEN, Request, listed, request_for
from tests.smtp_sink import smtp_sink

__all__ = ["listed", "request_for"]


def test_the_request_names_the_list_and_who_may_answer(
    request_for: Request, store: Store, listed: dict[str, Any]
) -> None:
    page = request_for(listed).ask()
    (sent,) = page.sent
    assert sent["options"] == ["Approve", "Reject"]
    assert sent["assigned_users"] == [ANNA, BEN]
    assert sent["defaults"] is None
    assert sent["multiple"] is False
    assert "8 records" in sent["subject"]
    assert listed["digest"][:19] in sent["subject"]
    assert listed["digest"] in sent["body"]
    assert sent["params"]["manifest"]["value"] == listed["digest"]
    assert sent["params"]["manifest"]["schema"]["const"] == listed["digest"]
    (order,) = (Order.read(store, f"sha256:{Path(name).stem}") for name in store.names("orders"))
    assert sent["params"]["order"]["schema"]["const"] == sent["params"]["order"]["value"] == order.id
    assert order.id in sent["body"]
    typed = dict.fromkeys(["withhold", "withhold_classes", "bring_back", "comment"], "")
    assert page.form() == {"manifest": listed["digest"], "order": order.id, **typed}
    json.dumps(sent["params"])


def test_the_request_and_the_approved_list_say_what_was_set_aside(
    request_for: Request, listed: dict[str, Any], store: Store
) -> None:
    """Also where somebody asked before has withheld a record, so that the list is another one."""
    rows = [OddRow("x ", "its key has blanks around it"), OddRow("y ", "its key has blanks around it")]
    SetAside(listed["digest"], factories.DAG_ID, factories.RUN_ID, "due").write(store, rows)
    SetAside("sha256:" + "0" * 64, factories.DAG_ID, factories.RUN_ID, "other").write(
        store, [OddRow("z", "of another list")]
    )
    first = request_for({**listed, "set_aside": 2}).ask()
    key = next(iter(Manifest.open(store, listed["digest"]))).key
    approved = first.approve(ANNA, withhold=f"{key}: court hold")
    assert approved["set_aside"] == 2
    second = request_for(approved, task_id="confirm").ask()
    for page in (first, second):
        assert "Not on this list, since they are odd: 2 records: its key has blanks around it (2)" in page.shown[
            "body"
        ].replace("\\", "")
        assert "of another list" not in page.shown["body"]
    assert second.approve(BEN)["set_aside"] == 2


def test_two_requests_never_share_a_headline(request_for: Request, listed: dict[str, Any]) -> None:
    subjects = {
        request_for(records, task_id=f"{task_id}_{number}").ask().shown["subject"]
        for number, records in enumerate((listed, ["enaio-1"]))
        for task_id in ("first", "second")
    }
    assert len(subjects) == 4


def test_time_out_and_notifiers_are_those_of_the_standard_provider(
    request_for: Request, listed: dict[str, Any]
) -> None:
    told: list[tuple[str, str]] = []

    class Tell(BaseNotifier):
        def notify(self, context: Any) -> None:
            told.append((context["task"].subject, context["task"].body))

    page = request_for(listed, notifiers=[Tell()], response_timeout=timedelta(hours=2))
    with pytest.raises(TaskAwaitingInput) as waits:
        page.execute()
    waiting: Any = waits.value
    if has("3.3"):
        assert waiting.timeout == timedelta(hours=2)
    else:  # in the triggerer
        assert abs(waiting.trigger.timeout_datetime - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=1)
    assert told == [(page.shown["subject"], page.shown["body"])]


def test_a_notifier_that_fails_is_logged_and_the_others_are_told(
    request_for: Request, listed: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    class Broken(BaseNotifier):
        def notify(self, context: Any) -> None:
            raise ConnectionRefusedError("no mail server")

    class Tell(BaseNotifier):
        def notify(self, context: Any) -> None:
            told.append(context["task"].summary)

    page = request_for(listed, notifiers=[Broken(), Tell()]).ask()
    assert len(told) == 1
    assert "Broken failed" in caplog.text
    assert "no mail server" in caplog.text
    assert page.approve(ANNA)["digest"] == listed["digest"]


def test_a_mail_links_the_request_and_the_list(
    request_for: Request, listed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/night")
    mail = SmtpNotifier(
        from_email="airflow@example.org",
        to=["r1@example.org", "r2@example.org"],
        subject="{{ task.subject }}",
        html_content="<pre>{{ task.summary | e }}</pre>",
    )
    with smtp_sink() as sink:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", sink.connection)
        page = request_for(listed, notifiers=[mail]).ask()
        (got,) = sink.mails
        assert got["To"] == "r1@example.org, r2@example.org"
        assert got["Subject"] == page.shown["subject"]
        run = quote(factories.RUN_ID, safe="")
        assert "An approval is possible until " in sink.text()
        answer = f"https://airflow.example.org/night/dags/night/runs/{run}/tasks/approve/required_actions"
        assert f"Answer: {answer}\n" in sink.text()
        digest = listed["digest"].removeprefix("sha256:")
        whole = f"https://airflow.example.org/night/plugin/disposals/night/records/manifests/{digest}?dag_id="
        assert f"Whole list: {whole}" in sink.text()
