"""What the fake vendors share: calls arrive as they were sent, the log is complete, switches and faults take effect."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_records.sandbox.core import FakeVendor, Fault, Handler, Sandbox, Switch
from airflow_provider_records.sandbox.message import AbortWith, Call, Reply
from airflow_provider_records.sandbox.server import Server


class Shelf(FakeVendor):
    """A vendor with one shelf: a DELETE takes a thing off it."""

    name = "shelf"
    switches = {"mood": Switch(("good", "bad"), "how it feels"), "speed": Switch((1.5,), "metres per second")}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[str] = []
        self.seen: list[Call] = []

    def calls(self) -> list[tuple[str, str, str, Handler]]:
        return [
            ("DELETE", "/shelf/{thing}", "take", self._take),
            ("GET", "/shelf", "look", self._look),
            ("POST", "/shelf/token", "token", self._look),
        ]

    def state(self) -> dict[str, Any]:
        return {"taken": self.taken}

    async def _take(self, call: Call) -> Reply:
        self.seen.append(call)
        if call.params["thing"] == "glue":
            raise AbortWith(Reply(409, {"stuck": True}))
        self.taken.append(call.params["thing"])
        return Reply(200, {"took": call.params["thing"]}, effects=[{"effect": "taken", "id": call.params["thing"]}])

    async def _look(self, call: Call) -> Reply:
        self.seen.append(call)
        return Reply(200, "a plain shelf", {"X-Shelf": "1"})


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def server(shelf: Shelf) -> Iterator[Server]:
    with Server(Sandbox([shelf])) as served:
        yield served


def take(server: Server, thing: str, **more: Any) -> requests.Response:
    return requests.delete(f"{server.url}/shelf/{thing}", timeout=60, **more)


def fault(server: Server, **values: Any) -> Fault:
    made = Fault(**values)
    server.sandbox.faults.append(made)
    return made


class TestCalls:
    def test_arrive_as_sent(self, server: Server, shelf: Shelf) -> None:
        take(server, "a%20b", params={"x": "1 +", "y": "ü"}, data=b'{"k": 1}', headers={"X-Mixed": "Case"})
        (call,) = shelf.seen
        assert (call.method, call.path, call.params) == ("DELETE", "/shelf/a%20b", {"thing": "a b"})
        assert call.query == {"x": "1 +", "y": "ü"}
        assert (call.headers["x-mixed"], call.body, call.json()) == ("Case", b'{"k": 1}', {"k": 1})

    def test_bodies(self, server: Server) -> None:
        answer = requests.get(f"{server.url}/shelf", timeout=60)
        assert (answer.text, answer.headers["X-Shelf"]) == ("a plain shelf", "1")
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert take(server, "cup").json() == {"took": "cup"}

    def test_a_handler_may_abort_without_effect(self, server: Server, shelf: Shelf) -> None:
        assert take(server, "glue").status_code == 409
        assert (shelf.taken, server.sandbox.log[0].effects, server.sandbox.log[0].status) == ([], [], 409)


class TestLog:
    def test_one_line_per_request(self, server: Server) -> None:
        before = time.time()
        take(server, "a%20b", params={"x": "1"}, data=b"why")
        take(server, "glue")
        first, second = requests.get(f"{server.url}/_sandbox/log", timeout=60).json()
        assert before <= first.pop("time") <= time.time()
        assert first == {
            "seq": 1,
            "vendor": "shelf",
            "call": "take",
            "method": "DELETE",
            "path": "/shelf/a%20b?x=1",
            "request": "why",
            "status": 200,
            "effects": [{"effect": "taken", "id": "a b"}],
            "fault": False,
        }
        assert (second["seq"], second["status"], second["effects"]) == (2, 409, [])

    def test_no_secrets(self, server: Server) -> None:
        requests.post(f"{server.url}/shelf/token", data={"client_secret": "x"}, timeout=60)
        assert server.sandbox.log[0].request == ""

    def test_cleared(self, server: Server) -> None:
        take(server, "cup")
        assert requests.delete(f"{server.url}/_sandbox/log", timeout=60).json() == []
        take(server, "pot")
        assert [entry.seq for entry in server.sandbox.log] == [1]

    def test_effects(self, server: Server) -> None:
        for thing in ("cup", "pot", "cup"):
            take(server, thing)
        assert server.sandbox.effects("shelf", "taken") == ["cup", "pot", "cup"]
        assert server.sandbox.effects("shelf", "broken") == server.sandbox.effects("opus", "taken") == []

    def test_state(self, server: Server) -> None:
        take(server, "cup")
        assert requests.get(f"{server.url}/_sandbox/state", timeout=60).json() == {"shelf": {"taken": ["cup"]}}


class TestSwitches:
    def test_defaults_and_changes(self, server: Server, shelf: Shelf) -> None:
        url = f"{server.url}/_sandbox/switches"
        assert requests.get(url, timeout=60).json()["shelf"]["mood"] == {
            "value": "good",
            "values": ["good", "bad"],
            "about": "how it feels",
        }
        answer = requests.put(url, json={"shelf": {"mood": "bad", "speed": 3}}, timeout=60)
        assert (answer.json()["shelf"]["mood"]["value"], shelf.set) == ("bad", {"mood": "bad", "speed": 3})

    @pytest.mark.parametrize(
        ("body", "named"),
        [
            ({"shelf": {"mod": "bad"}}, "mood, speed"),
            ({"shelf": {"mood": "sad"}}, "'good', 'bad'"),
            ({"shelf": {"speed": "3"}}, "1.5"),
            ({"shelf": {"speed": True}}, "1.5"),
            ({"shelf": {"mood": "bad", "speed": None}}, "speed"),
            ({"other": {}}, "shelf"),
            ({"shelf": 3}, ""),
            ([], ""),
        ],
    )
    def test_refused(self, server: Server, shelf: Shelf, body: Any, named: str) -> None:
        answer = requests.put(f"{server.url}/_sandbox/switches", json=body, timeout=60)
        assert answer.status_code == 400
        assert named in answer.json()["error"]
        assert shelf.set == {"mood": "good", "speed": 1.5}


class TestFaults:
    def test_status_after_acting(self, server: Server, shelf: Shelf) -> None:
        fault(server, status=503, headers={"Retry-After": "7"}, body="<html>")
        answer = take(server, "cup")
        assert (answer.status_code, answer.headers["Retry-After"], answer.text) == (503, "7", "<html>")
        (entry,) = server.sandbox.log
        assert (shelf.taken, entry.status, entry.fault) == (["cup"], 503, True)
        assert entry.effects == [{"effect": "taken", "id": "cup"}]
        assert take(server, "pot").status_code == 200

    def test_status_instead_of_acting(self, server: Server, shelf: Shelf) -> None:
        fault(server, status=500, act=False)
        assert (take(server, "cup").status_code, shelf.taken, server.sandbox.log[0].effects) == (500, [], [])

    @pytest.mark.parametrize("act", [True, False])
    def test_drop(self, server: Server, shelf: Shelf, act: bool) -> None:
        fault(server, drop=True, act=act)
        with pytest.raises(requests.ConnectionError):
            take(server, "cup")
        assert shelf.taken == (["cup"] if act else [])
        (entry,) = server.sandbox.log
        assert (entry.status, entry.fault, bool(entry.effects)) == (0, True, act)

    def test_drop_sends_no_byte(self, server: Server) -> None:
        fault(server, drop=True)
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port), timeout=60) as raw:
            raw.sendall(b"GET /shelf HTTP/1.1\r\nHost: x\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert raw.recv(100) == b""

    def test_body_alone_keeps_the_status(self, server: Server) -> None:
        fault(server, body={"statusCode": 418})
        answer = take(server, "cup")
        assert (answer.status_code, answer.json()) == (200, {"statusCode": 418})

    def test_headers_alone_keep_the_body(self, server: Server) -> None:
        fault(server, headers={"X-Shelf": "2"})
        answer = requests.get(f"{server.url}/shelf", timeout=60)
        assert (answer.text, answer.headers["X-Shelf"]) == ("a plain shelf", "2")

    def test_cut(self, server: Server) -> None:
        fault(server, cut=4)
        assert take(server, "cup").text == '{"to'

    def test_latency_is_harmless(self, server: Server) -> None:
        fault(server, latency_ms=150)
        start = time.monotonic()
        assert take(server, "cup").json() == {"took": "cup"}
        assert time.monotonic() - start >= 0.15
        assert not server.sandbox.log[0].fault

    def test_drip(self, server: Server) -> None:
        fault(server, drip_ms=20)
        address = urlsplit(server.url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        connection.request("GET", "/shelf")
        answer = connection.getresponse()
        start = time.monotonic()
        assert answer.read(3) == b"a p"
        assert answer.read() == b"lain shelf"
        assert time.monotonic() - start >= 0.1
        connection.close()

    def test_whom_it_hits(self, server: Server) -> None:
        fault(server, vendor="opus", status=500, times=None)
        fault(server, call="look", status=501, times=None)
        fault(server, match="po", status=502, times=None)
        fault(server, match="why", status=504, times=None)
        assert requests.get(f"{server.url}/shelf", timeout=60).status_code == 501
        assert [take(server, thing).status_code for thing in ("cup", "pot")] == [200, 502]
        assert take(server, "cup", data=b"say why").status_code == 504

    def test_skip_and_times(self, server: Server) -> None:
        made = fault(server, call="take", skip=2, times=2, status=500)
        requests.get(f"{server.url}/shelf", timeout=60)
        assert [take(server, "cup").status_code for _ in range(6)] == [200, 200, 500, 500, 200, 200]
        assert (made.skip, made.times) == (0, 0)

    def test_by_http(self, server: Server) -> None:
        url = f"{server.url}/_sandbox/faults"
        (made,) = requests.post(url, json={"vendor": "shelf", "status": 429, "times": None}, timeout=60).json()
        assert set(made) == {item.name for item in fields(Fault)}
        assert take(server, "cup").status_code == 429
        assert requests.delete(url, timeout=60).json() == []
        assert take(server, "cup").status_code == 200

    @pytest.mark.parametrize("body", ['{"statsu": 500}', "{", '"drop"', "3"])
    def test_unknown_fields(self, server: Server, body: str) -> None:
        answer = requests.post(f"{server.url}/_sandbox/faults", data=body, timeout=60)
        assert (answer.status_code, bool(answer.json()["error"]), server.sandbox.faults) == (400, True, [])

    def test_control_is_never_hit(self, server: Server) -> None:
        fault(server, drop=True, times=None)
        assert requests.get(f"{server.url}/_sandbox/log", timeout=60).json() == []
