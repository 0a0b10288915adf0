"""The assembled sandbox over HTTP: one seed in three vendors, the desk, the reset, and who may steer it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_records.sandbox import seed
from airflow_provider_records.sandbox.core import Server
from airflow_provider_records.sandbox.enaio import EnaioPart
from airflow_provider_records.sandbox.opus import OpusPart
from airflow_provider_records.sandbox.unifier import UnifierPart
from airflow_provider_records.sandbox.world import build, connections

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


def opus(server: Server) -> OpusPart:
    part = server.stage.parts["opus"]
    assert isinstance(part, OpusPart)
    return part


def enaio(server: Server) -> EnaioPart:
    part = server.stage.parts["enaio"]
    assert isinstance(part, EnaioPart)
    return part


def unifier(server: Server) -> UnifierPart:
    part = server.stage.parts["unifier"]
    assert isinstance(part, UnifierPart)
    return part


def post(server: Server, system: str, **body: Any) -> requests.Response:
    return requests.post(f"{server.url}/desk/{system}", json=body, timeout=5)


def form(server: Server, system: str, search: str = "", **fields: Any) -> requests.Response:
    query = {"q": search} if search else {}
    return requests.post(f"{server.url}/desk/{system}", params=query, data=fields, timeout=5, allow_redirects=False)


class TestSeed:
    def test_same_numbers_same_records(self) -> None:
        assert seed.items(60, 7) == ITEMS
        assert seed.items(60, 8) != ITEMS

    @pytest.mark.parametrize(("records", "in_unifier"), [(0, 20), (1, 20), (40, 20), (300, 100)])
    def test_counts(self, records: int, in_unifier: int) -> None:
        items = seed.items(records, 3)
        due = Counter(item.system for item in items if item.due < "2026")
        assert due == Counter({"enaio": records, "unifier": in_unifier})
        later = Counter(item.system for item in items if item.due >= "2031")
        assert later == {"enaio": max(5, records // 10), "unifier": max(5, in_unifier // 10)}
        assert sum(due.values()) + sum(later.values()) == len(items)

    def test_keys_and_ids(self) -> None:
        assert len({item.key for item in ITEMS}) == len(ITEMS)
        for item in ITEMS:
            assert item.key == f"{item.system}-{item.target_id}"
            assert item.target_id.isdigit()
            assert item.connector_id == {"enaio": seed.ENAIO_CONNECTOR, "unifier": seed.UNIFIER_CONNECTOR}[item.system]
        folders = {(item.system, item.folder_id) for item in ITEMS}
        assert not folders & {(item.system, item.target_id) for item in ITEMS}

    def test_one_folder_per_place(self) -> None:
        items = seed.items(2000, 5)
        places = {(item.system, item.project, item.folder_path) for item in items}
        assert len(places) == len({(item.system, item.folder_id) for item in items})

    def test_dates_are_in_order(self) -> None:
        shape = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
        for item in seed.items(500, 1):
            assert shape.fullmatch(item.created)
            assert shape.fullmatch(item.modified)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", item.due)
            assert item.created < item.modified < "2026"
            assert item.modified[:10] < item.due[:10]

    def test_trouble(self) -> None:
        for records in (40, 1000):
            items = seed.items(records, 2)
            enaio_kinds = {item.trouble for item in items if item.system == "enaio"}
            assert enaio_kinds == {"", "no_right", "workflow", "locked", "gone", "held", "under_review"}
            assert {item.trouble for item in items if item.system == "unifier"} >= {"", "linked", "locked", "gone"}
        assert sum(1 for item in items if item.trouble) == 1000 // 25 + 333 // 25
        assert not any(item.trouble for item in items if item.due >= "2026")
        assert not any(item.trouble for item in seed.items(24, 2))


class TestWorld:
    def test_all_parts_know_the_seed(self, server: Server) -> None:
        state = requests.get(f"{server.url}/_sandbox/state", timeout=10).json()
        in_opus = [record["rowKey"] for records in state["opus"]["connections"].values() for record in records]
        assert in_opus == [item.key for item in ITEMS]
        for item in ITEMS:
            live = item.target_id in state[item.system]["live"]
            assert live == (item.trouble != "gone"), item.key

    def test_connections_work(self, server: Server) -> None:
        known = connections(server.stage, server.url)
        opus_fields = known["opus_default"]
        token = requests.post(
            opus_fields["extra"]["identity_url"],
            data={
                "grant_type": "client_credentials",
                "scope": "records.readwrite.all",
                "client_id": opus_fields["login"],
                "client_secret": opus_fields["password"],
            },
            timeout=5,
        ).json()["access_token"]
        due = requests.get(
            f"{opus_fields['host']}/records/connector/records",
            params={
                "id": opus_fields["extra"]["connector_id"],
                "disposalDueDate": "2026-01-01T00:00:00",
                "itemsPerPage": 100,
            },
            headers={"Authorization": f"Bearer {token}"},
            timeout=5,
        ).json()["queriedItems"]
        assert len(due) == 60
        one = known["enaio_default"]
        found = requests.get(f"{one['host']}/api/dms/objects/109491", auth=(one["login"], one["password"]), timeout=5)
        assert found.status_code == 200
        one = known["unifier_default"]
        found = requests.get(f"{one['host']}/ws/rest/service/v1/login", auth=(one["login"], one["password"]), timeout=5)
        assert found.json()["token"]

    def test_index(self, server: Server) -> None:
        text = requests.get(server.url, timeout=5).text
        for fields in connections(server.stage, server.url).values():
            assert fields["host"] in text
            assert fields["password"] in text
        exported = dict(re.findall(r"export AIRFLOW_CONN_(\w+)='(.*)'", text))
        assert {name: json.loads(value) for name, value in exported.items()} == {
            name.upper(): value for name, value in connections(server.stage, server.url).items()
        }
        assert "80 records" in text
        for path in ("log", "state", "switches", "faults"):
            assert f'"/_sandbox/{path}"' in text
            assert requests.get(f"{server.url}/_sandbox/{path}", timeout=10).status_code == 200

    def test_reset(self, server: Server) -> None:
        requests.put(f"{server.url}/_sandbox/switches", json={"opus": {"success": "204"}}, timeout=5)
        requests.post(f"{server.url}/_sandbox/faults", json={"vendor": "opus", "status": 503, "times": None}, timeout=5)
        assert requests.get(f"{server.url}{OPUS_CALLS}", timeout=5).status_code == 503
        post(server, "opus", keys=["enaio-109491"], decision="hold")
        before = server.stage.parts["opus"]
        for _ in range(2):
            answer = requests.post(f"{server.url}/_sandbox/reset", json={"records": 3, "seed": 1}, timeout=10)
            assert answer.json() == {"records": 3, "seed": 1}
        assert opus(server) is not before
        assert len(opus(server).connections[seed.ENAIO_CONNECTOR]) == 3 + 5
        assert opus(server).set["success"] == "200"
        assert (server.stage.log, server.stage.faults) == ([], [])
        assert requests.get(f"{server.url}{OPUS_CALLS}", timeout=5).status_code == 401
        assert [entry.status for entry in server.stage.log] == [401]
        requests.post(f"{server.url}/_sandbox/faults", json={"vendor": "opus", "status": 418}, timeout=5)
        assert [fault.status for fault in server.stage.faults] == [418]
        assert "23 records" in requests.get(server.url, timeout=5).text

    @pytest.mark.parametrize(
        "body", ["[]", '{"records": "3"}', '{"records": true}', '{"records": -1}', '{"count": 3}', "{", "3"]
    )
    def test_reset_refuses(self, server: Server, body: str) -> None:
        before = server.stage.parts["opus"]
        answer = requests.post(f"{server.url}/_sandbox/reset", data=body, timeout=5)
        assert (answer.status_code, bool(answer.json()["error"])) == (400, True)
        assert server.stage.parts["opus"] is before

    @pytest.mark.parametrize("path", ["/", "/desk", "/_sandbox/log", "/_sandbox/reset", "/desk/opus"])
    def test_other_hosts_are_refused(self, server: Server, path: str) -> None:
        port = server.url.rpartition(":")[2]
        method = "POST" if path in {"/_sandbox/reset", "/desk/opus"} else "GET"
        for headers in (
            {"Host": f"evil.example:{port}"},
            {"Host": f"127.0.0.1.evil.example:{port}"},
            {"Host": f"localhost@evil.example:{port}"},
            {"Host": ""},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://[broken"},
        ):
            answer = requests.request(method, server.url + path, headers=headers, timeout=5)
            assert answer.status_code in {400, 403}, headers
            assert "Records" not in answer.text
        for headers in ({"Host": f"localhost:{port}"}, {"Origin": "http://localhost:8080"}, {"Origin": server.url}):
            assert requests.request(method, server.url + path, headers=headers, timeout=5).status_code != 403

    def test_vendors_do_not_care_about_the_host(self, server: Server) -> None:
        answer = requests.get(f"{server.url}{OPUS_CALLS}", headers={"Host": "graph-we.example"}, timeout=5)
        assert answer.status_code == 401


class TestDeskJson:
    def test_unifier(self, server: Server) -> None:
        digest = f"sha256:{'ab' * 32}"
        asked = {"project_number": "P-0001", "record_no": "DR-0001"}
        opened = post(server, "unifier", action="open", title="Pläne", disposal_digest=digest, **asked)
        assert opened.json() == {"done": "Unifier: Disposal Request DR-0001 opened in P-0001"}
        (record,) = unifier(server).state()["bp_records"]
        assert record["fields"] == {
            "record_no": "DR-0001",
            "status": "Pending",
            "title": "Pläne",
            "disposal_digest": digest,
        }
        assert post(server, "unifier", action="open", **asked).status_code == 400
        assert post(server, "unifier", action="set_status", status="Approved", **asked).status_code == 200
        (record,) = unifier(server).state()["bp_records"]
        assert record["fields"]["status"] == "Approved"
        assert record["fields"]["disposal_digest"] == digest

    def test_enaio(self, server: Server) -> None:
        ids = ["109491", "109497"]
        assert post(server, "enaio", object_ids=ids, value="approved").status_code == 200
        fields = [enaio(server).archive.objects[object_id].fields["Disposal"] for object_id in (*ids, "109504")]
        assert fields == ["approved", "approved", ""]
        assert post(server, "enaio", object_ids=ids[:1], value="").json() == {
            "done": "enaio: Disposal is now empty for object 109491"
        }
        assert enaio(server).archive.objects["109491"].fields["Disposal"] == ""

    def test_opus(self, server: Server) -> None:
        assert post(server, "opus", keys=["enaio-109491", "enaio-109497"], decision="reject").status_code == 200
        assert post(server, "opus", keys=["enaio-109497"], decision="hold").status_code == 200
        reviews = [(opus(server).records(key)[0].review, opus(server).records(key)[0].held)
                   for key in ("enaio-109491", "enaio-109497", "enaio-109504")]  # fmt: skip
        assert reviews == [("rejected", False), ("rejected", True), ("approved", False)]

    @pytest.mark.parametrize(
        ("system", "body", "named"),
        [
            ("unifier", {"action": "open", "project_number": "P-9999", "record_no": "DR-1"}, "P-9999"),
            ("unifier", {"action": "open", "project_number": "P-0001"}, "record_no"),
            ("unifier", {"action": "close", "project_number": "P-0001", "record_no": "DR-1"}, "close"),
            ("unifier", {"project_number": "P-0001", "record_no": "DR-1", "status": "Approved"}, "action"),
            (
                "unifier",
                {"action": "set_status", "project_number": "P-0001", "record_no": "DR-9", "status": "Approved"},
                "DR-9",
            ),
            ("unifier", {"action": "open", "project_number": "P-0001", "record_no": "DR-1", "digest": "x"}, "digest"),
            ("enaio", {"object_ids": ["109491", "7"], "value": "approved"}, "'7'"),
            ("enaio", {"object_ids": ["109491"], "value": "yes"}, "value"),
            ("enaio", {"object_ids": "109491", "value": "approved"}, "object_ids"),
            ("enaio", {"object_ids": [], "value": "approved"}, "object_ids"),
            ("opus", {"keys": ["enaio-109491", "nobody"], "decision": "hold"}, "nobody"),
            ("opus", {"keys": ["enaio-109491"], "decision": "destroy"}, "destroy"),
            ("opus", {"keys": ["enaio-109491"]}, "decision"),
        ],
    )
    def test_refused_and_nothing_changed(self, server: Server, system: str, body: dict[str, Any], named: str) -> None:
        before = requests.get(f"{server.url}/_sandbox/state", timeout=10).json()
        answer = post(server, system, **body)
        assert answer.status_code == 400
        assert named in answer.json()["error"]
        assert requests.get(f"{server.url}/_sandbox/state", timeout=10).json() == before

    def test_no_object(self, server: Server) -> None:
        for data in ("[]", "{", ""):
            answer = requests.post(
                f"{server.url}/desk/opus", data=data, headers={"Content-Type": "application/json"}, timeout=5
            )
            assert answer.status_code == 400


class TestDeskForms:
    def test_back_to_the_page(self, server: Server) -> None:
        answer = form(server, "opus", search="fischer", keys=["enaio-109497"], decision="hold")
        assert (answer.status_code, answer.headers["location"]) == (303, "/desk?q=fischer#opus")
        assert opus(server).records("enaio-109497")[0].held
        page = requests.get(f"{server.url}/desk", timeout=5).text
        assert "Opus: hold for record enaio-109497" in page
        assert "Opus: hold for record" not in requests.get(f"{server.url}/desk", timeout=5).text

    def test_all_that_match(self, server: Server) -> None:
        form(server, "enaio", search="INVOICE", all="object_ids", value="approved")
        objects = [item for item in enaio(server).archive.objects.values() if item.base == "DOCUMENT"]
        approved = {item.id for item in objects if item.fields["Disposal"] == "approved"}
        assert approved == {item.id for item in objects if item.object_type == "Invoice"}
        assert 0 < len(approved) < len(objects)
        form(server, "opus", all="keys", decision="review")
        assert {record["review"] for records in opus(server).state()["connections"].values() for record in records} == {
            "under_review"
        }

    def test_unifier(self, server: Server) -> None:
        asked = {"project_number": "P-0001", "record_no": "DR-0001", "bpname": "Disposal Request"}
        form(server, "unifier", action="open", title="<script>alert(1)</script>", disposal_digest="", **asked)
        page = requests.get(f"{server.url}/desk", timeout=5).text
        assert "&lt;script&gt;alert(1)" in page
        assert "<script" not in page
        form(server, "unifier", action="set_status", status="Rejected", **asked)
        assert unifier(server).state()["bp_records"][0]["fields"]["status"] == "Rejected"

    def test_error_is_shown_on_the_page(self, server: Server) -> None:
        answer = form(server, "enaio", value="approved")
        assert answer.status_code == 400
        assert "nothing selected" in answer.text
        assert "<form" in answer.text

    def test_search(self, server: Server) -> None:
        page = requests.get(f"{server.url}/desk", params={"q": "on hold"}, timeout=5).text
        held = [item.key for item in ITEMS if item.trouble == "held"]
        assert held
        assert all(key in page for key in held)
        assert page.count('name="keys"') == len(held)
        assert "Nothing found." in page
        page = requests.get(f"{server.url}/desk", params={"q": '"><script>'}, timeout=5).text
        assert "<script>" not in page
