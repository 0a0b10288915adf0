"""What the sensors share: one question, asked on the worker or by a trigger, with the same answer in both."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_records.airflow_version import AirflowSensorTimeout, conf
from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.client.retry import is_transient
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.exceptions import ConfigurationError, TriggerEventError, VendorError
from airflow_provider_records.task.context import hard_stops, provenance
from airflow_provider_records.triggers.base import VendorTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context


log = logging.getLogger(__name__)


def default_deferrable() -> bool:
    """Return ``[operators] default_deferrable``."""
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def status_texts(name: str, texts: Any, *, needed: bool) -> tuple[str, ...]:  # noqa: ANN401 - what a DAG may say
    """Check a list of status texts.

    :raises ConfigurationError: it is one text instead of a list, holds something else, or is empty though needed.
    """
    is_list = isinstance(texts, Sequence) and not isinstance(texts, (str, bytes))
    if not is_list or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ConfigurationError(f"{name} must be a list of status texts, not {texts!r}.")
    if needed and not texts:
        raise ConfigurationError(f"{name} is empty, so nothing could ever be approved.")
    return tuple(text.strip() for text in texts)


def refuse_skips(sensor: BaseSensorOperator) -> None:
    """Refuse the options that turn a failed sensor into a skipped or successful one.

    :raises ConfigurationError: one of them is set.
    """
    for name in ("soft_fail", "silent_fail", "never_fail"):
        # Of the sensor, not of kwargs: Airflow fills in default_args on the way up.
        if getattr(sensor, name):
            raise ConfigurationError(
                f"{type(sensor).__name__} refuses {name}=True: a rejected or broken approval must fail, not be "
                "skipped or swallowed."
            )


class VendorSensor(BaseSensorOperator):
    """Wait for a vendor's answer in one of three modes: poke, reschedule, deferrable.

    While the system cannot be reached, its answer is not known: the sensor waits on.

    :param deferrable: wait in the triggerer, asking every ``poke_interval`` (``exponential_backoff`` is for the
        other modes); None: ``[operators] default_deferrable``.
    :raises ConfigurationError: ``soft_fail``, ``silent_fail`` or ``never_fail`` is set; they would turn a
        refusal into a skip or swallow it.
    """

    def __init__(self, *, deferrable: bool | None = None, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        refuse_skips(self)
        self.deferrable = default_deferrable() if deferrable is None else deferrable

    @cached_property
    def hook(self) -> VendorHook:
        """The client of the system."""
        raise NotImplementedError

    last_seen = ""
    """The status or value that the last look found, in words."""

    def trigger(self, common: Mapping[str, Any]) -> VendorTrigger | None:
        """Return the question; None if there is nothing to ask.

        :param common: arguments that all triggers have.
        """
        raise NotImplementedError

    def result(self, answer: Any) -> dict[str, Any] | None:  # noqa: ANN401
        """Return the reference for XCom.

        :param answer: what the system answered; None if there was nothing to ask.
        :return: None if nothing is decided yet after all.
        """
        raise NotImplementedError

    @property
    def origin(self) -> Provenance:
        """Which task instance waits."""
        return provenance(self.context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Ask once."""
        self.context = context
        with hard_stops():
            reference = self._look(self._question(0.0))
        return PokeReturnValue(reference is not None, reference)

    def execute(self, context: Context) -> Any:  # noqa: ANN401
        """Wait; return the reference."""
        if not self.deferrable:
            try:
                return super().execute(context)
            except AirflowSensorTimeout as error:
                raise AirflowSensorTimeout(f"{error} {self._found}".strip()) from None
        self.context = context
        return self._look_or_defer(time.time() + self.timeout)

    def execute_complete(self, context: Context, event: Any, deadline: float | None = None) -> Any:  # noqa: ANN401
        """Look again on the worker; wait on if it is undecided after all.

        :param event: what the trigger sent.
        :param deadline: when to give up, in seconds since the epoch; None: ``dag.test()`` hands over the event alone.
        :raises AirflowSensorTimeout: the deadline has passed.
        :raises TriggerEventError: the event is none that the trigger sends.
        """
        status = event.get("status") if isinstance(event, Mapping) else None
        if status not in ("look", "timeout"):
            raise TriggerEventError("The sensor was resumed by an event that its trigger does not send; it asks again.")
        self.context = context
        until = time.time() + self.timeout if deadline is None else deadline
        return self._look_or_defer(until, last=status == "timeout")

    def _look_or_defer(self, deadline: float, *, last: bool = False) -> Any:  # noqa: ANN401
        with hard_stops():
            question = self._question(deadline)
            reference = self._look(question)
        if reference is not None or question is None:
            return reference
        left = deadline - time.time()
        if last or left <= 0:
            raise AirflowSensorTimeout(f"Nothing was decided within {self.timeout:g} s. {self._found}".strip())
        self.defer(
            trigger=question,
            method_name="execute_complete",
            kwargs={"deadline": deadline},
            timeout=timedelta(seconds=left + 60),
        )
        return None

    @property
    def _found(self) -> str:
        return f"The last look found: {self.last_seen}." if self.last_seen else ""

    def _question(self, deadline: float) -> VendorTrigger | None:
        return self.trigger({"conn_id": self.hook.conn_id, "poke_interval": self.poke_interval, "deadline": deadline})

    def _look(self, question: VendorTrigger | None) -> dict[str, Any] | None:
        if question is None:
            return self.result(None)
        try:
            try:
                answer = question.ask(self.hook)
            finally:
                if question.seen and question.seen != self.last_seen:
                    self.last_seen = question.seen
                    log.info("Found: %s", question.seen)
            return None if answer is None else self.result(answer)
        except VendorError as error:
            if not is_transient(error):
                raise
            self.log.warning("%s Still waiting.", error)
            return None
