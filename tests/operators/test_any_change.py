"""Whatever people change between two requests: what the last look forbids is not deleted, and nothing is invented."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.operators.any_change import Change, Night, run_changes, run_night, served

PLAIN = Night(
    system="enaio",
    changes=(),
    source="person",
    chunk=1,
    look=1,
    switches={"search_ids": "any", "version": "6.2.1", "search_more": "truth"},
    typed=False,
    fresh=False,
    fault=None,
    verify=False,
    hard_delete=True,
)


@pytest.mark.parametrize("system", ["enaio", "unifier"])
def test_no_change_deletes_what_the_last_look_forbids(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run_changes(monkeypatch, system, 40)


FOUND_BY_CHANCE = {
    # It shows an object of the list alive, and then nothing any more: what it does not show lives all the same.
    "an archive that is emptied between two looks proves no absence": replace(
        PLAIN,
        changes=(
            Change(at=3, what="empty_archive", id_="1001", lasts=5),
            Change(at=23, what="hide", id_="1010", lasts=1),
            Change(at=19, what="empty_archive", id_="1001"),
        ),
        source="enaio",
        chunk=8,
        switches={"search_ids": "lists", "version": "6.2.1", "search_more": "truth"},
        fault={"act": True, "skip": 2, "status": 503},
        verify=True,
    ),
    # A folder that goes on listing what is in the recycle bin does not show that a document was kept.
    "a hold after an unanswered call does not hide what the call did": replace(
        PLAIN,
        system="unifier",
        changes=(Change(at=4, what="register", id_="1002"),),
        switches={"second_delete": 12764, "binned_listed": True},
        fault={"act": True, "skip": 1, "drop": True},
    ),
    # The probe after an unanswered call shows the field that the records rest on.
    "an approval that is withdrawn before a second call stops it": replace(
        PLAIN,
        changes=(Change(at=39, what="withdraw"),),
        source="enaio",
        chunk=8,
        fresh=True,
        fault={"act": False, "skip": 0, "drop": True},
    ),
    # The readings of the due list for the next records show that these are not due any more either.
    "what a reading for other records shows as not due any more is not deleted": replace(
        PLAIN,
        changes=(Change(at=15, what="due", id_="1001"),),
        chunk=2,
        fresh=True,
        switches={"search_ids": "any", "version": "6.5.0", "search_more": "always"},
    ),
    # Nothing besides the list can be seen; so an object of it has to be seen before and after the others, and is not.
    "an object that was to show whether the account sees anything is not absent when it does not": replace(
        PLAIN,
        changes=(
            Change(at=1, what="register", id_="1001"),
            Change(at=3, what="empty_archive", lasts=5),
            Change(at=15, what="empty_archive"),
        ),
        look=8,
    ),
    # One of these readings was made ahead, in a thread.
    "what a reading ahead shows as not due any more is not deleted": replace(
        PLAIN,
        changes=(Change(at=30, what="due", id_="1001"),),
        source="enaio",
        chunk=8,
        look=2,
        switches={"version": "6.2.1", "search_ids": "any", "search_more": "truth"},
        fresh=True,
        verify=False,
        hard_delete=True,
    ),
    # It shows an object once, in a look into the bin, before and after which the account sees nothing.
    "what a look into the bin showed is not deleted while the account sees nothing": replace(
        PLAIN,
        changes=(
            Change(at=1, what="register", id_="1001"),
            Change(at=2, what="blind", lasts=5),
            Change(at=8, what="blind"),
        ),
        chunk=2,
    ),
    # A look into the bin shows what is alive, too; the look at what is alive came while the account saw nothing.
    "what a look into the bin showed is not absent while the account sees nothing": replace(
        PLAIN,
        changes=(Change(at=11, what="blind", lasts=12), Change(at=24, what="blind")),
        look=2,
        hard_delete=False,
    ),
}


@pytest.mark.parametrize("night", FOUND_BY_CHANCE.values(), ids=FOUND_BY_CHANCE)
def test_what_chance_found_stays_right(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(monkeypatch) as sandbox:
        run_night(sandbox, night)
