"""Whatever people change between two requests: what the last look forbids is not deleted, and nothing is invented."""

from __future__ import annotations

import pytest

from tests.operators.any_change import run_changes


@pytest.mark.parametrize("system", ["enaio", "unifier"])
def test_no_change_deletes_what_the_last_look_forbids(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_changes(monkeypatch, system, 40)
