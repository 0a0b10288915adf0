"""A small vendor with its client, and servers below HTTP for what a well-behaved web server cannot do."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from requests import PreparedRequest

from airflow_provider_records.client.hook import (
    AuthBase,
    BearerAuth,
    Response,
    Settings,
    Token,
    VendorHook,
    raise_error,
)
from airflow_provider_records.exceptions import NoAnswerError, VendorError
from airflow_provider_records.sandbox.core import FakeVendor, Fault, Handler, Sandbox
from airflow_provider_records.sandbox.message import Call, Reply
from tests.conftest import Serve


class RawServer:
    """Answers every connection with raw bytes; counts them; a context manager.

    :param answer: what to send once the head of a request has come; None: never answer, b"": hang up.
    """

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        self._held: list[socket.socket] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            head = b""
            while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
                head += piece
            self.heads.append(head)
            if self.answer is None:
                self._held.append(connection)
                continue
            connection.sendall(self.answer)
            connection.close()

    def __enter__(self) -> RawServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        for connection in self._held:
            connection.close()


class CountingServer:
    """A web server that counts connections; every second answer is a 204; a context manager.

    :param context: serve TLS with it.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.requests = 0
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                with lock:
                    outer.connections += 1
                super().setup()

            def do_GET(self) -> None:
                with lock:
                    outer.requests += 1
                    empty = outer.requests % 2 == 0
                self.send_response(204 if empty else 200)
                if not empty:
                    self.send_header("Content-Length", "2")
                self.end_headers()
                if not empty:
                    self.wfile.write(b"{}")

            log_message: Callable[..., None] = lambda *_: None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]

    def __enter__(self) -> CountingServer:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class FakeThing(FakeVendor):
    """A vendor with one thing of each name, guarded by a bearer token."""

    name = "thing"

    def __init__(self) -> None:
        super().__init__()
        self.valid: set[str] = set()
        self.issued = 0
        self.heard: list[dict[str, str]] = []

    def calls(self) -> list[tuple[str, str, str, Handler]]:
        return [
            ("POST", "/thing/token", "token", self.token),
            ("GET", "/thing/{id}", "get", self.get),
            ("DELETE", "/thing/{id}", "delete", self.delete),
            ("GET", "/thing/elsewhere/{id}", "elsewhere", self.get),
        ]

    def state(self) -> dict[str, Any]:
        return {}

    def _signed(self, call: Call) -> bool:
        self.heard.append(call.headers)
        return call.headers.get("authorization", "").removeprefix("Bearer ") in self.valid

    async def token(self, _: Call) -> Reply:
        self.issued += 1
        self.valid = {f"sandbox-bearer-{self.issued}"}
        return Reply(200, {"token": f"sandbox-bearer-{self.issued}"})

    async def get(self, call: Call) -> Reply:
        return Reply(200, {"id": call.params["id"]}) if self._signed(call) else Reply(401)

    async def delete(self, call: Call) -> Reply:
        if not self._signed(call):
            return Reply(401)
        return Reply(204, effects=[{"effect": "destroyed", "id": call.params["id"]}])


class NoAuth(AuthBase):
    """Adds no credentials."""

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        return r


class ThingHook(VendorHook):
    """The client of ThingPart."""

    vendor = "Thing"
    lifetime: float | None = None

    @cached_property
    def auth(self) -> BearerAuth:
        return BearerAuth(
            lambda: self.send("token", "POST", self.url("token"), self._token, repeatable=True, auth=NoAuth())
        )

    def _token(self, response: Response) -> Token:
        self._demand(response)
        return Token(response.json()["token"], self.lifetime)

    @staticmethod
    def _demand(response: Response) -> int:
        if response.status >= 500:
            raise_error(NoAnswerError, response, "the gateway lost it")
        return response.status

    def get(self, name: str = "a") -> int:
        return self.send("get", "GET", self.url(name), self._demand, repeatable=True)

    def delete(self, name: str = "a") -> int:
        return self.send("delete", "DELETE", self.url(name), self._demand, repeatable=False)


class PlainHook(ThingHook):
    """Without a token, for servers that know none."""

    @cached_property
    def auth(self) -> Any:
        return NoAuth()


def settings(url: str, **more: Any) -> Settings:
    return Settings("thing_default", url, "someone", "q8Zt-thing", {}, **{"timeout": 5.0, **more})


class ServedThing:
    """A served ThingPart with a hook on it."""

    def __init__(self, serve: Serve) -> None:
        self.part = FakeThing()
        self.server = serve(self.part)
        self.sandbox: Sandbox = self.server.sandbox
        self.hook = self.another()

    def another(self, **more: Any) -> ThingHook:
        return ThingHook("thing_default", settings(f"{self.server.url}/thing", **more))

    def fault(self, **what: Any) -> None:
        self.sandbox.faults.append(Fault(**what))

    def count(self, call: str) -> int:
        return sum(entry.call == call for entry in self.sandbox.log)

    @property
    def destroyed(self) -> list[str]:
        return self.sandbox.effects("thing", "destroyed")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def in_threads(count: int, call: Callable[[], Any]) -> list[Any]:
    """Start ``count`` calls at the same moment; return results and errors alike."""
    barrier = threading.Barrier(count)

    def run(_: int) -> Any:
        barrier.wait()
        try:
            return call()
        except VendorError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
