"""What people decide while a list is carried out stops what has not been sent; the sandbox's log is the truth."""

from __future__ import annotations

import html
import os
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.evidence import due_reading
from airflow_provider_records.evidence.approval import Approval, Rejection
from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.due_reading import DueReadings
from airflow_provider_records.evidence.folders import due_lists_folder
from airflow_provider_records.evidence.hold import HoldRegister
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Covered, Order
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import ConfigurationError, DisposalIncompleteError
from airflow_provider_records.execution import retries
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.enaio_responses import EnaioObject
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator, EnaioDueRecordsOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator, UnifierDueDocumentsOperator
from airflow_provider_records.systems.enaio_approval import EnaioFieldSource
from airflow_provider_records.systems.enaio_batch import BatchProbe
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run
from tests.operators.opus_night import outcomes

RUN = ("night", "manual__2026-11-22T04:30:00+00:00")
DUE = "2026-11-01T00:00:00"
COUNT = 60
BEFORE = 5
"""Deletes that leave before people decide; about three chunks of eight are looked at by then."""
SAFE = 40
"""Place on the list from which on nothing has been looked at by then."""
BP = {"project_number": "P-0001", "bpname": "Disposal Request", "record_no": "DR-1"}


@pytest.fixture
def ids(served: ServedSandbox) -> list[str]:
    """Documents of enaio that nothing holds; their field approves them."""
    enaio: Any = served.sandbox.vendors["enaio"]
    for number in range(COUNT):
        enaio.archive.add(str(800000 + number), "Invoice", fields={"Disposal": "approved"})
    return [str(800000 + number) for number in range(COUNT)]


def approval_of(
    served: ServedSandbox,
    digest: str,
    who: str,
    source: Mapping[str, Any] | None = None,
    due_list: DueList | None = None,
) -> str:
    """Let somebody, or the decision of a system, approve a list for deletion."""
    hook: VendorHook = EnaioHook("enaio_default")
    tasks = [Covered("delete", "enaio", "destroy", hook.target, hook.conn_id)]
    hook = OpusHook("opus_default")
    tasks.append(Covered("mark", "opus", "mark", hook.target, hook.conn_id))
    order = Order(digest, tasks, *RUN, "2026-11-22T04:31:00.000Z", "2999-01-01T00:00:00.000Z", due_list)
    order.write(served.store)
    kind = "process" if source else "person"
    approval = Approval(digest, who, now(), source or {"kind": "test"}, approver_type=kind, order=order.id)
    return approval.write(served.store)


