"""A night that died before its marks does not stop the nights after it: they mark what it destroyed."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.folders import unmarked_folder
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, now
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import DisposalIncompleteError
from airflow_provider_records.execution import runner
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.reporting.verdict import RunStatus, verdict
from airflow_provider_records.reporting.verify import verify
from airflow_provider_records.systems.enaio import EnaioSystem
from airflow_provider_records.systems.unifier import UnifierSystem
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import given, run
from tests.operators.opus_night import outcomes

COUNT = 25
ACCEPT = ("destroyed",)


@pytest.fixture
def records(served: ServedSandbox) -> list[dict[str, Any]]:
    """Objects of enaio whose records are due in Opus."""
    enaio: Any = served.sandbox.vendors["enaio"]
    opus: Any = served.sandbox.vendors["opus"]
    keys = [
        row.rowKey
        for rows in opus.connections.values()
        for row in rows
        if row.rowKey.startswith("enaio-") and row.due < "2026"
    ]
    folder = next(each.id for each in enaio.archive.objects.values() if each.base == "FOLDER")
    for number, key in enumerate(keys[:COUNT]):
        enaio.archive.add(str(820000 + number), "Invoice", places=[folder])
        opus.decide(key, "approve")
        opus.decide(key, "release")
    return [{"key": key, "target_id": str(820000 + number)} for number, key in enumerate(keys[:COUNT])]


def delete(
    served: ServedSandbox, records: list[dict[str, Any]], run_id: str, *, hard_delete: bool = True, try_number: int = 1
) -> Any:
    manifest = Manifest.write(served.store, records)
    by = Approval(
        manifest.digest, "anna", now(), {"kind": "test"}, **given(served.store, manifest.digest, run_id=run_id)
    )
    operator = EnaioDeleteObjectOperator(
        task_id="delete", records=manifest_reference(manifest, [by.write(served.store)]), hard_delete=hard_delete
    )
    return run(operator, try_number, run_id=run_id)


def mark(deleted: Any, run_id: str, *accept: str) -> Any:
    return run(OpusDestroyRecordsOperator(task_id="mark", records=deleted, accept=accept or ACCEPT), run_id=run_id)


def test_what_an_earlier_run_destroyed_is_marked_by_the_next_one(
    served: ServedSandbox, records: list[dict[str, Any]]
) -> None:
    assert delete(served, records, "r1")["counts"]["destroyed"] == COUNT
    again = delete(served, records, "r2")
    assert again["complete"]
    assert (again["counts"]["absent"], again["counts"]["destroyed"]) == (COUNT, 0)
    reasons = {each["reason"] for each in outcomes(served, again).values()}
    assert reasons == {"destroyed in run r1, and not marked since"}
    marked = mark(again, "r2")
    assert marked["counts"]["destroyed"] == COUNT
    assert len(served.sandbox.effects("opus", "marked")) == COUNT
    disposals = [Disposal.read(served.store, each["disposal"]) for each in (again, marked)]
    assert verdict(RunStatus(disposals)).level == "done"
    certify = DestructionCertificateOperator(task_id="certificate", disposals=[again, marked])
    certificate = Path(run(certify, run_id="r2")["certificate"].removeprefix("file://"))
    assert verify(certificate).ok
    page = certificate.with_suffix(".html").read_text()
    assert f"{COUNT} records of task delete were destroyed in run r1, and not marked since." in page
    assert "The evidence of that run says so; this certificate does not prove it." in page, "run r1 has no certificate"
    enaio: Any = served.sandbox.vendors["enaio"]
    enaio.archive.add("830000", "Invoice")
    strangers = [*records, {"key": "alive", "target_id": "830000"}]
    with pytest.raises(AirflowFailException, match=f"{COUNT} of {COUNT + 1} are not there"):
        delete(served, strangers, "r3")  # it is marked since


@pytest.mark.parametrize("known", [0, 1])
def test_a_night_that_died_while_it_deleted_does_not_stop_the_nights_after_it(
    served: ServedSandbox, records: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    monkeypatch.setattr(runner, "_BATCHES_PER_THREAD", 1 if known else 8)
    monkeypatch.setattr(EnaioSystem, "look_size", 8 if known else 199)
    record, written = Journal.record, iter(range(known))

    def die(journal: Journal, found: Sequence[Outcome]) -> None:
        if next(written, None) is None:
            raise KeyboardInterrupt
        record(journal, found)

    with monkeypatch.context() as dying:
        dying.setattr(Journal, "record", die)
        with pytest.raises(KeyboardInterrupt):
            delete(served, records[:-1], "r1")
    gone = served.sandbox.effects("enaio", "destroyed")
    assert len(gone) > 2
    again = delete(served, records, "r2")
    assert (again["counts"]["absent"], again["counts"]["destroyed"]) == (len(gone), COUNT - len(gone))
    found = outcomes(served, again)
    reasons = {key: str(each.get("reason")) for key, each in found.items()}
    told = {key for key, reason in reasons.items() if reason == "destroyed in run r1, and not marked since"}
    doubtful = {key for key, reason in reasons.items() if "a call of run r1 may have deleted it" in reason}
    assert len(told | doubtful) == len(told) + len(doubtful) == len(gone)
    assert bool(told) == bool(known)
    accept, marked = (ACCEPT, COUNT - len(doubtful)) if known else (("destroyed", "absent"), COUNT)
    assert mark(again, "r2", *accept)["counts"]["destroyed"] == marked


def die_with_calls_in_doubt(served: ServedSandbox, begin: Callable[[], object]) -> None:
    """Let a run die before it knows what became of its calls; they did nothing."""

    def die(_: Journal, __: Sequence[Outcome]) -> None:
        raise KeyboardInterrupt

    for vendor, call in (("enaio", "delete_object"), ("unifier", "delete_document")):
        served.fault(vendor=vendor, call=call, act=False, status=400, times=None)
    with pytest.MonkeyPatch.context() as dying:
        dying.setattr(Journal, "record", die)
        with pytest.raises(KeyboardInterrupt):
            begin()
    served.sandbox.faults.clear()


@pytest.mark.parametrize("archive", ["blind", "another"])
def test_what_a_run_that_died_may_have_deleted_is_not_absent_by_a_look_that_sees_nothing(
    served: ServedSandbox, records: list[dict[str, Any]], archive: str
) -> None:
    die_with_calls_in_doubt(served, lambda: delete(served, records, "r1"))
    enaio: Any = served.sandbox.vendors["enaio"]
    enaio.turn({"reads": "nothing"} if archive == "blind" else {"tenant": "second"})
    with pytest.raises(DisposalIncompleteError, match=f"{COUNT} not_attempted of {COUNT} records"):
        delete(served, records, "r2")
    enaio.turn({"reads": "allowed", "tenant": "first"})
    assert delete(served, records, "r2", try_number=2)["counts"]["destroyed"] == COUNT


def test_what_a_run_that_died_may_have_deleted_is_not_absent_where_a_second_look_may_not_read_it(
    served: ServedSandbox, records: list[dict[str, Any]]
) -> None:
    die_with_calls_in_doubt(served, lambda: delete(served, records[:3], "r1"))
    enaio: Any = served.sandbox.vendors["enaio"]
    hidden = records[0]["target_id"]
    served.fault(vendor="enaio", call="get_object", match=f"/{hidden}", act=False, status=404)
    served.fault(vendor="enaio", call="get_object", match=f"/{hidden}", act=False, status=400, times=None, skip=1)
    counts = delete(served, records, "r2")["counts"]
    assert (counts["absent"], counts["blocked"]) == (0, 1)
    assert hidden in enaio.archive.objects


@pytest.mark.parametrize(
    ("folder", "another"), [(True, False), (True, True), (False, False)], ids=["its folder", "another", "no folder"]
)
def test_what_a_run_that_died_may_have_recycled_is_not_absent_for_an_account_that_sees_nothing(
    served: ServedSandbox, folder: bool, another: bool
) -> None:
    unifier: Any = served.sandbox.vendors["unifier"]
    known = next(each for each in unifier.documents.values() if not each.locked)
    place: dict[str, Any] = {"parent_id": str(known.parent_id)} if folder else {}
    place |= {"location": known.path.rpartition("/")[0], "attributes": {"project_number": known.project}}
    for node in range(820000, 820000 + COUNT):
        path = f"{known.path.rpartition('/')[0]}/{node}"
        unifier.documents[node] = replace(known, node_id=node, file_id=node + 5000, path=path)
    listed = [{"key": f"U{node}", "target_id": str(node), **place} for node in range(820000, 820000 + COUNT)]
    for each in () if folder else listed:
        del each["location"]

    def recycle(run_id: str) -> Any:
        operator = UnifierDeleteDocumentOperator(task_id="delete", records=listed, require_approval=False)
        return run(operator, run_id=run_id)

    die_with_calls_in_doubt(served, lambda: recycle("r1"))
    documents = unifier.documents
    if another:
        unifier.documents = {7001: replace(known, node_id=7001, file_id=17001)}
    else:
        unifier.turn({"reads": "nothing"})
    with pytest.raises(DisposalIncompleteError, match=f"{COUNT} {'not_attempted' if folder else 'failed'} of {COUNT}"):
        recycle("r2")
    unifier.turn({"reads": "allowed"})
    unifier.documents = documents
    assert recycle("r3")["counts"]["recycled"] == COUNT


def test_another_archive_in_mid_run_does_not_show_what_a_run_that_died_may_have_recycled(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder has a document that is on no list, and does not show it any more."""
    unifier: Any = served.sandbox.vendors["unifier"]
    known = next(each for each in unifier.documents.values() if not each.locked)
    folder = known.path.rpartition("/")[0]
    for node in range(820000, 820004):
        unifier.documents[node] = replace(known, node_id=node, file_id=node + 5000, path=f"{folder}/{node}")
    place = {"location": folder, "attributes": {"project_number": known.project}}
    listed = [{"key": f"U{node}", "target_id": str(node), **place} for node in range(820000, 820004)]

    def recycle(records: list[Any], run_id: str) -> Any:
        operator = UnifierDeleteDocumentOperator(
            task_id="delete", records=records, require_approval=False, verify=False, concurrency=1
        )
        return run(operator, run_id=run_id)

    die_with_calls_in_doubt(served, lambda: recycle(listed[1:], "r1"))
    observe, looks = UnifierSystem.observe, iter(range(1000))

    def observe_then_another(system: UnifierSystem, records: Sequence[Record]) -> Set[str]:
        if next(looks):
            unifier.documents = {7001: replace(known, node_id=7001, file_id=17001)}
        return observe(system, records)

    monkeypatch.setattr(UnifierSystem, "look_size", 1)
    monkeypatch.setattr(UnifierSystem, "observe", observe_then_another)
    with pytest.raises(DisposalIncompleteError, match="3 not_attempted"):
        recycle(listed, "r2")


