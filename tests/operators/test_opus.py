"""Listing what is due, and marking it: one disposal across content system and authority."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.exceptions import DisposalIncompleteError, StoreUnavailableError
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.systems.opus import OpusSystem
from airflow_provider_records.task.context import evidence_store
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import context, run

DUE = "2026-11-01T00:00:00"


def due(**more: Any) -> Any:
    return run(OpusDueRecordsOperator(task_id="due", due_before=DUE, target_id_pattern=r"enaio-(\d+)", **more))


def approved(served: ServedSandbox, reference: dict[str, Any], *approvers: str) -> dict[str, Any]:
    """Approve a list as the named people."""
    uris = [
        Approval(reference["digest"], approver, now(), {"kind": "test"}).write(served.store)
        for approver in approvers or ("anna",)
    ]
    return {**reference, "approvals": uris}


def free(served: ServedSandbox, reference: dict[str, Any]) -> Any:
    """Release in Opus whatever is on the list, so that only the fault under test stands in the way."""
    manifest = Manifest.open(served.store, reference["digest"])
    part: Any = served.sandbox.vendors["opus"]
    for record in manifest:
        part.decide(record.key, "approve")
        part.decide(record.key, "release")
    return manifest


def outcomes(served: ServedSandbox, reference: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the outcomes of a disposal by key."""
    disposal = json.loads(served.store.read(served.store.name(reference["disposal"])))
    _, *lines = served.store.read(served.store.name(disposal["outcomes"])).splitlines()  # the first names the format
    return {item["key"]: item for item in map(json.loads, lines)}


def mark(reference: Any, **more: Any) -> Any:
    return run(OpusDestroyRecordsOperator(task_id="mark", records=reference, **more))


def test_the_due_list_becomes_a_manifest(served: ServedSandbox) -> None:
    reference = due(page_size=7)
    manifest = Manifest.open(served.store, reference["digest"], reference["manifest"])
    expected = {"manifest": manifest.uri, "digest": manifest.digest, "count": 60, "approvals": [], "withheld": 0}
    assert reference == expected
    assert served.calls("opus", "due_records") == 9
    for record in manifest:
        assert record.key == f"enaio-{record.target_id}"
        assert record.title
        assert record.attributes["due_before"] == DUE


def test_an_error_on_any_page_leaves_no_manifest(served: ServedSandbox) -> None:
    served.fault(vendor="opus", call="due_records", skip=3, times=None, status=500)
    with pytest.raises(Exception, match="500"):
        due(page_size=7)
    assert served.store.names("manifests") == []


def test_a_key_that_does_not_match_the_pattern_leaves_no_manifest(served: ServedSandbox) -> None:
    with pytest.raises(AirflowFailException, match="target_id_pattern"):
        run(OpusDueRecordsOperator(task_id="due", due_before=DUE, target_id_pattern=r"sharepoint-(\d+)"))
    assert served.store.names("manifests") == []


@pytest.mark.parametrize("pattern", [r"enaio-\d+", r"(enaio)-(\d+)", "(", 5, b"(x)", ["(x)"]])
def test_a_wrong_pattern_is_refused_before_any_request(served: ServedSandbox, pattern: Any) -> None:
    with pytest.raises(AirflowFailException, match="target_id_pattern"):
        run(OpusDueRecordsOperator(task_id="due", due_before=DUE, target_id_pattern=pattern))
    assert not served.sandbox.log


def test_nothing_is_marked_without_approval(served: ServedSandbox) -> None:
    with pytest.raises(AirflowFailException, match="distinct approvers"):
        mark(due())
    assert served.calls("opus", "destroy_records") == 0


def test_batches_of_fifteen_each_once(served: ServedSandbox) -> None:
    reference = approved(served, due())
    manifest = free(served, reference)
    result = mark(reference)
    assert result["complete"]
    assert result["counts"]["destroyed"] == 60
    assert served.calls("opus", "destroy_records") == 4
    assert sorted(served.sandbox.effects("opus", "marked")) == sorted(record.key for record in manifest)


