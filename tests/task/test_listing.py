"""Rows become a list: never a wrong target, never a lost good row, and odd rows are set aside by name."""

from __future__ import annotations

import logging
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.evidence.hold import HoldRegister
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.set_aside import OddRow, SetAside
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import InvalidRecordsError, TooManyRecordsError
from airflow_provider_records.task import listing
from airflow_provider_records.task.listing import Listing, write_list
from tests.evidence.evidence_factory import provenance
from tests.evidence.failing_store import in_memory
from tests.faults.chance import examples

Row = dict[str, Any]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def written(store: Store, rows: list[Any], *, set_aside: bool = True) -> tuple[list[Record], dict[str, str]]:
    """Write rows; return the records, and the reasons of the odd rows by name."""
    origin = provenance("due")
    made = write_list(store, rows, origin, set_aside=set_aside)
    odd = {
        row.row: row.reason
        for each in SetAside.of_run(store, origin.dag_id, origin.run_id)
        if each.digest == made.manifest.digest
        for row in each.rows(store)
    }
    assert made.reference()["set_aside"] == made.set_aside >= len(odd)
    return list(Manifest.open(store, made.manifest.digest)), odd


ODD: list[tuple[list[Any], str]] = [
    ([{"key": "x "}], "blanks around"),
    ([{"key": "\u00a0x"}], "blanks around"),
    ([{"key": "a\u00a0b"}], "U\\+00A0"),
    ([{"key": "a\u200b"}], "U\\+200B"),
    ([{"key": "\ufeffa"}], "U\\+FEFF"),
    ([{"key": "a", "target_id": "1\u2060"}], "its target_id holds the character U\\+2060"),
    ([{"key": "a\x00b"}], "U\\+0000"),
    ([{"key": "a\ud83d"}], "U\\+D83D"),
    ([{"key": ""}], "its key is empty"),
    ([{"title": "T"}], "its key is missing"),
    ([{"key": 1.5}], "not float"),
    ([{"key": True}], "not bool"),
    ([{"key": "a", "target_id": ""}], "its target_id is empty"),
    ([{"key": "a", "colour": "red"}], "no field colour"),
    ([{"key": "a", "attributes": {"x": float("nan")}}], "attributes must be JSON"),
    ([OddRow("a", "of another scheme")], "of another scheme"),
    ([{"key": "a", "target_id": "x"}, {"key": "b", "target_id": "x"}], "under another key"),
    ([{"key": "enaio-1", "target_id": "1"}, {"key": "enaio-01", "target_id": "01"}], "under another key"),
    ([{"key": "a", "target_id": "x"}, {"key": "a", "target_id": "y"}], "comes twice"),
    ([{"key": "a", "title": "T"}, {"key": "a", "title": "U"}], "comes twice"),
    ([{"key": "\u00e9", "target_id": "x"}, {"key": "e\u0301", "target_id": "y"}], "comes twice"),
]


