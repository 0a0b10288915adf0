"""A disk that is full while a list is carried out: nothing is sent meanwhile, and no outcome is lost."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_records.evidence.outcome import OutcomeKind, Proof
from airflow_provider_records.exceptions import StoreUnavailableError
from airflow_provider_records.execution import retries as attempt_module
from airflow_provider_records.execution import runner as runner_module
from tests.evidence.failing_store import FailingStore, failing_store, in_memory
from tests.execution.archive import Archive, ObedientSystem, Passing, check, listed, names, one_try, opened


def test_intents_that_could_not_be_confirmed_are_closed_as_not_sent() -> None:
    """A full disk while the intents are written: whether they are there is not known, but nothing was sent for them."""
    archive = Archive(names(3))

    def full(number: int, done: bool) -> None:
        if (number, done) == (3, True):  # after the start and what was observed
            raise StoreUnavailableError("no space left on device")

    store = failing_store(full)
    with pytest.raises(StoreUnavailableError):
        one_try(store, ObedientSystem(archive), listed(3), 1)
    for key in names(3):
        archive.destroy_as_others(key)
    state = opened(store, 2).state
    assert {outcome.kind for outcome in state.outcomes.values()} == {OutcomeKind.NOT_ATTEMPTED}
    assert not state.doubtful
    assert not state.abandoned
    outcomes = one_try(store, ObedientSystem(archive), listed(3), 3)
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.ABSENT}


class Watched(Passing):
    """Notes at each pause how many calls have been sent."""

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self.archive = archive
        self.sent: list[int] = []

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        time.sleep(0.06)  # calls that were begun before end
        self.sent.append(len(self.archive.sent))


def test_outcomes_are_kept_while_the_disk_is_full_and_nothing_is_sent_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 4)
    monkeypatch.setattr(attempt_module, "_NAP", 0.002)
    archive = Archive(names(40))
    passing = Watched(archive)

    def full(number: int, done: bool) -> None:
        if not done and passing.now < 110 and any(archive.sent):
            raise StoreUnavailableError("no space left on device")

    # Calls take a while, so that some are not begun yet when the first outcomes are to be written.
    store, system = in_memory(FailingStore), ObedientSystem(archive, at_call=lambda _: time.sleep(0.03))
    assert isinstance(store, FailingStore)
    outcome_writes = list[bool]()

    def only_outcomes(name: str, content: bytes, write: Any = store.write) -> Any:
        store.on_write = full if "-outcomes" in name else lambda *_: None
        outcome_writes.append("-outcomes" in name)
        return write(name, content)

    store.write = only_outcomes  # type: ignore[method-assign]
    outcomes = one_try(store, system, listed(40), 1, concurrency=2, passing=passing)
    check(archive, listed(40), outcomes, set(names(40)))
    assert {outcome.proof for outcome in outcomes} == {Proof.PROBE}
    assert passing.now >= 110
    assert len(set(passing.sent)) == 1
    assert passing.sent[0] < 40
    assert len(archive.sent) == 40


def test_outcomes_that_cannot_be_written_for_two_minutes_end_the_try_which_says_so() -> None:
    archive, passing = Archive(names(3)), Passing()

    def full(number: int, done: bool) -> None:
        if number > 3 and not done:
            raise StoreUnavailableError("no space left on device.")

    store = failing_store(full)
    with pytest.raises(StoreUnavailableError, match="outcomes of 3 records could not be written for 120 s"):
        one_try(store, ObedientSystem(archive), listed(3), 1, passing=passing)
    assert 120 <= passing.now < 130
    store.on_write = lambda *_: None
    outcomes = one_try(store, ObedientSystem(archive), listed(3), 2)
    check(archive, listed(3), outcomes, set(names(3)))
    assert len(archive.sent) == 3


def test_outcomes_that_are_kept_are_not_replaced_by_unknown_when_the_intents_are_closed() -> None:
    """The disk has room again when the try has given up."""
    archive, passing, late = Archive(names(3)), Passing(), list[int]()

    def full(number: int, done: bool) -> None:
        if number > 3 and not done and len(late) < 2:
            if passing.now >= 120:
                late.append(number)
            raise StoreUnavailableError("no space left on device.")

    store = failing_store(full)
    with pytest.raises(StoreUnavailableError, match="for 120 s"):
        one_try(store, ObedientSystem(archive), listed(3), 1, passing=passing)
    assert {outcome.proof for outcome in opened(store, 2).state.outcomes.values()} == {Proof.PROBE}
