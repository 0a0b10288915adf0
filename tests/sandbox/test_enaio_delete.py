"""The sandbox's enaio over HTTP: what a delete destroys, recycles, leaves or refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Serve
from tests.sandbox.enaio_factory import ServedEnaio, code


@pytest.fixture
def served(serve: Serve) -> ServedEnaio:
    return ServedEnaio(serve)


def test_a_soft_delete_recycles(served: ServedEnaio) -> None:
    answer = served.delete("100")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (served.effects("recycled"), served.effects("destroyed")) == (["100"], [])
    state = served.fake.state()
    assert (state["live"], state["binned"], state["destroyed"]) == (["10", "11", "101"], ["100"], [])
    assert state["objects"]["100"]["bin"] == "disposal"


def test_a_hard_delete_destroys(served: ServedEnaio) -> None:
    assert served.delete("100", hardDelete="true", cascadeDelete="false").status_code == 204
    assert (served.effects("recycled"), served.effects("destroyed")) == ([], ["100"])
    assert served.fake.state()["destroyed"] == ["100"]
    assert code(served.get("100", garbadeMode="true")) == (404, 1001)
    assert code(served.delete("100", hardDelete="true")) == (404, 1001)


@pytest.mark.parametrize(("version", "effect"), [("3.2.4", "recycled"), ("4.0.2", "recycled"), ("5.0.0", "destroyed")])
def test_an_old_service_ignores_hard_delete_with_the_same_answer(
    served: ServedEnaio, version: str, effect: str
) -> None:
    served.fake.turn({"version": version})
    assert served.delete("100", hardDelete="true").status_code == 204
    assert served.effects(effect) == ["100"]
    assert served.delete("10", cascadeDelete="true").status_code == (400 if effect == "recycled" else 204)


@pytest.mark.parametrize(
    ("version", "answered"), [("5.2.2", (400, 1100)), ("5.3.0", (204, None)), ("6.5.0", (204, None))]
)
def test_purging_the_bin_since_5_3(served: ServedEnaio, version: str, answered: tuple[int, int | None]) -> None:
    served.fake.turn({"version": version})
    served.delete("100")
    answer = served.delete("100", hardDelete="true")
    assert (answer.status_code if answer.status_code == 204 else code(answer)[0]) == answered[0]
    assert served.effects("destroyed") == (["100"] if answered[0] == 204 else [])


@pytest.mark.parametrize(("value", "answered"), [("400", (400, 1100)), ("404", (404, 1001))])
def test_a_second_soft_delete(served: ServedEnaio, value: str, answered: tuple[int, int]) -> None:
    served.fake.turn({"binned_delete": value})
    served.delete("100")
    assert code(served.delete("100")) == answered
    assert served.effects("recycled") == ["100"]


@pytest.mark.parametrize(("value", "answered"), [("400", (400, 1100)), ("500", (500, 3003))])
def test_children_are_deleted_only_by_cascade(served: ServedEnaio, value: str, answered: tuple[int, int]) -> None:
    served.fake.turn({"non_empty": value})
    assert code(served.delete("10", hardDelete="true")) == answered
    assert served.fake.state()["live"] == ["10", "11", "100", "101"]
    assert served.delete("10", hardDelete="true", cascadeDelete="true").status_code == 204
    assert sorted(served.effects("destroyed")) == ["10", "100", "101", "11"]
    assert served.effects("destroyed")[-1] == "10"


def test_an_emptied_folder_goes_without_cascade(served: ServedEnaio) -> None:
    for object_id in ("100", "101", "11", "10"):
        assert served.delete(object_id, hardDelete="true").status_code == 204
    assert served.effects("destroyed") == ["100", "101", "11", "10"]


def test_a_cascade_goes_to_the_bin_and_is_purged_as_one(served: ServedEnaio) -> None:
    assert served.delete("11", cascadeDelete="true").status_code == 204
    assert sorted(served.effects("recycled")) == ["100", "11"]
    assert code(served.delete("11", hardDelete="true")) == (400, 1100)
    assert served.delete("11", hardDelete="true", cascadeDelete="true").status_code == 204
    assert sorted(served.effects("destroyed")) == ["100", "11"]


def test_what_is_in_the_bin_does_not_fill_its_register(served: ServedEnaio) -> None:
    served.delete("100")
    assert served.delete("11", hardDelete="true").status_code == 204
    assert served.effects("destroyed") == ["11"]
    statement = "SELECT system:SDREG_ID FROM Invoice"
    assert served.ids(statement, handleDeletedDocuments="DELETED_DOCUMENTS_ONLY") == ["100"]
    assert served.delete("100", hardDelete="true").status_code == 204
    assert served.effects("destroyed") == ["11", "100"]


def test_a_folder_needs_the_right_on_everything_inside(served: ServedEnaio) -> None:
    served.object("100").no_delete = {"disposal"}
    assert code(served.delete("10", hardDelete="true", cascadeDelete="true")) == (400, 1100)
    assert served.fake.state()["live"] == ["10", "11", "100", "101"]


def test_no_right(served: ServedEnaio) -> None:
    served.object("100").no_delete = {"disposal"}
    served.object("101").no_delete = {"somebody else"}
    assert code(served.delete("100")) == (400, 1100)
    assert served.get("100").json()["objects"][0]["permissions"]["delete"] == []
    assert served.delete("101").status_code == 204


@pytest.mark.parametrize("value", ["400", "500", "allowed"])
@pytest.mark.parametrize(
    ("switch", "trait", "holding", "harmless"),
    [
        ("workflow", "in_workflow", True, False),
        ("lock", "locked_by", "clerk", "disposal"),
        ("archive", "archived", True, False),
        ("retention", "retention", "9999-12-31", "2000-01-01"),
    ],
)
def test_what_stands_in_the_way(
    served: ServedEnaio, switch: str, trait: str, holding: Any, harmless: Any, value: str
) -> None:
    served.fake.turn({switch: value})
    setattr(served.object("100"), trait, holding)
    setattr(served.object("101"), trait, harmless)
    answer = served.delete("100")
    if value == "allowed":
        assert answer.status_code == 204
    else:
        assert code(answer) == {"400": (400, 1100), "500": (500, 3003)}[value]
        assert served.effects("recycled") == []
    assert served.delete("101").status_code == 204


def test_the_defaults_of_what_stands_in_the_way(served: ServedEnaio) -> None:
    assert {name: served.fake.set[name] for name in ("workflow", "lock", "archive", "retention")} == {
        "workflow": "400", "lock": "400", "archive": "400", "retention": "allowed",
    }  # fmt: skip


# Several places


def in_two_places(served: ServedEnaio) -> None:
    served.archive.add("20", "File", base="FOLDER")
    served.archive.add("200", "Invoice", places=["10", "20"])


def test_location_takes_the_document_from_that_place_only(served: ServedEnaio) -> None:
    in_two_places(served)
    assert served.delete("200", hardDelete="true", location="10").status_code == 204
    assert (served.effects("removed_from_place"), served.effects("destroyed")) == (["200"], [])
    assert served.object("200").places == ["20"]
    assert served.get("200").status_code == 200
    assert served.delete("200", hardDelete="true", location="20").status_code == 204
    assert served.effects("destroyed") == ["200"]


@pytest.mark.parametrize(("value", "status"), [("all", 204), ("400", 400), ("500", 500)])
def test_several_places_without_location(served: ServedEnaio, value: str, status: int) -> None:
    in_two_places(served)
    served.fake.turn({"several_places": value})
    assert served.delete("200", hardDelete="true").status_code == status
    assert served.effects("destroyed") == (["200"] if status == 204 else [])


def test_a_wrong_location_or_type_is_not_found(served: ServedEnaio) -> None:
    assert code(served.delete("100", location="10")) == (404, 1001)
    assert code(served.delete("10", location="11")) == (404, 1001)
    assert code(served.delete("100", objectTypeId="1")) == (404, 1001)
    right = served.get("100").json()["objects"][0]["properties"]["system:objectTypeId"]["value"]
    assert served.delete("100", objectTypeId=right, location="11").status_code == 204


def test_a_cascade_leaves_a_child_that_is_filed_elsewhere(served: ServedEnaio) -> None:
    in_two_places(served)
    served.archive.add("201", "Invoice", places=["10", "11"])
    assert served.delete("10", hardDelete="true", cascadeDelete="true").status_code == 204
    assert served.effects("removed_from_place") == ["200"]
    assert sorted(served.effects("destroyed")) == ["10", "100", "101", "11", "201"]
    assert served.object("200").places == ["20"]


def test_locations(served: ServedEnaio) -> None:
    def leaves(node: dict[str, Any]) -> list[list[str]]:
        name = node["properties"]["system:objectId"]["value"]
        return [[name, *rest] for child in node["children"] for rest in leaves(child)] or [[name]]

    served.archive.add("20", "File", base="FOLDER")
    served.archive.add("202", "Invoice", places=["11", "10", "20"])
    answer = served.call("GET", "/api/dms/objects/202/native/locations")
    found = [path for root in answer.json()["objects"] for path in leaves(root)]
    assert sorted(found) == [["10", "11", "202"], ["10", "202"], ["20", "202"]]
    folder = served.call("GET", "/api/dms/objects/10/native/locations").json()["objects"]
    assert [path for root in folder for path in leaves(root)] == [["10"]]
    assert code(served.call("GET", "/api/dms/objects/999/native/locations")) == (404, 1001)
    served.delete("202")
    assert code(served.call("GET", "/api/dms/objects/202/native/locations")) == (404, 1001)
    served.fake.turn({"version": "3.2.4"})
    assert served.call("GET", "/api/dms/objects/100/native/locations").status_code == 404


# The alias that is never to be used


def test_trash_destroys_with_all_children(served: ServedEnaio) -> None:
    assert served.call("DELETE", "/api/dms/objects/10/actions/trash").status_code == 204
    assert served.effects("trash_alias_used") == ["10"]
    assert sorted(served.effects("destroyed")) == ["10", "100", "101", "11"]
    assert served.server.sandbox.log[-1].call == "trash"


def test_trash_errors(served: ServedEnaio) -> None:
    served.object("100").no_delete = {"disposal"}
    assert code(served.call("DELETE", "/api/dms/objects/100/actions/trash")) == (400, 1100)
    assert code(served.call("DELETE", "/api/dms/objects/999/actions/trash")) == (404, 1001)
    served.fake.turn({"version": "5.2.2"})
    assert served.call("DELETE", "/api/dms/objects/101/actions/trash").status_code == 404
    assert served.effects("trash_alias_used") == []


# Versions below 6.0


@pytest.mark.parametrize(
    ("version", "status", "effect"),
    [
        ("3.2.4", 204, "destroyed"), ("4.0.2", 204, "destroyed"), ("5.0.0", 204, "destroyed"),
        ("5.5.3", 204, "destroyed"), ("6.2.1", 400, None), ("6.5.0", 400, None),
    ],
)  # fmt: skip
def test_options_by_version(served: ServedEnaio, version: str, status: int, effect: str | None) -> None:
    served.fake.turn({"version": version})
    assert served.delete("10", options="HARDDELETE,DELETECASCADING").status_code == status
    assert sorted(served.effects("destroyed")) == (["10", "100", "101", "11"] if effect else [])
    assert served.effects("recycled") == []


def test_options_of_their_own(served: ServedEnaio) -> None:
    served.fake.turn({"version": "4.0.2"})
    assert served.delete("100", options="DESTROY").status_code == 400
    assert served.delete("10", options="HARDDELETE").status_code == 400
    assert served.delete("10", options="DELETECASCADING").status_code == 204
    assert sorted(served.effects("recycled")) == ["10", "100", "101", "11"]
