"""Serves the sandbox on a loopback port, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from types import TracebackType
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_records.sandbox.core import Sandbox


class _Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Gives the application access to the transport, so that a fault can close the connection."""

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401
        super().connection_made(transport)
        self.app_state: dict[str, Any] = {**self.app_state, "transport": transport}


class _Uvicorn(uvicorn.Server):
    """Stops at once instead of at its next tick: tests start and stop about a thousand servers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = threading.Event()

    async def main_loop(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        while not await self.on_tick(0):  # which renews the header Date
            self.serving.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def stop(self) -> None:
        self.should_exit = True
        self._loop.call_soon_threadsafe(self._stop.set)


class Server:
    """Serves the sandbox on a loopback port, in a thread; a context manager.

    :param sandbox: the sandbox.
    :param port: port on 127.0.0.1; 0: a free one.
    """

    def __init__(self, sandbox: Sandbox, port: int = 0) -> None:
        self.sandbox = sandbox
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        config = uvicorn.Config(
            sandbox.app, http=_Protocol, ws="none", lifespan="off", log_level="critical", access_log=False,
        )  # fmt: skip
        self._server = _Uvicorn(config)
        self._thread = threading.Thread(target=self.run, name="sandbox", daemon=True)

    def run(self) -> None:
        """Serve in the calling thread until the process receives SIGINT or SIGTERM."""
        self._server.run(sockets=[self.socket])

    def __enter__(self) -> Server:
        self._thread.start()
        if not self._server.serving.wait(30):
            raise RuntimeError("the sandbox did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        self._thread.join(10)
        self.socket.close()
