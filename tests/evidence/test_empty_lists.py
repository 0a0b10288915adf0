"""How often in a row a listing task found nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from airflow_provider_records.evidence import empty_lists
from airflow_provider_records.evidence.store import Store
from tests.evidence import evidence_factory


def test_runs_in_a_row_are_counted_and_a_record_ends_the_row(tmp_path: Path) -> None:
    store = Store(str(tmp_path))

    def found(run: int, count: int, task: str = "due") -> int:
        return empty_lists.note(store, replace(evidence_factory.provenance(task), run_id=f"run {run}"), count)

    assert [found(run, 0) for run in range(3)] == [1, 2, 3]
    assert found(2, 0) == 3, "another try of the same run is no other run"
    assert found(3, 0, task="other") == 1
    assert found(3, 5) == 0
    assert [found(run, 0) for run in (4, 5)] == [1, 2]


def test_lists_with_records_leave_no_files(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for count in (3, 1):
        assert empty_lists.note(store, evidence_factory.provenance("due"), count) == 0
    assert store.names("") == []
