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


def test_a_hold_after_an_unanswered_call_does_not_hide_what_the_call_did(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that goes on listing what is in the recycle bin does not show that a document was kept."""
    night = Night(
        system="unifier",
        changes=(Change(at=4, what="register", id_="1002"),),
        source="person",
        chunk=1,
        look=1,
        switches={"second_delete": 12764, "binned_listed": True},
        typed=False,
        fresh=False,
        fault={"act": True, "skip": 1, "drop": True},
        verify=False,
        hard_delete=True,
    )
    with served(monkeypatch) as sandbox:
        run_night(sandbox, night)


def test_an_approval_that_is_withdrawn_before_a_second_call_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe after an unanswered call shows the field that the records rest on."""
    night = Night(
        system="enaio",
        changes=(Change(at=39, what="withdraw"),),
        source="enaio",
        chunk=8,
        look=1,
        switches={"version": "6.2.1", "search_ids": "any", "search_more": "truth"},
        typed=False,
        fresh=True,
        fault={"act": False, "skip": 0, "drop": True},
        verify=False,
        hard_delete=True,
    )
    with served(monkeypatch) as sandbox:
        run_night(sandbox, night)


def test_what_a_look_into_the_bin_showed_is_not_absent_while_the_account_sees_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That look shows what is alive, too, and the look at what is alive came while the account saw nothing."""
    night = Night(
        system="enaio",
        changes=(Change(at=11, what="blind", lasts=12), Change(at=24, what="blind")),
        source="person",
        chunk=1,
        look=2,
        switches={"version": "6.2.1", "search_ids": "any", "search_more": "truth"},
        typed=False,
        fresh=False,
        fault=None,
        verify=False,
        hard_delete=False,
    )
    with served(monkeypatch) as sandbox:
        run_night(sandbox, night)
