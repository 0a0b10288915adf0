"""People approve exactly one list; each trap of Airflow's human in the loop, with the real operator in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.bases.notifier import BaseNotifier

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval, Rejection
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.set_aside import OddRow, SetAside
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ConfigurationError, StoreUnavailableError
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.task.context import evidence_store
from airflow_provider_records.task.records import resolve
from tests.minors import DownstreamTasksSkipped, TaskAwaitingInput, has
from tests.operators import factories
from tests.operators.reviewer import ANNA, BEN, CARL, Page, Request, request_for
from tests.smtp_sink import smtp_sink

__all__ = ["request_for"]

RECORDS = [
    {"key": f"enaio-{number}", "target_id": str(number), "title": f"Akte {number}", "classification": "Personal"}
    for number in range(1, 9)
]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", f"file://{tmp_path}/evidence")
    return evidence_store()


@pytest.fixture
def listed(store: Store) -> dict[str, Any]:
    return manifest_reference(Manifest.write(store, RECORDS))


def refused(page: Page, event: dict[str, Any], words: str) -> None:
    """Airflow must not retry: the next try would wipe the answer and ask again. No approval is left behind."""
    before = evidence_store().names("approvals")
    with pytest.raises(AirflowFailException, match=words):
        page.complete(event)
    assert evidence_store().names("approvals") == before


# What is asked, and what comes of an approval


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


def test_an_approval_is_kept_with_all_that_finds_it_again(
    request_for: Request, listed: dict[str, Any], store: Store
) -> None:
    page = request_for(listed).ask()
    reference = page.approve(ANNA, comment=" Looked at all of it. ")
    assert {**reference, "approvals": []} == listed
    assert json.loads(json.dumps(reference)) == reference
    approval = Approval.read(store, reference["approvals"][0])
    assert approval == Approval(
        digest=listed["digest"],
        approver="airflow:anna",
        name="Anna",
        approved_at="2026-11-22T09:30:00.000Z",
        comment="Looked at all of it.",
        source={
            "kind": "airflow",
            "dag": "night",
            "run": "manual__2026-11-22T04:30:00+00:00",
            "task": "approve",
            "map_index": -1,
            "try": 1,
        },
        approver_type="person",
        order=page.form()["order"],
    )
    resolve(reference, store).authorize(approval_required=True)


def test_an_answer_over_the_api_needs_only_the_digests(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    event = {**page.event("Approve", ANNA), "params_input": {name: page.form()[name] for name in ("manifest", "order")}}
    assert len(page.complete(event)["approvals"]) == 1


def test_a_list_of_ids_is_kept_as_a_list_first(request_for: Request, store: Store) -> None:
    reference = request_for(["enaio-1", "enaio-2"]).ask().approve(BEN)
    assert [record.key for record in Manifest.open(store, reference["digest"])] == ["enaio-1", "enaio-2"]


def test_nobody_is_asked_about_an_empty_list(request_for: Request, store: Store) -> None:
    empty = manifest_reference(Manifest.write(store, []))
    page = request_for(empty)
    assert page.execute() == empty
    assert page.sent == []
    assert request_for([]).execute()["count"] == 0


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


@pytest.mark.parametrize("records", [None, "", "[]", "None", "{'manifest': 'x'}"])
def test_what_is_no_list_is_refused_before_anybody_is_asked(request_for: Request, store: Store, records: Any) -> None:
    """None is what an upstream task that was marked as success leaves."""
    page = request_for(records)
    with pytest.raises(AirflowFailException):
        page.execute()
    assert page.sent == []


def test_marked_as_success_means_that_nothing_is_deleted(store: Store) -> None:
    with pytest.raises(AirflowFailException, match="Did the upstream task run"):
        factories.run(EnaioDeleteObjectOperator(task_id="delete", records=None))


# The old page


def test_an_answer_to_the_old_page_is_refused(request_for: Request, listed: dict[str, Any], store: Store) -> None:
    """After a clear Airflow shows what was asked first; a page "Destroy AAA" would release CCC."""
    page = request_for(listed).ask()
    other = manifest_reference(Manifest.write(store, RECORDS[3:]))
    page.make = request_for(other).make
    changed = f"the list is {other['digest']} now, it was {listed['digest']}. Start a new DAG run"
    refused(page, page.event("Approve", ANNA), changed)
    forged = {"manifest": other["digest"], "order": page.form()["order"]}
    refused(page, page.event("Approve", ANNA, **forged), changed)


def test_nobody_is_bothered_with_the_old_page(request_for: Request, listed: dict[str, Any], store: Store) -> None:
    page = request_for(listed).ask()
    page.ask()
    page.make = request_for(manifest_reference(Manifest.write(store, RECORDS[3:]))).make
    with pytest.raises(AirflowFailException, match=f"another order before .* it was {listed['digest']}. Start a new"):
        page.execute()
    assert len(page.sent) == 2


def test_the_same_list_is_asked_again_after_a_clear(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask().ask()
    assert len(page.approve(ANNA)["approvals"]) == 1


def test_a_list_that_changed_while_it_was_read_is_refused(
    request_for: Request, listed: dict[str, Any], store: Store
) -> None:
    """The digest is computed again, from the bytes that are there when the answer comes."""
    page = request_for(listed).ask()
    name = store.name(listed["manifest"])
    store.write(name, store.read(name).replace(b'"8"', b'"9"'))
    refused(page, page.event("Approve", ANNA), "was changed")


# Silence


@pytest.mark.parametrize("defaults", ["Approve", ["Approve"], "Reject", ["Reject"], []])
def test_defaults_are_refused(defaults: Any) -> None:
    with pytest.raises(ConfigurationError, match="silence"):
        DisposalApprovalOperator(
            task_id="approve", records=[], assigned_users=ANNA, response_timeout=None, defaults=defaults
        )


def test_defaults_are_refused_from_default_args_too() -> None:
    with DAG("night", default_args={"defaults": "Approve"}), pytest.raises(ConfigurationError, match="silence"):
        DisposalApprovalOperator(task_id="approve", records=[], assigned_users=ANNA, response_timeout=None)


@pytest.mark.parametrize("timedout", [True, None, 0, "no"])
def test_what_airflow_fills_in_after_a_time_out_is_no_approval(
    request_for: Request, listed: dict[str, Any], timedout: Any
) -> None:
    """A request of an older version of the DAG keeps its defaults, and their answer has the right digest."""
    page = request_for(listed).ask()
    refused(page, {**page.event("Approve", ANNA), "timedout": timedout}, "Nobody answered")


def test_an_answer_by_nobody_is_none(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    users: list[Any] = [None, "anna", [], {"name": "Anna"}, {"id": None, "name": "Anna"}, {"id": " ", "name": "Anna"}]
    for user in users:
        refused(page, page.event("Approve", user), "Nobody answered|does not name the user")


@pytest.mark.parametrize("at", [None, "2026-11-22T09:30:00Z"])
def test_an_answer_without_a_time_is_none(request_for: Request, listed: dict[str, Any], at: Any) -> None:
    page = request_for(listed).ask()
    refused(page, {**page.event("Approve", ANNA), "responded_at": at}, "Nobody answered")


def test_no_answer_in_time_fails_the_task_for_good(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    refused(page, {"error": "The response timeout has passed.", "error_type": "timeout"}, "Nobody answered within 3 d")


def test_an_error_is_no_answer(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    refused(page, {"error": "boom", "error_type": "unknown"}, "error")
    refused(page, {**page.event("Approve", ANNA), "error": "boom", "error_type": "timeout"}, "Nobody answered")


# An answer that is not for this list


@pytest.mark.parametrize("inputs", [None, {}, {"comment": "yes"}, {"manifest": None}, {"manifest": ""}])
def test_an_answer_without_the_digest_is_refused(request_for: Request, listed: dict[str, Any], inputs: Any) -> None:
    page = request_for(listed).ask()
    event = {**page.event("Approve", ANNA), "params_input": inputs}
    refused(page, event, f"which list and order it is for.*{listed['digest']}")


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "SHA256", True, 7, ["x"], {"sha256": "x"}, "x" * 10**5])
def test_an_answer_with_another_digest_is_refused(request_for: Request, listed: dict[str, Any], digest: Any) -> None:
    page = request_for(listed).ask()
    refused(page, page.event("Approve", ANNA, manifest=digest), "start a new DAG run")


def test_nearly_the_digest_is_not_the_digest(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    for digest in (listed["digest"].upper(), f" {listed['digest']}", listed["digest"][:-1], [listed["digest"]]):
        refused(page, page.event("Approve", ANNA, manifest=digest), "start a new DAG run")


@pytest.mark.parametrize("options", [[], None, ["Approve", "Reject"], ["Approve", "Approve"], ["approve"], "Approve"])
def test_an_answer_that_is_neither_is_refused(request_for: Request, listed: dict[str, Any], options: Any) -> None:
    page = request_for(listed).ask()
    refused(page, {**page.event("Approve", ANNA), "chosen_options": options}, "not one of Approve and Reject")


@pytest.mark.parametrize("value", [7, True, ["enaio-1: held"], {"enaio-1": "held"}, "\ud800"])
@pytest.mark.parametrize("field", ["withhold", "withhold_classes", "bring_back", "comment"])
@pytest.mark.parametrize("option", ["Approve", "Reject"])
def test_a_field_that_is_no_text_is_refused(
    request_for: Request, listed: dict[str, Any], option: str, field: str, value: Any
) -> None:
    page = request_for(listed).ask()
    assert f"{field} must be text" in page.slip(option, ANNA, **{field: value})
    assert not evidence_store().names("approvals")


# Who may answer


@pytest.mark.parametrize(
    "users",
    [
        None,
        [],
        (),
        {},
        "anna",
        ["anna"],
        {"id": "anna"},
        {"name": "anna"},
        {"id": "", "name": "Anna"},
        {"id": " anna", "name": "Anna"},
        {"id": 7, "name": "Anna"},
        {"id": "7", "name": None},
        [{"id": "anna", "name": "Anna"}, {"id": "", "name": ""}],
        {"id": "Anonymous", "name": "Anonymous"},
    ],
)
def test_who_may_answer_must_be_named(users: Any) -> None:
    with pytest.raises(ConfigurationError, match="assigned_users"):
        DisposalApprovalOperator(task_id="approve", records=[], assigned_users=users, response_timeout=None)


def test_one_user_is_a_list_of_one(request_for: Request, listed: dict[str, Any]) -> None:
    assert request_for(listed, assigned_users=CARL).ask().shown["assigned_users"] == [CARL]


@pytest.mark.parametrize(
    "user",
    [CARL, {"id": "Anonymous", "name": "Anonymous"}, {"id": "ANNA", "name": "Anna"}, {"id": "9", "name": "anna"}],
)
def test_who_is_not_assigned_cannot_approve(request_for: Request, listed: dict[str, Any], user: dict[str, str]) -> None:
    """Airflow lets everybody answer with all-admins, and whoever the old page names."""
    page = request_for(listed).ask()
    refused(page, page.event("Approve", user), "not in assigned_users")


@pytest.mark.parametrize("requester", ["anna", "Anna", "ANNA", " anna "])
def test_the_requester_cannot_approve(request_for: Request, listed: dict[str, Any], requester: str) -> None:
    page = request_for(listed, requester=requester).ask()
    assert page.shown["assigned_users"] == [BEN]
    refused(page, page.event("Approve", ANNA), "triggered this DAG run")
    assert len(page.approve(BEN)["approvals"]) == 1


@pytest.mark.parametrize("user", [{"id": "7", "name": "anna"}, {"id": "anna", "name": "Anna Schmidt"}])
def test_the_requester_is_known_by_id_or_name(
    request_for: Request, listed: dict[str, Any], user: dict[str, str]
) -> None:
    """Airflow tells the requester's name only; the auth manager says what the one who answers is called."""
    assigned = [{"id": user["id"], "name": "Records office"}, BEN]
    page = request_for(listed, requester="anna", assigned_users=assigned).ask()
    refused(page, page.event("Approve", user), "triggered this DAG run")


