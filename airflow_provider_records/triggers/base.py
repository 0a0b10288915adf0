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

from airflow_provider_records.exceptions import RecordsError
from airflow_provider_records.hooks.answer import may_pass
from airflow_provider_records.hooks.base import VendorHook, mask

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

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return class path and arguments."""
        common = {"conn_id": self.conn_id, "poke_interval": self.poke_interval, "deadline": self.deadline}
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {**common, **self.question()}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: ``look`` (the worker shall look for itself) or ``timeout``."""
        hook: VendorHook | None = None
        try:
            # The worker has just asked, so wait first: if it does not see what is seen here, the two
            # must not send each other to the vendor without a pause.
            while (left := self.deadline - time.time()) > 0:
                await asyncio.sleep(min(self.poke_interval, left))
                try:
                    hook = hook or await self._hook()
                    decided = await self._decided(hook)
                except RecordsError as error:
                    decided = not may_pass(error)  # the worker meets the same error and reports it
                    log.warning("%s %s", error, "The worker looks for itself." if decided else "Still waiting.")
                if decided:
                    yield _event("look")
                    return
            yield _event("timeout")
        finally:
            if hook is not None:
                hook.stopping = True  # a thread cannot be cancelled: let it end soon
                hook.session.close()

    async def _hook(self) -> VendorHook:
        connection = await BaseHook.aget_connection(self.conn_id)
        if connection.password:
            await amask_secret(connection.password)
        extra = await connection.aextra_dejson()
        # In a thread, since a CA file may be read.
        settings = await asyncio.to_thread(self.hook_class.read_settings, connection, extra)
        return self.hook_class(self.conn_id, settings)

    async def _decided(self, hook: VendorHook) -> bool:
        secrets: list[str] = []
        mask.set(secrets.append)
        try:
            return await asyncio.to_thread(self.ask, hook) is not None
        finally:
            for secret in secrets:
                await amask_secret(secret)


def _event(status: str) -> TriggerEvent:
    return TriggerEvent({"status": status})  # type: ignore[no-untyped-call]
