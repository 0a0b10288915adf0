"""The sandbox's enaio over HTTP: the small SQL of its search."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Serve
from tests.sandbox.enaio_factory import ServedEnaio

GOOD = "SELECT Title FROM Invoice"
BAD_STATEMENTS = [
    "", "SELECT", "SELECT * FROM Invoice", "SELECT Title", "SELECT Title FROM Letter", "SELECT Colour FROM Invoice",
    "SELECT Title FROM Invoice WHERE Colour = 'red'", "SELECT Title FROM Invoice ORDER BY Colour",
    "SELECT Title FROM Invoice WHERE", "SELECT Title FROM Invoice WHERE Title", "DELETE FROM Invoice",
    "SELECT Title FROM Invoice WHERE Title ( 'x'", "SELECT Title FROM Invoice WHERE Title = Disposal",
    "SELECT Title FROM Invoice WHERE Title = 'a' OR Title = 'b'", "SELECT Title FROM Invoice WHERE Title = @gone",
    "SELECT Title FROM Invoice WHERE Title = @list", "SELECT Title FROM Invoice WHERE Title IN (@empty)",
    "SELECT Title FROM Invoice WHERE Title = @flag", "SELECT Title FROM Invoice WHERE Title = @nothing",
    "SELECT Title FROM Invoice; DELETE", "SELECT Title FROM Invoice WHERE Title = 'x",
    "SELECT Title FROM Invoice a",
    "SELECT Title FROM Invoice WHERE Title IN 'x'", "SELECT Title FROM Invoice ORDER Title",
]  # fmt: skip
BAD_QUERIES: list[dict[str, Any]] = [
    {"skipCount": -1}, {"skipCount": "0"}, {"maxItems": 0}, {"maxItems": True}, {"includePermissions": "false"},
    {"handleDeletedDocuments": "ALL"}, {"options": {"Right": 0}}, {"options": []}, {"parameters": []},
    {"skip": 0}, {"statement": None},
]  # fmt: skip


@pytest.fixture
def served(serve: Serve) -> ServedEnaio:
    return ServedEnaio(serve)


def invoices(served: ServedEnaio, count: int = 5) -> None:
    for number in range(count):
        state = "approved" if number % 2 == 0 else "O'Hara"
        served.archive.add(str(900 + number * 50), "Bill", fields={"State": state, "Sum": str(number)}, places=["11"])


@pytest.mark.parametrize(
    ("where", "parameters", "found"),
    [
        ("State = 'approved'", {}, "900 1000 1100"),
        ("State='O''Hara'", {}, "950 1050"),
        ("State = @state AND Sum > @least", {"state": "approved", "least": 1}, "1000 1100"),
        ("Sum >= 1 AND Sum < 3", {}, "950 1000"),
        ("Sum <= '0'", {}, "900"),
        ("State <> @s", {"s": "approved"}, "950 1050"),
        ("system:objectId IN (@ids)", {"ids": ["900", 1100]}, "900 1100"),
        ("system:objectId IN ('950', @one, 7)", {"one": "1000"}, "950 1000"),
        ("State LIKE 'app%'", {}, "900 1000 1100"),
        ("State LIKE 'a.*'", {}, ""),
        ("Sum LIKE '_'", {}, "900 950 1000 1050 1100"),
        ("system:SDSTA_ID = '10' AND Sum = '4'", {}, "1100"),
        ("system:SDREG_ID = '11' AND Sum = 4", {}, "1100"),
        ("system:SDREG_ID = '10'", {}, ""),
        ("system:lastModificationDate < '2021' and Sum = 0", {}, "900"),
    ],
)
def test_where(served: ServedEnaio, where: str, parameters: dict[str, Any], found: str) -> None:
    invoices(served)
    statement = f"SELECT system:objectId FROM Bill WHERE {where} ORDER BY system:objectId"
    assert served.ids(statement, parameters=parameters) == found.split()


def test_a_missing_field_fulfils_no_condition(served: ServedEnaio) -> None:
    assert served.ids("SELECT Disposal FROM Invoice WHERE Disposal = ''") == ["100"]
    assert served.ids("SELECT Disposal FROM Invoice WHERE Disposal <> 'approved'") == ["100"]


def test_order(served: ServedEnaio) -> None:
    invoices(served)
    assert served.ids("SELECT Sum FROM Bill ORDER BY system:objectId DESC") == ["1100", "1050", "1000", "950", "900"]
    assert served.ids("SELECT Sum FROM Bill ORDER BY State ASC, Sum DESC") == ["1050", "950", "1100", "1000", "900"]
    statement = "SELECT Sum FROM Bill"
    assert served.ids(statement) != served.ids(statement), "without ORDER BY no order may be relied on"


def test_what_a_row_holds(served: ServedEnaio) -> None:
    row = served.search("SELECT Disposal, system:SDSTA_ID FROM Invoice WHERE Title = 'Bill'").json()["objects"][0]
    assert set(row["properties"]) == {
        "system:objectId", "system:objectTypeId", "system:baseTypeId", "system:SDSTA_ID", "Disposal",
    }  # fmt: skip
    assert row["properties"]["system:SDSTA_ID"]["value"] == "10"
    assert "permissions" not in row
    rows = served.search("SELECT Title FROM Invoice", includePermissions=True, options={"Rights": 0}).json()["objects"]
    assert all(row["permissions"]["delete"] for row in rows)


def test_paging(served: ServedEnaio) -> None:
    invoices(served)
    statement = "SELECT Sum FROM Bill ORDER BY system:objectId"
    pages = [served.search(statement, skipCount=skip, maxItems=2).json() for skip in (0, 2, 4, 6)]
    assert [page["numItems"] for page in pages] == [2, 2, 1, 0]
    assert [page["hasMoreItems"] for page in pages] == [True, True, False, False]
    assert {page["totalNumItems"] for page in pages} == {5}


@pytest.mark.parametrize(
    ("shift", "second", "total"), [(0, ["1000", "1050"], 5), (1, ["1050", "1100"], 4), (-1, ["950", "1000"], 6)]
)
def test_rows_shift_between_pages(served: ServedEnaio, shift: int, second: list[str], total: int) -> None:
    invoices(served)
    served.fake.turn({"page_shift": shift})
    statement = "SELECT Sum FROM Bill ORDER BY system:objectId"
    assert served.ids(statement, maxItems=2) == ["900", "950"]
    assert served.ids(statement, maxItems=2, skipCount=2) == second
    assert served.search(statement, maxItems=2, skipCount=2).json()["totalNumItems"] == total


def test_the_bin_is_searched_on_its_own(served: ServedEnaio) -> None:
    served.delete("100")
    statement = "SELECT Title FROM Invoice"
    assert served.ids(statement) == ["101"]
    assert served.ids(statement, handleDeletedDocuments="DELETED_DOCUMENTS_EXCLUDE") == ["101"]
    assert served.ids(statement, handleDeletedDocuments="DELETED_DOCUMENTS_ONLY") == ["100"]


def test_bad_statements(served: ServedEnaio) -> None:
    for statement in BAD_STATEMENTS:
        answer = served.search(statement, parameters={"list": ["a"], "empty": [], "flag": True, "nothing": None})
        assert answer.status_code == 400, statement
        assert "serviceErrorCode" not in answer.json()


def test_bad_queries(served: ServedEnaio) -> None:
    assert served.search(GOOD).status_code == 200
    for query in BAD_QUERIES:
        body = {"query": {"statement": GOOD, **query}}
        assert served.call("POST", "/api/dms/objects/search", json=body).status_code == 400, query


@pytest.mark.parametrize(
    "body",
    [{}, {"query": []}, {"statement": GOOD}, {"query": {"statement": GOOD}, "more": 1}],
)
def test_a_search_is_one_query(served: ServedEnaio, body: dict[str, Any]) -> None:
    assert served.call("POST", "/api/dms/objects/search", json=body).status_code == 400


def test_a_search_may_lag_behind_what_is_changed(served: ServedEnaio) -> None:
    invoices(served)
    served.fake.turn({"search_lag": 60})
    served.fake.set_field("900", "State", "rejected")
    served.archive.destroy(served.archive.objects["1000"])
    asked = "SELECT State FROM Bill WHERE State = 'approved' ORDER BY system:objectId"
    assert served.ids(asked) == ["900", "1000", "1100"]
    assert served.ids("SELECT State FROM Bill WHERE system:objectId IN (900)") == ["900"]
    served.fake.turn({"search_lag": 0})
    assert served.ids(asked) == ["1100"]
