"""The changes of the suite, a thousand of them and others each time."""

from __future__ import annotations

import pytest

from tests.operators.any_change import run_changes


@pytest.mark.parametrize("system", ["enaio", "unifier"])
@pytest.mark.parametrize("part", range(4))
def test_no_change_deletes_what_the_last_look_forbids(part: int, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_changes(monkeypatch, system, 160 if system == "enaio" else 100, by_chance=True)
