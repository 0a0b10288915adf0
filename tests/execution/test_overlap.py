"""What keeps the threads of a disposal busy, how far its intents go ahead, and what it says meanwhile."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Sequence, Set

import pytest

from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.segment import load_segments
from airflow_provider_records.evidence.store import FileSystem, Store
from airflow_provider_records.execution import progress as progress_module
from airflow_provider_records.execution import runner as runner_module
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.runner import Chunk, Runner
from tests.evidence.failing_store import in_memory
from tests.execution.archive import (
    DIGEST,
    FOLDER,
    STARTED,
    Archive,
    LookingSystem,
    ObedientSystem,
    counts,
    listed,
    names,
    one_try,
)

LONG = 20.0


def test_the_slowest_call_of_a_chunk_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 2)
    archive, enough = Archive(names(40)), threading.Event()
    in_time: list[bool] = []

    def first_hangs(key: str) -> None:
        if len(archive.sent) == 40:
            enough.set()
        if key == "r000":
            in_time.append(enough.wait(LONG))

    outcomes = one_try(in_memory(), ObedientSystem(archive, at_call=first_hangs), listed(40), 1, concurrency=2)
    assert in_time == [True]
    assert counts(outcomes)["destroyed"] == 40


class Gated(Store):
    """A store in which every file takes as long as two calls; calls beyond what lets the runner go on wait for it."""

    def __init__(self, root: str, fs: FileSystem, base: str, chunk: int = 8) -> None:
        super().__init__(root, fs, base)
        self.chunk, self.intended, self.allowed, self.passed = chunk, 0, chunk, 0
        self.step = threading.Condition()
        self.idle: list[str] = []

    def write(self, name: str, content: bytes) -> str:
        if self.intended > self.chunk:  # from then on, a chunk is in flight while another is written
            with self.step:
                self.allowed = min(self.allowed + 2, self.intended)
                self.step.notify_all()
                if not self.step.wait_for(lambda: self.passed == self.allowed, LONG):
                    self.idle.append(name)
        with self.step:
            self.intended += content.count(b"\n") - 2 if "-intents" in name else 0
            self.allowed = max(self.allowed, self.intended - (self.chunk if self.intended < 80 else 0))
            self.step.notify_all()
        return super().write(name, content)

    def call(self, _: str) -> None:
        with self.step:
            assert self.step.wait_for(lambda: self.passed < self.allowed, LONG)
            self.passed += 1
            self.step.notify_all()


def test_calls_go_on_while_the_journal_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 4)
    store = in_memory(Gated)
    assert isinstance(store, Gated)
    outcomes = one_try(store, ObedientSystem(Archive(names(80)), at_call=store.call), listed(80), 1, concurrency=2)
    assert store.idle == []
    assert counts(outcomes)["destroyed"] == store.passed == 80


@pytest.mark.parametrize("slow", ["nothing", "call", "verification"])
def test_one_look_and_four_chunks_at_most_are_intended_without_an_outcome(
    slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 2)
    monkeypatch.setattr(runner_module, "LEASE", 0.05)
    archive, store = Archive(names(120)), in_memory()
    ahead: list[int] = []
    all_sent = threading.Event()

    class Slow(ObedientSystem):
        def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
            if slow == "verification":
                time.sleep(0.1)
            return super().verify(batch)

    def count(key: str) -> None:
        lines = Counter(
            each.header["kind"] for each in load_segments(store, f"{FOLDER.path}/journal") for _ in each.lines
        )
        ahead.append(lines["intents"] - lines["outcomes"])
        if len(archive.sent) == 120:
            all_sent.set()
        if slow == "call" and key == "r001":
            all_sent.wait(LONG)

    one_try(store, Slow(archive, at_call=count), listed(120), 1, concurrency=3)
    assert 6 < max(ahead) <= 30, "a look is a chunk here, which is 6 calls"


def test_each_record_is_looked_at_once_and_what_is_there_is_published_before_its_intent() -> None:
    archive, store = Archive(names(45)), in_memory()
    one_try(store, LookingSystem(archive, {"r003": ["lost_before"]}, batch_size=3), listed(50), 1, concurrency=1)
    observed, intended = list[str](), list[str]()
    for segment in load_segments(store, f"{FOLDER.path}/journal"):
        keys = [line["key"] for line in segment.lines]
        if segment.header["kind"] == "observed":
            observed += keys
        elif segment.header["kind"] == "intents":
            intended += keys
            assert len(observed) == min(45, len(set(intended)))  # not later, and not much earlier
    assert set(intended) == set(names(50))
    assert observed == names(45)


def test_the_look_at_the_next_chunk_does_not_wait_for_calls_nor_they_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 2)
    archive, looked, sent = Archive(names(40)), threading.Event(), threading.Event()
    in_time: list[bool] = []

    class Looking(LookingSystem):
        def observe(self, records: Sequence[Record]) -> Set[str]:
            if records[0].key == "r004":
                in_time.append(sent.wait(LONG))  # until a call of the chunk before
            found = super().observe(records)
            if records[0].key == "r008":
                looked.set()
            return found

    def hang(key: str) -> None:
        sent.set()
        if key == "r000":
            in_time.append(looked.wait(LONG))  # until a look at the chunk after the next one

    outcomes = one_try(in_memory(), Looking(archive, at_call=hang), listed(40), 1, concurrency=2)
    assert in_time == [True, True]
    assert counts(outcomes)["destroyed"] == 40


def test_batches_are_full_but_for_the_last() -> None:
    archive, sizes = Archive(names(100)), list[int]()

    class Marks(ObedientSystem):
        def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
            sizes.append(len(batch))
            return super().dispose(batch, unanswered)

    one_try(in_memory(), Marks(archive, batch_size=15), listed(100), 1, concurrency=4)
    assert sorted(sizes, reverse=True) == [15] * 6 + [10]


def opened(number: int = 1) -> Journal:
    return Journal(in_memory(), FOLDER, DIGEST, started=STARTED, try_number=number, call_seconds=0)


def test_each_chunk_is_reported_once_its_outcomes_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 2)
    archive, journal, chunks = Archive(names(30)), opened(), list[Chunk]()

    def report(chunk: Chunk) -> None:
        assert threading.current_thread() is threading.main_thread()
        chunks.append(chunk)
        published = [
            line for each in load_segments(journal.store, journal.folder) for line in each.lines if "outcome" in line
        ]
        assert len(published) >= sum(sum(each.found.values()) for each in chunks)

    plan = {"r003": ["blocked"], "r004": ["lost_after"], "r029": ["failed"]}
    Runner(ObedientSystem(archive, plan), journal, Limits(100, 1.0), concurrency=2, report=report).run(listed(30))
    assert sum((each.found for each in chunks), Counter[OutcomeKind]()) == {
        OutcomeKind.DESTROYED: 28,
        OutcomeKind.BLOCKED: 1,
        OutcomeKind.FAILED: 1,
    }
    assert sorted(each.records for each in chunks) == [1, 2, *[4] * 7]  # the last one probes what went unanswered
    assert all(each.begun <= each.ended for each in chunks)


def test_progress_is_said_with_counts_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 2)
    monkeypatch.setattr(progress_module, "_EVERY", 0.0)
    archive = Archive(names(30))
    with caplog.at_level(logging.INFO, logger=progress_module.__name__):
        one_try(in_memory(), ObedientSystem(archive, {"r000": ["blocked"], "r001": ["lost_before"]}), listed(30), 1)
    said = [record.getMessage() for record in caplog.records if " of 30 records " in record.getMessage()]
    pattern = r"\d+ of 30 records \(\d+ destroyed, 1 blocked, 1 unanswered\), [\d.]+ a second, \d+ s left"
    assert any(re.fullmatch(pattern, line) for line in said), said
    assert said[-1].startswith("30 of 30 records (29 destroyed, 1 blocked), ")
