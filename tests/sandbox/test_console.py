"""The approval console over HTTP: what people decide there, by JSON and by forms, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_records.sandbox import seed
from airflow_provider_records.sandbox.build import build
from airflow_provider_records.sandbox.enaio import FakeEnaio
from airflow_provider_records.sandbox.opus import FakeOpus
from airflow_provider_records.sandbox.server import Server
from airflow_provider_records.sandbox.unifier import FakeUnifier

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


def enaio(server: Server) -> FakeEnaio:
    fake = server.sandbox.vendors["enaio"]
    assert isinstance(fake, FakeEnaio)
    return fake


def unifier(server: Server) -> FakeUnifier:
    fake = server.sandbox.vendors["unifier"]
    assert isinstance(fake, FakeUnifier)
    return fake


def post(server: Server, system: str, **body: Any) -> requests.Response:
    return requests.post(f"{server.url}/console/{system}", json=body, timeout=60)


def form(server: Server, system: str, search: str = "", **fields: Any) -> requests.Response:
    query = {"q": search} if search else {}
    return requests.post(f"{server.url}/console/{system}", params=query, data=fields, timeout=60, allow_redirects=False)


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

    def test_another_field_of_enaio(self, server: Server) -> None:
        before = enaio(server).archive.objects["109491"].modified
        answer = post(server, "enaio", object_ids=["109491"], field="Title", value="Another")
        assert answer.json() == {"done": "enaio: Title is now Another for object 109491"}
        assert enaio(server).archive.objects["109491"].fields["Title"] == "Another"
        assert enaio(server).archive.objects["109491"].modified > before

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
            ("enaio", {"object_ids": ["109491"], "field": "Title", "value": 5}, "value"),
            ("enaio", {"object_ids": ["109491"], "field": 5, "value": "x"}, "field"),
            ("enaio", {"object_ids": "109491", "value": "approved"}, "object_ids"),
            ("enaio", {"object_ids": [], "value": "approved"}, "object_ids"),
            ("opus", {"keys": ["enaio-109491", "nobody"], "decision": "hold"}, "nobody"),
            ("opus", {"keys": ["enaio-109491"], "decision": "destroy"}, "destroy"),
            ("opus", {"keys": ["enaio-109491"]}, "decision"),
        ],
    )
    def test_refused_and_nothing_changed(self, server: Server, system: str, body: dict[str, Any], named: str) -> None:
        before = requests.get(f"{server.url}/_sandbox/state", timeout=60).json()
        answer = post(server, system, **body)
        assert answer.status_code == 400
        assert named in answer.json()["error"]
        assert requests.get(f"{server.url}/_sandbox/state", timeout=60).json() == before

    def test_no_object(self, server: Server) -> None:
        for data in ("[]", "{", ""):
            answer = requests.post(
                f"{server.url}/console/opus", data=data, headers={"Content-Type": "application/json"}, timeout=60
            )
            assert answer.status_code == 400


class TestDeskForms:
    def test_back_to_the_page(self, server: Server) -> None:
        answer = form(server, "opus", search="fischer", keys=["enaio-109497"], decision="hold")
        assert (answer.status_code, answer.headers["location"]) == (303, "/console?q=fischer#opus")
        assert opus(server).records("enaio-109497")[0].held
        page = requests.get(f"{server.url}/console", timeout=60).text
        assert "Opus: hold for record enaio-109497" in page
        assert "Opus: hold for record" not in requests.get(f"{server.url}/console", timeout=60).text

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
        page = requests.get(f"{server.url}/console", timeout=60).text
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
        page = requests.get(f"{server.url}/console", params={"q": "on hold"}, timeout=60).text
        held = [item.key for item in ITEMS if item.trouble == "held"]
        assert held
        assert all(key in page for key in held)
        assert page.count('name="keys"') == len(held)
        assert "Nothing found." in page
        page = requests.get(f"{server.url}/console", params={"q": '"><script>'}, timeout=60).text
        assert "<script>" not in page


class TestDecisionsBetweenTwoCalls:
    """A fault lets people decide right before a call."""

    def test_each_system(self, server: Server) -> None:
        unifier(server).open_request("P-0001", "DR-1", status="Approved")
        decisions = {
            "opus": {"keys": ["enaio-109491"], "decision": "extend"},
            "enaio": {"object_ids": ["109491"], "value": "rejected"},
            "unifier": {
                "action": "set_status",
                "project_number": "P-0001",
                "record_no": "DR-1",
                "status": "Withdrawn",
            },
        }
        fault = {"vendor": "enaio", "call": "get_object", "skip": 1, "decide": decisions}
        answer = requests.post(f"{server.url}/_sandbox/faults", json=fault, timeout=60)
        assert answer.status_code == 200, answer.text
        due = opus(server).records("enaio-109491")[0].due
        login = (enaio(server).user, enaio(server).password)
        shown = []
        for _ in range(3):
            url = f"{server.url}/enaio/api/dms/objects/109491"
            found = requests.get(url, auth=login, headers={"Accept": "application/json"}, timeout=60).json()
            shown.append(found["objects"][0]["properties"].get("Disposal", {}).get("value", ""))
        assert shown == ["", "rejected", "rejected"]
        assert opus(server).records("enaio-109491")[0].due[:4] == str(int(due[:4]) + 10)
        assert unifier(server).records["P-0001", "Disposal Request", "DR-1"].fields["status"] == "Withdrawn"

    def test_nobody_decides_in_an_unknown_system(self, server: Server) -> None:
        answer = requests.post(f"{server.url}/_sandbox/faults", json={"decide": {"sap": {}}}, timeout=60)
        assert (answer.status_code, answer.json()) == (400, {"error": "decide: nobody decides in sap"})
