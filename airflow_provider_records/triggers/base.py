"""A question to a vendor's system that is asked again and again while a sensor is deferred.

The sensor asks the same question on the worker, so that every mode gives the same answer. The trigger only finds
out that something was decided; what it is, the worker reads for itself. Nothing is ever deleted here: Airflow may
run a trigger twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any, ClassVar

from airflow.sdk import BaseHook
from airflow.sdk.log import amask_secret
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_records.exceptions import NoAnswerError, NotSentError, RecordsError
from airflow_provider_records.hooks.base import Settings, VendorHook, mask

log = logging.getLogger(__name__)


class VendorTrigger(BaseTrigger):
    """Wait until a question is decided.

    :param conn_id: connection of the vendor's type.
    :param poke_interval: seconds between two questions.
    :param deadline: when to give up, in seconds since the epoch; a restarted triggerer does not extend it.
    """

    hook_class: ClassVar[type[VendorHook]]

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
        :return: None while it is undecided, else what the system said.
        :raises RecordsError: it was decided against, or the question itself is wrong.
        """
        raise NotImplementedError

    def look(self, hook: VendorHook) -> Any:  # noqa: ANN401
        """Ask, and take a system that cannot be reached for one that has not decided yet."""
        try:
            return self.ask(hook)
        except (NoAnswerError, NotSentError) as error:
            log.warning("%s Still waiting.", error)
            return None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments."""
        common = {"conn_id": self.conn_id, "poke_interval": self.poke_interval, "deadline": self.deadline}
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {**common, **self.question()}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: ``look`` (the worker shall look for itself) or ``timeout``."""
        hook: VendorHook | None = None
        while time.time() < self.deadline:
            if hook is None:
                hook = await self._hook()
            secrets: list[str] = []
            mask.set(secrets.append)
            decided = await asyncio.to_thread(self._decided, hook)
            for secret in secrets:
                await amask_secret(secret)
            if decided:
                yield _event("look")
                return
            await asyncio.sleep(min(self.poke_interval, max(0.0, self.deadline - time.time())))
        yield _event("timeout")

    async def _hook(self) -> VendorHook:
        connection = await BaseHook.aget_connection(self.conn_id)
        if connection.password:
            await amask_secret(connection.password)
        return self.hook_class(self.conn_id, Settings.of(connection, await connection.aextra_dejson()))

    def _decided(self, hook: VendorHook) -> bool:
        try:
            return self.look(hook) is not None
        except RecordsError:
            return True  # the worker meets the same error and reports it


def _event(status: str) -> TriggerEvent:
    return TriggerEvent({"status": status})  # type: ignore[no-untyped-call]
