"""How long a request may take until it leaves, and what is asked before it does."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence import journal as journal_module
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.exceptions import JournalError, NotSentError, VendorError
from tests.client.raw_server import CountingServer, PlainHook, RawServer, settings
from tests.client.test_transport import NO_CONTENT, through
from tests.evidence.failing_store import in_memory

LEASE = 0.4
LONG = 20.0
Addresses = list[tuple[Any, ...]]
LOOK_UP = socket.getaddrinfo


def hook(url: str, **more: Any) -> PlainHook:
    """Return a client that tries once."""
    found = PlainHook("thing_default", settings(url, **more))
    found.attempts = 1
    return found


@pytest.fixture
def dead() -> Iterator[Addresses]:
    """An address that does not answer: its queue is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        yield [(socket.AF_INET, socket.SOCK_STREAM, 6, "", listening.getsockname())]
        for filler in fillers:
            filler.close()


def answer_with(monkeypatch: pytest.MonkeyPatch, look_up: Callable[..., Addresses]) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", look_up)


class HangingProxy:
    """A proxy that answers to CONNECT when it is told to, and is what it leads to; a context manager."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.asked, self.let = threading.Event(), threading.Event()
        self.heads: list[bytes] = []
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        with suppress(OSError):
            connection, _ = self._socket.accept()
            with connection:
                connection.recv(65536)
                self.asked.set()
                self.let.wait(LONG)
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    while piece := secure.recv(65536):
                        self.heads.append(piece)
                        secure.sendall(NO_CONTENT)

    @contextmanager
    def serve(self) -> Iterator[None]:
        thread = threading.Thread(target=self._serve)
        thread.start()
        try:
            yield
        finally:
            self.let.set()
            self._socket.close()
            thread.join(LONG)


class Tries:
    """Two tries of a task: the older one calls, and the newer one looks when calls of the older one must be over."""

    def __init__(self) -> None:
        self._store = in_memory()
        self._older = self._opened(1)
        self._older.intend(["a"])

    def _opened(self, number: int) -> Journal:
        folder = TaskFolder.of("night", "run", "delete", -1)
        started = "2026-11-22T02:00:00+00:00"
        return Journal(self._store, folder, "sha256:" + "1" * 64, started=started, try_number=number, call_seconds=0)

    def may_send(self) -> bool:
        """Say what the older try may do, as its runner does, which keeps its right while it can."""
        with suppress(JournalError):
            self._older.keep_alive()
        return self._older.holds_lease()

    def supersede(self) -> None:
        """Return when the newer try may look."""
        newer = self._opened(2)
        time.sleep(LEASE)
        newer.intend(["a"])


@pytest.mark.parametrize("superseded", [True, False])
@pytest.mark.parametrize("obstacle", ["look-up", "addresses", "proxy"])
def test_no_request_of_a_superseded_try_leaves_after_its_successors_look(
    obstacle: str,
    superseded: bool,
    dead: Addresses,
    authority: tuple[Path, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal_module, "LEASE", LEASE)
    pem, context = authority
    proxy, tries = HangingProxy(context), Tries()
    asked, let = threading.Event(), threading.Event()

    def look_up(host: str, port: int, *more: Any) -> Addresses:
        asked.set()
        found: Addresses = LOOK_UP(host, port, *more)
        if obstacle == "addresses":
            return dead * 4 + found
        let.wait(LONG)
        return found

    with RawServer(NO_CONTENT) as server, proxy.serve():
        url, heads = server.url, server.heads
        if obstacle == "proxy":
            through(monkeypatch, proxy.url)
            url, heads, asked, let = "https://127.0.0.1:1", proxy.heads, proxy.asked, proxy.let
        else:
            answer_with(monkeypatch, look_up)
        client = hook(url, verify=str(pem), timeout=4.0)
        client.may_send = tries.may_send
        results: list[Any] = []

        def sent() -> int:
            return sum(bool(head) for head in heads)  # a connection without a request has an empty one

        def delete() -> None:
            try:
                results.append(client.delete())
            except VendorError as error:
                results.append(error)

        thread = threading.Thread(target=delete)
        thread.start()
        assert asked.wait(LONG)
        if superseded:
            tries.supersede()
        looked_at = sent()
        let.set()
        thread.join(LONG)
        assert looked_at == 0
        assert sent() == (not superseded)
        assert (type(results[0]) is int) is not superseded
        assert isinstance(results[0], NotSentError) is superseded


@pytest.mark.parametrize("obstacle", ["look-up", "addresses", "proxy", "tls"])
def test_look_up_addresses_proxy_and_tls_have_one_timeout_together(
    obstacle: str, dead: Addresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(*_: Any) -> Addresses:
        if obstacle == "look-up":
            time.sleep(3.1)
        return dead * 4

    with RawServer(None) as server:
        url = server.url
        if obstacle == "proxy":
            through(monkeypatch, server.url)
            url = "https://records.invalid"
        elif obstacle == "tls":
            url = url.replace("http:", "https:")
        else:
            answer_with(monkeypatch, look_up)
        begin = time.monotonic()
        with pytest.raises(NotSentError):
            hook(url, timeout=3.0).delete()
        assert time.monotonic() - begin < 5.9


def test_an_address_that_answers_is_found_behind_dead_ones(dead: Addresses, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(NO_CONTENT) as server:
        answer_with(monkeypatch, lambda *given: dead * 2 + LOOK_UP(*given))
        assert hook(server.url, timeout=2.0).delete() == 204
        assert len(server.heads) == 1


def test_what_is_never_acknowledged_is_not_sent_for_longer_than_the_timeout() -> None:
    with CountingServer() as server:
        client = hook(f"http://127.0.0.1:{server.port}", timeout=7.0)
        client.get()
        (route,) = client.transport._routes.values()
        connection: Any = route.pool._get_conn()
        milliseconds = connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        connection.close()
        assert 6000 < milliseconds <= 7000
