"""Faults that bend an answer, echo the request, leave HTTP behind, or limit the rate of calls."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from pytest_mock import MockerFixture

from airflow_provider_records.sandbox.build import build
from airflow_provider_records.sandbox.core import FakeVendor, Fault, Handler, Sandbox
from airflow_provider_records.sandbox.message import Call, Reply
from airflow_provider_records.sandbox.server import Server

BODY = {"rows": [{"id": "a", "a/b": 1}, {"id": "b"}], "more": False}


class Rows(FakeVendor):
    """Answers with the same rows, always."""

    name = "rows"

    def calls(self) -> list[tuple[str, str, str, Handler]]:
        return [("POST", "/rows", "list", self._list)]

    async def _list(self, _: Call) -> Reply:
        return Reply(200, BODY, {"X-Rows": "2"}, [{"effect": "listed", "id": "a"}])


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Sandbox([Rows()])) as served:
        yield served


def ask(server: Server, **fault: Any) -> requests.Response:
    server.sandbox.faults.append(Fault(**fault))
    return requests.post(f"{server.url}/rows", "hello", headers={"X-Mine": "me"}, timeout=60)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"put": {"/more": None}}, {**BODY, "more": None}),
        ({"put": {"/new": {"x": 1}}}, {**BODY, "new": {"x": 1}}),
        ({"put": {"/rows/0/id": 7, "/rows/0/a~1b": []}}, {**BODY, "rows": [{"id": 7, "a/b": []}, {"id": "b"}]}),
        ({"put": {"/rows/1": "x"}}, {**BODY, "rows": [{"id": "a", "a/b": 1}, "x"]}),
        ({"lose": ["/more"]}, {"rows": BODY["rows"]}),
        ({"lose": ["/rows/0"]}, {**BODY, "rows": [{"id": "b"}]}),
        ({"lose": ["/rows/0/id"], "put": {"/more": True}}, {"rows": [{"a/b": 1}, {"id": "b"}], "more": True}),
        ({"put": {"/rows/9/id": 1, "/rows/x": 1, "/more/deep": 1}, "lose": ["/none", "/rows/7"]}, BODY),
    ],
)
def test_bends_the_answer_that_would_have_come(server: Server, fault: dict[str, Any], expected: Any) -> None:
    answer = ask(server, **fault)
    assert (answer.status_code, answer.headers["X-Rows"], answer.json()) == (200, "2", expected)
    (entry,) = server.sandbox.log
    assert entry.fault
    assert BODY == {"rows": [{"id": "a", "a/b": 1}, {"id": "b"}], "more": False}


def test_a_bent_answer_can_come_under_another_status(server: Server) -> None:
    answer = ask(server, status=401, put={"/more": 1})
    assert (answer.status_code, answer.json()) == (401, {**BODY, "more": 1})
    assert ask(server, body={"own": 0}, put={"/own": "\ud800"}).json() == {"own": "\ud800"}


def test_echo(server: Server) -> None:
    answer = ask(server, echo=True, status=500)
    assert (answer.status_code, answer.text[:10]) == (500, "POST /rows")
    assert "x-mine: me" in answer.text
    assert answer.text.endswith("hello")


def received(server: Server, **fault: Any) -> bytes:
    server.sandbox.faults.append(Fault(**fault))
    address = urlsplit(server.url)
    got = b""
    with socket.create_connection((address.hostname, address.port), timeout=60) as raw:
        raw.sendall(b"POST /rows HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        try:
            while piece := raw.recv(100):
                got += piece
        except ConnectionResetError:
            return got + b" (reset)"
    return got


def test_raw_is_all_that_leaves_before_the_end(server: Server) -> None:
    assert received(server, raw="\x00\xffSSH-2.0") == b"\x00\xffSSH-2.0"
    assert received(server, raw="slow", drip_ms=1) == b"slow"
    assert received(server, raw="half", drop=True).endswith(b"(reset)")
    assert [(entry.status, entry.effects) for entry in server.sandbox.log] == [
        (0, [{"effect": "listed", "id": "a"}])
    ] * 3


def test_every_field_is_on_the_first_page() -> None:
    with Server(build(0)) as served:
        page = requests.get(served.url, timeout=60).text
    listed = {word for part in page.split('<td class="id">') for word in part.partition("</td>")[0].split(", ")}
    assert {item.name for item in fields(Fault)} <= listed


def test_only_what_is_beyond_the_rate_is_hit(mocker: MockerFixture) -> None:
    clock = mocker.patch("time.monotonic", return_value=1000.0)
    limit = Fault(per_second=8, times=None, status=429)

    def hits(calls: int) -> int:
        return sum(limit.hits("opus", "token", Call("GET", "/", {}, {}, {}, b"")) for _ in range(calls))

    assert hits(20) == 12
    clock.return_value += 0.5
    assert hits(20) == 16
    clock.return_value += 3600
    assert hits(20) == 12


@pytest.mark.parametrize("call", ["delete", "look"])
def test_it_counts_only_the_calls_that_it_is_for(call: str) -> None:
    limit = Fault(call="delete", per_second=1, times=None)
    hits = [limit.hits("opus", call, Call("GET", "/", {}, {}, {}, b"")) for _ in range(3)]
    assert hits == [False, call == "delete", call == "delete"]
