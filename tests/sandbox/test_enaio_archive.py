"""The objects of the sandbox's enaio: where they lie, what a delete does to them, and what a search finds."""

from __future__ import annotations

import pytest

from airflow_provider_records.sandbox.enaio_archive import Archive, is_object_id
from airflow_provider_records.sandbox.enaio_search import BadQueryError, parse_statement

ME = "disposal"


@pytest.fixture
def archive() -> Archive:
    """A folder 10 with the registers 11 and, in it, 12; document 100 lies in 10 and in 12, 101 in 12."""
    archive = Archive()
    archive.add("10", "File", base="FOLDER", fields={"Title": "Closed"})
    archive.add("11", "Year", base="REGISTER", places=["10"])
    archive.add("12", "Year", base="REGISTER", places=["11"])
    archive.add("100", "Invoice", fields={"Title": "Bill"}, places=["10", "12"])
    archive.add("101", "Invoice", fields={"Title": "Note"}, places=["12"])
    return archive


def below(archive: Archive, object_id: str) -> list[str]:
    return [item.id for item in archive.tree(archive.objects[object_id])]


def found(archive: Archive, statement: str, user: str = ME, *, binned: bool = False) -> list[str]:
    return [item.id for item in archive.select(parse_statement(statement, {}), user, binned=binned)]


@pytest.mark.parametrize(
    ("object_id", "base", "places"),
    [
        ("100", "DOCUMENT", []),
        ("1a", "DOCUMENT", []),
        ("٣", "DOCUMENT", []),
        ("", "DOCUMENT", []),
        ("200", "DOCUMENT", ["99"]),
        ("200", "FOLDER", ["10"]),
        ("200", "REGISTER", ["10", "11"]),
    ],
)
def test_add_refuses(archive: Archive, object_id: str, base: str, places: list[str]) -> None:
    with pytest.raises(ValueError, match=r"taken|no such object|cannot lie"):
        archive.add(object_id, "Invoice", base=base, places=places)
    assert set(archive.objects) == {"10", "11", "12", "100", "101"}


def test_a_new_type_gets_an_id_and_learns_fields(archive: Archive) -> None:
    assert [archive.types[name].id for name in ("File", "Year", "Invoice")] == ["262238", "262239", "262240"]
    archive.add("102", "Invoice", fields={"Amount": "7"})
    assert archive.types["Invoice"].id == "262240"
    assert archive.types["Invoice"].fields == {"Title", "Amount"}


def test_a_tree_holds_each_object_once_the_top_first(archive: Archive) -> None:
    assert below(archive, "10")[0] == "10"
    assert sorted(below(archive, "10")) == ["10", "100", "101", "11", "12"]
    assert sorted(below(archive, "12")) == ["100", "101", "12"]
    assert below(archive, "101") == ["101"]


def test_live_and_binned_objects_are_in_different_trees(archive: Archive) -> None:
    assert archive.recycle(archive.objects["100"], ME) == {"effect": "recycled", "id": "100"}
    assert "100" not in below(archive, "10")
    assert [item.id for item in archive.children("12")] == ["100", "101"]
    archive.recycle(archive.objects["12"], "somebody else")
    assert below(archive, "12") == ["12"]


def test_a_line_holds_all_that_an_object_lies_in(archive: Archive) -> None:
    assert sorted(item.id for item in archive.line(archive.objects["100"])) == ["10", "100", "11", "12"]
    assert [item.id for item in archive.line(archive.objects["10"])] == ["10"]


def test_an_object_leaves_one_place(archive: Archive) -> None:
    effect = archive.leave(archive.objects["100"], ["12"])
    assert effect == {"effect": "removed_from_place", "id": "100", "places": ["12"]}
    assert archive.objects["100"].places == ["10"]
    assert [item.id for item in archive.children("12")] == ["101"]
    assert [item.id for item in archive.children("10")] == ["11", "100"]


def test_what_is_destroyed_is_nowhere(archive: Archive) -> None:
    assert archive.destroy(archive.objects["100"]) == {"effect": "destroyed", "id": "100"}
    assert archive.destroyed == ["100"]
    assert "100" not in archive.objects
    assert [item.id for item in (*archive.children("10"), *archive.children("12"))] == ["11", "101"]


def test_a_place_has_a_folder_and_perhaps_a_register(archive: Archive) -> None:
    values = archive.values(archive.objects["100"])
    assert values("system:SDSTA_ID") == ["10", "10"]
    assert values("system:SDREG_ID") == ["12"]
    assert values("system:objectTypeId") == ["262240"]
    assert values("Title") == ["Bill"]
    assert values("Amount") == []


def test_a_binned_object_remembers_a_register_that_is_gone(archive: Archive) -> None:
    bill = archive.objects["100"]
    del archive.objects["12"]
    assert archive.values(bill)("system:SDREG_ID") == []
    assert archive.values(bill)("system:SDSTA_ID") == ["10", "12"]


def test_a_search_finds_what_the_user_may_read(archive: Archive) -> None:
    archive.objects["101"].no_read.add(ME)
    assert found(archive, "SELECT Title FROM Invoice") == ["100"]
    assert found(archive, "SELECT Title FROM Invoice ORDER BY Title", "clerk") == ["100", "101"]


def test_each_user_has_a_recycle_bin(archive: Archive) -> None:
    archive.recycle(archive.objects["100"], ME)
    statement = "SELECT Title FROM Invoice"
    assert found(archive, statement) == ["101"]
    assert found(archive, statement, binned=True) == ["100"]
    assert found(archive, statement, "clerk", binned=True) == []


def test_without_order_by_each_search_may_have_another_order(archive: Archive) -> None:
    assert [found(archive, "SELECT Title FROM Invoice") for _ in range(2)] == [["100", "101"], ["101", "100"]]
    ordered = "SELECT Title FROM Invoice ORDER BY system:objectId"
    assert [found(archive, ordered) for _ in range(2)] == [["100", "101"], ["100", "101"]]


@pytest.mark.parametrize(
    "statement", ["SELECT Title FROM Letter", "SELECT Amount FROM Invoice", "SELECT Title FROM Invoice WHERE Sum = '1'"]
)
def test_unknown_types_and_fields_are_refused(archive: Archive, statement: str) -> None:
    with pytest.raises(BadQueryError, match=r"Letter|Amount|Sum"):
        found(archive, statement)


def test_an_id_is_made_of_ascii_digits() -> None:
    assert [is_object_id(text) for text in ("0", "109491", "", "-1", "1.0", "٣", "²")] == [True, True, *[False] * 5]
