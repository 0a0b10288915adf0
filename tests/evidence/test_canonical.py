"""The bytes of the evidence are those of RFC 8785: checked against an implementation by others."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_records.evidence.canonical import LARGEST_NUMBER, canonical
from airflow_provider_records.evidence.outcome import OutcomeKind

LARGE = float(2**53)
numbers = st.integers(-LARGEST_NUMBER, LARGEST_NUMBER) | st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: abs(number) < LARGE
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | st.sampled_from("bac"), inner, max_size=4),
    max_leaves=20,
)


@given(values)
@example({"b": "1", "a": {"d": [1], "c": None}, "B": True, "a b": "2", "": "3"})
@example({"\U0001f600": 1, "\ufb33": 2, "z": 3})  # by UTF-16 code units, the surrogates of the first come first
@example({"\U0001f600": {"\U00010000": 1, "\uffff": 2}, "ö": "ö\u20ac"})
@example("".join(map(chr, range(0x20))) + '"\\/\x7f\x80\u2028\u2029')
@example([0.0, -0.0, 1.0, 1e-6, 1e-7, 123e-9, 1.5e300 / 1e300, 0.1 + 0.2, 5e-324, 333333333.3333332, 1e15 / 7])
@example([LARGEST_NUMBER, -LARGEST_NUMBER, float(LARGEST_NUMBER), True, None])
def test_the_bytes_are_those_of_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)
    assert canonical(json.loads(canonical(value))) == canonical(value)


def test_every_character_is_written_as_rfc_8785_has_it() -> None:
    text = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF)
    assert canonical(text) == rfc8785.dumps(text)


class Named(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "another text"


@pytest.mark.parametrize(
    "value", [Named("a"), [Named("a")], {"b": Named("a")}, {Named("a"): {"b": OutcomeKind.FAILED}}]
)
def test_a_class_of_text_is_written_as_its_text(value: Any) -> None:
    assert canonical(value) == json.dumps(value, separators=(",", ":")).encode()


class Shown(float):
    __slots__ = ()

    def __repr__(self) -> str:
        return f"float64({float(self)})"


def test_a_class_of_numbers_is_written_as_its_number() -> None:
    assert canonical({"a": Shown(0.5), "b": Shown(2.0)}) == b'{"a":0.5,"b":2}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, -(2**53), 10**400, LARGE, 1e300])
def test_a_number_that_json_does_not_carry_exactly_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"must be finite|write a larger one as text"):
        canonical({"a": [value]})


@pytest.mark.parametrize("value", ["\ud800", {"\ud800": 1}, ["\udfff"]])
def test_a_text_that_is_no_unicode_is_refused(value: object) -> None:
    with pytest.raises(UnicodeEncodeError):
        canonical(value)


@pytest.mark.parametrize("value", [{1: "a"}, {None: 1}, b"a", object(), {"a": {1, 2}}, datetime.now(UTC), OutcomeKind])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical(value)
