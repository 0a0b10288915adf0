"""What is checked again before each chunk: what must not be sent any more is not sent, and nothing is forgotten."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.due_reading import DueReadings
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.segment import INTENTS, OUTCOMES, load_segments
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ApprovalWithdrawnError, NoAnswerError, VendorError
from airflow_provider_records.execution import retries
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.recheck import DueListCheck, ReadableDueList
from airflow_provider_records.execution.recheck import Recheck as AllChecks
from airflow_provider_records.execution.runner import Chunk, Runner
from tests.execution.archive import (
    DIGEST,
    FOLDER,
    STARTED,
    Archive,
    LookingSystem,
    ObedientSystem,
    Recheck,
    check_truth,
    listed,
    one_try,
)

BOUND = "2026-11-01T00:00:00"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def barring(*keys: str, kind: OutcomeKind = OutcomeKind.BLOCKED) -> Recheck:
    """Return a check that lets these keys not be sent."""

    def recheck(records: Sequence[Record]) -> Mapping[str, Outcome]:
        return {record.key: Outcome(record.key, kind, reason="on hold") for record in records if record.key in keys}

    return recheck


def written(store: Store, kind: str) -> list[str]:
    segments = load_segments(store, FOLDER.journal)
    return [line["key"] for segment in segments if segment.header["kind"] == kind for line in segment.lines]


@pytest.mark.parametrize("system", [ObedientSystem, LookingSystem])
def test_what_is_barred_is_published_without_a_call_and_without_an_intent(
    store: Store, system: type[ObedientSystem]
) -> None:
    records = listed(40)
    archive = Archive(record.key for record in records)
    outcomes = one_try(store, system(archive), records, 1, recheck=barring("r007", "r039"))
    check_truth(archive, outcomes)
    kinds = {outcome.key: outcome.kind for outcome in outcomes}
    assert [key for key, kind in kinds.items() if kind is OutcomeKind.BLOCKED] == ["r007", "r039"]
    assert archive.there == {"r007", "r039"}
    assert {"r007", "r039"}.isdisjoint(written(store, INTENTS))
    assert {"r007", "r039"} <= set(written(store, OUTCOMES))
    assert next(outcome for outcome in outcomes if outcome.key == "r007").time


def test_a_chunk_of_which_all_is_barred_sends_nothing(store: Store) -> None:
    records = listed(40)
    archive = Archive(record.key for record in records)
    keys = [record.key for record in records]
    outcomes = one_try(store, ObedientSystem(archive), records, 1, recheck=barring(*keys))
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.BLOCKED}
    assert archive.sent == []
    assert written(store, INTENTS) == []


@pytest.mark.parametrize("effect", ["lost_before", "lost_after"])
def test_an_unanswered_call_of_a_barred_record_is_still_looked_up(store: Store, effect: str) -> None:
    records = listed(3)
    archive = Archive(record.key for record in records)
    looks: list[list[str]] = []

    def recheck(batch: Sequence[Record]) -> Mapping[str, Outcome]:
        looks.append([record.key for record in batch])
        return barring("r001")(batch) if len(looks) > 3 else {}

    outcomes = one_try(store, LookingSystem(archive, {"r001": [effect]}), records, 1, recheck=recheck)
    check_truth(archive, outcomes)
    assert looks == [["r000"], ["r001"], ["r002"], ["r001"]]
    expected = OutcomeKind.BLOCKED if effect == "lost_before" else OutcomeKind.DESTROYED
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.DESTROYED, expected, OutcomeKind.DESTROYED]
    assert archive.sent.count("r001") == 1


def test_a_call_of_an_earlier_try_is_looked_up_before_its_record_is_barred(store: Store) -> None:
    records = listed(3)
    archive = Archive(record.key for record in records)
    journal = Journal(store, FOLDER, DIGEST, started=STARTED, try_number=1, call_seconds=0)
    journal.record_observed({"r001"})
    journal.intend(["r001"])
    archive.observed.add("r001")
    archive.end("r001", effect=True, known=False)  # the process died before it could say so
    outcomes = one_try(store, LookingSystem(archive), records, 2, recheck=barring("r000", "r001"))
    assert [outcome.kind for outcome in outcomes] == [
        OutcomeKind.BLOCKED,
        OutcomeKind.DESTROYED,
        OutcomeKind.DESTROYED,
    ]


def test_without_the_journal_of_an_earlier_try_all_is_looked_up_before_it_is_barred(store: Store) -> None:
    records = listed(3)
    archive = Archive(record.key for record in records)
    archive.end("r001", effect=True, known=False)  # by the try whose journal is lost
    journal = Journal(
        store,
        FOLDER,
        DIGEST,
        started=STARTED,
        try_number=2,
        call_seconds=0,
        expected=store.uri(f"{FOLDER.journal}/lost"),
    )
    everything = barring(*(record.key for record in records))
    found = Runner(LookingSystem(archive), journal, Limits(10**6, 1.0), concurrency=1, recheck=everything).run(records)
    assert [outcome.kind for outcome in found] == [OutcomeKind.BLOCKED, OutcomeKind.ABSENT, OutcomeKind.BLOCKED]
    assert archive.sent == []


def runner(store: Store, system: ObedientSystem, recheck: Recheck, **more: Any) -> Runner:
    journal = Journal(store, FOLDER, DIGEST, started=STARTED, try_number=1, call_seconds=0)
    return Runner(system, journal, Limits(10**6, 1.0), concurrency=1, recheck=recheck, **more)


def test_what_waited_too_long_for_its_call_is_checked_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the system shows nothing ahead of its calls: the approval and the holds were read then."""
    monkeypatch.setattr(retries, "LOOK_LASTS", 1.0)
    archive = Archive(record.key for record in listed(3))
    checked: list[str] = []

    def recheck(batch: Sequence[Record]) -> Mapping[str, Outcome]:
        checked.extend(record.key for record in batch)
        return barring("r001")(batch) if checked.count("r001") > 1 else {}

    def slowly(key: str) -> None:
        if key == "r000":
            time.sleep(1.1)

    outcomes = runner(store, ObedientSystem(archive, at_call=slowly), recheck).run(listed(3))
    check_truth(archive, outcomes)
    assert checked == ["r000", "r001", "r002", "r001", "r002"]
    assert [each.kind for each in outcomes] == [OutcomeKind.DESTROYED, OutcomeKind.BLOCKED, OutcomeKind.DESTROYED]


