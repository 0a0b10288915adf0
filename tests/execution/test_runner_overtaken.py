"""A try that was given up, but lives: the newer one waits for its last call, and the older one sends no more."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest

from airflow_provider_records.evidence import journal as journal_module
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.segment import load_segments
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import JournalError
from airflow_provider_records.execution import retries as attempt_module
from airflow_provider_records.execution import runner as runner_module
from airflow_provider_records.execution.runner import Runner
from tests.evidence.failing_store import FailingStore, failing_store, in_memory
from tests.execution.archive import (
    FOLDER,
    NO_LIMITS,
    PLAN,
    Archive,
    ObedientSystem,
    check,
    dying_with,
    listed,
    names,
    one_try,
    opened,
    survive,
)
from tests.execution.conftest import SECONDS_UNTIL_SETTLED, Clock


def test_a_newer_try_waits_until_a_call_in_the_air_is_over(clock: Clock) -> None:
    archive, store = Archive(names(1)), in_memory()
    in_the_air, land = threading.Event(), threading.Event()

    def hang(_: str) -> None:
        in_the_air.set()
        assert land.wait(10)

    results: dict[str, Any] = {}

    def zombie() -> None:
        journal = opened(store, 1, call_seconds=60.0, steady=clock)
        try:
            Runner(ObedientSystem(archive, at_call=hang), journal, NO_LIMITS, concurrency=1).run(listed(1))
        except JournalError as error:
            results["zombie"] = error

    def newer() -> None:
        journal = opened(store, 2, call_seconds=60.0, steady=clock)
        results["seconds_until_settled"] = journal.seconds_until_settled()
        results["newer"] = Runner(ObedientSystem(archive), journal, NO_LIMITS, concurrency=1).run(listed(1))

    first, second = threading.Thread(target=zombie), threading.Thread(target=newer)
    first.start()
    assert in_the_air.wait(10)
    clock.now += 5
    second.start()
    while "seconds_until_settled" not in results:
        time.sleep(0.001)
    assert results["seconds_until_settled"] == pytest.approx(journal_module.LEASE + 60 + 2 - 5, abs=0.01)
    clock.now += results["seconds_until_settled"] - 0.01
    second.join(0.1)
    assert archive.probed == []
    land.set()
    first.join(10)
    clock.now += 0.02
    second.join(10)
    assert "has taken over" in str(results["zombie"])
    assert archive.sent == ["r000"]
    check(archive, listed(1), results["newer"], set(names(1)))


def test_after_an_orderly_end_there_is_nothing_to_wait_for(clock: Clock) -> None:
    archive, store = Archive(names(2)), in_memory()
    one_try(store, ObedientSystem(archive, {"r000": ["failed"]}), listed(2), 1, steady=clock)
    assert opened(store, 2, steady=clock).seconds_until_settled() == 0


def test_after_a_crash_long_ago_there_is_nothing_to_wait_for(clock: Clock) -> None:
    archive = Archive(names(2))
    store = failing_store(dying_with(archive))
    survive(lambda: one_try(store, ObedientSystem(archive, {"r000": ["die_after"]}), listed(2), 1, steady=clock))
    archive.dead = False
    assert opened(store, 2, steady=clock).seconds_until_settled() == pytest.approx(journal_module.LEASE + 2, abs=0.01)
    clock.now += journal_module.LEASE + 2.01
    assert opened(store, 3, steady=clock).seconds_until_settled() == 0


@pytest.mark.parametrize("jump", [0.0, -3600.0, 600.0, 86400.0, -86400.0])
def test_a_machine_whose_clock_is_set_neither_waits_longer_nor_shorter(jump: float, clock: Clock) -> None:
    archive, now = Archive(names(1)), 1_800_000_000.0
    store = failing_store(dying_with(archive))
    system = ObedientSystem(archive, {"r000": ["die_after"]})
    older = opened(store, 1, call_seconds=60.0, clock=lambda: now, steady=clock)
    survive(lambda: Runner(system, older, NO_LIMITS, concurrency=1).run(listed(1)))
    archive.dead = False
    clock.now += 5
    newer = opened(store, 2, call_seconds=60.0, clock=lambda: now + 5 + jump, steady=clock)
    assert newer.seconds_until_settled() == pytest.approx(journal_module.LEASE + 60 + 2 - 5, abs=0.01)


@pytest.mark.parametrize("ahead", [-86400.0, -600.0, 0.0, 600.0, 86400.0])
@pytest.mark.parametrize("timelines", [("one machine", "another"), ("", "")])
def test_what_another_machine_sent_is_waited_for_by_the_own_clock(
    ahead: float, timelines: tuple[str, str], clock: Clock
) -> None:
    archive, now = Archive(names(1)), 1_800_000_000.0
    store = failing_store(dying_with(archive))
    system = ObedientSystem(archive, {"r000": ["die_after"]})
    older = opened(store, 1, call_seconds=60.0, clock=lambda: now, steady=lambda: 7e6, timeline=timelines[0])
    survive(lambda: Runner(system, older, NO_LIMITS, concurrency=1).run(listed(1)))
    archive.dead = False
    newer = opened(store, 2, call_seconds=60.0, clock=lambda: now + 5 + ahead, steady=clock, timeline=timelines[1])
    assert newer.seconds_until_settled() == pytest.approx(journal_module.LEASE + 60 + 2, abs=0.01)
    clock.now += journal_module.LEASE + 62.01
    assert newer.seconds_until_settled() == 0


def test_a_stop_ends_the_waiting(clock: Clock) -> None:
    archive = Archive(names(1))
    store = failing_store(dying_with(archive))
    survive(lambda: one_try(store, ObedientSystem(archive, {"r000": ["die_before"]}), listed(1), 1, steady=clock))
    archive.dead = False
    system = ObedientSystem(archive)
    runner = Runner(system, opened(store, 2, steady=clock), NO_LIMITS, concurrency=1)
    threading.Timer(0.05, lambda: runner.stop("the task was stopped")).start()
    (outcome,) = runner.run(listed(1))
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert archive.probed == []


def test_a_call_is_not_begun_when_the_right_to_it_has_lapsed(clock: Clock) -> None:
    archive, store = Archive(names(4)), in_memory()
    begun: list[str] = []

    def lapse(key: str) -> None:
        begun.append(key)
        if len(begun) == 1:
            opened(store, 2, steady=clock)
            clock.now += journal_module.LEASE

    with pytest.raises(JournalError, match="has taken over"):
        one_try(store, ObedientSystem(archive, at_call=lapse), listed(4), 1, concurrency=1, steady=clock)
    assert begun == ["r000"]
    clock.now += 100
    outcomes = one_try(store, ObedientSystem(archive), listed(4), 3, steady=clock)
    check(archive, listed(4), outcomes, set(names(4)))


def test_a_long_chunk_keeps_its_right_while_nobody_else_comes(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "LEASE", 0.01)
    archive, store = Archive(names(8)), in_memory()

    def slowly(_: str) -> None:
        clock.now += journal_module.LEASE * 0.9
        time.sleep(0.02)

    outcomes = one_try(store, ObedientSystem(archive, at_call=slowly), listed(8), 1, concurrency=1, steady=clock)
    check(archive, listed(8), outcomes, set(names(8)))
    assert any(each.header["kind"] == "alive" for each in load_segments(store, f"{FOLDER.path}/journal"))


def test_a_client_may_repeat_a_call_only_while_the_right_lasts(clock: Clock) -> None:
    archive, store = Archive(names(1)), in_memory()
    allowed: list[bool] = []

    def again(_: str) -> None:
        allowed.append(runner.may_send())
        clock.now += journal_module.LEASE
        runner.stop("the task was stopped")
        allowed.append(runner.may_send())

    runner = Runner(ObedientSystem(archive, at_call=again), opened(store, 1, steady=clock), NO_LIMITS, concurrency=1)
    assert runner.may_send()
    runner.run(listed(1))
    assert allowed == [True, False]
    assert runner.may_send()


def test_a_try_that_was_overtaken_at_its_very_end_sums_nothing_up() -> None:
    archive, store = Archive(names(2)), failing_store(lambda *_: None)

    def overtaken(number: int, done: bool) -> None:
        if (number, done) == (4, True):  # the start, what was observed, intents, outcomes
            store.on_write = lambda *_: None
            opened(store, 2)

    store.on_write = overtaken
    with pytest.raises(JournalError, match="has taken over"):
        one_try(store, ObedientSystem(archive), listed(2), 1)
    assert len(archive.sent) == 2


@pytest.mark.parametrize("done", [False, True])
def test_a_newer_try_that_comes_at_any_write_of_an_older_one(
    done: bool, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older one hangs in the write, as on a slow disk, and goes on when the newer one has finished."""
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 1)
    records = listed(6)
    for at in itertools.count(1):
        archive, store, found = Archive(names(6)), failing_store(lambda *_: None), list[Outcome]()

        def overtaken(
            number: int,
            effect: bool,
            at: int = at,
            archive: Archive = archive,
            store: FailingStore = store,
            found: Any = found,
        ) -> None:
            if (number, effect) != (at, done):
                return
            store.on_write = lambda *_: None
            for thread in threading.enumerate():  # what was in flight ends while the newer one waits
                if thread.name.startswith(ObedientSystem.name):
                    thread.join(0.01)
            newer = opened(store, 2, steady=clock)
            clock.now += newer.seconds_until_settled()
            found.extend(Runner(ObedientSystem(archive), newer, NO_LIMITS, concurrency=2).run(records))

        store.on_write = overtaken
        survive(
            lambda archive=archive, store=store: one_try(store, ObedientSystem(archive, PLAN), records, 1, steady=clock)  # type: ignore[misc]
        )
        if not found:
            break
        check(archive, records, found, set(names(6)))
        clock.now += 1000
        check(archive, records, one_try(store, ObedientSystem(archive), records, 3, steady=clock), set(names(6)))
    assert at > 6


