"""Listing what is due, and marking it: one disposal across content system and authority."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.exceptions import DisposalIncompleteError, StoreUnavailableError
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import context, given, run
from tests.operators.opus_night import approved, due, free, mark, outcomes


def test_nothing_is_marked_without_approval(served: ServedSandbox) -> None:
    with pytest.raises(AirflowFailException, match="distinct approvers"):
        mark(due())
    assert served.calls("opus", "destroy_records") == 0


def test_a_session_on_another_workers_disk_is_missed_by_the_next_try_here(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Try 1 on one worker, try 2 on another whose evidence has the same path on a disk of its own, try 3 here again."""
    reference = approved(served, due())
    free(served, reference)
    hints: dict[str, Any] = {}
    store = SimpleNamespace(get=hints.get, set=hints.__setitem__)
    here, there = tmp_path / "evidence", tmp_path / "there"
    shutil.copytree(here, there)

    def attempt(number: int, dies_in: str = "") -> Any:
        def crash(*_: object) -> None:
            raise KeyboardInterrupt

        # Of a session that is not there nobody knows what it did; the due list would call these records not due.
        operator = OpusDestroyRecordsOperator(task_id="mark", records=reference, recheck=False)
        with monkeypatch.context() as broken:
            if dies_in:
                broken.setattr(dies_in, crash)
            return operator.execute(context(operator, number) | {"task_state_store": store})

    def swap() -> None:
        here.rename(tmp_path / "away")
        there.rename(here)
        (tmp_path / "away").rename(there)

    with pytest.raises(KeyboardInterrupt):
        attempt(1, "airflow_provider_records.systems.opus.OpusSystem.prepare")
    swap()
    with pytest.raises(KeyboardInterrupt):
        attempt(2, "airflow_provider_records.evidence.journal.Journal.record")
    assert len(served.sandbox.effects("opus", "marked")) == 60
    swap()
    with pytest.raises(DisposalIncompleteError, match="60 unknown"):
        attempt(3)
    assert not served.sandbox.effects("opus", "marked_again")
    assert served.calls("opus", "destroy_records") == 4


def test_only_accepted_outcomes_are_marked(served: ServedSandbox) -> None:
    reference = approved(served, due())
    deleted = run(EnaioDeleteObjectOperator(task_id="delete", records=reference, hard_delete=True))
    result = mark(deleted, accept=("destroyed",))
    gone = {key for key, item in outcomes(served, deleted).items() if item["outcome"] == "destroyed"}
    assert set(outcomes(served, result)) == gone
    assert set(served.sandbox.effects("opus", "marked")) <= gone
    with_absent = run(OpusDestroyRecordsOperator(task_id="again", records=deleted, accept=("destroyed", "absent")))
    assert sum(with_absent["counts"].values()) == len(gone) + deleted["counts"]["absent"]


def test_an_evidence_path_that_nothing_serves_is_named(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", "nowhere://bucket/evidence")
    with pytest.raises(AirflowFailException, match="nowhere://bucket/evidence"):
        due()


def test_a_store_that_cannot_be_written_is_retried(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("airflow_provider_records.evidence.store.os.fsync", full)
    with pytest.raises(StoreUnavailableError, match="No space left") as caught:
        due()
    assert caught.value.retry


def test_what_came_from_no_due_list_is_not_looked_for_on_the_one_that_others_came_from(
    served: ServedSandbox,
) -> None:
    listed = due()
    due_list = DueList.from_dict(listed["due_list"])
    enaio: Any = served.sandbox.vendors["enaio"]
    given_here = ["800000", "800001", "800002"]
    for id_ in given_here:
        enaio.archive.add(id_, "Invoice")
    parts = [(listed["digest"], due_list), (Manifest.write(served.store, given_here).digest, None)]
    references = []
    for digest, came_from in parts:
        by = Approval(digest, "anna", now(), {"kind": "test"}, **given(served.store, digest, due_list=came_from))
        references.append(manifest_reference(Manifest.open(served.store, digest), [by.write(served.store)]))
    references[0]["due_list"] = listed["due_list"]
    deleted = run(EnaioDeleteObjectOperator(task_id="delete", records=references, hard_delete=True))
    found = outcomes(served, deleted)
    assert [found[id_]["outcome"] for id_ in given_here] == ["destroyed"] * 3
