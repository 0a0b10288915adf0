"""Carries a sensor through as Airflow does, in each mode: every look is a new object, nothing is remembered."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseSensorOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.operators.opus import OpusDueRecordsOperator
from airflow_provider_records.sandbox.enaio import FakeEnaio
from airflow_provider_records.sandbox.opus import FakeOpus
from airflow_provider_records.sandbox.unifier import FakeUnifier
from tests.minors import AirflowRescheduleException, TaskDeferred
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import DagRun, TaskInstance, at_night, run

MODES = ("poke", "reschedule", "deferrable")
EVERY_MODE = pytest.mark.parametrize("mode", MODES)
DUE = "2026-11-01T00:00:00"
Make = Callable[..., BaseSensorOperator]


class StillWaitingError(Exception):
    """The sensor has looked, after the last act too, and waits on."""


@dataclass
class SensorTask(TaskInstance):
    """What a sensor asks of its task instance besides."""

    def get_first_reschedule_date(self, _: object) -> None:
        return None


TRIES = itertools.count(1)


def look(sensor: BaseSensorOperator, try_number: int | None = None) -> Any:
    """Begin a try, or go on with one that was begun."""
    return sensor.execute(task(sensor, next(TRIES) if try_number is None else try_number))


def task(sensor: BaseSensorOperator, try_number: int) -> Any:
    return {"ti": SensorTask(at_night(sensor).task_id, try_number), "dag_run": DagRun()}


def rebuilt(trigger: BaseTrigger, **changed: Any) -> Any:
    """Return the trigger as the triggerer makes it, from what is in the database."""
    path, kwargs = trigger.serialize()
    stored = json.loads(json.dumps(kwargs))
    assert stored == kwargs, "the arguments are not plain JSON"
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)(**{**stored, **changed})


async def events(trigger: BaseTrigger) -> list[TriggerEvent]:
    return [event async for event in trigger.run()]


def fire(trigger: BaseTrigger, seconds: float | None = None) -> Any:
    """Run the trigger to its end and return its one event.

    :param seconds: another deadline, from now.
    """
    changed = {} if seconds is None else {"deadline": time.time() + seconds}
    (event,) = asyncio.run(asyncio.wait_for(events(rebuilt(trigger, **changed)), 30))
    return event.payload


def resume(sensor: BaseSensorOperator, deferred: TaskDeferred, event: Any, try_number: int = 1) -> Any:
    assert deferred.method_name == "execute_complete"
    kwargs = {**json.loads(json.dumps(deferred.kwargs)), "event": event}
    return sensor.resume_execution(deferred.method_name, kwargs, task(sensor, try_number))


def wait(make: Make, mode: str, *acts: Callable[[], object]) -> Any:
    """Return what the sensor returns; before each further look somebody acts.

    :param make: makes the sensor.
    :param mode: one of ``MODES``.
    :param acts: what happens while it waits.
    :raises StillWaitingError: it still waits when all have acted.
    """
    left = list(acts)

    def act(*_: object) -> None:
        if not left:
            raise StillWaitingError
        left.pop(0)()

    try:
        return _wait(make, mode, act)
    finally:
        assert not left, f"{len(left)} did not get to act"


def _wait(make: Make, mode: str, act: Callable[..., None]) -> Any:
    if mode == "poke":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("airflow.sdk.bases.sensor.time", SimpleNamespace(sleep=act, monotonic=time.monotonic))
            return look(make(mode="poke"))
    number = next(TRIES)
    if mode == "reschedule":
        while True:
            try:
                return look(make(mode="reschedule"), number)
            except AirflowRescheduleException:
                act()
    waiting: TaskDeferred | None = None
    event: Any = None
    while True:
        sensor = make(deferrable=True, poke_interval=0.01)
        try:
            return look(sensor, number) if waiting is None else resume(sensor, waiting, event, number)
        except TaskDeferred as deferred:
            waiting = deferred
        try:
            act()
        except StillWaitingError:
            assert fire(waiting.trigger, 0.1) == {"status": "timeout"}, "the trigger sees more than the worker"
            raise
        event = fire(waiting.trigger)


def digits(records: list[Any]) -> str:
    """Return the hex digits of the digest of a list that is in no store yet."""
    with tempfile.TemporaryDirectory() as folder:
        return Manifest.write(Store(f"file://{folder}"), records).digest.removeprefix("sha256:")


def unifier(served: ServedSandbox) -> FakeUnifier:
    part = served.sandbox.vendors["unifier"]
    assert isinstance(part, FakeUnifier)
    return part


def enaio(served: ServedSandbox) -> FakeEnaio:
    part = served.sandbox.vendors["enaio"]
    assert isinstance(part, FakeEnaio)
    return part


def opus(served: ServedSandbox) -> FakeOpus:
    part = served.sandbox.vendors["opus"]
    assert isinstance(part, FakeOpus)
    return part


def due() -> Any:
    """Return the manifest reference of the due enaio records."""
    return run(OpusDueRecordsOperator(task_id="due", due_before=DUE, target_id_pattern=r"enaio-(\d+)"))


def keys(served: ServedSandbox, reference: Any) -> list[str]:
    return [record.key for record in Manifest.open(served.store, reference["digest"], reference["manifest"])]
