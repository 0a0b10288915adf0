"""The time between approval and disposal: it counts from the approval, and the approval can be withdrawn in it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import ConfigurationError, DisposalIncompleteError, WaitingPeriodError
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.manifest import SplitManifestOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.reporting.verify import verify
from airflow_provider_records.sensors.opus import OpusDueRecordsSensor
from airflow_provider_records.sensors.waiting import WaitingPeriodSensor
from tests.minors import AirflowRescheduleException, DownstreamTasksSkipped, TaskDeferred
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run
from tests.operators.reviewer import ANNA, BEN, Request, request_for
from tests.operators.test_four_eyes import gone, keys, listed
from tests.sensors.factories import DUE, look, task

__all__ = ["listed", "request_for"]

DAY = timedelta(days=1)


def approved(
    request_for: Request, records: Any, user: Any = ANNA, ago: timedelta = timedelta(), **more: Any
) -> dict[str, Any]:
    """Have a person approve a list a while ago."""
    page = request_for(records, **more).ask()
    reference: dict[str, Any] = page.complete({**page.event("Approve", user), "responded_at": datetime.now(UTC) - ago})
    return reference


def sensor(records: Any, delay: timedelta = DAY, **more: Any) -> WaitingPeriodSensor:
    return WaitingPeriodSensor(task_id="wait", records=records, delay=delay, **more)


def resume(waiting: WaitingPeriodSensor, event: Any) -> Any:
    return waiting.resume_execution("execute_complete", {"event": event}, task(waiting, 1))


def delete(records: Any, try_number: int = 1, **more: Any) -> Any:
    operator = EnaioDeleteObjectOperator(task_id="delete", records=records, hard_delete=True, **more)
    return run(operator, try_number)


@pytest.mark.parametrize("more", [{"deferrable": True}, {"deferrable": False}])
def test_the_reference_comes_out_as_it_went_in(request_for: Request, listed: dict[str, Any], more: Any) -> None:
    reference = approved(request_for, listed, ago=DAY) | {"more": "of a later release"}
    assert look(sensor(reference, **more)) == reference
    parts = run(SplitManifestOperator(task_id="split", records=reference, size=3))
    assert look(sensor(parts, **more)) == parts


def test_it_defers_until_the_delay_after_the_last_approval(request_for: Request, listed: dict[str, Any]) -> None:
    first = approved(request_for, listed, ago=timedelta(hours=30))
    both = approved(request_for, first, BEN, ago=timedelta(hours=23), task_id="confirm")
    waiting = sensor(both, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        look(waiting)
    trigger = deferred.value.trigger
    assert isinstance(trigger, DateTimeTrigger)
    assert abs(trigger.moment.timestamp() - datetime.now(UTC).timestamp() - 3600) < 60
    assert deferred.value.timeout > timedelta(days=1)
    for event in (None, {"status": "success"}, trigger.moment):
        with pytest.raises(TaskDeferred):
            resume(sensor(both, deferrable=True), event)
    assert look(sensor(first, deferrable=True)) == first


def test_it_defers_and_ends(request_for: Request, listed: dict[str, Any]) -> None:
    reference = approved(request_for, listed)
    with pytest.raises(TaskDeferred) as deferred:
        look(sensor(reference, timedelta(seconds=1.5), deferrable=True))

    async def fire() -> Any:
        return [event async for event in deferred.value.trigger.run()]

    (event,) = asyncio.run(asyncio.wait_for(fire(), 30))
    assert resume(sensor(reference, timedelta(seconds=1.5), deferrable=True), event.payload) == reference


def test_it_is_rescheduled_where_it_does_not_defer(request_for: Request, listed: dict[str, Any]) -> None:
    waiting = sensor(approved(request_for, listed, ago=timedelta(hours=23)), deferrable=False)
    with pytest.raises(AirflowRescheduleException):
        look(waiting)
    assert waiting.reschedule, "Airflow's scheduler waits for the date of a task in this mode only"


def test_a_wait_that_is_longer_than_airflows_usual_timeout_does_not_time_out() -> None:
    assert sensor([], timedelta(days=20)).timeout > timedelta(days=20).total_seconds()


@pytest.mark.parametrize("deferrable", [True, False])
def test_an_empty_list_passes_at_once(deferrable: bool) -> None:
    assert look(sensor([], deferrable=deferrable)) == []


def test_an_empty_manifest_passes_at_once(served: ServedSandbox) -> None:
    empty = run(SplitManifestOperator(task_id="split", records=[], size=3))
    assert look(sensor(empty, deferrable=True)) == empty


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_list_without_an_approval_is_refused(listed: dict[str, Any], deferrable: bool) -> None:
    for records in (listed, ["enaio-1"], "enaio-1"):
        with pytest.raises(AirflowFailException, match="has 0 distinct approvers and needs 1"):
            look(sensor(records, deferrable=deferrable))


@pytest.mark.parametrize("delay", [timedelta(), -DAY, 7, "7", None])
def test_a_delay_that_is_none_is_refused_when_the_dag_is_parsed(delay: Any) -> None:
    with pytest.raises(ConfigurationError, match="delay is a timedelta longer than nothing"):
        sensor([], delay)


@pytest.mark.parametrize("name", ["soft_fail", "silent_fail", "never_fail"])
def test_a_refusal_is_never_a_skip(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"refuses {name}=True"):
        WaitingPeriodSensor(task_id="wait", records=[], delay=DAY, **{name: True})


# Withdrawn


def test_a_rejection_within_the_waiting_period_cancels(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    """The approving task alone is cleared and the list rejected; the wait, which was not cleared, ends as before."""
    reference = approved(request_for, listed, ago=DAY)
    page = request_for(listed).ask()
    with suppress(DownstreamTasksSkipped):
        page.complete({**page.event("Reject", BEN, comment="a court asked"), "responded_at": datetime.now(UTC)})
    passed = look(sensor(reference))
    with pytest.raises(AirflowFailException, match=r"Ben rejected this list, .*: a court asked"):
        delete(passed)
    assert not gone(served)


def test_an_approval_that_is_given_anew_begins_the_time_anew(request_for: Request, listed: dict[str, Any]) -> None:
    assert look(sensor(approved(request_for, listed, ago=DAY)))
    with pytest.raises(AirflowRescheduleException):
        look(sensor(approved(request_for, listed)))


# min_wait


def test_a_delete_before_the_waiting_period_has_passed_is_refused_and_may_be_retried(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    reference = approved(request_for, listed, ago=timedelta(hours=23))
    with pytest.raises(WaitingPeriodError, match=r"nothing may be deleted before 20.*Z") as refused:
        delete(reference, min_wait=DAY)
    assert refused.value.retry_after == pytest.approx(3600, abs=60)
    assert not served.sandbox.log
    assert not served.store.names("disposals")
    done = delete(reference, 2, min_wait=timedelta(hours=23))
    assert done["counts"]["destroyed"] == 8
    assert Disposal.read(served.store, done["disposal"]).options["min_wait_seconds"] == 82800.0
    marked = run(OpusDestroyRecordsOperator(task_id="mark", records=done, min_wait=timedelta(days=2)))
    certificate = run(DestructionCertificateOperator(task_id="certificate", disposals=[done, marked]))
    report = verify(certificate["certificate"].removeprefix("file://"))
    assert report.ok, report.problem


def test_calls_in_doubt_are_resolved_within_the_waiting_period(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    """The first try was allowed; a second approval came after it, so that the next try has to wait."""
    reference = approved(request_for, listed, ago=timedelta(hours=2))
    target = keys(served, listed)[0].removeprefix("enaio-")
    served.fault(vendor="enaio", call="delete_object", match=target, times=None, status=500, act=False)
    with pytest.raises(DisposalIncompleteError):
        delete(reference, max_failure_rate=1.0, min_wait=timedelta(hours=1), concurrency=1)
    sent = served.calls("enaio", "delete_object")
    later = approved(request_for, reference, BEN, task_id="confirm")
    with pytest.raises(DisposalIncompleteError, match="nothing may be deleted before"):
        delete(later, 2, min_wait=timedelta(hours=1))
    assert served.calls("enaio", "delete_object") == sent


def test_the_configuration_says_how_long_where_the_dag_does_not(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = approved(request_for, listed, ago=timedelta(days=6))
    monkeypatch.setenv("AIRFLOW__RECORDS__MIN_WAIT_DAYS", "7")
    with pytest.raises(WaitingPeriodError, match="7 days"):
        delete(reference)
    assert delete(reference, min_wait=timedelta(days=6))["counts"]["destroyed"] == 8


def test_the_configuration_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__RECORDS__MIN_WAIT_DAYS", "-1")
    with pytest.raises(ConfigurationError, match="min_wait_days must be at least 0"):
        EnaioDeleteObjectOperator(task_id="delete", records=[])


@pytest.mark.parametrize("min_wait", [-DAY, 7, "7"])
def test_a_waiting_period_that_is_none_is_refused_when_the_dag_is_parsed(min_wait: Any) -> None:
    with pytest.raises(ConfigurationError, match="min_wait is a timedelta that is not negative"):
        EnaioDeleteObjectOperator(task_id="delete", records=[], min_wait=min_wait)


@pytest.mark.parametrize("valid_for", [timedelta(days=7), None])
def test_an_approval_must_outlast_the_waiting_period(valid_for: timedelta | None) -> None:
    wait = timedelta(days=7) if valid_for else timedelta(days=30)
    people: Any = [ANNA, BEN]
    with DAG("night"):
        due = OpusDueRecordsOperator(task_id="due", due_before=DUE)
        first, second = (
            DisposalApprovalOperator(
                task_id=name, records=records, assigned_users=people, response_timeout=None, valid_for=valid_for
            )
            for name, records in (("first", due.output), ("second", due.output))
        )
        short = DisposalApprovalOperator(
            task_id="short", records=first.output, assigned_users=people, response_timeout=None, valid_for=wait + DAY
        )
        assert sensor(short.output, wait - DAY)
        for records in (first.output, [second.output], short.output):
            with pytest.raises(ConfigurationError, match="is not longer than the waiting period after it"):
                EnaioDeleteObjectOperator(task_id=f"delete{id(records)}", records=records, min_wait=wait)
            with pytest.raises(ConfigurationError, match=r"\(delay: "):
                WaitingPeriodSensor(task_id=f"wait{id(records)}", records=records, delay=wait)
        listed = OpusDueRecordsSensor(task_id="listed", due_before=DUE, valid_for=DAY)
        EnaioDeleteObjectOperator(task_id="delete", records=listed.output, min_wait=wait)
