"""The sequences of the suite, twenty times as many and others each time."""

from __future__ import annotations

import pytest

from tests.operators.any_sequence import run_sequences


@pytest.mark.parametrize("part", range(8))
def test_no_sequence_makes_evidence_say_more_or_less_than_was_done(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    run_sequences(monkeypatch, 260, steps=12, by_chance=True)
