"""The sandbox's Opus over HTTP: what is marked as destroyed, what is submitted, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import requests

from airflow_provider_records.sandbox.core import Fault
from airflow_provider_records.sandbox.seed import ENAIO_CONNECTOR, UNIFIER_CONNECTOR
from tests.conftest import Serve
from tests.sandbox.opus_factory import SEED, Client, item, served, submitted


@pytest.fixture
def client(serve: Serve) -> Client:
    return served(serve)


class TestDestroy:
    def test_marks(self, client: Client) -> None:
        answer = client.destroy("a", "node")
        assert (answer.status_code, answer.json()) == (200, {"statusCode": 200, "message": None})
        assert client.effects("marked") == ["a", "node"]
        assert client.status_of("a") == client.status_of("node") == ["Destroyed"]
        assert client.status_of("b") == ["Active"]

    def test_204(self, client: Client) -> None:
        client.fake.turn({"success": "204"})
        answer = client.destroy("a")
        assert (answer.status_code, answer.content, client.effects("marked")) == (204, b"", ["a"])

    def test_again(self, client: Client) -> None:
        client.destroy("a")
        assert client.destroy("a", "b").status_code == 200
        assert (client.effects("marked"), client.effects("marked_again")) == (["a", "b"], ["a"])
        client.fake.turn({"second_delete": "refused"})
        assert client.destroy("a", "c").json()["failedItems"] == ["a"]
        assert (client.effects("marked"), client.effects("marked_again")) == (["a", "b", "c"], ["a"])

    @pytest.mark.parametrize("body", [None, b"", b"{}", b"[]", b'{"disposalIds": ["a"]', b'{"ids": ["a"]}'])
    def test_a_body_is_demanded(self, client: Client, body: bytes | None) -> None:
        answer = client.session.delete(client.url, data=body, headers={"Content-Type": "application/json"}, timeout=60)
        assert answer.status_code == 400

    def test_query_or_form_instead_of_a_body(self, client: Client) -> None:
        ids = {"disposalIds": "a"}
        assert client.session.delete(client.url, params=ids, timeout=60).status_code == 400
        assert client.session.delete(client.url, data=ids, timeout=60).status_code == 400
        assert client.session.delete(client.url, json={"disposalIds": ["a"]}, params=ids, timeout=60).status_code == 400
        text = {"Content-Type": "text/plain"}
        assert client.session.delete(client.url, data=b'{"disposalIds": ["a"]}', headers=text).status_code == 400
        assert client.status_of("a") == ["Active"]

    @pytest.mark.parametrize("ids", [[], "a", None, [1], [""], ["a", "a"], [["a"]]])
    def test_malformed_ids(self, client: Client, ids: Any) -> None:
        answer = client.session.delete(client.url, json={"disposalIds": ids}, timeout=60)
        assert answer.status_code == 400
        assert client.status_of("a") == ["Active"]

    def test_no_connection_id(self, client: Client) -> None:
        body = {"id": ENAIO_CONNECTOR, "disposalIds": ["a"]}
        assert client.session.delete(client.url, json=body, timeout=60).status_code == 400

    def test_sixteen(self, client: Client) -> None:
        keys = [f"more-{number}" for number in range(16)]
        client.fake.load([item(key) for key in keys])
        assert client.destroy(*keys).status_code == 400
        assert client.effects("marked") == []
        assert client.destroy(*keys[:15]).status_code == 200
        client.fake.turn({"sixteen": "processed"})
        assert client.destroy(*keys).status_code == 200
        assert len(client.effects("marked")) == 16

    def test_refused_per_item(self, client: Client) -> None:
        client.fake.decide("b", "reject")
        answer = client.destroy("a", "held", "review", "later", "gone", "b", "c")
        assert answer.status_code == 418
        assert answer.json() == {
            "statusCode": 418,
            "message": None,
            "failedItems": ["held", "review", "later", "gone", "b"],
        }
        assert client.effects("marked") == ["a", "c"]

    def test_decisions(self, client: Client) -> None:
        client.fake.decide("held", "release")
        client.fake.decide("review", "approve")
        assert client.destroy("held", "review").status_code == 200
        client.fake.decide("a", "hold")
        client.fake.decide("b", "review")
        assert client.destroy("a", "b").json()["failedItems"] == ["a", "b"]
        for key, decision in (("a", "destroy"), ("nobody", "approve")):
            with pytest.raises(ValueError, match=f"'{decision if key == 'a' else key}'"):
                client.fake.decide(key, decision)

    @pytest.mark.parametrize(
        ("where", "status", "code"),
        [("line_and_body", 418, 418), ("line", 418, None), ("body", 200, 418), ("neither", 200, 200)],
    )
    def test_where_418_stands(self, client: Client, where: str, status: int, code: int | None) -> None:
        client.fake.turn({"partial": where})
        answer = client.destroy("a", "held")
        assert (answer.status_code, answer.json().get("statusCode")) == (status, code)
        assert answer.json()["failedItems"] == ["held"]

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ("strings", ["held"]),
            ("objects", [{"rowKey": "held", "reason": "on hold"}]),
            ("unreadable", [{"index": 1}]),
            ("empty", []),
            ("absent", None),
        ],
    )
    def test_failed_items(self, client: Client, shape: str, expected: Any) -> None:
        client.fake.turn({"failed_items": shape})
        assert client.destroy("a", "held").json().get("failedItems") == expected
        assert client.effects("marked") == ["a"]

    def test_whole_call_refused(self, client: Client) -> None:
        client.fake.turn({"unapproved": "call_418"})
        assert client.destroy("a", "held").json()["failedItems"] == ["a", "held"]
        client.fake.turn({"unapproved": "call_400"})
        assert client.destroy("a", "held").status_code == 400
        assert client.effects("marked") == []
        assert client.destroy("a", "b").status_code == 200

    def test_key_in_two_connections(self, client: Client) -> None:
        client.fake.load([item("a", connector=UNIFIER_CONNECTOR), item("b", connector=UNIFIER_CONNECTOR)])
        client.destroy("a")
        assert client.status_of("a") == ["Destroyed", "Destroyed"]
        client.fake.turn({"shared_key": "first"})
        client.destroy("b")
        assert client.status_of("b") == ["Destroyed", "Active"]

    def test_lost_answer_after_acting(self, client: Client) -> None:
        client.server.sandbox.faults.append(Fault(vendor="opus", call="destroy_records", drop=True))
        with pytest.raises(requests.ConnectionError):
            client.destroy("a")
        assert client.effects("marked") == ["a"]
        assert client.destroy("a").status_code == 200
        assert (client.effects("marked"), client.effects("marked_again")) == (["a"], ["a"])

    def test_lost_before_acting(self, client: Client) -> None:
        client.server.sandbox.faults.append(Fault(vendor="opus", call="destroy_records", drop=True, act=False))
        with pytest.raises(requests.ConnectionError):
            client.destroy("a")
        assert client.status_of("a") == ["Active"]


class TestSubmit:
    def test_new(self, client: Client) -> None:
        answer = client.submit(submitted("new", **{"_Number_%20_Column": 7}), submitted("plain", termFullPath=""))
        assert (answer.status_code, answer.json()) == (201, {"statusCode": 201, "message": None})
        assert client.effects("submitted") == ["new", "plain"]
        (new,) = client.fake.records("new")
        assert (new.review, new.due, new.columns) == ("under_review", "2024-12-19T18:15:00", {"_Number_%20_Column": 7})
        assert client.destroy("new").json()["failedItems"] == ["new"]
        client.fake.decide("new", "approve")
        assert client.destroy("new").status_code == 200
        assert "termFullPath" not in client.due().json()["queriedItems"][-1]

    def test_conflicts(self, client: Client) -> None:
        client.fake.decide("a", "hold")
        client.submit(submitted("a"))
        assert client.fake.records("a")[0].leafName == "a Müller.pdf"
        client.submit(submitted("a"), conflictOption="Overwrite")
        (record,) = client.fake.records("a")
        assert (record.leafName, record.held, record.review) == ("New.pdf", True, "approved")
        assert (client.effects("submitted"), client.effects("overwritten")) == ([], ["a"])

    def test_partial(self, client: Client) -> None:
        client.destroy("a")
        answer = client.submit(submitted("a"), submitted("x", termFullPath="No/Such/Term"), submitted("y"))
        assert (answer.status_code, answer.json()["failedItems"]) == (418, ["a", "x"])
        assert client.effects("submitted") == ["y"]
        client.fake.turn({"partial": "body"})
        answer = client.submit(submitted("a"))
        assert (answer.status_code, answer.json()["statusCode"]) == (201, 418)

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": "d9da492f-0000-4000-8000-6fbaae1f1410"},
            {"id": None},
            {"conflictOption": "skip"},
            {"conflictOption": ["Skip"]},
            {"confilictOption": "Skip"},
            {"data": []},
            {"data": {}},
            {"data": ["a"]},
            {"data": [submitted("x"), submitted("x")]},
            {"data": [submitted(f"x{number}") for number in range(16)]},
            {"data": [submitted("")]},
            {"data": [submitted("x", createdBy=None)]},
            {"data": [submitted("x", timeCreated="2014-12-19T18:15:00")]},
        ],
    )
    def test_refused(self, client: Client, changes: dict[str, Any]) -> None:
        assert client.submit(submitted("x"), **changes).status_code == 400
        assert client.effects("submitted") == []


def test_every_request_is_logged(client: Client) -> None:
    for method, url, status in (
        ("PUT", client.url, 405),
        ("DELETE", client.token_url, 405),
        ("GET", client.url.replace("connector", "connectors"), 404),
    ):
        assert client.session.request(method, url, timeout=60).status_code == status
        assert (client.last.vendor, client.last.method, client.last.status) == ("opus", method, status)


def test_state_shows_every_record(client: Client) -> None:
    client.destroy("a")
    state = requests.get(f"{client.server.url}/_sandbox/state", timeout=60).json()["opus"]["connections"]
    assert {record["rowKey"]: record["status"] for record in state[ENAIO_CONNECTOR]}["a"] == "Destroyed"
    assert [record["rowKey"] for record in state[UNIFIER_CONNECTOR]] == ["node"]


def test_load_twice_adds(client: Client) -> None:
    client.fake.load([replace(SEED[0], key="again")])
    assert client.pages(100) == [["a", "b", "held", "review", "c", "again"]]