def test_a_run_that_its_own_next_try_ends_leaves_no_journal_to_read(
    served: ServedSandbox, records: list[dict[str, Any]]
) -> None:
    served.fault(vendor="enaio", call="delete_object", act=False, status=500, times=2, match=records[0]["target_id"])
    folder = unmarked_folder("night")
    with pytest.raises(DisposalIncompleteError):
        delete(served, records, "r1")
    assert sum(b'"journal"' in served.store.read(f"{folder}/{name}") for name in served.store.children(folder)) == 1
    delete(served, records, "r1", try_number=2)
    assert not any(b'"journal"' in served.store.read(f"{folder}/{name}") for name in served.store.children(folder))


@pytest.mark.parametrize("emptied", [True, False], ids=["bin emptied", "still in the bin"])
def test_what_was_recycled_is_marked_only_where_the_dag_accepts_that(
    served: ServedSandbox, records: list[dict[str, Any]], emptied: bool
) -> None:
    delete(served, records, "r1", hard_delete=False)
    enaio: Any = served.sandbox.vendors["enaio"]
    for record in records if emptied else ():
        enaio.archive.destroy(enaio.archive.objects[record["target_id"]])
    again = delete(served, records, "r2", hard_delete=False)
    assert again["counts"]["absent"] == COUNT
    assert {each["reason"] for each in outcomes(served, again).values()} == {"recycled in run r1, and not marked since"}
    assert mark(again, "r2")["counts"]["destroyed"] == 0
    assert mark(again, "r2", "recycled")["counts"]["destroyed"] == COUNT


