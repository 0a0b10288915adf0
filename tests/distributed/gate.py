"""A door before a server that tests close: who knocks is refused, and the server keeps its state."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any


class Gate:
    """Forwards TCP connections from a port of 127.0.0.1 to another.

    :param port: where it listens.
    :param behind: the port of the server.
    """

    requests = 0
    """Number of HTTP requests that went through."""

    def __init__(self, port: int, behind: int) -> None:
        self._port, self._behind = port, behind
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Gate:
        self._thread.start()
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def open(self) -> None:
        """Let connections through."""
        self._run(self._open())

    def close(self) -> None:
        """End all connections, and refuse new ones."""
        self._run(self._close())

    def _run(self, task: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(task, self._loop).result(10)

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._forward, "127.0.0.1", self._port)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._behind)
            self._writers.add(back)
            try:
                await asyncio.gather(self._ask(reader, back), self._copy(there, writer))
            finally:
                self._writers.discard(back)
                back.close()
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def count(piece: bytes) -> None:
            self.requests += piece.count(b" HTTP/1.1\r\n")

        await self._copy(reader, writer, count)

    @staticmethod
    async def _copy(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Callable[[bytes], None] = lambda _: None
    ) -> None:
        try:
            while piece := await reader.read(1 << 16):
                look(piece)
                writer.write(piece)
                await writer.drain()
        finally:
            writer.close()