def test_what_opus_refuses_is_blocked_and_the_others_are_marked(served: ServedSandbox) -> None:
    reference = approved(served, due())
    result = mark(reference)
    blocked = {key for key, item in outcomes(served, result).items() if item["outcome"] == "blocked"}
    assert result["complete"]
    assert blocked
    marked = set(served.sandbox.effects("opus", "marked"))
    assert len(marked) == result["counts"]["destroyed"] == 60 - len(blocked)
    assert not marked & blocked


@pytest.mark.parametrize("act", [True, False])
def test_a_lost_answer_is_settled_by_the_due_list(served: ServedSandbox, act: bool) -> None:
    reference = approved(served, due())
    free(served, reference)
    served.fault(vendor="opus", call="destroy_records", skip=1, drop=True, act=act)
    result = mark(reference, concurrency=1)
    assert result["counts"]["destroyed"] == 60
    proofs = [item["proof"] for item in outcomes(served, result).values()]
    assert proofs.count("inferred") == (15 if act else 0)
    assert len(served.sandbox.effects("opus", "marked")) == 60
    assert not served.sandbox.effects("opus", "marked_again")


def test_a_lost_answer_without_a_due_list_is_unknown(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [record.key for record in free(served, due())][:15]
    conn = json.loads(__import__("os").environ["AIRFLOW_CONN_OPUS_DEFAULT"])
    del conn["extra"]["connector_id"]
    monkeypatch.setenv("AIRFLOW_CONN_OPUS_DEFAULT", json.dumps(conn))
    served.fault(vendor="opus", call="destroy_records", drop=True)
    operator = OpusDestroyRecordsOperator(task_id="mark", records=keys, require_approval=False)
    with pytest.raises(DisposalIncompleteError, match="15 unknown"):
        run(operator)


def test_a_mark_in_doubt_after_a_crash_is_settled_by_the_next_try(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = approved(served, due())
    free(served, reference)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("airflow_provider_records.evidence.journal.Journal.record", crash)
        with pytest.raises(KeyboardInterrupt):
            mark(reference)
    assert len(served.sandbox.effects("opus", "marked")) > 0
    result = run(OpusDestroyRecordsOperator(task_id="mark", records=reference), try_number=2)
    assert result["counts"]["destroyed"] == 60
    assert not served.sandbox.effects("opus", "marked_again")


def test_after_a_kill_few_readings_settle_all_batches_in_doubt(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading takes a request for each hundred records of the connector: minutes, where it has 100,000."""
    reference = approved(served, due())
    keys = {record.key for record in free(served, reference)}
    monkeypatch.setattr(OpusSystem, "batch_size", 1)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("airflow_provider_records.evidence.journal.Journal.record", crash)
        served.fault(vendor="opus", call="destroy_records", skip=30, times=10, drop=True, act=False)
        with pytest.raises(KeyboardInterrupt):
            mark(reference, max_failure_rate=1.0)
    marked = set(served.sandbox.effects("opus", "marked"))
    assert len(marked) == 50
    before = served.calls("opus", "due_records")
    result = run(OpusDestroyRecordsOperator(task_id="mark", records=reference, concurrency=4), try_number=2)
    assert served.calls("opus", "due_records") - before == 3
    assert result["counts"]["destroyed"] == 60
    assert sorted(served.sandbox.effects("opus", "marked")) == sorted(keys)
    assert not served.sandbox.effects("opus", "marked_again")
    inferred = {key for key, item in outcomes(served, result).items() if item["proof"] == "inferred"}
    assert inferred == marked


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

        operator = OpusDestroyRecordsOperator(task_id="mark", records=reference)
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


def test_a_rehearsal_reads_the_due_list_only_until_it_knows(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = due()
    monkeypatch.setattr(OpusSystem, "batch_size", 1)
    before = served.calls("opus", "due_records")
    mark(reference, dry_run=True)
    assert served.calls("opus", "due_records") - before == 2
    assert served.calls("opus", "destroy_records") == 0


def test_a_reading_from_before_a_mark_says_nothing_about_it(served: ServedSandbox) -> None:
    """The first mark fails, so that the list is read; the second one takes effect after that, without an answer."""
    reference = approved(served, due())
    free(served, reference)
    served.fault(vendor="opus", call="destroy_records", times=1, status=500, act=False)
    served.fault(vendor="opus", call="destroy_records", skip=2, times=1, drop=True)
    before = served.calls("opus", "due_records")
    result = mark(reference, concurrency=1, max_failure_rate=1.0)
    assert served.calls("opus", "due_records") - before == 4
    assert result["counts"]["destroyed"] == 60
    assert len(served.sandbox.effects("opus", "marked")) == 60
    assert not served.sandbox.effects("opus", "marked_again")
    assert [item["proof"] for item in outcomes(served, result).values()].count("inferred") == 15


@pytest.mark.parametrize("skipped", [1, 2])
def test_what_one_reading_skips_is_not_taken_for_destroyed(served: ServedSandbox, skipped: int) -> None:
    reference = approved(served, due())
    free(served, reference)
    served.fault(vendor="opus", call="destroy_records", times=1, status=500, act=False)
    served.fault(vendor="opus", call="due_records", skip=skipped, times=1, put={"/queriedItems": []})
    result = mark(reference, concurrency=1)
    assert result["counts"]["destroyed"] == 60
    assert len(served.sandbox.effects("opus", "marked")) == 60
    assert {item["proof"] for item in outcomes(served, result).values()} == {"response"}


def test_no_mark_is_in_the_air_while_the_due_list_is_read(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that vanish from a list while it is read make it skip others."""
    reference = approved(served, due())
    keys = [record.key for record in free(served, reference)]
    monkeypatch.setattr(OpusSystem, "batch_size", 3)
    slow = 0.1
    served.fault(vendor="opus", call="*", times=None, latency_ms=slow * 1000)
    for key in keys[9], keys[30]:
        served.fault(vendor="opus", call="destroy_records", match=f'"{key}"', times=1, status=500, act=False)
    result = mark(reference, concurrency=4, max_failure_rate=1.0)
    assert result["counts"]["destroyed"] == 60
    log = [entry for entry in served.sandbox.log if entry.vendor == "opus"]
    readings = [entry.time for entry in log if entry.call == "due_records"]
    marks = [entry.time for entry in log if entry.call == "destroy_records"]
    assert len(readings) >= 4
    assert not [(read, mark) for read in readings for mark in marks if abs(read - mark) < slow]


def test_only_accepted_outcomes_are_marked(served: ServedSandbox) -> None:
    reference = approved(served, due())
    deleted = run(EnaioDeleteObjectOperator(task_id="delete", records=reference, hard_delete=True))
    result = mark(deleted, accept=("destroyed",))
    gone = {key for key, item in outcomes(served, deleted).items() if item["outcome"] == "destroyed"}
    assert set(outcomes(served, result)) == gone
    assert set(served.sandbox.effects("opus", "marked")) <= gone
    with_absent = run(OpusDestroyRecordsOperator(task_id="mark2", records=deleted, accept=("destroyed", "absent")))
    assert sum(with_absent["counts"].values()) == len(gone) + deleted["counts"]["absent"]


@pytest.mark.parametrize("accept", [(), None, 5, [["destroyed"]], ("blocked",), "destroyed", ("destroyed", "nonsense")])
def test_accept_takes_only_what_is_gone(served: ServedSandbox, accept: Any) -> None:
    with pytest.raises(AirflowFailException, match="accept"):
        mark([], accept=accept)


def test_an_empty_list_sends_no_request(served: ServedSandbox) -> None:
    result = mark([])
    assert result["complete"]
    assert set(result["counts"].values()) == {0}
    assert not served.sandbox.log


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_account_stops_and_is_not_retried(served: ServedSandbox, status: int) -> None:
    reference = approved(served, due())
    served.fault(vendor="opus", call="destroy_records", times=None, status=status, act=False)
    operator = OpusDestroyRecordsOperator(task_id="mark", records=reference, concurrency=1)
    task = context(operator)
    with pytest.raises(AirflowFailException, match=str(status)):
        operator.execute(task)
    pushed = task["ti"].pushed["return_value"]
    assert pushed["counts"]["failed"] == 15
    assert pushed["counts"]["not_attempted"] == 45
    assert sum(pushed["counts"].values()) == 60


def test_an_empty_evidence_path_is_the_documented_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__RECORDS__EVIDENCE_PATH", raising=False)
    default = evidence_store().root
    assert default.startswith("file:///")
    assert default.endswith("/records_evidence")
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", "")
    assert evidence_store().root == default


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
