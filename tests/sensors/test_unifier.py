"""A business process record of Unifier approves a list: every state of it, in every mode."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor
from tests.operators.conftest import ServedSandbox
from tests.sensors.factories import EVERY_MODE, StillWaitingError, digits, look, unifier, wait

PROJECT = "P-0001"
NAME = "Disposal Request"
RECORDS = ["enaio-1", "enaio-2"]
DIGITS = digits(RECORDS)
RECORD = f"DR-{DIGITS[:12]}"


def sensor(**more: Any) -> UnifierApprovalSensor:
    return UnifierApprovalSensor(
        **{
            "task_id": "approve",
            "records": RECORDS,
            "project_number": PROJECT,
            "bpname": NAME,
            "record_no": RECORD,
            **more,
        }
    )


class WatchedRecord:
    """The record that the sensor looks at."""

    def __init__(self, served: ServedSandbox) -> None:
        self.served = served
        self.part = unifier(served)
        self.part.open_request(PROJECT, RECORD)

    @property
    def fields(self) -> dict[str, Any]:
        return self.part.records[PROJECT, NAME, RECORD].fields

    def say(self, status: Any) -> None:
        self.fields["status"] = status

    def digest(self) -> str:
        """Return the digest of the list; a sensor that waits has kept the list already."""
        (name,) = self.served.store.names("manifests")
        return f"sha256:{name.removeprefix('manifests/').removesuffix('.jsonl')}"


@pytest.fixture
def watched(served: ServedSandbox) -> WatchedRecord:
    return WatchedRecord(served)


@EVERY_MODE
def test_approved_at_once(watched: WatchedRecord, mode: str) -> None:
    watched.say("Approved")
    reference = wait(sensor, mode)
    assert reference["digest"] == watched.digest()
    (uri,) = reference["approvals"]
    approval = Approval.read(watched.served.store, uri)
    assert (approval.digest, approval.approver) == (watched.digest(), f"unifier:{PROJECT}/{NAME}/{RECORD}")
    assert approval.source == {
        "kind": "unifier",
        "conn_id": "unifier_default",
        "project_number": PROJECT,
        "bpname": NAME,
        "record_no": RECORD,
        "status_field": "status",
        "approved": ["Approved"],
        "digest_field": None,
        "found": {"status": "Approved"},
    }


@EVERY_MODE
@pytest.mark.parametrize("state", ["Pending", "approved", "Approved by nobody", "", "  ", None, 7, "Genehmigt"])
def test_any_other_state_waits_until_it_is_approved(watched: WatchedRecord, mode: str, state: Any) -> None:
    watched.say(state)
    with pytest.raises(StillWaitingError):
        wait(sensor, mode)
    assert wait(sensor, mode, lambda: watched.say(" Approved\n"))["count"] == len(RECORDS)


@EVERY_MODE
@pytest.mark.parametrize("late", [False, True])
def test_rejected_fails_at_once(watched: WatchedRecord, mode: str, late: bool) -> None:
    watched.say("Pending" if late else "Rejected ")
    with pytest.raises(AirflowFailException, match=rf"{RECORD}.*rejected"):
        wait(sensor, mode, *[lambda: watched.say("Rejected ")] * late)


@EVERY_MODE
def test_the_dag_names_the_states(watched: WatchedRecord, mode: str) -> None:
    words = {"approved": [" Freigegeben "], "rejected": ("Abgelehnt",)}
    watched.say("Approved")
    with pytest.raises(StillWaitingError):
        wait(lambda **more: sensor(**words, **more), mode)
    assert wait(lambda **more: sensor(**words, **more), mode, lambda: watched.say("Freigegeben"))
    watched.say("Rejected")
    with pytest.raises(StillWaitingError):
        wait(lambda **more: sensor(**words, **more), mode)
    with pytest.raises(AirflowFailException, match="rejected"):
        wait(lambda **more: sensor(**words, **more), mode, lambda: watched.say("Abgelehnt"))


@EVERY_MODE
@pytest.mark.parametrize("late", [False, True])
def test_a_missing_status_field_fails_at_once(watched: WatchedRecord, mode: str, late: bool) -> None:
    def hide() -> None:
        watched.part.turn({"bp_status_missing": True})

    if not late:
        hide()
    with pytest.raises(AirflowFailException, match=r"no field 'status'.*Integration interface"):
        wait(sensor, mode, *[hide] * late)


@EVERY_MODE
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"bpname": "disposal request"}, "603"),
        ({"project_number": "P-9999"}, "602"),
        ({"record_no": f"{RECORD}-9"}, "wait_for_record=True"),
        ({"status_field": "uuu_status"}, "no field 'uuu_status'"),
        ({"digest_field": "nowhere"}, "no field 'nowhere'"),
    ],
)
def test_a_wrong_name_fails_at_once(watched: WatchedRecord, mode: str, wrong: dict[str, str], words: str) -> None:
    with pytest.raises(AirflowFailException, match=words):
        wait(lambda **more: sensor(**wrong, **more), mode)


@EVERY_MODE
@pytest.mark.parametrize("answer", ["657", "empty"])
def test_a_missing_record_fails_or_is_awaited(served: ServedSandbox, mode: str, answer: str) -> None:
    part = unifier(served)
    part.turn({"missing_record": answer})
    with pytest.raises(AirflowFailException, match=f"no record {RECORD}"):
        wait(sensor, mode)

    def patient(**more: Any) -> UnifierApprovalSensor:
        return sensor(wait_for_record=True, **more)

    with pytest.raises(StillWaitingError):
        wait(patient, mode)
    assert wait(patient, mode, lambda: part.open_request(PROJECT, RECORD, status="Approved"))["approvals"]


@EVERY_MODE
@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"record_no": RECORD, "status": "Approved"}] * 2, "2 records"),
        ([{"record_no": "DR-0008", "status": "Approved"}], "another record"),
    ],
)
def test_not_exactly_this_record_fails(watched: WatchedRecord, mode: str, rows: Any, words: str) -> None:
    body = {"data": rows, "message": [], "status": 200}
    watched.served.fault(vendor="unifier", call="get_bp_record", times=None, body=body)
    with pytest.raises(AirflowFailException, match=words):
        wait(sensor, mode)


def bound(**more: Any) -> UnifierApprovalSensor:
    return sensor(digest_field="disposal_digest", **more)


@EVERY_MODE
def test_the_digest_is_entered_while_it_waits(watched: WatchedRecord, mode: str) -> None:
    def approve() -> None:
        watched.fields.update(disposal_digest=f" {watched.digest()} ", status="Approved")

    reference = wait(bound, mode, approve)
    (uri,) = reference["approvals"]
    assert Approval.read(watched.served.store, uri).source["digest_field"] == "disposal_digest"


@EVERY_MODE
@pytest.mark.parametrize("digest", [f"sha256:{'0' * 64}", None, "", "upper"])
def test_an_approval_of_another_list_fails(watched: WatchedRecord, mode: str, digest: str | None) -> None:
    def approve() -> None:
        found = watched.digest().upper() if digest == "upper" else digest
        watched.fields.update(disposal_digest=found, status="Approved")

    with pytest.raises(AirflowFailException, match=r"approves the list .*disposal_digest.*not sha256"):
        wait(bound, mode, approve)
    assert not watched.served.store.names("approvals")


@EVERY_MODE
def test_a_digest_is_not_compared_before_it_is_approved(watched: WatchedRecord, mode: str) -> None:
    watched.fields["disposal_digest"] = "entered tomorrow"
    with pytest.raises(StillWaitingError):
        wait(bound, mode)


@EVERY_MODE
def test_a_missing_digest_field_is_said_before_it_is_approved(watched: WatchedRecord, mode: str) -> None:
    watched.part.interfaces[NAME] = ["record_no", "status"]
    with pytest.raises(AirflowFailException, match="no field 'disposal_digest'"):
        wait(bound, mode)


@EVERY_MODE
def test_company_level(watched: WatchedRecord, mode: str) -> None:
    watched.part.open_request("", RECORD, status="Approved")
    for empty in ("", None):
        reference = wait(lambda project=empty, **more: sensor(project_number=project, **more), mode)
        approval = Approval.read(watched.served.store, reference["approvals"][0])
        assert approval.approver == f"unifier:/{NAME}/{RECORD}"


def test_record_number_and_names_are_rendered(watched: WatchedRecord) -> None:
    number = f"DR-{digits(['enaio-1'])[:12]}"
    watched.part.open_request("P-0002", number, bpname="Disposal", status="Approved")
    made = sensor(project_number="{{ project }}", bpname="{{ bp }}", record_no="DR-{{ part }}", records="{{ one }}")
    made.render_template_fields({"project": "P-0002", "bp": "Disposal", "part": number[3:], "one": "enaio-1"})  # type: ignore[typeddict-unknown-key]
    reference = wait(lambda **_: made, "poke")
    approval = Approval.read(watched.served.store, reference["approvals"][0])
    assert approval.approver == f"unifier:P-0002/Disposal/{number}"
    assert reference["count"] == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("bpname", "record_no") for value in ("", " ", "None", "DR-1 ", None, 7)),
        *(("project_number", value) for value in (" ", "None", " P-0001", 7)),
    ],
)
def test_a_name_that_was_rendered_to_nothing_is_refused(watched: WatchedRecord, name: str, value: Any) -> None:
    with pytest.raises(AirflowFailException, match=f"{name} must be text"):
        wait(lambda **more: bound(**{name: value, **more}), "poke")
    assert not watched.served.sandbox.log


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"approved": "Approved"}, "approved must be a list of status texts"),
        ({"approved": None}, "approved must be a list"),
        ({"approved": {"Approved": 1}}, "approved must be a list"),
        ({"approved": 7}, "approved must be a list"),
        ({"approved": ()}, "nothing could ever be approved"),
        ({"approved": ["Approved", ""]}, "approved must be a list of status texts"),
        ({"approved": ["Approved", None]}, "approved must be a list of status texts"),
        ({"rejected": "Rejected"}, "rejected must be a list"),
        ({"rejected": [1]}, "rejected must be a list"),
        ({"approved": ["Closed "], "rejected": ["Closed"]}, "both approve and reject"),
        ({"status_field": ""}, "status_field"),
        ({"status_field": None}, "status_field"),
        ({"digest_field": " "}, "digest_field"),
    ],
)
def test_wrong_arguments_are_refused_when_the_dag_is_read(wrong: dict[str, Any], words: str) -> None:
    with DAG("night"), pytest.raises(ConfigurationError, match=words):
        sensor(**wrong)


@pytest.mark.parametrize("number", ["DR-0007", "", "DR-20261122-01", "{ digest }", DIGITS[:11]])
def test_a_number_that_is_the_same_for_every_list_is_refused_when_the_dag_is_read(number: str) -> None:
    with DAG("night"):
        with pytest.raises(ConfigurationError, match=r"the same for every list.*digest_field.*record_no"):
            sensor(record_no=number)
        bound(task_id="by_field", record_no=number)


@EVERY_MODE
@pytest.mark.parametrize(
    "number",
    ["DR-{{ ds_nodash }}", "{% if 1 %}DR-0007{% endif %}", "DR-202611220001", f"DR-{digits(['enaio-3'])[:12]}"],
)
def test_a_record_that_names_another_list_is_refused_before_any_request(
    watched: WatchedRecord, mode: str, number: str
) -> None:
    watched.part.open_request(PROJECT, "DR-0007", status="Approved")

    def made(**more: Any) -> UnifierApprovalSensor:
        waiting = sensor(record_no=number, **more)
        waiting.render_template_fields({"ds_nodash": "20261122"})
        return waiting

    with pytest.raises(AirflowFailException, match=r"another list than sha256:.*digest_field.*record_no"):
        wait(made, mode)
    assert not watched.served.sandbox.log
    assert not watched.served.store.names("approvals")


def test_a_mapped_sensor_is_made_with_what_was_rendered(watched: WatchedRecord) -> None:
    watched.say("Approved")
    arguments = {"project_number": PROJECT, "bpname": NAME, "records": RECORDS}
    with DAG("night"):
        mapped = UnifierApprovalSensor.partial(task_id="approve", **arguments).expand(record_no=[RECORD, "DR-0007"])
    made: Any = mapped.unmap({"record_no": RECORD})
    assert look(made)["approvals"]
    with pytest.raises(ConfigurationError, match="the same for every list"):
        mapped.unmap({"record_no": "DR-0007"})


def test_rejected_may_be_empty(watched: WatchedRecord) -> None:
    watched.say("Rejected")
    with pytest.raises(StillWaitingError):
        wait(lambda **more: sensor(rejected=(), **more), "poke")