def test_an_error_of_the_check_stops_what_comes_after_it(store: Store) -> None:
    records = listed(100)
    archive = Archive(record.key for record in records)

    def recheck(batch: Sequence[Record]) -> Mapping[str, Outcome]:
        if any(record.key == "r040" for record in batch):
            raise ApprovalWithdrawnError("it is withdrawn")
        return {}

    system = ObedientSystem(archive, {"r003": ["lost_after"]})
    carried_out = runner(store, system, recheck)
    outcomes = carried_out.run(records)
    check_truth(archive, outcomes)
    assert carried_out.stop_state.no_retry
    assert carried_out.stop_state.reason == "it is withdrawn"
    assert set(archive.sent) <= {record.key for record in records[:40]}
    assert len(archive.sent) >= 8
    assert outcomes[3].kind is OutcomeKind.DESTROYED, "what was sent before is looked up"
    assert outcomes[99].kind is OutcomeKind.NOT_ATTEMPTED
    assert outcomes[99].reason == "not sent: it is withdrawn"


def test_a_defect_of_the_check_stops_as_well(store: Store) -> None:
    records = listed(10)
    archive = Archive(record.key for record in records)

    def recheck(_: Sequence[Record]) -> Mapping[str, Outcome]:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        runner(store, ObedientSystem(archive), recheck).run(records)
    assert archive.sent == []


def test_barred_records_count_in_the_reports(store: Store) -> None:
    records = listed(20)
    chunks: list[Chunk] = []
    runner(store, ObedientSystem(Archive(record.key for record in records)), barring("r001"), report=chunks.append).run(
        records
    )
    assert sum(chunk.records for chunk in chunks) == 19


def due_lists(store: Store, *read: Sequence[str] | VendorError) -> tuple[list[DueList], DueListCheck]:
    """Return two searches that differ only in their condition, and the check of what each reading shows."""
    found = [
        DueList("c", "https://enaio", "", BOUND, system="enaio", query={"object_type": "Letter", "where": where})
        for where in ("Site='A'", "Site='B'")
    ][: len(read)]

    def reader(shown: Sequence[str] | VendorError) -> Callable[[], Sequence[str]]:
        def answer() -> Sequence[str]:
            if isinstance(shown, VendorError):
                raise shown
            return shown

        return answer

    readings = [
        DueReadings(store, "due_lists/night/run", each, reader(shown), stopped=threading.Event())
        for each, shown in zip(found, read, strict=True)
    ]
    lists = [ReadableDueList(each, "enaio", reading) for each, reading in zip(found, readings, strict=True)]
    return found, DueListCheck(lists)


def due_records(*keys: str, **attributes: str) -> list[Record]:
    return [Record(key, key, attributes=attributes) for key in keys]


def test_a_record_is_due_while_one_of_the_lists_that_it_may_have_come_from_shows_it(store: Store) -> None:
    _, check = due_lists(store, ["a"], ["b"])
    barred = check(due_records("a", "b", "c", object_type="Letter", due_before=BOUND))
    assert {key: outcome.reason for key, outcome in barred.items()} == {"c": "not due in enaio any more"}


def test_what_came_from_none_of_several_lists_is_not_barred_and_from_the_only_one_is(store: Store) -> None:
    assert due_lists(store, ["a"], ["b"])[1](due_records("c")) == {}
    assert set(due_lists(store, ["a"])[1](due_records("a", "c"))) == {"c"}
    assert due_lists(store, ["a"])[1](due_records("c", due_before="2014-01-01T00:00:00")) == {}


@pytest.mark.parametrize("order", [1, -1])
def test_a_list_that_cannot_be_read_fails_only_what_no_other_list_shows(store: Store, order: int) -> None:
    shown: list[Any] = [["a"], NoAnswerError("down")][::order]
    _, check = due_lists(store, *shown)
    barred = check(due_records("a", "c", object_type="Letter", due_before=BOUND))
    assert {key: outcome.kind for key, outcome in barred.items()} == {"c": OutcomeKind.FAILED}


def test_a_check_is_as_old_as_the_readings_that_told_it_and_no_older(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that no record of a chunk came from may have been read long ago, and is not read again for it."""
    lists, check = due_lists(store, ["a"], ["b"])
    ages = {lists[0]: 800.0, lists[1]: 100.0}
    monkeypatch.setattr(DueReadings, "age", property(lambda readings: ages[readings._due_list]))
    of_one = {"object_type": "Letter", "due_before": BOUND}
    check(due_records("a", **of_one, where="Site='A'"))
    assert check.age == 800.0
    check(due_records("b", **of_one, where="Site='B'"))
    assert AllChecks([check]).age == 100.0
