"""Which of a task's tries counts, and how far one is that has not summed up."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.plugin.runs import RunReader
from airflow_provider_records.plugin.status import TaskStatus
from tests.evidence import evidence_factory
from tests.plugin.conftest import DAG, begin, dispose, provenance, run_id


def only_task(store: Store) -> TaskStatus:
    (task,) = RunReader(store).read(DAG, run_id(0)).tasks
    return task


def counts(task: TaskStatus) -> dict[str, int]:
    return {result: number for result, number in task.counts.items() if number}


def test_the_summary_of_the_newest_try_stands(store: Store) -> None:
    manifest = Manifest.write(store, evidence_factory.records(6))
    keys = [record.key for record in manifest]
    evidence_factory.carry_out(
        store, manifest, system=evidence_factory.ObedientSystem({keys[0]: OutcomeKind.FAILED}), by=provenance("delete")
    )
    assert counts(only_task(store)) == {"destroyed": 5, "failed": 1}
    evidence_factory.carry_out(store, manifest, by=provenance("delete", try_number=2))
    task = only_task(store)
    assert counts(task) == {"destroyed": 6}
    assert task.progress is None


def test_a_run_that_was_created_anew_under_its_id_starts_over(store: Store) -> None:
    manifest = Manifest.write(store, evidence_factory.records(6))
    keys = [record.key for record in manifest]
    for number in (1, 2):
        system = evidence_factory.ObedientSystem(dict.fromkeys(keys, OutcomeKind.FAILED))
        evidence_factory.carry_out(store, manifest, system=system, by=provenance("delete", try_number=number))
    anew = provenance("delete", run_started_at="2026-11-23T02:00:07.120000+00:00")
    journal = begin(store, manifest, anew)
    journal.intend(keys)
    journal.record([Outcome(key, OutcomeKind.DESTROYED, Proof.RESPONSE) for key in keys[:4]])
    task = only_task(store)
    assert task.progress is not None
    assert counts(task) == {"destroyed": 4, "failed": 2}


def test_mapped_parts_count_together(store: Store) -> None:
    wholes = [Manifest.write(store, evidence_factory.records(12)[start : start + 4]) for start in (0, 4, 8)]
    for part, manifest in enumerate(wholes[:2]):
        evidence_factory.carry_out(store, manifest, by=provenance("delete", map_index=part))
    journal = begin(store, wholes[2], provenance("delete", map_index=2))
    keys = [record.key for record in wholes[2]]
    journal.intend(keys)
    journal.record([Outcome(keys[0], OutcomeKind.BLOCKED, Proof.RESPONSE, "locked")])
    task = only_task(store)
    assert [part.map_index for part in task.instances] == [0, 1, 2]
    assert counts(task) == {"destroyed": 8, "blocked": 1}
    assert task.progress is not None
    assert (task.progress.known, task.progress.total, task.progress.in_flight) == (9, 12, 3)


def test_iterations_of_a_loop_count_together_in_their_order(store: Store) -> None:
    for iteration, record in enumerate(evidence_factory.records(11)):
        origin = provenance("delete", iteration=iteration)
        evidence_factory.carry_out(store, Manifest.write(store, [record]), by=origin)
    task = only_task(store)
    assert [part.iteration for part in task.instances] == list(range(11))
    assert counts(task) == {"destroyed": 11}


def test_a_beginning_that_was_cut_off_counts_for_nothing(store: Store) -> None:
    dispose(store, certified=False)
    reader = RunReader(store)
    before = reader.read(DAG, run_id(0)).systems
    begin(store, Manifest.write(store, evidence_factory.records(9)), provenance("delete", try_number=2))
    (opened,) = [name for name in store.names("disposals") if "-0002-" in name and name.endswith("open.jsonl")]
    path = Path(store.uri(opened).removeprefix("file://"))
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    assert reader.read(DAG, run_id(0)).systems == before
    assert not reader.read(DAG, run_id(0)).unfinished
    path.write_bytes(whole)
    assert reader.read(DAG, run_id(0)).unfinished


def test_a_journal_that_was_changed_is_said(store: Store) -> None:
    manifest = Manifest.write(store, evidence_factory.records(4))
    journal = begin(store, manifest, provenance("delete"))
    journal.intend([record.key for record in manifest])
    (intents,) = [name for name in store.names("disposals") if name.endswith("intents.jsonl")]
    path = Path(store.uri(intents).removeprefix("file://"))
    path.write_bytes(path.read_bytes().replace(b"key", b"kee"))
    assert "The journal was changed" in RunReader(store).read(DAG, run_id(0)).problem