def test_a_scheduled_run_has_no_requester(request_for: Request, listed: dict[str, Any]) -> None:
    for requester in (None, ""):
        page = request_for(listed, requester=requester).ask()
        assert len(page.approve({"id": "anna", "name": ""})["approvals"]) == 1


def test_the_dag_may_let_the_requester_approve(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed, requester="anna", exclude_requester=False).ask()
    assert page.shown["assigned_users"] == [ANNA, BEN]
    assert len(page.approve(ANNA)["approvals"]) == 1


def test_a_request_that_nobody_could_answer_is_not_made(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed, requester="anna", assigned_users=ANNA)
    with pytest.raises(AirflowFailException, match="Nobody is left to ask"):
        page.execute()
    assert page.sent == []


# Rejected


def chain(page: Page) -> tuple[DisposalApprovalOperator, list[str]]:
    """The operator with tasks behind it, each of which would run after a skipped one."""
    with DAG("night"):
        approve = page.make()
        last: BaseOperator = approve
        for task_id, rule in (("delete", "all_success"), ("mark", "none_failed"), ("certificate", "all_done")):
            task = BaseOperator(task_id=task_id, trigger_rule=rule)
            last >> task
            last = task
        last >> BaseOperator(task_id="clean_up").as_teardown()
    return approve, ["delete", "mark", "certificate"]


