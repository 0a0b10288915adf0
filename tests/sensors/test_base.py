"""What all sensors share: modes, deadlines, events, troubles of the vendor, and what they refuse."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseSensorOperator

from airflow_provider_records.airflow_version import AirflowFailException, AirflowSensorTimeout
from airflow_provider_records.exceptions import ConfigurationError, TriggerEventError
from airflow_provider_records.sensors.enaio import EnaioApprovalSensor
from airflow_provider_records.sensors.opus import OpusDueRecordsSensor
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor
from tests.minors import AirflowRescheduleException, TaskDeferralTimeout, TaskDeferred, deserialize, serialize
from tests.operators.conftest import ServedSandbox
from tests.sensors.factories import (
    DUE,
    EVERY_MODE,
    StillWaitingError,
    digits,
    enaio,
    events,
    fire,
    look,
    opus,
    resume,
    task,
    unifier,
    wait,
)

RECORDS = ["109491"]
NUMBER = f"DR-{digits(RECORDS)[:12]}"
ARGUMENTS: dict[str, tuple[type[BaseSensorOperator], dict[str, Any]]] = {
    "opus": (OpusDueRecordsSensor, {"due_before": "1990-01-01T00:00:00"}),
    "enaio": (EnaioApprovalSensor, {"records": RECORDS, "field": "Disposal", "approved": "approved"}),
    "unifier": (
        UnifierApprovalSensor,
        {"records": RECORDS, "project_number": "P-0001", "bpname": "Disposal Request", "record_no": NUMBER},
    ),
}
EVERY_SENSOR = pytest.mark.parametrize("vendor", ARGUMENTS)
CALLS = {"opus": "due_records", "enaio": "get_object", "unifier": "get_bp_record"}


def sensor(vendor: str, **more: Any) -> Any:
    kind, arguments = ARGUMENTS[vendor]
    return kind(**{"task_id": "wait", **arguments, **more})


@pytest.fixture
def undecided(served: ServedSandbox) -> ServedSandbox:
    """Nothing is due, one object of enaio awaits its approval, one request is open in Unifier."""
    part = enaio(served)
    if RECORDS[0] not in part.archive.objects:
        part.archive.add(RECORDS[0], "Invoice", fields={"Disposal": ""})
    unifier(served).open_request("P-0001", NUMBER)
    return served


def decide(served: ServedSandbox) -> None:
    enaio(served).set_field(RECORDS[0], "Disposal", "approved")
    unifier(served).set_status("P-0001", "Disposal Request", NUMBER, "Approved")
    opus(served).records("enaio-109491")[0].due = "1989-01-01T00:00:00"


def deferral(vendor: str, **more: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        look(sensor(vendor, deferrable=True, **{"poke_interval": 0.01, **more}))
    return caught.value


def kwargs_of(deferred: TaskDeferred) -> dict[str, Any]:
    assert deferred.kwargs is not None
    return deferred.kwargs


@EVERY_SENSOR
@EVERY_MODE
def test_the_same_answer_in_every_mode(undecided: ServedSandbox, vendor: str, mode: str) -> None:
    with pytest.raises(StillWaitingError):
        wait(lambda **more: sensor(vendor, **more), mode)
    reference = wait(lambda **more: sensor(vendor, **more), mode, lambda: decide(undecided))
    due_list = {"due_list"} if vendor == "opus" else set()
    assert set(reference) == {"manifest", "digest", "count", "approvals", "withheld", "set_aside", "on_hold"} | due_list
    assert reference["count"] == 1
    assert len(reference["approvals"]) == (0 if vendor == "opus" else 1)


# Deferral


@EVERY_SENSOR
def test_what_is_stored_is_small_plain_and_without_secrets(undecided: ServedSandbox, vendor: str) -> None:
    deferred = deferral(vendor, timeout=600, poke_interval=30)
    path, kwargs = deferred.trigger.serialize()
    assert path.startswith(f"airflow_provider_records.triggers.{vendor}.")
    assert deserialize(json.loads(json.dumps(serialize(kwargs)))) == kwargs
    text = json.dumps([kwargs, deferred.kwargs])
    for part in undecided.sandbox.vendors.values():
        for name in ("password", "client_secret"):
            assert getattr(part, name, "-none-") not in text
    assert "eyJ" not in text
    assert "Bearer" not in text
    assert kwargs["conn_id"] == f"{vendor}_default"
    assert kwargs["poke_interval"] == 30
    assert kwargs["deadline"] == kwargs_of(deferred)["deadline"] == pytest.approx(time.time() + 600, abs=30)
    # Airflow's own limit is the last resort, after the trigger's.
    assert isinstance(deferred.timeout, timedelta)
    assert 620 < deferred.timeout.total_seconds() <= 660


@EVERY_SENSOR
def test_the_deadline_stays_when_the_approval_is_withdrawn(undecided: ServedSandbox, vendor: str) -> None:
    deferred = deferral(vendor, timeout=600)
    decide(undecided)
    event = fire(deferred.trigger)
    assert event == {"status": "look"}
    enaio(undecided).set_field(RECORDS[0], "Disposal", "")
    unifier(undecided).set_status("P-0001", "Disposal Request", NUMBER, "Pending")
    opus(undecided).records("enaio-109491")[0].due = "2040-01-01T00:00:00"
    with pytest.raises(TaskDeferred) as again:
        resume(sensor(vendor, deferrable=True, timeout=600), deferred, event)
    assert again.value.kwargs == deferred.kwargs
    assert again.value.trigger.serialize()[1]["deadline"] == kwargs_of(deferred)["deadline"]


@EVERY_SENSOR
def test_a_timeout_ends_the_wait(undecided: ServedSandbox, vendor: str) -> None:
    deferred = deferral(vendor)
    with pytest.raises(AirflowSensorTimeout, match="Nothing was decided"):
        resume(sensor(vendor, deferrable=True), deferred, fire(deferred.trigger, 0.05))


SEEN = {
    "opus": "nothing is due before 1990-01-01T00:00:00",
    "enaio": "Disposal = 'in review' (1)",
    "unifier": f"record {NUMBER} of 'Disposal Request' is 'Pending'",
}


@EVERY_SENSOR
def test_a_timeout_names_what_was_found(undecided: ServedSandbox, vendor: str) -> None:
    """In every mode: a value that neither approves nor rejects is seen in the log, not after a week of waiting."""
    enaio(undecided).set_field(RECORDS[0], "Disposal", "in review")
    found = re.escape(f"The last look found: {SEEN[vendor]}.")
    deferred = deferral(vendor)
    with pytest.raises(AirflowSensorTimeout, match=found):
        resume(sensor(vendor, deferrable=True), deferred, fire(deferred.trigger, 0.05))
    for mode in ("poke", "reschedule"):
        with pytest.raises(AirflowSensorTimeout, match=found):
            look(sensor(vendor, timeout=0, mode=mode, poke_interval=0.01))


@EVERY_SENSOR
def test_what_is_found_is_logged_when_it_changes(
    undecided: ServedSandbox, vendor: str, caplog: pytest.LogCaptureFixture
) -> None:
    enaio(undecided).set_field(RECORDS[0], "Disposal", "in review")
    waiting = sensor(vendor)
    context = task(waiting, 900)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert not waiting.poke(context).is_done
    assert caplog.text.count(f"Found: {SEEN[vendor]}") == 1
    decide(undecided)
    with caplog.at_level(logging.INFO):
        assert waiting.poke(context).is_done
    assert caplog.text.count("Found: ") == 2


@EVERY_SENSOR
def test_the_triggerer_logs_what_is_found_when_it_changes(
    undecided: ServedSandbox, vendor: str, caplog: pytest.LogCaptureFixture
) -> None:
    enaio(undecided).set_field(RECORDS[0], "Disposal", "in review")
    deferred = deferral(vendor)
    caplog.clear()

    async def four_looks() -> None:
        waiting = asyncio.create_task(events(deferred.trigger))
        while undecided.calls(vendor, CALLS[vendor]) < 4 and not waiting.done():
            await asyncio.sleep(0.01)
        waiting.cancel()

    with caplog.at_level(logging.INFO):
        asyncio.run(asyncio.wait_for(four_looks(), 120))
    assert undecided.calls(vendor, CALLS[vendor]) > 3
    assert caplog.text.count(f"Found: {SEEN[vendor]}") == 1


@EVERY_SENSOR
def test_a_decision_just_before_the_timeout_counts(undecided: ServedSandbox, vendor: str) -> None:
    deferred = deferral(vendor)
    event = fire(deferred.trigger, 0.05)
    decide(undecided)
    assert resume(sensor(vendor, deferrable=True), deferred, event)["count"] == 1


def test_a_look_after_the_deadline_is_the_last(undecided: ServedSandbox) -> None:
    deferred = deferral("unifier")
    kwargs_of(deferred)["deadline"] = time.time() - 1
    with pytest.raises(AirflowSensorTimeout):
        resume(sensor("unifier", deferrable=True), deferred, {"status": "look"})


@pytest.mark.parametrize(
    "event",
    [None, {}, [], "look", {"status": None}, {"status": "cancelled"}, {"status": "success"}, {"status": ["look"]}],
)
def test_an_unknown_event_is_no_answer(undecided: ServedSandbox, event: Any) -> None:
    deferred = deferral("unifier")
    decide(undecided)
    with pytest.raises(TriggerEventError):
        resume(sensor("unifier", deferrable=True), deferred, event)
    assert TriggerEventError.retry


def test_an_event_decides_nothing(undecided: ServedSandbox) -> None:
    """Whatever comes with the event, the worker reads for itself."""
    deferred = deferral("unifier")
    with pytest.raises(TaskDeferred):
        resume(sensor("unifier", deferrable=True), deferred, {"status": "look", "approved": True, "answer": {}})
    assert not undecided.store.names("approvals")


def test_airflows_own_deferral_timeout_is_a_sensor_timeout(undecided: ServedSandbox) -> None:
    with pytest.raises(AirflowSensorTimeout):
        sensor("unifier").resume_execution("__fail__", {"error": "Trigger timeout"}, None)
    assert issubclass(TaskDeferralTimeout, Exception)


def test_deferrable_comes_from_the_dag_else_from_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sensor("unifier").deferrable is False
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert sensor("unifier").deferrable is True
    assert sensor("unifier", deferrable=False).deferrable is False
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "False")
    with DAG("night", default_args={"deferrable": True, "wait_for_record": True, "poke_interval": 7}):
        made = sensor("unifier")
        assert (made.deferrable, made.wait_for_record, made.poke_interval) == (True, True, 7)
        assert sensor("unifier", task_id="other", deferrable=False).deferrable is False


# Troubles of the vendor


@EVERY_SENSOR
@EVERY_MODE
@pytest.mark.parametrize("trouble", [{"status": 503}, {"drop": True}, {"status": 500}, {"status": 429}])
def test_a_trouble_that_may_pass_keeps_waiting(
    undecided: ServedSandbox, vendor: str, mode: str, trouble: dict[str, Any]
) -> None:
    decide(undecided)
    undecided.fault(vendor=vendor, call=CALLS[vendor], times=None, **trouble)
    with pytest.raises(StillWaitingError):
        wait(lambda **more: sensor(vendor, **more), mode)
    assert not undecided.store.names("approvals")
    assert wait(lambda **more: sensor(vendor, **more), mode, undecided.sandbox.faults.clear)["count"] == 1


@EVERY_MODE
def test_unifiers_own_status_500_keeps_waiting(undecided: ServedSandbox, mode: str) -> None:
    body = {"data": [], "message": ["Internal error."], "status": 500}
    undecided.fault(vendor="unifier", call="get_bp_record", times=None, body=body)
    with pytest.raises(StillWaitingError):
        wait(lambda **more: sensor("unifier", **more), mode)


@EVERY_SENSOR
@EVERY_MODE
@pytest.mark.parametrize("status", [401, 403, 302])
@pytest.mark.parametrize("late", [False, True])
def test_a_trouble_that_stays_fails_at_once(
    undecided: ServedSandbox, vendor: str, mode: str, status: int, late: bool
) -> None:
    def refuse() -> None:
        undecided.fault(vendor=vendor, call=CALLS[vendor], times=None, status=status)

    if not late:
        refuse()
    with pytest.raises(AirflowFailException, match=str(status)):
        wait(lambda **more: sensor(vendor, **more), mode, *[refuse] * late)


@pytest.mark.parametrize("mode", ["reschedule", "deferrable"])
def test_a_connection_that_is_spoilt_meanwhile_fails(
    undecided: ServedSandbox, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil() -> None:
        monkeypatch.setenv("AIRFLOW_CONN_UNIFIER_DEFAULT", json.dumps({"conn_type": "unifier"}))

    with pytest.raises(AirflowFailException, match="'host' is empty"):
        wait(lambda **more: sensor("unifier", **more), mode, spoil)


# What is refused, what is kept


@EVERY_SENSOR
@pytest.mark.parametrize("name", ["soft_fail", "silent_fail", "never_fail"])
def test_what_turns_a_refusal_into_a_skip_is_refused(vendor: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        sensor(vendor, **{name: True})
    with DAG("night", default_args={name: True}), pytest.raises(ConfigurationError, match=name):
        sensor(vendor)
    with DAG("other"), pytest.raises(ConfigurationError, match=name):
        sensor(vendor, default_args={name: True})
    assert sensor(vendor, **{name: False}).task_id == "wait"


def test_a_mapped_sensor_refuses_it_when_it_runs(served: ServedSandbox) -> None:
    with DAG("night") as dag:
        kind, arguments = ARGUMENTS["unifier"]
        more = {name: value for name, value in arguments.items() if name != "records"}
        kind.partial(task_id="wait", soft_fail=True, **more).expand(records=[["1"], ["2"]])
    mapped: Any = dag.get_task("wait")
    with pytest.raises(ConfigurationError, match="soft_fail"):
        mapped.unmap({"records": ["1"]})


@EVERY_SENSOR
def test_mapped_sensors_are_made(served: ServedSandbox, vendor: str) -> None:
    kind, arguments = ARGUMENTS[vendor]
    name = next(iter(arguments))
    more = {key: value for key, value in arguments.items() if key != name}
    with DAG("night") as dag:
        kind.partial(task_id="wait", deferrable=True, **more).expand(**{name: [["1"], ["2"]]})
    mapped: Any = dag.get_task("wait")
    made: Any = mapped.unmap({name: "x"})
    assert (getattr(made, name), made.deferrable) == ("x", True)
    assert isinstance(made, kind)


def test_reschedule_keeps_interval_backoff_and_timeout(undecided: ServedSandbox) -> None:
    def gap(**more: Any) -> float:
        with pytest.raises(AirflowRescheduleException) as caught:
            look(sensor("unifier", mode="reschedule", **more))
        return float(caught.value.reschedule_date.timestamp() - time.time())

    assert gap(poke_interval=timedelta(minutes=5)) == pytest.approx(300, abs=10)
    assert gap(poke_interval=300, exponential_backoff=True, max_wait=20) == pytest.approx(20, abs=10)
    # Airflow takes a random one around the interval.
    assert len({round(gap(poke_interval=600, exponential_backoff=True), -1) for _ in range(10)}) > 1
    with pytest.raises(AirflowSensorTimeout):
        look(sensor("unifier", mode="reschedule", timeout=0))


def test_poke_times_out_after_a_look(undecided: ServedSandbox) -> None:
    with pytest.raises(AirflowSensorTimeout):
        look(sensor("unifier", timeout=0))
    assert undecided.calls("unifier", "get_bp_record") == 1


@EVERY_SENSOR
def test_a_sensor_only_reads(undecided: ServedSandbox, vendor: str) -> None:
    decide(undecided)
    look(sensor(vendor))
    assert not [effect for entry in undecided.sandbox.log for effect in entry.effects]
    assert {entry.call for entry in undecided.sandbox.log} <= {*CALLS.values(), "login", "token"}
    assert DUE
