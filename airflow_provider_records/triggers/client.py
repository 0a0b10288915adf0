"""One client per connection for all triggers of a triggerer.

A thousand waiting approvals then share one login, one rate limit, and a few sockets and threads. With a client of its
own each would log in, which can end other sessions of the same user, and file descriptors would run out.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ClassVar, TypeVar

from airflow.sdk import BaseHook

from airflow_provider_records.airflow_version import amask_secret
from airflow_provider_records.client.hook import VendorHook, mask

T = TypeVar("T")


class SharedClient:
    """The client of one connection, for the triggers of one event loop.

    :meth:`for_connection` returns it, the last :meth:`leave` ends it.

    :param hook_class: the vendor's client.
    :param conn_id: connection of the vendor's type.
    """

    _open: ClassVar[dict[tuple[object, ...], SharedClient]] = {}

    def __init__(self, hook_class: type[VendorHook], conn_id: str) -> None:
        self._hook_class = hook_class
        self._conn_id = conn_id
        self._connecting = asyncio.Lock()
        self._hook: VendorHook | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._users = 0

    @classmethod
    def for_connection(cls, hook_class: type[VendorHook], conn_id: str) -> SharedClient:
        """Return the client of a connection and count one more user."""
        key = (asyncio.get_running_loop(), hook_class, conn_id)
        client = cls._open.setdefault(key, cls(hook_class, conn_id))
        client._users += 1
        return client

    async def ask(self, question: Callable[[Any], T]) -> T:
        """Ask the system in one of the client's threads, as many as the connection's ``max_concurrency``.

        :param question: gets the hook.
        :raises RecordsError: the connection is wrong, or the system refuses or cannot be asked.
        """
        async with self._connecting:
            if self._hook is None:
                self._hook = await self._connect()
                self._threads = ThreadPoolExecutor(self._hook.settings.max_concurrency, f"{self._conn_id}-trigger")
        secrets: list[str] = []

        def asked(hook: VendorHook) -> T:
            mask.set(secrets.append)
            return question(hook)

        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, copy_context().run, asked, self._hook
            )
        finally:
            for secret in secrets:
                await amask_secret(secret)

    def retire(self) -> None:
        """Let later users get a new client: the connection may have been corrected by then."""
        for key, client in list(self._open.items()):
            if client is self:
                del self._open[key]

    def leave(self) -> None:
        """Count one user less; with the last one the client ends."""
        self._users -= 1
        if self._users == 0:
            self.retire()
            if self._hook is not None and self._threads is not None:
                self._hook.stopping = True  # a thread cannot be cancelled; this ends it soon
                self._hook.transport.close()
                self._threads.shutdown(wait=False, cancel_futures=True)

    async def _connect(self) -> VendorHook:
        connection = await BaseHook.aget_connection(self._conn_id)
        if connection.password:
            await amask_secret(connection.password)
        try:
            extra = json.loads(connection.extra or "{}")
        except ValueError:
            extra = None  # the settings refuse it
        if extra:
            await amask_secret(extra)
        # In a thread, since a CA file may be read.
        settings = await asyncio.to_thread(self._hook_class.read_settings, connection, extra)
        hook = self._hook_class(self._conn_id, settings)
        hook.attempts = 3  # the question is asked again anyway, and others wait for this thread
        return hook
