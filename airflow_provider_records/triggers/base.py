"""A question to a vendor's system that is asked repeatedly while a sensor is deferred.

The sensor asks the same question on the worker, so that every mode gives the same answer. The trigger only finds out
that something was decided; the worker reads what was decided. Nothing is deleted here: Airflow may run a trigger twice.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow_provider_records.airflow_version import explained
from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.client.retry import is_transient
from airflow_provider_records.exceptions import RecordsError
from airflow_provider_records.triggers.client import SharedClient

with explained("Deferrable sensors"):
    from airflow.triggers.base import BaseTrigger, TriggerEvent

log = logging.getLogger(__name__)

APPROVERS = "approvers"
"""Member of an answer: the persons who, as a field of the vendor's says, approved all of a list."""

REFUSED = "refused"
"""Member of an answer: what the system refuses while it approves the rest, with the reasons."""

LAST_QUESTION = 60.0
"""Seconds beyond the deadline that the last question may take."""


class VendorTrigger(BaseTrigger):
    """Wait until a question is decided.

    :param conn_id: connection of the vendor's type.
    :param poke_interval: seconds between two questions.
    :param deadline: when to give up, in seconds since the epoch; a restarted triggerer does not extend it.
    """

    hook_class: ClassVar[type[VendorHook]]
    seen = ""
    """The status or value that the last question found, in words."""

    def __init__(self, *, conn_id: str, poke_interval: float, deadline: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id
        self.poke_interval = poke_interval
        self.deadline = deadline

    def question(self) -> dict[str, Any]:
        """Return what the question consists of, as plain JSON."""
        raise NotImplementedError

    def ask(self, hook: Any) -> Any:  # noqa: ANN401
        """Ask the system.

        :param hook: the client.
        :return: None while it is undecided, else what the system answered.
        :raises RecordsError: it was decided against, or the question itself is wrong.
        """
        raise NotImplementedError

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments."""
        common = {"conn_id": self.conn_id, "poke_interval": self.poke_interval, "deadline": self.deadline}
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {**common, **self.question()}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: ``look`` (the worker asks for itself) or ``timeout``."""
        client = SharedClient.for_connection(self.hook_class, self.conn_id)
        # The worker has just asked, so wait first: where the worker gets another answer than the trigger, the two must
        # not resume each other without a pause. Jittered, since a triggerer starts all of its triggers at once.
        pause, seen = self.poke_interval * random.uniform(0.5, 1.5), ""
        try:
            while (left := self.deadline - time.time()) > 0:
                await asyncio.sleep(min(pause, left))
                pause = self.poke_interval
                try:
                    async with asyncio.timeout(max(0.0, self.deadline - time.time()) + LAST_QUESTION):
                        decided = await client.ask(self.ask) is not None
                except TimeoutError:  # waiting for a thread or for the response
                    break
                except RecordsError as error:
                    decided = not is_transient(error)  # the worker meets the same error and reports it
                    log.warning("%s %s", error, "The worker asks for itself." if decided else "Still waiting.")
                    if decided:
                        client.retire()
                if self.seen != seen:
                    seen = self.seen
                    log.info("Found: %s", seen)
                if decided:
                    yield _event("look")
                    return
            yield _event("timeout")
        finally:
            client.leave()


def _event(status: str) -> TriggerEvent:
    return TriggerEvent({"status": status})  # type: ignore[no-untyped-call]
