"""The memory of a disposal does not grow with its list."""

from __future__ import annotations

import pathlib
import tracemalloc
from collections.abc import Sequence, Set
from pathlib import Path

import pytest

from airflow_provider_records.evidence import spool
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.long_list import spooled_records
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.runner import Runner
from airflow_provider_records.task.context import imports_left_alone
from tests.execution.archive import DIGEST, FOLDER, STARTED


class Forgetful:
    """A system that disposes of everything and counts what it was told to forget."""

    name = "archive"
    batch_size = 1
    look_size = 100

    def __init__(self) -> None:
        self.canaries: list[str] = []
        self.known: set[str] = set()
        self.most = 0

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        return frozenset()

    def arrange(self, records: Sequence[Record]) -> Sequence[Sequence[Record]]:
        return [records]

    def observe(self, records: Sequence[Record]) -> Set[str]:
        keys = {record.key for record in records}
        self.known |= keys
        self.most = max(self.most, len(self.known))
        return keys

    def not_there(self, records: Sequence[Record]) -> Set[str]:
        return frozenset()

    def other_objects(self, records: Sequence[Record]) -> Set[str]:
        return frozenset()

    def unseen(self, records: Sequence[Record]) -> Set[str]:
        return frozenset()

    def unproven(self, records: Sequence[Record]) -> Set[str]:
        return frozenset()

    def foresee(self, records: Sequence[Record]) -> Sequence[Outcome | None]:
        return [None] * len(records)

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> Sequence[Outcome | None]:
        return [Outcome(record.key, OutcomeKind.DESTROYED, Proof.RESPONSE) for record in batch]

    def resolve_unanswered(self, batch: Sequence[Record]) -> Sequence[Outcome | None]:
        return [None] * len(batch)

    def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> Sequence[Outcome]:
        return [outcome for _, outcome in batch]

    def forget(self, records: Sequence[Record]) -> None:
        self.known -= {record.key for record in records}


def taken(folder: Path, count: int) -> tuple[int, int]:
    """Return the bytes that are still in use when a list has been carried out, and those that the next try needs."""
    store, system = Store(str(folder)), Forgetful()
    manifest = Manifest.write(store, ({"key": f"key {n}", "title": "a long title" * 20} for n in range(count)))
    journal = Journal(store, FOLDER, DIGEST, started=STARTED, try_number=1, call_seconds=0)
    runner = Runner(system, journal, Limits(10**6, 1.0), concurrency=4)
    tracemalloc.start()
    try:
        with imports_left_alone():  # else the collector leaves out what is small beside all modules
            outcomes = runner.run(spooled_records(manifest))
        # Without the names of files, which pathlib shares with the whole process in a table that grows by leaps.
        snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, pathlib.__file__)])
        kept = sum(each.size for each in snapshot.statistics("filename"))
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        newer = Journal(store, FOLDER, DIGEST, started=STARTED, try_number=2, call_seconds=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.DESTROYED}
    assert system.known == set()
    assert system.most < 1000
    assert next(iter(newer.state.outcomes.values())).kind is OutcomeKind.DESTROYED
    return kept, peak - before


def test_a_disposal_keeps_little_of_what_has_its_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "_KEPT", 0)
    long, short = taken(tmp_path / "long", 4000), taken(tmp_path / "short", 1000)
    kept, read = ((more - less) / 3000 for more, less in zip(long, short, strict=True))
    assert kept < 130  # a record alone takes 800 bytes
    assert read < 300, (kept, read)  # the lines of the journal take more than a thousand
