"""What is due in enaio: only what surely is, whatever the search returns."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import ConfigurationError, VendorError
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator, EnaioDueRecordsOperator
from airflow_provider_records.sandbox.enaio import FakeEnaio
from airflow_provider_records.sensors.enaio import EnaioApprovalSensor
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run

BOUND = "2026-01-01"


def enaio(served: ServedSandbox) -> FakeEnaio:
    fake = served.sandbox.vendors["enaio"]
    assert isinstance(fake, FakeEnaio)
    return fake


def operator(**more: Any) -> EnaioDueRecordsOperator:
    options = {"object_type": "Invoice", "due_field": "RetentionEnd", "due_before": BOUND, "title_field": "Title"}
    return EnaioDueRecordsOperator(task_id="due", **{**options, **more})


def listed(served: ServedSandbox, **more: Any) -> dict[str, Record]:
    reference = run(operator(**more))
    return {record.target_id: record for record in Manifest.open(served.store, reference["digest"])}


def dated(served: ServedSandbox, *dates: str) -> list[str]:
    """Make a type ``Letter`` with one object for each date; return their ids."""
    fake = enaio(served)
    ids = [str(900_000 + number) for number in range(len(dates))]
    for object_id, date in zip(ids, dates, strict=True):
        fake.archive.add(object_id, "Letter", fields={"Ends": date, "FileNo": f"F-{object_id}", "Site": "A"})
    return ids


def letters(served: ServedSandbox, **more: Any) -> dict[str, Record]:
    return listed(served, **{"object_type": "Letter", "due_field": "Ends", "title_field": None, **more})


@pytest.mark.parametrize("due_field", ["RetentionEnd", "system:OBJECT_RETENTION"])
def test_exactly_the_objects_whose_date_lies_before_the_bound_are_listed(served: ServedSandbox, due_field: str) -> None:
    fake = enaio(served)
    expected = {
        item.id for item in fake.archive.objects.values() if item.object_type == "Invoice" and item.retention < BOUND
    }
    assert len(expected) > 5
    for size in (200, 3):
        found = listed(served, due_field=due_field, page_size=size)
        assert set(found) == expected
    for object_id, record in found.items():
        item = fake.archive.objects[object_id]
        assert (record.key, record.title) == (object_id, item.fields["Title"])
        assert record.object_type_id == fake.archive.types["Invoice"].id
        assert record.attributes == {
            "object_type": "Invoice",
            "last_modified": item.modified,
            "due_field": due_field,
            "due": item.retention,
            "due_before": f"{BOUND}T00:00:00",
        }


def test_what_enaio_lists_is_compared_here_again(served: ServedSandbox) -> None:
    """A service that ignores the condition, or compares dates as text, makes nothing due."""
    ids = dated(served, "2025-12-31", "2026-01-01", "2031-01-01", "31.12.2030", "01.02.2014", "", "unlimited")
    fake = enaio(served)
    rows = [fake._row(fake.archive.objects[each], {"Ends", "system:lastModificationDate"}, False) for each in ids]
    served.fault(vendor="enaio", call="search", times=None, put={"/objects": rows, "/numItems": len(rows)})
    assert set(letters(served)) == {ids[0], ids[4]}


@pytest.mark.parametrize(
    ("bound", "due"),
    [
        ("2026-01-02T00:00:00", {"day", "morning"}),
        ("2026-01-01T12:00:00", {"morning"}),
        ("2026-01-01T06:00:00", set()),
        ("2026-01-01T08:00:00+01:00", set()),
        ("2026-01-02T00:00:00+01:00", {"morning"}),
        (datetime(2026, 1, 2, tzinfo=UTC), {"day", "morning"}),
    ],
)
def test_a_day_is_due_when_it_is_over(served: ServedSandbox, bound: Any, due: set[str]) -> None:
    names = dict(zip(dated(served, "2026-01-01", "2026-01-01T08:00:00+01:00"), ("day", "morning"), strict=True))
    assert {names[object_id] for object_id in letters(served, due_before=bound)} == due


def test_further_conditions_hold_and_a_field_can_be_the_key(served: ServedSandbox) -> None:
    first, second = dated(served, "2014-01-01", "2014-01-01")
    enaio(served).archive.objects[second].fields["Site"] = "O'Brien OR B"
    found = letters(served, where="Site='O''Brien OR B' AND FileNo LIKE 'F-%'", key_field="FileNo")
    assert [(record.key, record.target_id) for record in found.values()] == [(f"F-{second}", second)]
    enaio(served).archive.objects[first].fields["FileNo"] = ""
    reference = run(operator(object_type="Letter", due_field="Ends", title_field=None, key_field="FileNo"))
    assert (reference["count"], reference["set_aside"]) == (1, 1)


def test_no_date_is_not_due_and_no_readable_date_is_set_aside(
    served: ServedSandbox, caplog: pytest.LogCaptureFixture
) -> None:
    ids = dated(served, "", "2014-01-01", "1n/a")
    assert set(letters(served)) == {ids[1]}
    assert f"Set aside: '{ids[2]}': its Ends is no date that can be read" in caplog.text
    with pytest.raises(AirflowFailException, match="no list was made"):
        letters(served, set_aside=False)


def test_a_field_that_no_object_shows_is_an_error(served: ServedSandbox) -> None:
    dated(served, "", "")
    with pytest.raises(AirflowFailException, match="None of the 2 objects that enaio lists shows Ends"):
        letters(served)


@pytest.mark.parametrize("wrong", [{"object_type": "Nothing"}, {"due_field": "Nothing"}, {"where": "Nothing='x'"}])
def test_a_search_that_enaio_refuses_leaves_no_list(served: ServedSandbox, wrong: dict[str, str]) -> None:
    with pytest.raises(AirflowFailException, match="search"):
        run(operator(**wrong))
    assert served.store.names("") == []


def test_an_error_on_any_page_leaves_no_list(served: ServedSandbox) -> None:
    served.fault(vendor="enaio", call="search", skip=1, times=None, status=500)
    with pytest.raises(VendorError, match="500"):
        run(operator(page_size=3))
    assert served.store.names("") == []


def test_a_bound_later_than_now_is_refused_before_any_request(served: ServedSandbox) -> None:
    with pytest.raises(AirflowFailException, match="later than now"):
        run(operator(due_before=datetime.now(UTC) + timedelta(minutes=5)))
    assert not served.sandbox.log
    with DAG("night"), pytest.raises(ConfigurationError, match="later than now"):
        operator(due_before=datetime.now(UTC) + timedelta(days=2))


@pytest.mark.parametrize(("hours", "warns"), [(1, True), (12.1, False)])
def test_a_bound_that_may_be_early_in_enaios_zone_is_said(
    served: ServedSandbox, hours: float, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run(operator(due_before=datetime.now(UTC) - timedelta(hours=hours)))
    assert ("The time zone of enaio is not known" in caplog.text) is warns


@pytest.mark.parametrize(
    "wrong",
    [
        {"object_type": ""},
        {"object_type": "Invoice, Personnel"},
        {"object_type": "Invoice WHERE"},
        {"object_type": 262238},
        {"due_field": None},
        {"due_field": "Retention End"},
        {"due_field": "x<'2099' OR y"},
        {"title_field": ""},
        {"key_field": "a, b"},
        {"where": ""},
        {"where": "a='1' OR b='2'"},
        {"where": "a='1' or b='2'"},
        {"where": "a='1"},
        {"where": "a='1' ORDER BY b"},
        {"where": "a=1;"},
        {"where": "a='1' -- b"},
        {"page_size": 0},
        {"page_size": True},
        {"set_aside": "no"},
    ],
    ids=str,
)
def test_a_wrong_argument_is_refused_when_the_dag_is_read(wrong: dict[str, Any]) -> None:
    with DAG("night"), pytest.raises(ConfigurationError, match=next(iter(wrong))):
        operator(**wrong)


def test_a_due_list_of_enaio_alone_is_disposed_of(served: ServedSandbox) -> None:
    reference = run(operator())
    deleted = run(
        EnaioDeleteObjectOperator(task_id="delete", records=reference, hard_delete=True, require_approval=False)
    )
    assert sum(deleted["counts"].values()) == reference["count"]
    assert set(served.sandbox.effects("enaio", "destroyed")) <= {
        record.target_id for record in Manifest.open(served.store, reference["digest"])
    }
    assert deleted["counts"]["destroyed"] > 5


@pytest.mark.parametrize("edited", [False, True], ids=["approved only", "edited after the approval"])
def test_the_field_that_approves_an_object_is_no_change_and_a_later_edit_is(
    served: ServedSandbox, edited: bool
) -> None:
    ids = dated(served, "2014-01-01", "2014-02-01")
    fake = enaio(served)
    with DAG("enaio_only"):
        due = operator(object_type="Letter", due_field="Ends", title_field=None)
        approve = EnaioApprovalSensor(task_id="approve", records=due.output, field="Site", approved="approved")
        delete = EnaioDeleteObjectOperator(task_id="delete", records=approve.output, hard_delete=True)
        approve >> delete
    reference = run(due)
    for object_id in ids:
        fake.set_field(object_id, "Site", "approved")
    approve.records = reference
    approve.timeout = 60
    delete.records = run(approve)
    if edited:
        fake.archive.objects[ids[0]].modified = "2031-01-01T00:00:00+00:00"
    counts = run(delete)["counts"]
    assert (counts["destroyed"], counts["blocked"]) == ((1, 1) if edited else (2, 0))
