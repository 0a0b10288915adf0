from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import InvalidRecordsError

SURROGATE = "\ud800"
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]

RENDERED = [
    "[]",
    "LazyXComSequence([7])",
    "['1', '2']",
    '["1"]',
    "{}",
    "{'manifest': 'file:///x'}",
    "()",
    "None",
    "none",
    "null",
    "NaN",
    "True",
    "false",
    "undefined",
    "<generator object f at 0x7f>",
]
NO_ID = ["", " ", " 1", "1 ", "1\n", "\t1", "a\0b", "a\nb", "a\x7fb", SURROGATE, "\u00a01"]
NO_TYPE = [None, True, False, 1.0, float("nan"), b"1", bytearray(b"1"), object(), {"1"}, ["1"], ("1",), 1j, Record]


@pytest.mark.parametrize(("item", "key"), [("17", "17"), (17, "17"), (0, "0"), (-1, "-1"), ("ß/ü #%", "ß/ü #%")])
def test_an_id_is_a_record(item: object, key: str) -> None:
    assert Record.from_item(item) == Record(key, key)


@pytest.mark.parametrize("item", [*RENDERED, *NO_ID, *NO_TYPE])
def test_what_names_no_record_is_refused(item: object) -> None:
    with pytest.raises(InvalidRecordsError):
        Record.from_item(item)


@pytest.mark.parametrize("item", [*NO_ID, *(item for item in NO_TYPE if item is not None)])
@pytest.mark.parametrize("field", ["key", "target_id"])
def test_the_ids_of_a_mapping_are_as_strict(field: str, item: object) -> None:
    with pytest.raises(InvalidRecordsError, match=field):
        Record.from_item({"key": "1", field: item})


def test_a_mapping_needs_a_key() -> None:
    with pytest.raises(InvalidRecordsError, match="key must be text"):
        Record.from_item({"target_id": "1"})
    with pytest.raises(InvalidRecordsError, match="key must be text"):
        Record.from_item({"key": None})


@pytest.mark.parametrize("key", ["[a]", "{1}", "(x)", "none"])
def test_a_vendors_key_may_look_as_it_likes_where_it_is_named_as_one(key: str) -> None:
    assert Record.from_item({"key": key}).key == key


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(InvalidRecordsError, match="no field digest, manifest; it has key, target_id"):
        Record.from_item({"manifest": "file:///x", "digest": "sha256:0", "key": "1"})


@pytest.mark.parametrize(("value", "text"), [(None, None), ("", None), ("a\nb", "a\nb"), (0, "0"), (7, "7")])
def test_texts_are_kept_as_they_are(value: object, text: str | None) -> None:
    assert Record.from_item({"key": "1", "title": value}).title == text


@pytest.mark.parametrize("value", [True, 1.5, b"a", ["a"], {"a": 1}, SURROGATE])
@pytest.mark.parametrize("name", ["title", "classification", "location", "object_type_id", "parent_id"])
def test_a_text_must_be_text(name: str, value: object) -> None:
    with pytest.raises(InvalidRecordsError, match=f"'1': {name}"):
        Record.from_item({"key": "1", name: value})


@pytest.mark.parametrize(
    "value",
    [
        [],
        "",
        0,
        False,
        "a",
        [("a", 1)],
        {"a": object()},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": SURROGATE},
        {"a": {1, 2}},
        {1: "a", "b": "c"},
        {1: "a"},
        {"a": {1: "b"}},
        {"a": DEEP},
        {"a": 10**5000},
        {"a": 2**53},
        {"a": 1e300},
    ],
    ids=lambda value: str(type(value)),
)
def test_attributes_must_be_a_json_object(value: object) -> None:
    with pytest.raises(InvalidRecordsError, match="attributes"):
        Record.from_item({"key": "1", "attributes": value})


def test_a_number_too_long_to_be_written_is_refused() -> None:
    with pytest.raises(InvalidRecordsError):
        Record.from_item(10**5000)
    with pytest.raises(InvalidRecordsError):
        Record.from_item({"key": "1", "title": 10**5000})


def test_a_circle_is_refused() -> None:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    with pytest.raises(InvalidRecordsError, match="attributes"):
        Record.from_item({"key": "1", "attributes": circle})


def test_what_is_changed_afterwards_does_not_change_the_record() -> None:
    attributes: dict[str, Any] = {"a": [1]}
    record = Record.from_item({"key": "1", "attributes": attributes})
    line = record.line()
    attributes["a"].append(2)
    attributes["b"] = object()
    assert record.line() == line


def test_a_record_made_by_hand_is_checked_as_well() -> None:
    with pytest.raises(InvalidRecordsError):
        Record.from_item(Record("", "1"))
    with pytest.raises(InvalidRecordsError):
        Record.from_item(Record("1", True))  # type: ignore[arg-type]
    assert Record.from_item(Record("1", "2", title="x")) == Record("1", "2", title="x")


def test_a_line_has_one_form() -> None:
    fields = {"title": "Übergabe", "attributes": {"b": 1, "a": None}, "target_id": "2", "key": "1", "location": ""}
    line = '{"attributes":{"a":null,"b":1},"key":"1","target_id":"2","title":"Übergabe"}\n'
    assert Record.from_item(fields).line() == line.encode()
    assert Record.from_item(dict(reversed(fields.items()))).line() == line.encode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
anything = st.recursive(
    json_values | st.binary(max_size=3) | st.floats() | st.just(object()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=6,
)
mappings: st.SearchStrategy[Mapping[str, Any]] = st.fixed_dictionaries(
    {"key": st.text() | anything},
    optional={
        "target_id": st.text() | anything,
        "title": st.text() | anything,
        "classification": st.text() | anything,
        "location": st.text() | st.integers(),
        "object_type_id": st.text() | st.integers(),
        "parent_id": st.text() | anything,
        "attributes": st.dictionaries(st.text(), json_values) | anything,
    },
)


@given(mappings | anything)
def test_whatever_comes_becomes_a_record_of_one_form_or_is_refused(item: object) -> None:
    try:
        record = Record.from_item(item)
    except InvalidRecordsError:
        return
    line = record.line()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    again = Record.from_item(json.loads(line))
    assert again == record
    assert again.line() == line
    assert canonical(json.loads(line)) + b"\n" == line
