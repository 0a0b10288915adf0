"""Readings of a due list: shared by all tasks of a run, and never believed alone when they miss a record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from airflow_provider_records.evidence import due_reading
from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.due_reading import SERVES, DueReadings
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, ServerError
from tests.evidence.schemas import assert_store_valid

FOLDER = "due_lists/night/run"
DUE_LIST = DueList(
    "opus_default", "https://opus.example", "d9da492f-0000-4000-8000-6fbaae1f1410", "2026-11-01T00:00:00"
)


class Opus:
    """A due list that says one thing after the other, and the time."""

    def __init__(self, *answers: Iterable[str]) -> None:
        self.answers = [list(answer) for answer in answers]
        self.read = 0
        self.now = 1_800_000_000.0

    def __call__(self) -> list[str]:
        self.read += 1
        self.now += 1.0
        return self.answers[min(self.read, len(self.answers)) - 1]


def task(store: Store, opus: Callable[[], Iterable[str]], clock: Callable[[], float] = time.time) -> DueReadings:
    """Return the readings as one more task of the run sees them."""
    return DueReadings(store, FOLDER, DUE_LIST, opus, stopped=threading.Event(), clock=clock)


def test_one_reading_serves_all_tasks_for_a_while(store: Store) -> None:
    opus = Opus("abc")
    for _ in range(3):
        assert task(store, opus, lambda: opus.now).listed({"a", "c"}) == {"a", "c"}
    assert opus.read == 1
    opus.now += SERVES
    assert task(store, opus, lambda: opus.now).listed({"b"}) == {"b"}
    assert opus.read == 2
    assert assert_store_valid(store) == 2


def test_a_reading_of_a_worker_whose_clock_is_fast_serves_no_longer_than_others(store: Store) -> None:
    opus = Opus("ab", "a", "a")
    assert task(store, opus, lambda: opus.now + 3600).listed({"a", "b"}) == {"a", "b"}
    opus.now += 2 * SERVES
    assert task(store, opus, lambda: opus.now).listed({"a", "b"}) == {"a"}
    assert opus.read == 3


def test_a_list_that_takes_longer_to_read_than_a_reading_serves_is_not_read_for_each_chunk(store: Store) -> None:
    opus = Opus("abc")

    def slowly() -> Iterable[str]:
        for key in opus():
            opus.now += SERVES / 2
            yield key

    readings = task(store, slowly, lambda: opus.now)
    assert [readings.listed({key}) for key in "ac"] == [{"a"}, {"c"}]
    assert opus.read == 1
    opus.now += SERVES
    assert readings.listed({"b"}) == {"b"}
    assert opus.read == 2


def test_a_long_task_keeps_no_more_than_two_readings(store: Store) -> None:
    opus = Opus("abc")
    readings = task(store, opus, lambda: opus.now)
    for number in range(1, 5):
        assert readings.listed({"a", "b"}) == {"a", "b"}
        assert (opus.read, len(readings._keys)) == (number, min(number, 2))
        opus.now += SERVES


def test_what_one_reading_missed_and_the_next_one_shows_is_listed(store: Store) -> None:
    opus = Opus("ac", "abc")
    assert task(store, opus, lambda: opus.now).listed({"a", "b"}) == {"a", "b"}
    assert opus.read == 2
    assert task(store, opus, lambda: opus.now).listed({"b"}) == {"b"}
    assert opus.read == 2


def test_what_two_readings_in_a_row_do_not_show_has_left_the_list(store: Store) -> None:
    opus = Opus("ab", "a", "a")
    readings = task(store, opus, lambda: opus.now)
    assert readings.listed({"b"}) == {"b"}
    opus.now += SERVES
    assert readings.listed({"a", "b"}) == {"a"}
    assert opus.read == 3
    assert task(store, opus, lambda: opus.now).listed({"b"}) == frozenset()
    assert opus.read == 3, "both readings serve the other tasks as well"


def test_tasks_that_ask_at_once_share_one_reading(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due_reading, "_NAP", 0.01)
    read: list[int] = []
    begun = threading.Event()

    def slowly() -> list[str]:
        read.append(1)
        begun.set()
        time.sleep(0.3)
        return ["a"]

    found: list[object] = []
    first = threading.Thread(target=lambda: found.append(task(store, slowly).listed({"a"})))
    first.start()
    assert begun.wait(10)
    others = [threading.Thread(target=lambda: found.append(task(store, slowly).listed({"a"}))) for _ in range(4)]
    for other in others:
        other.start()
    for each in (first, *others):
        each.join(20)
    assert found == [{"a"}] * 5
    assert len(read) == 1
    assert len(store.names(FOLDER)) == 1, "nothing is left of those that waited"


def test_a_reading_that_takes_long_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due_reading, "_NAP", 0.01)
    now, asked, others = 1_800_000_000.0, threading.Event(), Opus("a")

    def slowly() -> Iterable[str]:
        nonlocal now
        for number in range(6):
            now += due_reading._SILENT / 3
            yield str(number)
            if number == 5:
                other.start()
                assert not asked.wait(0.3), "the other one waits"

    def ask() -> None:
        task(store, others, lambda: now).listed({"5"})
        asked.set()

    other = threading.Thread(target=ask)
    assert task(store, slowly, lambda: now).listed({"5"}) == {"5"}
    other.join(20)
    assert asked.is_set()
    assert others.read == 0
    assert [name for name in store.names(FOLDER) if "ended" not in name] == []


def test_a_task_that_died_while_it_read_is_not_waited_for_long(store: Store) -> None:
    opus = Opus("a")
    dead = task(store, opus, lambda: opus.now)
    dead._write(opus.now, "begun")
    dead._write(opus.now, "reads")
    opus.now += due_reading._SILENT
    assert task(store, opus, lambda: opus.now).listed({"a"}) == {"a"}


def test_a_reading_that_failed_leaves_nothing(store: Store) -> None:
    def broken() -> Iterable[str]:
        raise ServerError("down")

    with pytest.raises(ServerError):
        task(store, broken).listed({"a"})
    assert store.names(FOLDER) == []
    assert task(store, Opus("a")).listed({"a"}) == {"a"}


def test_a_changed_reading_is_not_believed(store: Store) -> None:
    opus = Opus("ab")
    task(store, opus, lambda: opus.now).listed({"a"})
    (name,) = store.names(FOLDER)
    store.write(name, store.read(name).replace(b'"b"', b'"c"'))
    with pytest.raises(EvidenceError, match="was changed"):
        task(store, opus, lambda: opus.now).listed({"c"})


class LongDisposal:
    """A task that asks for a thousand records, one a second, while the list is read in a hundred seconds.

    :param broken: readings after the first one fail.
    :param takes: seconds that a reading takes.
    :param records: number of records that the task says it asks for.
    """

    def __init__(self, store: Store, *, broken: bool = False, takes: float = 100.0, records: int = 1000) -> None:
        self.now, self.read = 1_800_000_000.0, 0
        self.goes_on = threading.Event()
        self.begun = threading.Event()
        self.broken, self.takes = broken, takes
        self.readings = DueReadings(
            store,
            FOLDER,
            DUE_LIST,
            self.keys,
            stopped=threading.Event(),
            records=records,
            clock=lambda: self.now,
        )

    def keys(self) -> Iterable[str]:
        self.read += 1
        if self.read > 1:
            self.begun.set()
            assert self.goes_on.wait(10)
            if self.broken:
                raise ServerError("down")
        self.now += self.takes
        return map(str, range(1000))

    def asks(self, after: float, records: int = 1) -> None:
        """Ask for some records some time later."""
        self.now += after
        keys = set(map(str, range(records)))
        assert self.readings.listed(keys) == keys


def test_a_long_task_goes_on_while_the_next_reading_is_made(store: Store) -> None:
    task = LongDisposal(store)
    task.asks(0)
    task.asks(SERVES - 126, 774)
    assert not task.begun.wait(0.2), "too early"
    task.asks(1)
    assert task.begun.wait(10)
    for _ in range(3):
        task.asks(1)
    assert task.read == 2, "one at a time"
    task.goes_on.set()
    task.readings.join()
    task.asks(SERVES - 150, 200)  # the first reading has ended to serve
    assert task.read == 2, "few are left now"
    assert len([name for name in store.names(FOLDER) if "ended" in name]) == len(store.names(FOLDER)) == 2


@pytest.mark.parametrize(
    ("asked", "more"),
    [(900, {}), (0, {}), (775, {"takes": 0.9}), (775, {"records": 0})],
    ids=["few are left", "nothing is known of its pace", "a short list", "its calls change the list"],
)
def test_nothing_is_read_ahead_that_need_not_be(store: Store, asked: int, more: dict[str, Any]) -> None:
    task = LongDisposal(store, **more)
    task.asks(0)
    task.asks(SERVES - 110, asked)
    assert not task.begun.wait(0.2)
    assert task.read == 1


def test_nothing_is_read_ahead_while_another_task_reads(store: Store) -> None:
    task = LongDisposal(store)
    task.asks(0)
    task.now += SERVES - 110
    sign = task.readings._write(task.now, "reads")
    task.asks(0, 775)
    task.readings.join()
    assert task.read == 1
    assert [name for name in store.names(FOLDER) if "ended" not in name] == [sign]


def test_a_reading_ahead_that_fails_is_made_again_when_it_is_needed(store: Store) -> None:
    task = LongDisposal(store, broken=True)
    task.goes_on.set()
    task.asks(0)
    for _ in range(2):
        task.asks(SERVES / 2 - 50, 387)
        task.readings.join()
    task.asks(1)
    assert task.read == 2, "once"
    task.broken = False
    task.asks(100, 100)
    assert task.read == 3
    assert len(store.names(FOLDER)) == 2
