"""Rows are taken out of a long answer while it arrives; what is no such answer is no JSON afterwards either."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.client.rows import TooLongError, without_rows
from tests.faults.chance import examples

MOST = 1000
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from(["data", "status", "message", "x"]), VALUES | st.lists(VALUES, max_size=5))


def cut(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))


def read(text: str, size: int = 7) -> tuple[str, list[Any] | None]:
    return without_rows(cut(text, size), "data", list, MOST)


@examples(300)
@given(body=OBJECTS, size=st.integers(1, 40), indent=st.none() | st.integers(0, 2), in_array=st.booleans())
def test_what_is_read_is_what_was_written(body: dict[str, Any], size: int, indent: int | None, in_array: bool) -> None:
    text = json.dumps([body] if in_array else body, indent=indent, ensure_ascii=False)
    rest, rows = without_rows(cut(f" {text}\n", size), "data", list, 10**6)
    has_rows = isinstance(body.get("data"), list)
    assert rows == (body["data"] if has_rows else None)
    assert json.loads(rest) == {**body, **({"data": []} if has_rows else {})}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "[]",
        "[{}, {}]",
        "7",
        '{"data": [1, 2',
        '{"data": [1, 2]',
        '{"data": [1, 2], }',
        '{"data": [1 2]}',
        '{"data": [1,]}',
        '{"data": [,1]}',
        '{"data": [1]} {}',
        '{"data": [1], "data": [2]}',
        '{"status": 200, "status": 404}',
        "{1: 2}",
        '{"a" 1}',
        '{"data": [' + "[" * 100_000,
    ],
)
def test_what_is_no_object_is_no_json_afterwards(text: str) -> None:
    rest, rows = without_rows(cut(text, 65536), "data", list, 10**6)
    assert rows is None
    with pytest.raises(json.JSONDecodeError):
        json.loads(rest)
    assert rest.startswith(text[:500])


def test_a_row_is_handed_over_before_the_next_piece_is_asked_for() -> None:
    asked: list[str] = []

    def pieces() -> Iterator[str]:
        for piece in ('{"data": [{"a": 1}, ', '{"a": 2}, {"a"', ': 3}], "status": 200}'):
            asked.append(piece)
            yield piece

    def gather(rows: Iterator[Any]) -> list[tuple[int, int]]:
        return [(row["a"], len(asked)) for row in rows]

    assert without_rows(pieces(), "data", gather, MOST) == ('{"data": [], "status": 200}', [(1, 1), (2, 2), (3, 3)])


def test_rows_that_nobody_reads_to_the_end_are_read_over() -> None:
    rest, first = without_rows(cut('{"data": [1, 2, 3], "status": 7}', 3), "data", next, MOST)
    assert (first, json.loads(rest)["status"]) == (1, 7)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"data": ["x" * 2 * MOST]}),
        json.dumps({"message": "x" * 2 * MOST}),
        json.dumps({f"m{number}": "x" * 100 for number in range(50)}),
    ],
    ids=["a row", "a member", "many members"],
)
def test_only_rows_may_make_an_answer_long(text: str) -> None:
    with pytest.raises(TooLongError):
        read(text)


def test_as_many_rows_as_there_are_may_come() -> None:
    _, rows = read(json.dumps({"data": ["x" * 100] * 1000}))
    assert rows is not None
    assert len(rows) == 1000