def approved(served: ServedSandbox, ids: Sequence[str], source: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a list of these ids that a source has approved."""
    manifest = Manifest.write(served.store, ids)
    return manifest_reference(manifest, [approval_of(served, manifest.digest, "someone", source)])


def delete(records: Any, try_number: int = 1, **options: Any) -> Any:
    operator = EnaioDeleteObjectOperator(task_id="delete", records=records, hard_delete=True, concurrency=1, **options)
    return run(operator, try_number)


def decide(served: ServedSandbox, after: int = BEFORE, **decisions: Any) -> None:
    """Let people decide right before the next delete after these."""
    served.fault(vendor="enaio", call="delete_object", skip=after, decide=decisions)


def hold(served: ServedSandbox, *keys: str) -> None:
    """Let somebody enter holds between two requests."""
    register = HoldRegister(served.store)

    def entered(asked: Mapping[str, Any]) -> str:
        for key in asked["keys"]:
            register.add(key, "lawsuit", "os:legal")
        return "held"

    served.sandbox.decisions = {**served.sandbox.decisions, "register": entered}
    decide(served, register={"keys": list(keys)})


def destroyed(served: ServedSandbox) -> list[str]:
    return served.sandbox.effects("enaio", "destroyed")


def enaio_source(**more: Any) -> dict[str, Any]:
    return {"kind": "enaio", "conn_id": "enaio_default", "field": "Disposal", "approved": ["approved"], **more}


def unifier_source(**more: Any) -> dict[str, Any]:
    names = {"status_field": "status", "approved": ["Approved"], "digest_field": None}
    return {"kind": "unifier", "conn_id": "unifier_default", **BP, **names, **more}


def test_a_hold_that_is_entered_meanwhile_keeps_its_records(served: ServedSandbox, ids: list[str]) -> None:
    held = [ids[SAFE], ids[-1]]
    hold(served, *held)
    reference = delete(approved(served, ids))
    assert destroyed(served) == [id_ for id_ in ids if id_ not in held]
    assert reference["counts"]["blocked"] == 2
    found = outcomes(served, reference)
    assert {found[key]["reason"] for key in held} == {"on hold: lawsuit (os:legal)"}
    assert reference["complete"]


def test_the_certificate_says_which_holds_touched_the_run(served: ServedSandbox, ids: list[str]) -> None:
    HoldRegister(served.store).add(ids[0], "lawsuit", "os:legal")
    reference = delete(approved(served, ids[:4]), holds=[ids[1]])
    written = run(DestructionCertificateOperator(task_id="certificate", disposals=[reference]))
    page = html.unescape(served.store.read(served.store.name(written["html"])).decode())
    assert (
        "On hold, and not disposed of by task delete: 1 x lawsuit (os:legal); 1 x named in holds= of this task" in page
    )
    assert "Task delete named 1 key to hold in this run (holds=)." in page


@pytest.mark.parametrize("approvals", [1, 2])
def test_a_hold_beats_every_approval(served: ServedSandbox, ids: list[str], approvals: int) -> None:
    HoldRegister(served.store).add(ids[2], "lawsuit", "os:legal")
    reference = approved(served, ids[:5])
    reference["approvals"] = [*reference["approvals"], approval_of(served, reference["digest"], "ben")]
    assert delete(reference, min_approvals=approvals, recheck=False)["counts"]["blocked"] == 1
    assert ids[2] not in destroyed(served)


def test_keys_of_another_task_hold_in_this_run(served: ServedSandbox, ids: list[str]) -> None:
    reference = delete(approved(served, ids[:5]), holds=[(ids[1],), {"id": int(ids[3])}, "unknown"])
    assert destroyed(served) == [ids[0], ids[2], ids[4]]
    assert outcomes(served, reference)[ids[1]]["reason"].startswith("on hold: named in holds= of this task (between 20")
    holds = Disposal.read(served.store, reference["disposal"]).options["holds"]
    assert holds["count"] == 3
    assert holds["not_before"] < holds["read_at"]
    assert HoldRegister(served.store).standing() == [], "evidence of that run only"


@pytest.mark.parametrize("holds", [None, "{{ ti.xcom_pull('held') }}", "800001", b"1"])
def test_what_can_never_be_a_list_of_holds_is_refused_when_the_dag_is_parsed(holds: Any) -> None:
    with pytest.raises(ConfigurationError, match="holds= takes a list"):
        EnaioDeleteObjectOperator(task_id="delete", records=[], holds=holds)


@pytest.mark.parametrize("rendered", [None, "[]", "['1']", {"a": 1}, [None], [["1", "2"]], ["None"], [1.5]])
def test_holds_that_are_none_delete_nothing(served: ServedSandbox, ids: list[str], rendered: Any) -> None:
    operator = EnaioDeleteObjectOperator(task_id="delete", records=approved(served, ids[:3]), hard_delete=True)
    operator.holds = rendered  # as Airflow sets what it has rendered
    with pytest.raises(AirflowFailException):
        run(operator)
    assert destroyed(served) == []


def test_a_rejection_that_comes_meanwhile_stops_the_list(served: ServedSandbox, ids: list[str]) -> None:
    reference = approved(served, ids)

    def reject(_: Mapping[str, Any]) -> str:
        dag_id, run_id = RUN
        source = {"kind": "test"}
        rejection = Rejection(
            reference["digest"], "airflow:ben", now(), source, "Ben", "not these", dag_id=dag_id, run_id=run_id
        )
        rejection.write(served.store)
        return "rejected"

    served.sandbox.decisions = {**served.sandbox.decisions, "reviewer": reject}
    decide(served, reviewer={})
    with pytest.raises(AirflowFailException, match="Ben rejected this list"):
        delete(reference)
    assert BEFORE <= len(destroyed(served)) <= SAFE


def test_a_unifier_record_that_is_reopened_stops_the_list(served: ServedSandbox, ids: list[str]) -> None:
    unifier: Any = served.sandbox.vendors["unifier"]
    unifier.open_request("P-0001", "DR-1", status="Approved")
    decide(served, unifier={"action": "set_status", **BP, "status": "Reopened"})
    reference = approved(served, ids, unifier_source())
    with pytest.raises(
        AirflowFailException,
        match=r"withdrawn: Unifier record DR-1 of .* is 'Reopened' now\. Nothing more is deleted unless",
    ):
        delete(reference)
    done = len(destroyed(served))
    assert BEFORE <= done <= SAFE
    with pytest.raises(AirflowFailException, match="was withdrawn"):  # cleared by hand, it finds the same
        delete(reference, try_number=2)
    assert len(destroyed(served)) == done
    unifier.set_status(*BP.values(), "Approved")
    assert delete(reference, try_number=3)["counts"]["destroyed"] == COUNT, "it is approved again"


@pytest.mark.parametrize(
    ("record", "source", "problem"),
    [
        (None, {}, "is not there any more"),
        ({"digest": "sha256:other"}, {"digest_field": "disposal_digest"}, "names the list 'sha256:other' now"),
        ({"status": "Pending"}, {}, "is 'Pending' now"),
        ({}, {"status_field": "state"}, "is '' now"),
    ],
)
def test_what_the_unifier_record_must_say(
    served: ServedSandbox, ids: list[str], record: Any, source: dict[str, Any], problem: str
) -> None:
    unifier: Any = served.sandbox.vendors["unifier"]
    if record is not None:
        unifier.open_request("P-0001", "DR-1", **{"status": "Approved", **record})
    with pytest.raises(AirflowFailException, match=problem):
        delete(approved(served, ids[:3], unifier_source(**source)))
    assert destroyed(served) == []


def test_an_object_whose_field_is_changed_stops_the_list(served: ServedSandbox, ids: list[str]) -> None:
    decide(served, enaio={"object_ids": [ids[SAFE]], "value": "rejected"})
    with pytest.raises(AirflowFailException, match=f"enaio object {ids[SAFE]} has Disposal = 'rejected' now"):
        delete(approved(served, ids, enaio_source()))
    assert BEFORE <= len(destroyed(served)) <= SAFE
    assert ids[SAFE] not in destroyed(served)


def test_an_object_whose_field_is_changed_is_left_where_single_ones_are_withheld(
    served: ServedSandbox, ids: list[str]
) -> None:
    changed = [ids[SAFE], ids[-1]]
    decide(served, enaio={"object_ids": changed, "value": "rejected"})
    reference = delete(approved(served, ids, enaio_source(on_rejected="withhold")))
    assert destroyed(served) == [id_ for id_ in ids if id_ not in changed]
    assert reference["counts"]["blocked"] == 2
    found = outcomes(served, reference)
    assert {found[key]["reason"] for key in changed} == {"not approved any more: Disposal = 'rejected' now"}
    assert reference["complete"]


def test_an_approval_that_stands_lets_everything_go(served: ServedSandbox, ids: list[str]) -> None:
    assert delete(approved(served, ids, enaio_source()))["counts"]["destroyed"] == COUNT


@pytest.mark.parametrize("answers", ["search", "no value", "no search"])
def test_the_field_of_many_objects_is_read_by_one_search(served: ServedSandbox, ids: list[str], answers: str) -> None:
    enaio: Any = served.sandbox.vendors["enaio"]
    enaio.turn({"version": "6.5.0"})
    if answers == "no search":
        served.fault(vendor="enaio", call="search", times=None, status=400)
    if answers == "no value":
        for object_ in enaio.archive.objects.values():
            object_.fields.pop("Disposal", None)
    records = [{"key": id_, "target_id": id_, "attributes": {"object_type": "Invoice"}} for id_ in ids]
    source = EnaioFieldSource("sha256:any", enaio_source())
    before = Counter({call: served.calls("enaio", call) for call in ("search", "get_object")})
    withdrawn = source.withdrawn([Record.from_item(record) for record in records])
    calls = Counter({call: served.calls("enaio", call) for call in ("search", "get_object")}) - before
    if answers == "search":
        assert (withdrawn, calls) == ({}, {"search": 1})
    else:
        assert bool(withdrawn) == (answers == "no value")
        assert calls["get_object"] == COUNT


def test_only_a_look_at_the_object_itself_says_that_it_does_not_approve(
    served: ServedSandbox, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served.sandbox.vendors["enaio"].turn({"version": "6.5.0"})
    found = BatchProbe.listed

    def older(probe: BatchProbe, type_name: str, object_ids: Sequence[str]) -> dict[str, EnaioObject]:
        rows = found(probe, type_name, object_ids)
        return {id_: replace(row, fields={**row.fields, "Disposal": "in review"}) for id_, row in rows.items()}

    monkeypatch.setattr(BatchProbe, "listed", older)
    source = EnaioFieldSource("sha256:any", enaio_source())
    assert source.withdrawn([Record(id_, id_) for id_ in ids[:3]]) == {}


def test_an_outage_of_the_source_is_no_withdrawal(served: ServedSandbox, ids: list[str]) -> None:
    unifier: Any = served.sandbox.vendors["unifier"]
    unifier.open_request("P-0001", "DR-1", status="Approved")
    served.fault(vendor="unifier", call="get_bp_record", times=None, status=503, body="")
    reference = approved(served, ids[:3], unifier_source())
    with pytest.raises(DisposalIncompleteError, match="3 failed of 3 records"):
        delete(reference)
    assert destroyed(served) == []
    served.sandbox.faults.clear()
    assert delete(reference, try_number=2)["counts"]["destroyed"] == 3


@pytest.mark.parametrize("status", [400, 500])
def test_an_approval_that_cannot_be_read_fails_its_object_only(
    served: ServedSandbox, ids: list[str], status: int
) -> None:
    served.fault(vendor="enaio", call="get_object", match=f"/{ids[1]}", times=None, status=status)
    reference = approved(served, ids[:3], enaio_source())
    with pytest.raises(DisposalIncompleteError, match="1 failed of 3 records"):
        delete(reference)
    assert destroyed(served) == [ids[0], ids[2]]
    served.sandbox.faults.clear()
    assert delete(reference, 2)["counts"]["destroyed"] == 3


def test_without_recheck_the_source_is_not_asked_again(served: ServedSandbox, ids: list[str]) -> None:
    reference = delete(approved(served, ids[:3], unifier_source()), recheck=False)
    assert reference["counts"]["destroyed"] == 3
    assert Disposal.read(served.store, reference["disposal"]).options["recheck"] is False


def test_what_our_own_journal_destroyed_is_marked_whatever_is_held_since(served: ServedSandbox) -> None:
    opus: Any = served.sandbox.vendors["opus"]
    keys = [row.rowKey for rows in opus.connections.values() for row in rows if row.rowKey.startswith("enaio-")][:3]
    for key in keys:
        opus.decide(key, "approve")
        opus.decide(key, "release")
    enaio: Any = served.sandbox.vendors["enaio"]
    records = []
    for number, key in enumerate(keys):
        enaio.archive.add(str(810000 + number), "Invoice")
        records.append({"key": key, "target_id": str(810000 + number)})
    manifest = Manifest.write(served.store, records)
    deleted = delete(manifest_reference(manifest, [approval_of(served, manifest.digest, "anna")]))
    assert deleted["counts"]["destroyed"] == 3
    for key in keys:
        HoldRegister(served.store).add(key, "too late", "os:legal")
    marked = run(OpusDestroyRecordsOperator(task_id="mark", records=deleted))
    assert marked["counts"]["destroyed"] == 3


@pytest.fixture
def due(served: ServedSandbox, ids: list[str]) -> dict[str, Any]:
    """Return an approved list of records that are due in Opus, whose content lies in enaio."""
    opus: Any = served.sandbox.vendors["opus"]
    hook = OpusHook("opus_default")
    known = [row.row_key for row in hook.iter_due_records(None, DUE)][:COUNT]
    due_list = DueList(hook.conn_id, hook.target, str(hook.connector_id), DUE)
    for key in known:
        opus.decide(key, "approve")
        opus.decide(key, "release")
    attributes = {"connector_id": due_list.connector_id, "due_before": DUE}
    records = [
        {"key": key, "target_id": target, "attributes": attributes} for key, target in zip(known, ids, strict=False)
    ]
    manifest = Manifest.write(served.store, records)
    return manifest_reference(manifest, [approval_of(served, manifest.digest, "anna", due_list=due_list)])


def due_keys(served: ServedSandbox, reference: dict[str, Any]) -> dict[str, str]:
    """Return the keys of a list by their target ids."""
    return {record.target_id: record.key for record in Manifest.open(served.store, reference["digest"])}


@pytest.mark.parametrize("decision", ["hold", "extend"])
def test_what_leaves_the_due_list_meanwhile_is_not_deleted(
    served: ServedSandbox, due: dict[str, Any], decision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_reading, "SERVES", 0.0)  # each chunk reads the list
    served.sandbox.vendors["opus"].turn({"list_held": False})
    keys = due_keys(served, due)
    left = list(keys)[SAFE:][:2]
    assert len(left) == 2
    decide(served, opus={"keys": [keys[id_] for id_ in left], "decision": decision})
    reference = delete(due)
    assert destroyed(served) == [id_ for id_ in keys if id_ not in left]
    found = outcomes(served, reference)
    assert {found[keys[id_]]["reason"] for id_ in left} == {"not due in Opus any more"}


def test_one_reading_serves_all_chunks(served: ServedSandbox, due: dict[str, Any]) -> None:
    before = served.calls("opus", "due_records")
    delete(due)
    assert served.calls("opus", "due_records") == before + 1


def long_reading(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a reading serve for two seconds, take a bit more than one, and be asked for during six."""
    monkeypatch.setattr(due_reading, "SERVES", 2.0)
    served.fault(vendor="opus", call="due_records", times=None, latency_ms=1100)
    served.fault(vendor="enaio", call="delete_object", times=None, latency_ms=100)


def test_the_next_reading_begins_before_the_last_one_expires(
    served: ServedSandbox, due: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    long_reading(served, monkeypatch)
    before = served.calls("opus", "due_records")
    reference = delete(due)
    assert reference["counts"]["destroyed"] == COUNT
    first, second, *_ = [entry.time for entry in served.sandbox.log if entry.call == "due_records"][before:]
    assert 1.1 < second - first < 1.1 + 2


def test_a_stopped_task_stops_the_reading_ahead(
    served: ServedSandbox, due: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    long_reading(served, monkeypatch)
    operator = EnaioDeleteObjectOperator(task_id="delete", records=due, hard_delete=True, concurrency=1)
    before, read_ahead = served.calls("opus", "due_records"), DueReadings._read_ahead

    def killed(readings: DueReadings, after: str) -> None:
        threading.Timer(0.5, operator.on_kill).start()
        served.fault(vendor="opus", call="due_records", put={"/startIndex": "more"})
        read_ahead(readings, after)

    monkeypatch.setattr(DueReadings, "_read_ahead", killed)
    with pytest.raises(DisposalIncompleteError, match="the task was stopped"):
        run(operator)
    assert served.calls("opus", "due_records") == before + 2, "one page of the second reading"
    assert len(served.store.names("due_lists")) == 1, "nothing of it is left"


def test_a_call_that_waits_leaves_by_no_reading_that_has_expired(
    served: ServedSandbox, due: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another task of the run has read the list a while ago; the object itself is looked at late enough."""
    for module, name in ((due_reading, "SERVES"), (retries, "LOOK_LASTS")):
        monkeypatch.setattr(module, name, 60.0)
    served.sandbox.vendors["opus"].turn({"list_held": False})
    hook, keys = OpusHook("opus_default"), due_keys(served, due)
    due_list = DueList(hook.conn_id, hook.target, str(hook.connector_id), DUE)
    others = DueReadings(
        served.store,
        due_lists_folder(*RUN),
        due_list,
        lambda: [row.row_key for row in hook.iter_due_records(None, DUE)],
        stopped=threading.Event(),
        clock=lambda: time.time() - 56,
    )
    others.listed(set(keys.values()))
    first = next(iter(keys))
    decide(served, after=0, opus={"keys": [keys[first]], "decision": "hold"})
    served.fault(vendor="enaio", call="delete_object", act=False, status=429, headers={"Retry-After": "5"})
    reference = delete(due)
    assert first not in destroyed(served)
    assert outcomes(served, reference)[keys[first]]["reason"] == "not due in Opus any more"


def test_a_miss_is_confirmed_by_a_second_reading(served: ServedSandbox, due: dict[str, Any]) -> None:
    # The first page hides a record that is due, as a page does that shifts while others mark.
    served.fault(vendor="opus", call="due_records", lose=["/queriedItems/0"])
    before = served.calls("opus", "due_records")
    reference = delete(due)
    assert reference["counts"]["blocked"] == 0, outcomes(served, reference)
    assert served.calls("opus", "due_records") == before + 2


@pytest.mark.parametrize("others", [0, 2], ids=["nobody else", "others mark two"])
def test_what_others_mark_after_the_reading_of_the_deleting_task_is_not_claimed(
    served: ServedSandbox, due: dict[str, Any], others: int
) -> None:
    deleted = delete(due)
    keys = list(due_keys(served, due).values())
    opus: Any = served.sandbox.vendors["opus"]
    for key in keys[:others]:
        (record,) = opus.records(key)
        record.status = "Destroyed"
    served.fault(vendor="opus", call="destroy_records", drop=True, match=f'"{keys[0]}"')
    operator = OpusDestroyRecordsOperator(task_id="mark", records=deleted, concurrency=1)
    if others:
        with pytest.raises(DisposalIncompleteError, match=f"{others} unknown of {COUNT} records"):
            run(operator)
        return
    found = outcomes(served, run(operator))
    assert {key for key, item in found.items() if item["proof"] == "inferred"} == set(keys[:15])


def test_a_due_list_that_cannot_be_read_fails_the_records(served: ServedSandbox, due: dict[str, Any]) -> None:
    served.fault(vendor="opus", call="due_records", times=None, status=503, body="")
    with pytest.raises(DisposalIncompleteError, match="failed"):
        delete(due, max_failure_rate=1.0)
    assert destroyed(served) == []


def test_a_connection_that_leads_to_another_due_list_deletes_nothing(
    served: ServedSandbox, due: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPUS_DEFAULT", os.environ["AIRFLOW_CONN_OPUS_PROJECTS"])
    with pytest.raises(AirflowFailException, match="but the due list was read from"):
        delete(due)
    assert destroyed(served) == []


def test_an_object_whose_retention_is_extended_in_enaio_meanwhile_is_not_deleted(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No Opus: the due list is a search, and it is made again."""
    monkeypatch.setattr(due_reading, "SERVES", 0.0)
    enaio: Any = served.sandbox.vendors["enaio"]
    ids = [str(810000 + number) for number in range(COUNT)]
    for object_id in ids:
        enaio.archive.add(object_id, "Letter", fields={"Ends": "2014-01-01", "FileNo": f"F-{object_id}"})

    def extended(asked: Mapping[str, Any]) -> str:
        for object_id in asked["ids"]:
            enaio.archive.objects[object_id].fields["Ends"] = "2099-01-01"  # and its last change stays as it was
        return "extended"

    served.sandbox.decisions = {**served.sandbox.decisions, "department": extended}
    due = EnaioDueRecordsOperator(
        task_id="due", object_type="Letter", due_field="Ends", due_before=DUE, key_field="FileNo"
    )
    reference = run(due)
    left = [ids[SAFE], ids[-1]]
    decide(served, department={"ids": left})
    deleted = delete(reference, require_approval=False)
    assert destroyed(served) == [id_ for id_ in ids if id_ not in left]
    found = outcomes(served, deleted)
    assert {found[f"F-{id_}"]["reason"] for id_ in left} == {"not due in enaio any more"}


def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers of records that tasks say they will ask for, as they say it."""
    found: list[int] = []

    class Readings(DueReadings):
        def __init__(self, *args: Any, records: int, **more: Any) -> None:
            found.append(records)
            super().__init__(*args, records=records, **more)

    monkeypatch.setattr("airflow_provider_records.task.recheck.DueReadings", Readings)
    return found


def test_a_later_try_reads_no_list_ahead_for_records_that_have_an_outcome(
    served: ServedSandbox, due: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_for(monkeypatch)
    for try_number in (1, 2):
        delete(due, try_number)
    assert asked == [COUNT, 0]


def test_a_list_of_the_system_that_is_deleted_from_is_not_read_ahead(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shrinks while it is read, so that a reading would skip records."""
    enaio: Any = served.sandbox.vendors["enaio"]
    enaio.archive.add("810000", "Letter", fields={"Ends": "2014-01-01"})
    reference = run(EnaioDueRecordsOperator(task_id="due", object_type="Letter", due_field="Ends", due_before=DUE))
    asked = asked_for(monkeypatch)
    delete(reference, require_approval=False)
    assert asked == [0]


@pytest.mark.parametrize("date_field", ["Upload Date", ("upload_date", "Upload Date")], ids=["listed", "searched"])
def test_a_document_that_is_not_due_in_unifier_any_more_is_not_recycled(served: ServedSandbox, date_field: Any) -> None:
    unifier: Any = served.sandbox.vendors["unifier"]
    due = UnifierDueDocumentsOperator(
        task_id="due", project_number="P-0001", parent_path="/Closed", date_field=date_field, due_before="2016-01-01"
    )
    reference = run(due)
    kept, *others = [int(record.target_id) for record in Manifest.open(served.store, reference["digest"])]
    assert others
    unifier.documents[kept].uploaded = "2026-01-01 08:00:00"
    deleted = run(UnifierDeleteDocumentOperator(task_id="delete", records=reference, require_approval=False))
    assert outcomes(served, deleted)[str(kept)]["reason"] == "not due in Unifier any more"
    assert str(kept) not in served.sandbox.effects("unifier", "recycled")
    assert set(served.sandbox.effects("unifier", "recycled")) <= set(map(str, others))
    assert len(served.sandbox.effects("unifier", "recycled")) > 1