def test_many_zombies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real threads, real time: a newer try comes at any moment."""
    monkeypatch.setattr(Journal, "seconds_until_settled", SECONDS_UNTIL_SETTLED)
    monkeypatch.setattr(journal_module, "LEASE", 0.12)
    monkeypatch.setattr(journal_module, "_MARGIN", 0.03)
    monkeypatch.setattr(runner_module, "LEASE", 0.12)
    monkeypatch.setattr(attempt_module, "_NAP", 0.005)
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 3)
    for round_ in range(12):
        archive, store = Archive(names(40)), in_memory()

        def slowly(key: str) -> None:
            time.sleep(int(key[1:]) % 7 / 1000)

        def older(archive: Archive = archive, store: Store = store) -> None:
            system = ObedientSystem(archive, {"r005": ["lost_after"], "r006": ["lost_before"]}, at_call=slowly)
            survive(
                lambda: Runner(system, opened(store, 1, call_seconds=0.1), NO_LIMITS, concurrency=3).run(listed(40))
            )

        thread = threading.Thread(target=older)
        thread.start()
        time.sleep(round_ * 0.006)
        newer = opened(store, 2, call_seconds=0.1)
        outcomes = Runner(ObedientSystem(archive, at_call=slowly), newer, NO_LIMITS, concurrency=3).run(listed(40))
        thread.join()
        check(archive, listed(40), outcomes, set(names(40)))
