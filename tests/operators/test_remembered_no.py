"""What a reviewer withholds is remembered: later lists leave it out and say so, and a reviewer brings it back."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import BaseNotifier

from airflow_provider_records.airflow_version import asks_again
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.hold import HoldRegister, Origin
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import AnswerError, HoldError
from airflow_provider_records.operators.manifest import RecordListOperator
from tests.evidence.schemas import assert_store_valid
from tests.minors import DownstreamTasksSkipped, since
from tests.operators.factories import run
from tests.operators.reviewer import ANNA, BEN, WHEN, Page, Request, request_for

__all__ = ["request_for"]

NEXT_YEAR = (datetime.now(UTC) + timedelta(days=365)).date().isoformat()
RUNS = [f"scheduled__2026-11-{day}T02:00:00+00:00" for day in (22, 23, 24)]
RECORDS = [
    {"key": f"hr-{number}", "target_id": str(number), "classification": "Personnel" if number < 3 else "Finance: tax"}
    for number in range(1, 6)
]


@pytest.fixture
def night(request_for: Request, store: Store) -> Any:
    """Return the request of one night, and the keys on its list."""

    def ask(number: int, records: Any = RECORDS) -> tuple[Page, list[str]]:
        reference = run(RecordListOperator(task_id="due", records=records), run_id=RUNS[number])
        keys = [record.key for record in Manifest.open(store, reference["digest"])]
        return request_for(reference, run_id=RUNS[number]).ask(), keys

    return ask


def body(page: Page) -> str:
    text: str = page.shown["body"]
    return text.replace("\\", "").replace("<!---->", "")


def standing(store: Store) -> dict[str, str]:
    return {hold.key: hold.reason for hold in HoldRegister(store).standing()}


def test_three_nights(night: Any, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    page, keys = night(0)
    assert keys == ["hr-1", "hr-2", "hr-3", "hr-4", "hr-5"]
    assert "Since the last list" not in body(page)
    assert "Bring back" not in body(page)
    reference = page.approve(ANNA, withhold=f"hr-2: lawsuit; until {NEXT_YEAR}\nhr-4: asked for")
    assert reference["withheld"] == 2
    holds = {hold.key: hold for hold in HoldRegister(store).standing()}
    assert {key: (hold.reason, hold.until) for key, hold in holds.items()} == {
        "hr-2": ("lawsuit", NEXT_YEAR),
        "hr-4": ("asked for", ""),
    }
    assert {(hold.who, hold.origin) for hold in holds.values()} == {("airflow:anna", Origin("reviewer", "night"))}
    assert {hold.since for hold in holds.values()} == {WHEN.isoformat(timespec="milliseconds").replace("+00:00", "Z")}

    with caplog.at_level(logging.INFO, "airflow_provider_records.task.listing"):
        page, keys = night(1, [*RECORDS, {"key": "hr-6", "target_id": "6"}])
    assert keys == ["hr-1", "hr-3", "hr-5", "hr-6"]
    assert f"'hr-2' is on hold: lawsuit (airflow:anna, until {NEXT_YEAR})" in caplog.text
    said = body(page)
    assert "**On hold, and so not on this list**: 2 records" in said
    assert f"- hr-2: on hold: lawsuit (airflow:anna, until {NEXT_YEAR})" in said
    assert "**Withheld by reviewers of this DAG**, which *Bring back* undoes: 2 records" in said
    assert "- hr-4: asked for (airflow:anna, since 22 Nov 2026)" in said
    assert "**Since the last list** (" in said
    assert ": 1 new (hr-6), 2 gone (2 of them on hold)" in said
    page.approve(BEN, bring_back="hr-2: settled")
    assert standing(store) == {"hr-4": "asked for"}

    page, keys = night(2)
    assert keys == ["hr-1", "hr-2", "hr-3", "hr-5"]
    said = body(page)
    assert ": 1 new (hr-2), 1 gone\n" in said
    assert f"- Back from a hold: hr-2, on hold: lawsuit (airflow:anna, until {NEXT_YEAR}), since 22 Nov 2026" in said
    assert assert_store_valid(store) > 10


def test_a_whole_class_is_withheld_by_one_line(night: Any, store: Store) -> None:
    page, _ = night(0)
    reference = page.approve(
        ANNA, withhold_classes=f"Finance: tax: audit; until {NEXT_YEAR}", withhold="hr-4: court: 7 O 12/26"
    )
    assert standing(store) == {
        "hr-3": "all of Finance: tax: audit",
        "hr-4": "court: 7 O 12/26",
        "hr-5": "all of Finance: tax: audit",
    }
    approval = Approval.read(store, reference["approvals"][0])
    assert approval.withheld["hr-3"] == f"all of Finance: tax: audit; until {NEXT_YEAR}"
    assert night(1)[1] == ["hr-1", "hr-2"]


def test_a_key_cannot_be_taken_for_a_class(night: Any, store: Store) -> None:
    page, _ = night(0, [{"key": "Personnel", "target_id": "70"}, *RECORDS])
    page.approve(ANNA, withhold="Personnel: this record only")
    assert standing(store) == {"Personnel": "this record only"}


SLIPS: list[tuple[dict[str, str], str]] = [
    ({"withhold": "hr-9: why"}, "names no record of this list"),
    ({"withhold": "hr-1"}, "'hr-1' has no reason"),
    ({"withhold": f"hr-1: ; until {NEXT_YEAR}"}, "'hr-1' has no reason"),
    ({"withhold": "hr-1: why; until 30.06.2027"}, "last day of 'hr-1' cannot be read"),
    ({"withhold": "hr-1: why; until 2027-02-30"}, "last day of 'hr-1' cannot be read"),
    ({"withhold": "hr-2: why\nhr-1: why; until 2020-01-01"}, "its last day, 2020-01-01, is over"),
    ({"withhold_classes": "personnel: why"}, "names no class of this list"),
    ({"withhold_classes": "Personnel"}, "'Personnel' has no reason"),
    ({"bring_back": "hr-1"}, "names no record that a reviewer of this DAG withheld"),
    ({"withhold": "hr-1: why", "bring_back": "hr-8"}, "names no record that a reviewer of this DAG withheld"),
]


@pytest.mark.parametrize(("fields", "words"), SLIPS)
def test_a_slip_approves_and_holds_nothing_and_the_task_asks_again(
    night: Any, store: Store, fields: dict[str, str], words: str
) -> None:
    """The night does not end: the task waits again, or fails in a way that Airflow retries."""
    page, _ = night(0)
    HoldRegister(store).add("hr-8", "lawsuit", "os:legal")
    before = store.names("")
    reason = page.slip("Approve", ANNA, **fields)
    assert re.search(words, reason)
    assert "Nothing was approved or held" in reason
    assert [name for name in store.names("") if not name.startswith("slips/")] == before
    assert AnswerError.retry
    if not asks_again():
        page.ask()
    assert len(page.approve(ANNA)["approvals"]) == 1
    assert_store_valid(store)


@since("3.3")
def test_notifiers_get_the_reason_and_the_request_stays_the_same(
    request_for: Request, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[tuple[str, str]] = []

    class Told(BaseNotifier):
        def notify(self, context: Any) -> None:
            told.append((context["task"].subject, f"{context['task'].body} {context['task'].summary}"))

    page = request_for(["a", "b"], notifiers=[Told()]).ask()
    shown = dict(page.shown)
    page.slip("Approve", ANNA, withhold="a")
    assert "'a' has no reason" in caplog.text
    assert page.shown == shown
    assert [subject.split(":")[0] for subject, _ in told] == ["2 records", "Answer again"]
    assert told[1][1].count("'a' has no reason") == 2
    assert len(page.approve(BEN)["approvals"]) == 1


@pytest.mark.parametrize("by", [("os:legal", Origin("cli")), ("airflow:x", Origin("reviewer", "another"))])
def test_a_reviewer_brings_back_only_what_reviewers_of_the_dag_withheld(
    night: Any, store: Store, by: tuple[str, Origin]
) -> None:
    who, origin = by
    HoldRegister(store).add("hr-1", "lawsuit", who, origin=origin)
    page, keys = night(0)
    assert "hr-1" not in keys
    assert "- hr-1: on hold: lawsuit" in body(page)
    assert "Withheld by reviewers" not in body(page)
    assert "names no record that a reviewer" in page.slip("Approve", ANNA, bring_back="hr-1")
    assert standing(store) == {"hr-1": "lawsuit"}


def test_another_hold_on_what_is_brought_back_stands(night: Any, store: Store) -> None:
    night(0)[0].approve(ANNA, withhold="hr-1: asked for")
    HoldRegister(store).add("hr-1", "lawsuit", "os:legal")
    night(1)[0].approve(ANNA, bring_back="hr-1")
    assert standing(store) == {"hr-1": "lawsuit"}
    assert "hr-1" not in night(2)[1]


def test_what_somebody_else_brought_back_in_this_moment_spoils_no_approval(
    night: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    night(0)[0].approve(ANNA, withhold="hr-1: asked for")
    page, _ = night(1)

    def gone(*_: Any) -> Any:
        raise HoldError("'hr-1' is not on hold. Nothing was released.")

    monkeypatch.setattr(HoldRegister, "release", gone)
    assert len(page.approve(ANNA, bring_back="hr-1")["approvals"]) == 1


def test_a_rejection_holds_nothing(night: Any, store: Store) -> None:
    page, _ = night(0)
    with pytest.raises(DownstreamTasksSkipped):
        page.answer("Reject", ANNA, withhold="hr-1: why", withhold_classes="Personnel: why")
    assert standing(store) == {}


def test_a_spoilt_hold_stops_no_request(night: Any, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    night(0)[0].approve(ANNA, withhold="hr-1: asked for")
    HoldRegister(store).add("other", "lawsuit", "os:legal")
    (name,) = (name for name in store.names("holds") if b'"other"' in store.read(name))
    store.write(name, b"{}")
    page, keys = night(1)
    assert "hr-1" not in keys
    assert "Nothing that is on hold can be brought back in the form" in caplog.text
    assert "names no record that a reviewer" in page.slip("Approve", ANNA, bring_back="hr-1")
    assert len(page.ask().approve(ANNA)["approvals"]) == 1


def test_the_holds_stand_even_if_the_approval_cannot_be_written(
    night: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, _ = night(0)

    def down(*_: Any) -> str:
        raise OSError("full")

    original = Approval.write
    monkeypatch.setattr(Approval, "write", down)
    with pytest.raises(OSError, match="full"):
        page.approve(ANNA, withhold="hr-1: asked for")
    monkeypatch.setattr(Approval, "write", original)
    assert standing(store) == {"hr-1": "asked for"}
    page.ask().approve(ANNA, withhold="hr-1: asked for")
    assert len(store.names("holds")) == 1, "the same answer is the same hold"


def test_only_the_last_list_of_the_same_task_counts(request_for: Request, store: Store) -> None:
    for number, task_id, records in ((0, "approve", ["a", "b"]), (1, "other", ["a", "x"])):
        request_for(records, run_id=RUNS[number], task_id=task_id).ask()
    said = body(request_for(["b", "c"], run_id=RUNS[2]).ask())
    assert ": 1 new (c), 1 gone\n" in said


def test_a_last_list_that_cannot_be_read_stops_nobody(request_for: Request, store: Store) -> None:
    request_for(["a", "b"], run_id=RUNS[0]).ask()
    (name,) = store.names("manifests")
    store.write(name, store.read(name).replace(b'"a"', b'"z"'))
    assert "Since the last list" not in body(request_for(["b", "c"], run_id=RUNS[1]).ask())


def test_a_run_that_is_cleared_is_not_compared_with_a_later_one(request_for: Request, store: Store) -> None:
    page = request_for(["a", "b"], run_id=RUNS[0]).ask()
    request_for(["b", "c"], run_id=RUNS[1]).ask()
    page.ask()
    assert len(page.sent) == 2
    assert not [request for request in page.sent if "Since the last list" in request["body"]]