def test_reject_skips_all_that_follows_whatever_its_trigger_rule(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    operator, behind = chain(page)
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        operator.execute_complete(page.context(operator), page.event("Reject", BEN, comment="not these"))
    assert sorted(skipped.value.tasks) == sorted(behind)
    assert not evidence_store().names("approvals")


@pytest.mark.parametrize("user", [BEN, CARL, {"id": "Anonymous", "name": ""}])
@pytest.mark.parametrize("inputs", [{}, {"manifest": "sha256:old"}, {"withhold": "nonsense"}])
def test_a_rejection_needs_no_more_than_the_word(
    request_for: Request, listed: dict[str, Any], user: dict[str, str], inputs: dict[str, Any]
) -> None:
    """It leaves nothing that a task behind it could take for a list."""
    page = request_for(listed, requester="ben").ask()
    with pytest.raises(DownstreamTasksSkipped):
        page.answer("Reject", user, **inputs)
    assert not evidence_store().names("approvals")


def test_a_rejection_is_kept_as_evidence(request_for: Request, listed: dict[str, Any], store: Store) -> None:
    page = request_for(listed).ask()
    with pytest.raises(DownstreamTasksSkipped):
        page.answer("Reject", BEN, comment="the court wants them")
    (name,) = store.names("rejections")
    kept = json.loads(store.read(name))
    assert kept["digest"] == listed["digest"]
    assert (kept["format"], kept["rejected_by"], kept["name"]) == ("airflow-records/rejection", "airflow:ben", "Ben")
    assert kept["comment"] == "the court wants them"
    assert kept["source"]["task"] == "approve"


def test_a_rejection_holds_even_if_it_cannot_be_kept(
    request_for: Request, listed: dict[str, Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise StoreUnavailableError("the disk is full")

    page = request_for(listed).ask()
    monkeypatch.setattr(Store, "write", fail)
    operator, behind = chain(page)
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        operator.execute_complete(page.context(operator), page.event("Reject", BEN))
    assert sorted(skipped.value.tasks) == sorted(behind)


def test_fail_on_reject_fails_for_good(request_for: Request, listed: dict[str, Any]) -> None:
    """A retry would ask again, until somebody says yes."""
    page = request_for(listed, fail_on_reject=True).ask()
    refused(page, page.event("Reject", BEN), r"Ben \(ben\) rejected the list")


def test_a_rejection_by_silence_is_a_failure(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    refused(page, {**page.event("Reject", None), "timedout": True}, "Nobody answered")


# In a DAG


def test_a_store_that_is_down_is_worth_a_retry(
    request_for: Request, listed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = request_for(listed).ask()

    def down(*_: Any) -> str:
        raise StoreUnavailableError("is down")

    monkeypatch.setattr(Store, "write", down)
    with pytest.raises(StoreUnavailableError):
        page.approve(ANNA)


@pytest.mark.parametrize("name", ["subject", "body", "options", "multiple", "ignore_downstream_trigger_rules"])
def test_what_is_the_operators_own_cannot_be_given(name: str) -> None:
    own: dict[str, Any] = {name: "x"}
    with pytest.raises(ConfigurationError, match=name):
        DisposalApprovalOperator(task_id="approve", records=[], assigned_users=ANNA, response_timeout=None, **own)


def test_the_form_is_the_operators_own(request_for: Request, listed: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="params"):
        DisposalApprovalOperator(
            task_id="approve", records=[], assigned_users=ANNA, response_timeout=None, params={"manifest": "x"}
        )
    with DAG("night", params={"manifest": "of the DAG", "other": 1}):
        page = request_for(listed)
        page.ask()
    assert list(page.form()) == ["manifest", "order", "withhold", "withhold_classes", "bring_back", "comment"]
    assert page.form()["manifest"] == listed["digest"]
    with DAG("night", params={"manifest": "of the DAG"}):
        assert len(page.approve(ANNA)["approvals"]) == 1


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(seconds=-1)])
def test_a_time_that_is_none_is_refused(timeout: timedelta) -> None:
    """Airflow takes it for "wait for ever"."""
    with pytest.raises(ConfigurationError, match="response_timeout"):
        DisposalApprovalOperator(task_id="approve", records=[], assigned_users=ANNA, response_timeout=timeout)


def test_a_title_on_the_page_may_look_like_a_template() -> None:
    assert DisposalApprovalOperator.template_fields == ("records",)


# What was rejected before


def rejection(store: Store, records: list[Any], run_id: str, **more: Any) -> str:
    """Have somebody reject a list in an earlier run."""
    given: dict[str, Any] = {
        "name": "Ben",
        "comment": "a court asked",
        "rejected_at": "2026-11-21T09:30:00Z",
        "dag_id": "night",
        **more,
    }
    digest = Manifest.write(store, records).digest
    return Rejection(digest, "airflow:ben", source={"kind": "airflow"}, run_id=run_id, **given).write(store)


def test_the_next_reviewer_reads_what_was_rejected_in_an_earlier_run(
    request_for: Request, listed: dict[str, Any], store: Store
) -> None:
    """By key: the fields of a record that is listed again the next night are others."""
    again = [{**record, "title": "as it was then"} for record in RECORDS]
    rejection(store, [*again[:3], "enaio-99"], "scheduled__2026-11-21T02:00:00+00:00")
    rejection(store, again, "manual__2026-11-20T02:00:00+00:00", name="Carl", rejected_at="2026-11-20T09:30:00Z")
    rejection(store, ["enaio-99"], "scheduled__2026-11-19T02:00:00+00:00", name="Dora")
    rejection(store, again, "scheduled__2026-11-18T02:00:00+00:00", name="Emil", dag_id="another")
    rejection(store, again, "manual__2026-11-22T04:30:00+00:00", name="Fritz")
    body = request_for(listed).ask().shown["body"]
    first = body.index(
        "**Rejected in an earlier run** by Ben, 21 Nov 2026, a list with 3 of these 8 records: a court asked"
    )
    second = body.index("**Rejected in an earlier run** by Carl, 20 Nov 2026, a list with all of these records: ")
    assert first < second
    assert not [name for name in ("Dora", "Emil", "Fritz") if name in body]
    assert "that cannot be read" not in body


def test_only_the_newest_rejections_are_read_and_shown(
    request_for: Request, listed: dict[str, Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(1, 26):
        rejection(store, RECORDS, f"scheduled__2026-10-{day:02}", rejected_at=f"2026-10-{day:02}T09:30:00Z")
    read: list[str] = []
    original = Rejection.read

    def counted(store: Store, name: str) -> Rejection:
        read.append(name)
        return original(store, name)

    monkeypatch.setattr(Rejection, "read", counted)
    body = request_for(listed).ask().shown["body"]
    assert len(read) == 20
    assert body.count("**Rejected in an earlier run**") == 5
    assert "15 more rejections in earlier runs" in body
    assert "25 Oct 2026" in body


def test_a_rejection_that_cannot_be_read_is_said_and_stops_nobody(
    request_for: Request, listed: dict[str, Any], store: Store
) -> None:
    uri = rejection(store, RECORDS, "scheduled__2026-11-21")
    store.write(store.name(uri), b"{}")
    body = request_for(listed).ask().shown["body"]
    assert "**Rejections in earlier runs that cannot be read: 1**" in body