def test_documents_that_name_no_folder_are_known_by_the_answer_to_their_call(
    served: ServedSandbox, records: list[dict[str, Any]]
) -> None:
    unifier: Any = served.sandbox.vendors["unifier"]
    known = next(each for each in unifier.documents.values() if not each.locked)
    for record in records:
        node = int(record["target_id"])
        unifier.documents[node] = replace(known, node_id=node, file_id=node + 5000)
    manifest = Manifest.write(served.store, records)

    def recycle(run_id: str) -> Any:
        facts = given(served.store, manifest.digest, run_id=run_id)
        by = Approval(manifest.digest, "anna", now(), {"kind": "test"}, **facts).write(served.store)
        operator = UnifierDeleteDocumentOperator(task_id="delete", records=manifest_reference(manifest, [by]))
        return run(operator, run_id=run_id)

    assert recycle("r1")["counts"]["recycled"] == COUNT
    again = recycle("r2")
    found = {(each["reason"], each["proof"]) for each in outcomes(served, again).values()}
    assert found == {("recycled in run r1, and not marked since", "response")}
    assert mark(again, "r2", "recycled")["counts"]["destroyed"] == COUNT
    with pytest.raises(AirflowFailException, match=f"{COUNT} of {COUNT} are not there"):
        recycle("r3")


def test_a_folder_whose_content_an_earlier_run_destroyed_goes_in_one_try(served: ServedSandbox) -> None:
    enaio: Any = served.sandbox.vendors["enaio"]
    enaio.archive.add("830001", "File", base="FOLDER")
    document = {"key": "830002", "location": "830001"}
    enaio.archive.add("830002", "Invoice", places=["830001"])

    def cascade(records: list[Any], run_id: str) -> Any:
        operator = EnaioDeleteObjectOperator(
            task_id="delete", records=records, hard_delete=True, cascade_delete=True, require_approval=False
        )
        return run(operator, run_id=run_id)

    cascade([document], "r1")
    again = cascade(["830001", document], "r2")
    assert (again["counts"]["destroyed"], again["counts"]["absent"]) == (1, 1)


def test_a_stranger_is_no_earlier_deed(served: ServedSandbox, records: list[dict[str, Any]]) -> None:
    delete(served, records[:5], "r1")
    others = [{**records[0], "target_id": "999999"}, *records[1:5], {"key": "stranger", "target_id": "999998"}]
    again = delete(served, [*others, *records[5:]], "r2")
    found = outcomes(served, again)
    assert {key for key, each in found.items() if each.get("earlier")} == {record["key"] for record in records[1:5]}
    disposal = Disposal.read(served.store, again["disposal"])
    assert (disposal.counts["absent"], disposal.destroyed_earlier) == (6, 4)
    assert verdict(RunStatus([disposal])).level == "partly"
