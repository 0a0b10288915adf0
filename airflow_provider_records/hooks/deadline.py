"""A limit for the whole of an answer: a system that sends a byte now and then would hold a thread for ever.

The timeout of ``requests`` only limits the silence between two bytes.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class _Until(io.RawIOBase):
    """Reads from a connection until the timeout has passed that is set when the reading begins."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        timeout = sock.gettimeout()
        self._sock, self._raw = sock, raw
        self._end = None if timeout is None else time.monotonic() + timeout
        self._is_first = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - whatever bytes can be written into
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer did not end in time")
            if not self._is_first:  # it has its whole time, which the socket knows
                self._sock.settimeout(left)
            self._is_first = False
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(sock, *args, **options)
        raw: Any = self.fp
        self.fp = io.BufferedReader(_Until(sock, raw.detach()))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class DeadlineAdapter(HTTPAdapter):
    """An adapter whose timeout for reading limits head and body of an answer together."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager
