"""An index field of enaio approves a list: every object has its say, in every mode."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.hold import HoldRegister, reviewers_of
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.sensors.enaio import EnaioApprovalSensor
from airflow_provider_records.triggers.enaio import EnaioApprovalTrigger
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import DAG_ID, run
from tests.sensors.factories import EVERY_MODE, StillWaitingError, enaio, keys, task, wait


class WatchedObjects:
    """Three live objects and their field ``Disposal``."""

    def __init__(self, served: ServedSandbox) -> None:
        self.served = served
        self.part = enaio(served)
        objects = self.part.archive.objects.values()
        self.ids = [item.id for item in objects if item.base == "DOCUMENT"][:3]

    def say(self, *values: str) -> None:
        for object_id, value in zip(self.ids, values, strict=True):
            self.part.set_field(object_id, "Disposal", value)

    @property
    def changed(self) -> dict[str, str]:
        return {object_id: self.part.archive.objects[object_id].modified for object_id in self.ids}

    def sensor(self, **more: Any) -> EnaioApprovalSensor:
        return EnaioApprovalSensor(
            **{
                "task_id": "approve",
                "records": self.ids,
                "field": "Disposal",
                "approved": "approved",
                "rejected": "rejected",
                **more,
            }
        )


@pytest.fixture
def watched(served: ServedSandbox) -> WatchedObjects:
    return WatchedObjects(served)


@EVERY_MODE
def test_approved_for_all(watched: WatchedObjects, mode: str) -> None:
    watched.say("approved", " approved\n", "approved")
    reference = wait(watched.sensor, mode)
    assert keys(watched.served, reference) == watched.ids
    (uri,) = reference["approvals"]
    approval = Approval.read(watched.served.store, uri)
    assert (approval.digest, approval.approver) == (reference["digest"], "enaio:Disposal")
    assert approval.source == {
        "kind": "enaio",
        "conn_id": "enaio_default",
        "field": "Disposal",
        "approved": ["approved"],
        "found": {"values": ["approved"], "changed": watched.changed},
    }


@EVERY_MODE
@pytest.mark.parametrize("value", ["", "  ", "Approved", "in review", "approved?"])
def test_one_that_is_not_approved_holds_the_list_up(watched: WatchedObjects, mode: str, value: str) -> None:
    watched.say("approved", value, "approved")
    with pytest.raises(StillWaitingError):
        wait(watched.sensor, mode)
    assert not watched.served.store.names("approvals")
    assert wait(watched.sensor, mode, lambda: watched.say("approved", "approved", "approved"))["count"] == 3


@EVERY_MODE
def test_a_missing_field_waits(watched: WatchedObjects, mode: str) -> None:
    watched.say("approved", "approved", "approved")
    del watched.part.archive.objects[watched.ids[2]].fields["Disposal"]
    with pytest.raises(StillWaitingError):
        wait(watched.sensor, mode)


@EVERY_MODE
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("other", ["approved", ""])
def test_one_rejected_fails_the_list(watched: WatchedObjects, mode: str, late: bool, other: str) -> None:
    def reject() -> None:
        watched.say(other, other, "rejected ")

    if not late:
        reject()
    with pytest.raises(AirflowFailException, match=rf"{watched.ids[2]} has Disposal = 'rejected'.*1 of 3"):
        wait(watched.sensor, mode, *[reject] * late)
    (name,) = watched.served.store.names("rejections")
    kept = json.loads(watched.served.store.read(name))
    assert (kept["format"], kept["rejected_by"]) == ("airflow-records/rejection", "enaio:Disposal")
    assert watched.ids[2] in kept["comment"]


def withholding(watched: WatchedObjects, **more: Any) -> EnaioApprovalSensor:
    return watched.sensor(on_rejected="withhold", **more)


@EVERY_MODE
def test_a_rejected_object_is_held_and_the_others_go_on(
    watched: WatchedObjects, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    store, (first, second, third) = watched.served.store, watched.ids
    watched.say("approved", "rejected", "")
    with pytest.raises(StillWaitingError):
        wait(lambda **more: withholding(watched, **more), mode)
    assert not store.names("holds")
    reference = wait(
        lambda **more: withholding(watched, **more), mode, lambda: watched.say("approved", "rejected", "approved")
    )
    assert keys(watched.served, reference) == [first, third]
    assert reference["withheld"] == 1
    (uri,) = reference["approvals"]
    approval = Approval.read(store, uri)
    assert approval.withheld == {second: "Disposal = 'rejected'"}
    assert approval.shown != approval.digest == reference["digest"]
    changed = {object_id: watched.changed[object_id] for object_id in (first, third)}
    assert approval.source["on_rejected"] == "withhold"
    assert approval.source["found"] == {"values": ["approved"], "changed": changed}
    (hold,) = HoldRegister(store).standing()
    assert (hold.key, hold.reason, hold.who) == (second, "Disposal = 'rejected'", "enaio:Disposal")
    assert hold.origin == reviewers_of(DAG_ID)
    assert not store.names("rejections")
    assert f"Refused: '{second}': Disposal = 'rejected'" in caplog.text
    deleted = run(EnaioDeleteObjectOperator(task_id="delete", records=reference, hard_delete=True))
    assert deleted["counts"]["destroyed"] == 2
    assert sorted(watched.served.sandbox.effects("enaio", "destroyed")) == sorted([first, third])


def test_what_is_on_hold_already_is_not_held_again(watched: WatchedObjects) -> None:
    watched.say("approved", "rejected", "approved")
    for _ in range(2):
        wait(lambda **more: withholding(watched, **more), "poke")
    assert len(watched.served.store.names("holds")) == 1


def test_when_all_are_rejected_nothing_is_left(watched: WatchedObjects) -> None:
    watched.say("rejected", "rejected", "rejected")
    reference = wait(lambda **more: withholding(watched, **more), "poke")
    assert (reference["count"], reference["withheld"]) == (0, 3)
    assert len(HoldRegister(watched.served.store).standing()) == 3
    assert run(EnaioDeleteObjectOperator(task_id="delete", records=reference, hard_delete=True))["complete"]


def test_who_approved_the_others_is_asked_of_the_others_only(watched: WatchedObjects) -> None:
    watched.say("approved", "rejected", "approved")
    for object_id, name in zip(watched.ids, ("Anna", "Ben", "Anna"), strict=True):
        watched.part.set_field(object_id, "Approver", name)
    reference = wait(lambda **more: withholding(watched, approver_field="Approver", **more), "poke")
    (uri,) = reference["approvals"]
    approval = Approval.read(watched.served.store, uri)
    assert (approval.name, list(approval.withheld)) == ("Anna", [watched.ids[1]])


def test_a_list_that_somebody_approved_before_keeps_that_approval(watched: WatchedObjects) -> None:
    """The shorter list is a part of the one that the person approved."""
    watched.say("approved", "rejected", "approved")
    before = wait(
        lambda **more: watched.sensor(task_id="first", approved=["approved", "rejected"], rejected=(), **more), "poke"
    )
    reference = wait(lambda **more: withholding(watched, records=before, **more), "poke")
    assert len(reference["approvals"]) == 2
    deleted = run(EnaioDeleteObjectOperator(task_id="delete", records=reference, hard_delete=True))
    assert deleted["counts"]["destroyed"] == 2


@pytest.mark.parametrize("value", ["hold", "", None, True, "Withhold"])
def test_what_happens_to_a_rejected_object_must_be_named(value: Any) -> None:
    with pytest.raises(ConfigurationError, match='on_rejected is "fail" or "withhold"'):
        EnaioApprovalSensor(task_id="approve", records=[], field="D", approved="a", rejected="r", on_rejected=value)


def test_withholding_needs_the_values_that_reject() -> None:
    with pytest.raises(ConfigurationError, match="needs the values that reject"):
        EnaioApprovalSensor(task_id="approve", records=[], field="D", approved="a", on_rejected="withhold")


def test_a_trigger_watches_no_more_of_a_long_list_than_its_row_can_hold(watched: WatchedObjects) -> None:
    sensor = watched.sensor(records=[str(number) for number in range(1, 5001)])
    sensor.context = task(sensor, 1)
    question = sensor.trigger({"conn_id": "enaio_default", "poke_interval": 1.0, "deadline": 0.0})
    assert isinstance(question, EnaioApprovalTrigger)
    _, arguments = question.serialize()
    assert [number for number, _ in arguments["objects"]] == [str(number) for number in range(1, 1001)]
    assert len(json.dumps(arguments)) < 64_000
    assert len(question.objects) == 5000  # the worker looks at all


@EVERY_MODE
@pytest.mark.parametrize("how", ["missing", "binned", "binned_400", "unreadable"])
def test_an_object_that_nobody_can_approve_fails_the_list(watched: WatchedObjects, mode: str, how: str) -> None:
    watched.say("approved", "approved", "approved")
    item = watched.part.archive.objects[watched.ids[1]]
    if how == "missing":
        watched.part.archive.destroy(item)
    elif how == "unreadable":
        item.no_read = {watched.part.user}
    else:
        watched.part.archive.recycle(item, watched.part.user)
    if how == "binned_400":
        watched.part.turn({"binned_get": "400"})
    with pytest.raises(AirflowFailException, match=f"{item.id}.*(does not exist|HTTP 400)"):
        wait(watched.sensor, mode)


@EVERY_MODE
def test_several_values_approve(watched: WatchedObjects, mode: str) -> None:
    watched.say("A", "B", "A")
    reference = wait(lambda **more: watched.sensor(approved=["A", " B "], rejected=(), **more), mode)
    assert Approval.read(watched.served.store, reference["approvals"][0]).source["found"] == {
        "values": ["A", "B"],
        "changed": watched.changed,
    }


def test_the_object_type_of_a_record_is_used(watched: WatchedObjects) -> None:
    watched.say("approved", "approved", "approved")
    item = watched.part.archive.objects[watched.ids[0]]
    type_id = watched.part.archive.types[item.object_type].id
    wait(lambda **more: watched.sensor(records=[{"key": item.id, "object_type_id": type_id}], **more), "deferrable")
    with pytest.raises(AirflowFailException, match="does not exist"):
        wait(lambda **more: watched.sensor(records=[{"key": item.id, "object_type_id": "1"}], **more), "poke")


def test_an_id_that_is_none_is_refused_without_a_request(watched: WatchedObjects) -> None:
    with pytest.raises(AirflowFailException, match="made of digits"):
        wait(lambda **more: watched.sensor(records=["../session"], **more), "poke")
    assert not watched.served.sandbox.log


def test_refused_credentials_are_not_tried_for_every_object(watched: WatchedObjects) -> None:
    """Logins can be blocked: a long list must not knock once for each of its objects."""
    ids = [item.id for item in watched.part.archive.objects.values() if item.base == "DOCUMENT"][:50]
    watched.part.password = "changed meanwhile"
    with pytest.raises(AirflowFailException, match="401"):
        wait(lambda **more: watched.sensor(records=ids, **more), "poke")
    assert watched.served.calls("enaio", "get_object") <= 8


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"approved": ""}, "approved must be a list of status texts"),
        ({"approved": []}, "nothing could ever be approved"),
        ({"approved": None}, "approved must be a list"),
        ({"approved": [True]}, "approved must be a list"),
        ({"rejected": [""]}, "rejected must be a list"),
        ({"rejected": None}, "rejected must be a list"),
        ({"rejected": "yes "}, "both approve and reject"),
        ({"field": " "}, "field is the internal name"),
        ({"field": None}, "field is the internal name"),
    ],
)
def test_wrong_arguments_are_refused_when_the_dag_is_read(wrong: dict[str, Any], words: str) -> None:
    with DAG("night"), pytest.raises(ConfigurationError, match=words):
        EnaioApprovalSensor(**{"task_id": "a", "records": [], "field": "Disposal", "approved": "yes", **wrong})
