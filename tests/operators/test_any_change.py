"""Whatever people change between two requests: what the last look forbids is not deleted, and nothing is invented."""

from __future__ import annotations

import pytest

from tests.operators.any_change import Change, Night, run_changes, run_night, served


@pytest.mark.parametrize("system", ["enaio", "unifier"])
def test_no_change_deletes_what_the_last_look_forbids(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_changes(monkeypatch, system, 40)


def test_an_archive_that_is_emptied_between_two_looks_proves_no_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows an object of the list alive, and then nothing any more: what it does not show lives all the same."""
    night = Night(
        system="enaio",
        changes=(
            Change(at=3, what="empty_archive", id_="1001", lasts=5),
            Change(at=23, what="hide", id_="1010", lasts=1),
            Change(at=19, what="empty_archive", id_="1001", lasts=0),
        ),
        source="enaio",
        chunk=8,
        look=1,
        switches={"search_ids": "lists", "version": "6.2.1", "search_more": "truth"},
        typed=False,
        fresh=False,
        fault={"act": True, "skip": 2, "status": 503},
        verify=True,
        hard_delete=True,
    )
    with served(monkeypatch) as sandbox:
        run_night(sandbox, night)
