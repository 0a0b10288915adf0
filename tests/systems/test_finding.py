"""Claims are grouped so that one request may answer for several of them."""

from __future__ import annotations

import pytest

from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.systems.finding import Finding, GoneRecord, Whereabouts, grouped


def claim(key: str, system: str = "enaio") -> GoneRecord:
    outcome = Outcome(key, OutcomeKind.DESTROYED, Proof.RESPONSE)
    return GoneRecord(system, system, f"{system}_default", Record.from_item(key), outcome)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], {}),
        (["a1"], {"a": ["a1"]}),
        (["b1", "a1", "b2", "a2"], {"b": ["b1", "b2"], "a": ["a1", "a2"]}),
        (["a1", "a1"], {"a": ["a1", "a1"]}),
    ],
    ids=["none", "one", "interleaved", "twice"],
)
def test_groups_and_the_claims_in_them_keep_their_order(keys: list[str], expected: dict[str, list[str]]) -> None:
    groups = grouped(map(claim, keys), lambda each: each.record.key[0])
    found = [(name, [each.record.key for each in claims]) for name, claims in groups.items()]
    assert found == list(expected.items())


def test_a_record_that_nobody_could_be_asked_about_is_no_failure_by_itself() -> None:
    assert not Finding(claim("a"), Whereabouts.UNSEEN).failed


@pytest.mark.parametrize(
    ("whereabouts", "text"),
    [(Whereabouts.GONE, "gone"), (Whereabouts.BACK, "back"), (Whereabouts.UNSEEN, "cannot be looked up")],
)
def test_the_words_of_a_finding_are_what_a_report_says(whereabouts: Whereabouts, text: str) -> None:
    assert str(whereabouts) == text
