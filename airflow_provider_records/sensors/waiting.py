"""Wait for a time between the approval of a list and its disposal, in which the approval can be withdrawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_records.evidence.authorization import last_approved
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.sensors.base import default_deferrable, refuse_skips
from airflow_provider_records.task.context import evidence_store, hard_stops
from airflow_provider_records.task.records import resolve
from airflow_provider_records.task.templating import RecordsOperator
from airflow_provider_records.task.validity import check_outlasts

if TYPE_CHECKING:
    from airflow.sdk import Context

_SPARE = timedelta(days=7)
"""For a worker or triggerer that is down when the period ends; Airflow does not retry a sensor that timed out."""


class WaitingPeriodSensor(RecordsOperator, BaseSensorOperator):
    """Wait until a time has passed since the last approval of a list.

    During this time the approval can be withdrawn: clear the approving task and reject the list. The disposing tasks
    refuse a list that was rejected in its run, whether this task was cleared too or not. An approval that is given
    anew begins the time anew.

    :param records: the output of an approving task. An empty list passes at once.
    :param delay: how long to wait, counted from the last approval of the list.
    :param deferrable: wait in the triggerer; None: ``[operators] default_deferrable``. Else the task is rescheduled
        every ``poke_interval``; it never holds a worker slot while it waits.
    :return: the reference that it was given, unchanged.
    :raises ConfigurationError: when the DAG is parsed: ``delay`` is no time, or an approval before this task expires
        within it; or ``soft_fail``, ``silent_fail`` or ``never_fail`` is set.
    :raises AirflowFailException: the list has no approval, or evidence does not fit.
    """

    def __init__(
        self,
        *,
        records: Any,  # noqa: ANN401 - templated; checked when the task runs
        delay: timedelta,
        deferrable: bool | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        refuse_skips(self)
        if not isinstance(delay, timedelta) or delay <= timedelta():
            raise ConfigurationError(f"delay is a timedelta longer than nothing, not {delay!r}.")
        check_outlasts(records, delay, "delay")
        self.mode = "reschedule"
        self.records = records
        self.delay = delay
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.timeout = max(self.timeout, (delay + _SPARE).total_seconds())  # the wait ends by itself

    def poke(self, context: Context) -> PokeReturnValue:
        """Tell whether the time has passed."""
        with hard_stops():
            over = self._left() <= timedelta()
        return PokeReturnValue(over, self._given() if over else None)

    def execute(self, context: Context) -> Any:  # noqa: ANN401
        """Wait; return the reference."""
        if not self.deferrable:
            return super().execute(context)
        with hard_stops():
            left = self._left()
        if left <= timedelta():
            return self._given()
        self.defer(
            trigger=DateTimeTrigger(moment=datetime.now(UTC) + left),
            method_name="execute_complete",
            timeout=left + _SPARE,
        )
        return None

    def execute_complete(self, context: Context, event: Any) -> Any:  # noqa: ANN401
        """Look again, whatever the event says; wait on if the time has not passed."""
        return self.execute(context)

    def _left(self) -> timedelta:
        """Return how long to wait from now on."""
        selection = resolve(self.records, evidence_store())
        authorization = selection.authorize(approval_required=True)
        if not selection.manifest.count:
            return timedelta()
        until = last_approved(authorization.originals) + self.delay
        left = until - datetime.now(UTC)
        if left > timedelta():
            self.log.info("The waiting period ends at %s", until.isoformat(timespec="seconds"))
        return left

    def _given(self) -> Any:  # noqa: ANN401
        """Return ``records`` as it was given, the outputs of mapped tasks as a list."""
        if isinstance(self.records, Sequence) and not isinstance(self.records, str):
            return list(self.records)
        return dict(self.records) if isinstance(self.records, Mapping) else self.records
