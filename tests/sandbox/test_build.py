"""The assembled sandbox over HTTP: one seed in three vendors, the reset, and who may control it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_records.sandbox import seed
from airflow_provider_records.sandbox.build import build, connections
from airflow_provider_records.sandbox.opus import FakeOpus
from airflow_provider_records.sandbox.server import Server

OPUS_CALLS = "/opus/records/connector/records"
ITEMS = seed.items(60, 7)


@pytest.fixture(scope="module")
def served() -> Iterator[Server]:
    with Server(build(60, 7)) as server:
        yield server


@pytest.fixture
def server(served: Server) -> Server:
    assert requests.post(f"{served.url}/_sandbox/reset", timeout=30).status_code == 200
    return served


def opus(server: Server) -> FakeOpus:
    fake = server.sandbox.vendors["opus"]
    assert isinstance(fake, FakeOpus)
    return fake


def post(server: Server, system: str, **body: Any) -> requests.Response:
    return requests.post(f"{server.url}/console/{system}", json=body, timeout=60)


class TestWorld:
    def test_all_parts_know_the_seed(self, server: Server) -> None:
        state = requests.get(f"{server.url}/_sandbox/state", timeout=60).json()
        in_opus = [record["rowKey"] for records in state["opus"]["connections"].values() for record in records]
        assert in_opus == [item.key for item in ITEMS]
        for item in ITEMS:
            live = item.target_id in state[item.system]["live"]
            assert live == (item.trouble != "gone"), item.key

    def test_connections_work(self, server: Server) -> None:
        known = connections(server.sandbox, server.url)
        opus_fields = known["opus_default"]
        token = requests.post(
            opus_fields["extra"]["identity_url"],
            data={
                "grant_type": "client_credentials",
                "scope": "records.readwrite.all",
                "client_id": opus_fields["login"],
                "client_secret": opus_fields["password"],
            },
            timeout=60,
        ).json()["access_token"]
        due = requests.get(
            f"{opus_fields['host']}/records/connector/records",
            params={
                "id": opus_fields["extra"]["connector_id"],
                "disposalDueDate": "2026-01-01T00:00:00",
                "itemsPerPage": 100,
            },
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        ).json()["queriedItems"]
        assert len(due) == 60
        one = known["enaio_default"]
        found = requests.get(f"{one['host']}/api/dms/objects/109491", auth=(one["login"], one["password"]), timeout=60)
        assert found.status_code == 200
        one = known["unifier_default"]
        found = requests.get(
            f"{one['host']}/ws/rest/service/v1/login", auth=(one["login"], one["password"]), timeout=60
        )
        assert found.json()["token"]

    def test_the_first_page_has_what_airflows_form_asks_for(self, server: Server) -> None:
        page = requests.get(f"{server.url}/", timeout=60).text
        rows = re.findall(
            r"<tr><td class=\"id\">(.+?)</tr>", page.partition("Connections")[2].partition("<pre>")[0], re.DOTALL
        )
        known = connections(server.sandbox, server.url)
        assert [row.partition("<")[0] for row in rows] == list(known)
        for row, about in zip(rows, known.values(), strict=True):
            for text in (about["host"], about["login"], about["password"], *about["extra"].values()):
                assert f"{text}<" in row or f"{text}\n" in row
            assert f">{server.url.rpartition(':')[2]}<" in row

    def test_index(self, server: Server) -> None:
        text = requests.get(server.url, timeout=60).text
        for fields in connections(server.sandbox, server.url).values():
            assert fields["host"] in text
            assert fields["password"] in text
        exported = dict(re.findall(r"export AIRFLOW_CONN_(\w+)='(.*)'", text))
        assert {name: json.loads(value) for name, value in exported.items()} == {
            name.upper(): value for name, value in connections(server.sandbox, server.url).items()
        }
        assert "80 records" in text
        for path in ("log", "state", "switches", "faults"):
            assert f'"/_sandbox/{path}"' in text
            assert requests.get(f"{server.url}/_sandbox/{path}", timeout=60).status_code == 200

    def test_reset(self, server: Server) -> None:
        requests.put(f"{server.url}/_sandbox/switches", json={"opus": {"success": "204"}}, timeout=60)
        requests.post(
            f"{server.url}/_sandbox/faults", json={"vendor": "opus", "status": 503, "times": None}, timeout=60
        )
        assert requests.get(f"{server.url}{OPUS_CALLS}", timeout=60).status_code == 503
        post(server, "opus", keys=["enaio-109491"], decision="hold")
        before = server.sandbox.vendors["opus"]
        for _ in range(2):
            answer = requests.post(f"{server.url}/_sandbox/reset", json={"records": 3, "seed": 1}, timeout=60)
            assert answer.json() == {"records": 3, "seed": 1}
        assert opus(server) is not before
        assert len(opus(server).connections[seed.ENAIO_CONNECTOR]) == 3 + 5
        assert opus(server).set["success"] == "200"
        assert (server.sandbox.log, server.sandbox.faults) == ([], [])
        assert requests.get(f"{server.url}{OPUS_CALLS}", timeout=60).status_code == 401
        assert [entry.status for entry in server.sandbox.log] == [401]
        requests.post(f"{server.url}/_sandbox/faults", json={"vendor": "opus", "status": 418}, timeout=60)
        assert [fault.status for fault in server.sandbox.faults] == [418]
        assert "23 records" in requests.get(server.url, timeout=60).text

    @pytest.mark.parametrize(
        "body", ["[]", '{"records": "3"}', '{"records": true}', '{"records": -1}', '{"count": 3}', "{", "3"]
    )
    def test_reset_refuses(self, server: Server, body: str) -> None:
        before = server.sandbox.vendors["opus"]
        answer = requests.post(f"{server.url}/_sandbox/reset", data=body, timeout=60)
        assert (answer.status_code, bool(answer.json()["error"])) == (400, True)
        assert server.sandbox.vendors["opus"] is before

    @pytest.mark.parametrize("path", ["/", "/console", "/_sandbox/log", "/_sandbox/reset", "/console/opus"])
    def test_other_hosts_are_refused(self, server: Server, path: str) -> None:
        port = server.url.rpartition(":")[2]
        method = "POST" if path in {"/_sandbox/reset", "/console/opus"} else "GET"
        for headers in (
            {"Host": f"evil.example:{port}"},
            {"Host": f"127.0.0.1.evil.example:{port}"},
            {"Host": f"localhost@evil.example:{port}"},
            {"Host": ""},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://[broken"},
        ):
            answer = requests.request(method, server.url + path, headers=headers, timeout=60)
            assert answer.status_code in {400, 403}, headers
            assert "Records" not in answer.text
        for headers in ({"Host": f"localhost:{port}"}, {"Origin": "http://localhost:8080"}, {"Origin": server.url}):
            assert requests.request(method, server.url + path, headers=headers, timeout=60).status_code != 403

    def test_vendors_do_not_care_about_the_host(self, server: Server) -> None:
        answer = requests.get(f"{server.url}{OPUS_CALLS}", headers={"Host": "graph-we.example"}, timeout=60)
        assert answer.status_code == 401
