"""The sandbox's Opus over HTTP: what the due list shows, its pages, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_records.sandbox.opus import SWITCHES
from airflow_provider_records.sandbox.seed import ENAIO_CONNECTOR, UNIFIER_CONNECTOR
from tests.conftest import Serve
from tests.sandbox.opus_factory import NOW, Client, served


@pytest.fixture
def client(serve: Serve) -> Client:
    return served(serve)


class TestDueList:
    def test_shape(self, client: Client) -> None:
        body = client.due().json()
        assert body["statusCode"] == 200
        assert body["startIndex"] is None
        assert body["queriedItems"][0] == {
            "rowKey": "a",
            "leafName": "a Müller.pdf",
            "termFullPath": "Personnel/Contracts",
            "timeCreated": "2014-12-19 18:15:00 ",
            "timeModified": "2014-12-20 18:15:00 ",
            "createdBy": "jane.doe",
            "modifiedBy": "jane.doe",
        }

    def test_one_connection_and_only_what_is_due(self, client: Client) -> None:
        assert client.pages(100) == [["a", "b", "held", "review", "c"]]
        assert client.pages(100, id=UNIFIER_CONNECTOR.upper()) == [["node"]]

    def test_due_date_is_exclusive(self, client: Client) -> None:
        assert client.due(disposalDueDate="2025-01-01T00:00:00").status_code == 204
        assert client.due(disposalDueDate="2025-01-01T00:00:01").status_code == 200

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": None},
            {"id": "d9da492f-0000-4000-8000-6fbaae1f1410"},
            {"disposalDueDate": None},
            {"disposalDueDate": ""},
            {"disposalDueDate": "2026-01-01"},
            {"disposalDueDate": "2026-01-01T00:00:00Z"},
            {"disposalDueDate": "2026-01-01T00:00:00+01:00"},
            {"disposalDueDate": "2026-13-01T00:00:00"},
            {"itemsPerPage": None},
            {"itemsPerPage": 0},
            {"itemsPerPage": 101},
            {"itemsPerPage": "ten"},
            {"startIndex": "1"},
            {"startIndex": "+/!"},
            {"pageIndex": "1"},
        ],
    )
    def test_refused(self, client: Client, changes: dict[str, Any]) -> None:
        answer = client.due(**changes)
        assert (answer.status_code, answer.json()["statusCode"]) == (400, 400)
        assert answer.headers["request-id"]

    @pytest.mark.parametrize("form", SWITCHES["start_index"].values)
    @pytest.mark.parametrize("end", SWITCHES["last_page"].values)
    def test_pages(self, client: Client, form: str, end: str) -> None:
        client.fake.turn({"start_index": form, "last_page": end})
        assert client.pages(2) == [["a", "b"], ["held", "review"], ["c"]]
        assert client.pages(5) == [["a", "b", "held", "review", "c"]]
        last = client.due().json()
        assert last.get("startIndex", "absent") == {"null": None, "empty": "", "absent": "absent"}[end]

    def test_opaque_cursor_belongs_to_its_query(self, client: Client) -> None:
        cursor = client.due(itemsPerPage=1).json()["startIndex"]
        assert client.due(itemsPerPage=1, startIndex=cursor).status_code == 200
        assert client.due(itemsPerPage=1, startIndex=cursor, disposalDueDate="2025-06-01T00:00:00").status_code == 400
        assert client.due(itemsPerPage=1, startIndex=cursor, id=UNIFIER_CONNECTOR).status_code == 400
        raw = f"{client.url}?id={ENAIO_CONNECTOR}&disposalDueDate={NOW}&itemsPerPage=1&startIndex={cursor}"
        assert client.session.get(raw, timeout=60).status_code == 400

    def test_query_case(self, client: Client) -> None:
        wrong = {"itemsPerPage": None, "itemsPerpage": "2"}
        assert client.due(**wrong).status_code == 200
        client.fake.turn({"query_case": "exact"})
        assert client.due(**wrong).status_code == 400
        assert client.due().status_code == 200

    def test_zone(self, client: Client) -> None:
        bound = "2025-01-01T10:00:00"
        assert client.due(disposalDueDate=bound).status_code == 200
        client.fake.turn({"zone": "tenant"})
        assert client.due(disposalDueDate=bound).status_code == 204
        assert client.due(disposalDueDate="2025-01-01T10:00:01").status_code == 200
        assert client.due(disposalDueDate="0001-01-01T00:00:00").status_code == 400

    def test_none_due(self, client: Client) -> None:
        early = "1970-01-01T00:00:00"
        assert (client.due(disposalDueDate=early).status_code, client.due(disposalDueDate=early).content) == (204, b"")
        client.fake.turn({"none_due": "list"})
        assert client.due(disposalDueDate=early).json()["queriedItems"] == []

    def test_what_is_hidden(self, client: Client) -> None:
        client.destroy("a")
        client.fake.decide("b", "reject")
        assert client.pages(100) == [["b", "held", "review", "c"]]
        for switch, value, expected in (
            ("list_rejected", False, ["held", "review", "c"]),
            ("list_held", False, ["review", "c"]),
            ("list_under_review", False, ["c"]),
            ("list_destroyed", True, ["a", "c"]),
        ):
            client.fake.turn({switch: value})
            assert client.pages(100) == [expected]

    def test_repeated_cursor(self, client: Client) -> None:
        client.fake.turn({"repeat_cursor": True})
        cursor = client.due(itemsPerPage=1).json()["startIndex"]
        assert client.due(itemsPerPage=1, startIndex=cursor).json()["startIndex"] == cursor

    @pytest.mark.parametrize("paging", SWITCHES["paging"].values)
    def test_overlap(self, client: Client, paging: str) -> None:
        client.fake.turn({"overlap": True, "paging": paging})
        assert client.pages(2) == [["a", "b"], ["b", "held"], ["held", "review"], ["review", "c"]]
        assert client.pages(1) == [["a"], ["b"], ["held"], ["review"], ["c"]]

    @pytest.mark.parametrize("form", SWITCHES["start_index"].values)
    def test_empty_page(self, client: Client, form: str) -> None:
        client.fake.turn({"empty_page": True, "start_index": form})
        assert client.pages(3) == [["a", "b", "held"], [], ["review", "c"]]

    def test_shrinking(self, client: Client) -> None:
        client.fake.turn({"shrinking": True})
        assert client.pages(2) == [["a", "b"], ["held", "review"], ["c"]]
        assert client.effects("extended") == ["a", "held", "c"]
        assert client.pages(100) == [["b", "review"]]

    def test_offsets_miss_what_moves_up(self, client: Client) -> None:
        client.fake.turn({"shrinking": True, "paging": "offset"})
        assert client.pages(2) == [["a", "b"], ["review", "c"]]
