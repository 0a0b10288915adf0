"""The due list as a manifest: complete or not there, and a bound that is never later than now."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.exceptions import ConfigurationError, InvalidRecordsError, VendorError
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.operators.opus import OpusDueRecordsOperator
from airflow_provider_records.sensors.opus import OpusDueRecordsSensor
from airflow_provider_records.task.due_list import due_manifest
from tests.evidence.evidence_factory import provenance
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run
from tests.operators.opus_night import DUE
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
        run(task)
    assert not served.sandbox.log


@KINDS
@pytest.mark.parametrize(("hours", "warns"), [(1, True), (11.9, True), (12.1, False), (9999, False)])
def test_a_bound_that_may_be_early_in_the_tenants_zone_is_said(
    served: ServedSandbox, kind: Any, hours: float, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "airflow_provider_records.task.due_list"):
        listed(kind, later(hours=-hours))
    assert ("less than 12 hours ago" in caplog.text) is warns


def read(served: ServedSandbox, **more: Any) -> list[Any]:
    """Read the due list of the sandbox; return its records."""
    options: dict[str, Any] = {"due_before": DUE, "connector_id": None, "target_id_pattern": None, "page_size": 100}
    listing = due_manifest(OpusHook(), served.store, provenance("due"), **{**options, "set_aside": False, **more})
    manifest = listing.manifest
    return list(Manifest.open(served.store, manifest.digest, manifest.uri))


def test_every_page_of_the_due_list_is_in_the_manifest(served: ServedSandbox) -> None:
    records = read(served, page_size=7)
    assert len({record.key for record in records}) == 60
    assert served.calls("opus", "due_records") == 9


def test_a_record_is_listed_with_what_opus_says_of_it_and_where_it_was_asked(served: ServedSandbox) -> None:
    row = next(OpusHook().iter_due_records(None, DUE))
    first = read(served)[0]
    assert (first.key, first.title, first.classification) == (row.row_key, row.leaf_name, row.term_full_path)
    assert first.attributes == {
        "connector_id": OpusHook().connector_id,
        "due_before": DUE,
        "created": row.time_created,
        "created_by": row.created_by,
        "modified": row.time_modified,
        "modified_by": row.modified_by,
    }


def test_what_opus_does_not_say_is_not_listed(served: ServedSandbox) -> None:
    row = {"rowKey": "enaio-1", "leafName": "A", "timeCreated": "", "createdBy": None}
    served.fault(vendor="opus", call="due_records", times=1, put={"/queriedItems": [row], "/startIndex": ""})
    (record,) = read(served)
    assert set(record.attributes) == {"connector_id", "due_before"}


@pytest.mark.parametrize(
    ("pattern", "target"), [(None, "enaio-{}"), (r"enaio-(\d+)", "{}")], ids=["no pattern", "pattern"]
)
def test_the_target_id_is_what_the_pattern_finds_in_the_key(
    served: ServedSandbox, pattern: str | None, target: str
) -> None:
    for record in read(served, target_id_pattern=pattern):
        assert record.target_id == target.format(record.key.removeprefix("enaio-"))


def test_an_error_on_any_page_leaves_no_manifest(served: ServedSandbox) -> None:
    served.fault(vendor="opus", call="due_records", skip=3, times=None, status=500)
    with pytest.raises(VendorError, match="500"):
        read(served, page_size=7)
    assert served.store.names("manifests") == []


@pytest.mark.parametrize(
    "pattern", [r"sharepoint-(\d+)", r"enaio-(\d)", r"enaio-\d+()"], ids=["other", "part of the key", "finds nothing"]
)
def test_a_key_that_does_not_match_the_pattern_leaves_no_manifest(served: ServedSandbox, pattern: str) -> None:
    with pytest.raises(InvalidRecordsError, match="target_id_pattern"):
        read(served, target_id_pattern=pattern)
    assert served.store.names("manifests") == []


@pytest.mark.parametrize("pattern", [r"enaio-\d+", r"(enaio)-(\d+)", "(", 5, b"(x)", ["(x)"]])
def test_a_wrong_pattern_is_refused_before_any_request(served: ServedSandbox, pattern: Any) -> None:
    with pytest.raises(ConfigurationError, match="target_id_pattern"):
        read(served, target_id_pattern=pattern)
    assert not served.sandbox.log


@pytest.mark.parametrize("size", [0, 101, True, "7"])
def test_a_wrong_page_size_is_refused_before_any_request(served: ServedSandbox, size: Any) -> None:
    with pytest.raises(ConfigurationError, match="page_size"):
        read(served, page_size=size)
    assert not served.sandbox.log


ROW = {"leafName": "A \ud83d", "timeCreated": "2014-12-19 18:15:00"}
KEYS = ["enaio-1", "enaio-2 ", "enaio-3\u200b", "enaio-\u00a04", "sharepoint-5", "enaio-6", "enaio-06", "enaio-7"]


def test_odd_rows_do_not_stop_the_night_and_are_named(served: ServedSandbox, caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"rowKey": key, **ROW} for key in KEYS]
    served.fault(vendor="opus", call="due_records", times=None, put={"/queriedItems": rows, "/startIndex": ""})
    options: dict[str, Any] = {"task_id": "due", "due_before": DUE, "target_id_pattern": r"enaio-(\d+)"}
    reference = run(OpusDueRecordsOperator(**options))
    records = list(Manifest.open(served.store, reference["digest"]))
    assert [(record.key, record.target_id, record.title) for record in records] == [
        ("enaio-1", "1", "A \ufffd"),
        ("enaio-7", "7", "A \ufffd"),
    ]
    assert reference["set_aside"] == len(KEYS) - 2
    for key in set(KEYS) - {"enaio-1", "enaio-7"}:
        assert f"Set aside: {key!r}" in caplog.text
    with pytest.raises(AirflowFailException, match="'enaio-2 ': its key has blanks around it; no list was made"):
        run(OpusDueRecordsOperator(**options, set_aside=False))


def test_a_pattern_that_fits_nothing_is_an_error_though_odd_rows_are_set_aside(served: ServedSandbox) -> None:
    with pytest.raises(InvalidRecordsError, match=r"60 of 60 rows cannot be listed .*target_id_pattern 'wrong-"):
        read(served, target_id_pattern=r"wrong-(\d+)", set_aside=True)
    assert served.store.names("") == []
