"""What an outcome means for the next try, and what is kept of it in a file."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof, known_kind
from airflow_provider_records.exceptions import NewerFormatError

some_text = st.none() | st.text(min_size=1)
outcomes = st.builds(
    Outcome,
    st.text(),
    st.sampled_from(OutcomeKind),
    st.none() | st.sampled_from(Proof),
    some_text,
    some_text,
    some_text,
    st.text(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, OutcomeKind.DESTROYED, OutcomeKind.RECYCLED]),
    st.none() | st.dictionaries(st.sampled_from(["later", "more"]), st.integers(), min_size=1),
)


def test_only_what_another_try_may_change_is_not_final() -> None:
    assert {kind for kind in OutcomeKind if not kind.final} == {"failed", "unknown", "not_attempted"}


def test_what_is_gone_is_final_and_what_was_refused_is_still_there() -> None:
    assert {kind for kind in OutcomeKind if kind.gone} == {"destroyed", "recycled", "absent"}
    assert all(kind.final for kind in OutcomeKind if kind.gone)


@pytest.mark.parametrize("kind", OutcomeKind)
def test_an_outcome_is_known_by_its_text(kind: OutcomeKind) -> None:
    assert known_kind(str(kind)) is kind


@pytest.mark.parametrize("text", ["returned", "", "Destroyed", "DESTROYED"])
def test_an_outcome_that_no_release_up_to_this_one_wrote_is_called_newer(text: str) -> None:
    with pytest.raises(NewerFormatError, match="which this release does not know: it was written by a newer release"):
        known_kind(text)


@pytest.mark.parametrize("value", [None, 7, True, 1.5, ("destroyed",)])
def test_an_outcome_that_is_no_text_is_malformed_not_newer(value: object) -> None:
    with pytest.raises(ValueError, match="an outcome must be text"):
        known_kind(value)


def test_a_long_unknown_outcome_does_not_fill_the_log() -> None:
    with pytest.raises(NewerFormatError) as caught:
        known_kind("x" * 10_000)
    assert len(str(caught.value)) < 300


@given(outcomes)
def test_an_outcome_is_read_as_it_was_written(outcome: Outcome) -> None:
    assert Outcome.from_dict(outcome.to_dict()) == outcome


def test_what_is_empty_is_not_written() -> None:
    assert Outcome("a", OutcomeKind.NOT_ATTEMPTED, reason="", detail="").to_dict() == {
        "key": "a",
        "outcome": "not_attempted",
    }


def test_a_member_of_a_later_release_cannot_replace_one_of_this_release() -> None:
    outcome = Outcome("a", OutcomeKind.BLOCKED, unrecognized={"outcome": "destroyed", "later": 1})
    assert outcome.to_dict() == {"key": "a", "outcome": "blocked", "later": 1}


@pytest.mark.parametrize("missing", ["key", "outcome"])
def test_an_outcome_without_key_or_kind_is_none(missing: str) -> None:
    members = {"key": "a", "outcome": "blocked"}
    del members[missing]
    with pytest.raises(KeyError, match=missing):
        Outcome.from_dict(members)


@pytest.mark.parametrize(("proof", "error"), [("seen", NewerFormatError), (7, ValueError), (True, ValueError)])
def test_an_unknown_proof_is_newer_and_one_that_is_no_text_malformed(proof: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"proof"):
        Outcome.from_dict({"key": "a", "outcome": "destroyed", "proof": proof})
