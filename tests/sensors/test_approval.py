"""What an approval sensor hands on: exactly the approved records, and an approval that the disposal checks again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.exceptions import ApprovalError, ConfigurationError, RecordsError
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.sandbox.unifier import BpRecord
from airflow_provider_records.sensors.approval import ApprovalSensor
from airflow_provider_records.sensors.enaio import EnaioApprovalSensor
from airflow_provider_records.sensors.opus import OpusDueRecordsSensor
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor
from airflow_provider_records.task.context import evidence_store
from airflow_provider_records.task.records import resolve
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run
from tests.operators.reviewer import ANNA, BEN, Request, request_for
from tests.sensors.factories import DUE, EVERY_MODE, StillWaitingError, due, enaio, keys, look, unifier, wait

__all__ = ["request_for"]

NAME = "Disposal Request"


def number(records: Any, suffix: str) -> str:
    """Return the number of the record that decides on a list."""
    try:
        return f"{resolve(records, evidence_store()).manifest.digest[7:19]}-{suffix}"
    except RecordsError:  # the sensor must meet it as well
        return f"{'0' * 12}-{suffix}"


def by_unifier(records: Any, suffix: str = "DR-1", project: str | None = "P-0001", **more: Any) -> ApprovalSensor:
    return UnifierApprovalSensor(
        task_id=f"approve-{suffix}",
        records=records,
        project_number=project,
        bpname=NAME,
        record_no=number(records, suffix),
        **more,
    )


def by_enaio(records: Any, **more: Any) -> ApprovalSensor:
    return EnaioApprovalSensor(task_id="approve", records=records, field="Disposal", approved="yes", **more)


class Approved(dict[tuple[str, str, str], BpRecord]):
    """Every record that somebody asks for, approved."""

    def get(self, key: Any, default: Any = None) -> Any:
        project, bpname, record_no = key
        return BpRecord(project, bpname, {"record_no": record_no, "status": "Approved"})


@pytest.fixture
def open_world(served: ServedSandbox) -> ServedSandbox:
    """Everything is approved everywhere."""
    unifier(served).records = Approved()
    for item in enaio(served).archive.objects.values():
        item.fields["Disposal"] = "yes"
    return served


def living(served: ServedSandbox, count: int = 3) -> list[str]:
    return [item.id for item in enaio(served).archive.objects.values() if item.base == "DOCUMENT"][:count]


@EVERY_MODE
@pytest.mark.parametrize("sensor", [by_unifier, by_enaio])
def test_exactly_the_approved_records_come_out(open_world: ServedSandbox, mode: str, sensor: Any) -> None:
    ids = living(open_world)
    given = {"key": "enaio-1", "target_id": ids[0], "title": "Grüße", "attributes": {"due": [1, "ü"]}}
    records = [given, *ids[1:]]
    reference = wait(lambda **more: sensor(records, **more), mode)
    manifest = Manifest.open(open_world.store, reference["digest"], reference["manifest"])
    assert [record.key for record in manifest] == ["enaio-1", *ids[1:]]
    assert next(iter(manifest)).to_dict() == given
    assert reference["count"] == manifest.count == 3
    (uri,) = reference["approvals"]
    approval = Approval.read(open_world.store, uri)
    assert approval.digest == manifest.digest
    assert approval.approved_at.endswith("Z") or "+00:00" in approval.approved_at
    resolve(reference, open_world.store).authorize(approval_required=True)


def test_a_manifest_goes_through_unchanged(open_world: ServedSandbox) -> None:
    reference = due()
    approved = look(by_unifier(reference))
    assert {**approved, "approvals": []} == reference
    assert open_world.store.names("manifests") == [open_world.store.name(reference["manifest"])]


def test_one_id_is_a_list_of_one(open_world: ServedSandbox) -> None:
    assert keys(open_world, look(by_unifier("enaio-7"))) == ["enaio-7"]


@EVERY_MODE
@pytest.mark.parametrize("sensor", [by_unifier, by_enaio])
@pytest.mark.parametrize(
    "operator", [EnaioDeleteObjectOperator, UnifierDeleteDocumentOperator, OpusDestroyRecordsOperator]
)
def test_nobody_is_asked_about_an_empty_list(served: ServedSandbox, mode: str, sensor: Any, operator: Any) -> None:
    reference = wait(lambda **more: sensor([], **more), mode)
    assert (reference["count"], reference["approvals"]) == (0, [])
    assert not served.store.names("approvals")
    done = run(operator(task_id="act", records=reference))
    assert done["complete"]
    assert sum(done["counts"].values()) == 0
    assert not served.sandbox.log


@pytest.mark.parametrize(
    "records",
    [None, "", "[]", "None", "{'manifest': 'x'}", 1.5, [""], [None], [{"key": "a"}, "a", {"key": "a", "title": "b"}]],
)
def test_what_is_no_list_is_refused_without_a_request(served: ServedSandbox, records: Any) -> None:
    with pytest.raises(AirflowFailException):
        look(by_unifier(records))
    assert not served.sandbox.log


@EVERY_MODE
def test_a_manifest_that_changes_while_it_is_approved_is_refused(served: ServedSandbox, mode: str) -> None:
    reference = due()
    record_no = number(reference, "DR-1")
    unifier(served).open_request("P-0001", record_no)
    file = Path(served.store.root.removeprefix("file://")) / served.store.name(reference["manifest"])

    def approve() -> None:
        file.write_bytes(file.read_bytes() + b'{"key":"enaio-1","target_id":"1"}\n')
        unifier(served).set_status("P-0001", NAME, record_no, "Approved")

    with pytest.raises(AirflowFailException, match="was changed"):
        wait(lambda **more: by_unifier(reference, **more), mode, approve)
    assert not served.store.names("approvals")


# How many approvers


def delete(reference: Any, **more: Any) -> Any:
    return run(EnaioDeleteObjectOperator(task_id="delete", records=reference, hard_delete=True, **more))


def test_two_sensors_in_a_row_are_no_person(open_world: ServedSandbox) -> None:
    """A status and a field name nobody: one person may have set both."""
    once = look(by_unifier(living(open_world), "DR-1"))
    twice = look(by_enaio(look(by_unifier(once, "DR-2"))))
    assert twice["approvals"][:1] == once["approvals"]
    assert len(twice["approvals"]) == 3
    with pytest.raises(AirflowFailException, match="0 distinct approvers and needs 2"):
        delete(twice, min_approvals=2)
    assert open_world.calls("enaio", "delete_object") == 0
    ids = living(open_world)
    assert delete(twice)["counts"]["destroyed"] == 3
    assert sorted(open_world.sandbox.effects("enaio", "destroyed")) == ids


@pytest.mark.parametrize(
    "again",
    [
        {},
        {"approved": ("Approved", "Closed")},
        {"rejected": ()},
        {"wait_for_record": True},
    ],
)
def test_the_same_record_twice_is_one_approver(open_world: ServedSandbox, again: dict[str, Any]) -> None:
    reference = look(by_unifier(look(by_unifier(living(open_world))), **again))
    assert len(reference["approvals"]) == 2
    with pytest.raises(AirflowFailException, match="0 distinct approvers and needs 2"):
        delete(reference, min_approvals=2)
    assert open_world.calls("enaio", "delete_object") == 0


def test_company_level_is_one_approver_however_it_is_written(open_world: ServedSandbox) -> None:
    reference = look(by_unifier(look(by_unifier(living(open_world), project="")), project=None))
    with pytest.raises(AirflowFailException, match="0 distinct approvers"):
        delete(reference, min_approvals=2)


def test_due_that_means_approved_and_a_sensor_are_no_person(open_world: ServedSandbox) -> None:
    listed = look(
        OpusDueRecordsSensor(task_id="due", due_before=DUE, target_id_pattern=r"enaio-(\d+)", due_means_approved=True)
    )
    reference = look(by_unifier(listed))
    resolve(reference, open_world.store).authorize(approval_required=True)
    with pytest.raises(ApprovalError, match="0 distinct approvers and needs 2"):
        resolve(reference, open_world.store).authorize(approval_required=True, min_approvals=2)


def test_an_approval_of_another_list_is_not_handed_on(open_world: ServedSandbox) -> None:
    other = look(by_unifier(["enaio-1"]))
    mixed = {**look(by_unifier(["enaio-2"])), "approvals": other["approvals"]}
    with pytest.raises(AirflowFailException, match="another list"):
        look(by_unifier(mixed, "DR-2"))


def test_a_list_that_comes_from_a_disposal_needs_its_own_approval(open_world: ServedSandbox) -> None:
    """What was approved for the longer list is not said to have been given for this one."""
    whole = look(by_unifier([*living(open_world), "999999999"]))
    done = delete(whole)
    assert done["counts"]["absent"] == 1
    again = look(by_unifier(done, "DR-2"))
    assert again["count"] == 3
    (uri,) = again["approvals"]
    assert Approval.read(open_world.store, uri).approver.endswith("DR-2")


# Persons whom a vendor's field names


def named(served: ServedSandbox, records: Any, name: str, suffix: str = "DR-1", **more: Any) -> ApprovalSensor:
    """Make a sensor on a record that is approved, with the name in one of its fields."""
    record_no = number(records, suffix)
    unifier(served).open_request("P-0001", record_no, status="Approved")
    unifier(served).records["P-0001", NAME, record_no].fields["approved_by"] = name
    return by_unifier(records, suffix, **{"approver_field": "approved_by", **more})


def given(served: ServedSandbox, reference: Any) -> list[tuple[str, str, str]]:
    approvals = [Approval.read(served.store, uri) for uri in reference["approvals"]]
    return [(each.approver_type, each.approver, each.name) for each in approvals]


@EVERY_MODE
def test_a_field_of_the_record_names_the_person(served: ServedSandbox, mode: str) -> None:
    ids = living(served)
    reference = wait(lambda **more: named(served, ids, " Jane Doe ", **more), mode)
    assert given(served, reference) == [("person", "unifier:Jane Doe", "Jane Doe")]
    (approval,) = [Approval.read(served.store, uri) for uri in reference["approvals"]]
    assert (approval.source["approver_field"], approval.source["found"]["approvers"]) == ("approved_by", ["Jane Doe"])
    with pytest.raises(AirflowFailException, match="1 distinct approvers and needs 2"):
        delete(reference, min_approvals=2)
    both = look(named(served, reference, "Ann Other", "DR-2"))
    assert delete(both, min_approvals=2)["counts"]["destroyed"] == 3


@EVERY_MODE
@pytest.mark.parametrize("name", ["", "  "])
def test_an_approved_record_that_names_nobody_is_refused(served: ServedSandbox, mode: str, name: str) -> None:
    with pytest.raises(AirflowFailException, match=r"field 'approved_by' \(approver_field\).* is empty"):
        wait(lambda **more: named(served, living(served), name, **more), mode)
    assert not served.store.names("approvals")


def test_a_record_without_the_field_is_refused_before_it_is_approved(served: ServedSandbox) -> None:
    sensor = named(served, living(served), "Jane", approver_field="nobody_has_it")
    unifier(served).set_status("P-0001", NAME, sensor.record_no, "Pending")  # type: ignore[attr-defined]
    with pytest.raises(AirflowFailException, match="has no field 'nobody_has_it'"):
        look(sensor)


def test_a_record_in_which_the_name_is_missing_waits_until_it_is_approved(served: ServedSandbox) -> None:
    sensor = named(served, living(served), "")
    unifier(served).set_status("P-0001", NAME, sensor.record_no, "Pending")  # type: ignore[attr-defined]
    with pytest.raises(StillWaitingError):
        wait(lambda **more: by_unifier(living(served), approver_field="approved_by", **more), "poke")


@pytest.mark.parametrize("field", ["", " ", 7])
def test_the_approver_field_is_a_name(field: Any) -> None:
    for sensor in (by_enaio, lambda records, **more: by_unifier(records, **more)):
        with pytest.raises(ConfigurationError, match="approver_field is the name of a field"):
            sensor("1", approver_field=field)


def set_fields(served: ServedSandbox, names: list[str]) -> list[str]:
    ids = living(served)
    for id_, name in zip(ids, names, strict=True):
        enaio(served).set_field(id_, "Disposal", "yes")
        enaio(served).set_field(id_, "ApprovedBy", name)
    return ids


@EVERY_MODE
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Jane Doe", " jane  DOE ", "Jane Doe"], [("person", "enaio:Jane Doe", "Jane Doe")]),
        (["Jane", "Jane", "Ben"], [("process", "enaio:Disposal", "")]),
        (
            ['["Jane", "Ben"]', '["Ben", "Carl", "Jane"]', '["Ben", "Jane"]'],
            [("person", "enaio:Ben", "Ben"), ("person", "enaio:Jane", "Jane")],
        ),
        (['["Jane", "Ben"]', "Ben", "Ben"], [("person", "enaio:Ben", "Ben")]),
    ],
)
def test_who_approved_every_object_is_a_person(
    served: ServedSandbox, mode: str, names: list[str], expected: list[tuple[str, str, str]]
) -> None:
    ids = set_fields(served, names)
    reference = wait(lambda **more: by_enaio(ids, approver_field="ApprovedBy", **more), mode)
    assert given(served, reference) == expected
    persons = sum(each[0] == "person" for each in expected)
    if persons < 2:
        with pytest.raises(AirflowFailException, match=f"{persons} distinct approvers and needs 2"):
            delete(reference, min_approvals=2)
    assert delete(reference, min_approvals=max(persons, 1))["counts"]["destroyed"] == 3


@EVERY_MODE
@pytest.mark.parametrize("nothing", ["", " ", "[]"])
def test_an_approved_object_that_names_nobody_is_refused(served: ServedSandbox, mode: str, nothing: str) -> None:
    ids = set_fields(served, ["Jane", nothing, "Jane"])
    with pytest.raises(AirflowFailException, match=rf"object {ids[1]} is approved, and its field ApprovedBy"):
        wait(lambda **more: by_enaio(ids, approver_field="ApprovedBy", **more), mode)
    assert not served.store.names("approvals")


@pytest.mark.parametrize("name", ["Anna", " ANNA ", "anna"])
def test_a_person_in_unifier_and_in_airflow_is_one(served: ServedSandbox, request_for: Request, name: str) -> None:
    reference = look(named(served, living(served), name))
    page = request_for(reference).ask()
    assert page.sent[0]["assigned_users"] == [BEN], "Anna has approved already"
    with pytest.raises(AirflowFailException, match="has approved this list already"):
        page.approve(ANNA)
    assert delete(request_for(reference).ask().approve(BEN), min_approvals=2)["counts"]["destroyed"] == 3


def test_a_person_in_airflow_and_in_unifier_is_one(served: ServedSandbox, request_for: Request) -> None:
    first = request_for(living(served)).ask().approve(ANNA)
    both = look(named(served, first, "ANNA"))
    assert len(both["approvals"]) == 2
    with pytest.raises(AirflowFailException, match="1 distinct approvers and needs 2"):
        delete(both, min_approvals=2)
