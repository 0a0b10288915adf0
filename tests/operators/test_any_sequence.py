"""Whatever is run, cleared, mapped, killed, rehearsed or pointed elsewhere, in any order: nothing claims too much."""

from __future__ import annotations

import pytest

from tests.operators.any_sequence import run_sequences


def test_no_sequence_makes_evidence_say_more_or_less_than_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    run_sequences(monkeypatch, 100)