@pytest.mark.parametrize(("rows", "reason"), ODD)
def test_an_odd_row_is_set_aside_by_name_and_the_others_are_listed(
    store: Store, rows: list[Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, listing.__name__):
        records, odd = written(store, [{"key": "first"}, *rows, {"key": "last"}])
    assert [record.key for record in records] == ["first", "last"]
    assert len(odd) in {1, len(rows)}
    for name, said in odd.items():
        assert re.search(reason, said), said
        assert f"Set aside: {name!r}: {said}" in caplog.text


@pytest.mark.parametrize(("rows", "reason"), ODD)
def test_a_strict_list_stops_at_an_odd_row(store: Store, rows: list[Any], reason: str) -> None:
    with pytest.raises(InvalidRecordsError, match=reason):
        written(store, [{"key": "first"}, *rows], set_aside=False)
    assert store.names("") == []


def test_a_title_is_for_display_what_is_no_text_in_it_is_replaced(store: Store) -> None:
    for strict in (False, True):
        ((record,), odd) = written(store, [{"key": "a", "title": "Party \ud83d"}], set_aside=not strict)
        assert (record.title, odd) == ("Party \ufffd", {})


@pytest.mark.parametrize(
    "twin",
    [
        [{"key": "1001"}, {"key": "01001"}],
        [{"key": "\u00e9"}, {"key": "e\u0301"}],
        [{"key": "a", "target_id": "\u00e9"}, {"key": "a", "target_id": "e\u0301"}],
        [
            {"key": "555", "location": "/Closed/2014", "attributes": {"project_number": "P-1"}},
            {"key": "555", "location": "/Closed/2014/", "attributes": {"project_number": "P-1"}},
        ],
        [
            {"key": "555", "parent_id": "540"},
            {"key": "555", "location": "/Closed/2014", "attributes": {"project_number": "P-1"}},
        ],
        [{"key": "a", "title": "T"}, {"key": "a", "title": "T"}],
    ],
    ids=["zeros", "unicode", "target", "slash", "folder", "same"],
)
def test_two_forms_of_one_record_are_one(store: Store, twin: list[Row]) -> None:
    records, odd = written(store, [*twin, {"key": "other"}])
    assert [record.key for record in records] == [twin[0]["key"], "other"]
    assert odd == {}


def test_one_object_in_two_places_of_enaio_is_two_records(store: Store) -> None:
    rows = [{"key": f"1-{place}", "target_id": "1", "location": place} for place in ("7", "8")]
    records, odd = written(store, rows)
    assert ([record.location for record in records], odd) == (["7", "8"], {})
    records, odd = written(store, [*rows, {"key": "1-9", "target_id": "01", "location": "08"}])
    assert ([record.location for record in records], len(odd)) == (["7"], 2)


@pytest.mark.parametrize(
    ("good", "odd", "refused"), [(0, 20, False), (0, 21, True), (189, 21, False), (188, 21, True), (800, 90, True)]
)
@pytest.mark.parametrize("kind", ["rows", "twins"])
def test_too_many_odd_rows_are_an_error(store: Store, good: int, odd: int, refused: bool, kind: str) -> None:
    rows: list[Any] = [{"key": f"good-{number}"} for number in range(good)]
    if kind == "rows":
        rows += [OddRow(f"odd-{number}", "of another scheme") for number in range(odd)]
    else:
        rows += [{"key": f"odd-{number}", "target_id": "x"} for number in range(odd)]
    if refused:
        with pytest.raises(InvalidRecordsError, match=f"{odd} of {good + odd} rows cannot be listed .*{odd} x"):
            written(store, rows)
        assert store.names("") == []
    else:
        assert len(written(store, rows)[0]) == good


@pytest.mark.parametrize("set_aside", [True, False])
def test_a_list_that_mapped_tasks_cannot_carry_out_is_refused_not_cut(
    store: Store, monkeypatch: pytest.MonkeyPatch, set_aside: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__RECORDS__MAX_RECORDS", "5")
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2")
    read = 0

    def rows(most: int) -> Any:
        nonlocal read
        for read in range(1, most + 1):
            yield {"key": str(read)}

    assert write_list(store, rows(10), provenance("due"), set_aside=set_aside).manifest.count == 10
    before = store.names("")
    with pytest.raises(TooManyRecordsError, match=r"more than 10 records, which is \[records\] max_records"):
        write_list(store, rows(10_000), provenance("due"), set_aside=set_aside)
    assert read == 11
    assert store.names("") == before


def test_an_error_while_reading_leaves_nothing(store: Store) -> None:
    def rows() -> Any:
        yield {"key": "a"}
        yield OddRow("b", "odd")
        raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        write_list(store, rows(), provenance("due"), set_aside=True)
    assert store.names("") == []


SIGNS = st.sampled_from("01aé \u00a0\u200b\u0301e\ud83d/")
IDS = st.text(SIGNS, min_size=1, max_size=4) | st.sampled_from(["1", "01", "001", "a", "b", "é", "e\u0301"])
ROWS = st.fixed_dictionaries(
    {"key": IDS},
    optional={
        "target_id": IDS,
        "title": st.text(SIGNS, max_size=3),
        "location": st.sampled_from(["7", "07", "/a", "/a/"]),
    },
)


def plain(text: str) -> bool:
    return text == text.strip() and not set(text) & set("\u00a0\u200b\ud83d")


def composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def same(text: str) -> str:
    return str(int(text)) if text.isascii() and text.isdigit() else composed(text)


def content(row: Row) -> tuple[str, str]:
    place = row.get("location") or ""
    return same(str(row.get("target_id", row["key"]))), "" if place.startswith("/") else same(place)


def contradict(one: Row, other: Row) -> bool:
    if content(one) != content(other):
        return composed(one["key"]) == composed(other["key"])
    titles = {composed(row.get("title", "")) for row in (one, other)}
    return len(titles) == 2 or same(one["key"]) != same(other["key"])


@examples(200)
@given(st.lists(ROWS, max_size=12))
def test_never_a_wrong_target_never_a_lost_good_row(rows: list[Row]) -> None:
    made: Listing = write_list(in_memory(), rows, provenance("due"), set_aside=True)
    records = list(made.manifest)
    wanted = {(row["key"], row.get("target_id", row["key"]), row.get("location")) for row in rows}
    clean = [row for row in rows if plain(row["key"]) and plain(row.get("target_id", ""))]
    for record in records:
        assert (record.key, record.target_id, record.location) in wanted
        assert plain(record.key)
        assert plain(record.target_id)
    # No key stands for two objects, and no object for two keys.
    keys = [composed(record.key) for record in records]
    contents = [content(record.to_dict()) for record in records]
    assert len(set(keys)) == len(keys)
    assert len(set(contents)) == len(contents)
    # An object is listed unless two rows contradict each other about it.
    doubtful = {content(row) for row in clean for other in clean if contradict(row, other)}
    assert set(contents) == {content(row) for row in clean} - doubtful


@examples(100)
@given(st.lists(ROWS, max_size=12), st.randoms())
def test_the_order_of_the_rows_does_not_decide_which_objects_are_listed(rows: list[Row], chance: Any) -> None:
    def objects(ordered: list[Row]) -> set[tuple[str, str]]:
        made = write_list(in_memory(), ordered, provenance("due"), set_aside=True)
        return {content(record.to_dict()) for record in made.manifest}

    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert objects(rows) == objects(shuffled)


def test_records_on_hold_are_left_out_and_named(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    register = HoldRegister(store)
    register.add("b", "lawsuit", "os:legal")
    register.add("0003", "audit", "os:legal")
    with caplog.at_level(logging.WARNING):
        made = write_list(
            store, [{"key": "a"}, {"key": "B"}, {"key": "c", "target_id": "3"}], provenance("due"), set_aside=True
        )
    assert [record.key for record in made.manifest] == ["a"]
    assert made.reference()["on_hold"] == 2
    assert "2 records are on hold and on no list" in caplog.text
    assert "'c' is on hold: audit (os:legal)" in caplog.text


@pytest.mark.parametrize(
    ("attributes", "is_said"),
    [
        ({"modified": "2026-10-31 09:00:00"}, False),
        ({"modified": "2026-11-01 09:00:00"}, True),
        ({"last_modified": "2026-11-20T06:00:00.000+01:00"}, True),
        ({"last_modified": "2014-11-20T06:00:00.000+01:00"}, False),
        ({"last_modified": "yesterday"}, False),
        ({"modified": "2026-11-20 06:00:00", "due_before": None}, False),
        ({}, False),
    ],
    ids=str,
)
def test_a_record_that_was_changed_after_the_bound_is_said_and_listed(
    store: Store, attributes: Row, is_said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    known = {"due_before": "2026-11-01T00:00:00", **attributes}
    rows = [{"key": key, "attributes": known} for key in ("a", "b")]
    with caplog.at_level(logging.WARNING, listing.__name__):
        records, _ = written(store, rows)
    assert [record.key for record in records] == ["a", "b"]
    assert ("2 records were changed after the bound, such as 'a' on 2026" in caplog.text) is is_said
