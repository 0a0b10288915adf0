"""What enaio's responses are read as; the service itself is asked in the other files of enaio."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_records.client.response import Response
from airflow_provider_records.hooks.enaio_responses import EnaioObject, Page, error_code, places, version_in


def item(object_id: str = "7", **more: Any) -> dict[str, Any]:
    return {"properties": {"system:objectId": {"value": object_id}}, **more}


def test_an_object_is_read_with_upper_case_base_type_and_text_fields() -> None:
    properties = {"system:objectId": {"value": 7}, "system:baseTypeId": {"value": "folder"}, "Paid": {"value": None}}
    found = EnaioObject.from_json({"properties": properties, "permissions": {"delete": ["metadata", "object"]}})
    assert (found.object_id, found.object_type_id, found.base_type) == ("7", "", "FOLDER")
    assert found.fields["Paid"] == ""
    assert found.permissions == {"delete": ("metadata", "object")}


@pytest.mark.parametrize(
    ("body", "more", "total"),
    [
        ({"objects": [item()]}, None, None),
        ({"objects": [item()], "numItems": 1, "hasMoreItems": True, "totalNumItems": 9}, True, 9),
        ({"objects": [item()], "hasMoreItems": False, "totalNumItems": None}, False, None),
    ],
)
def test_what_a_page_does_not_say_is_none(body: object, more: bool | None, total: int | None) -> None:
    page = Page.from_json(body)
    assert ([each.object_id for each in page.objects], page.more, page.total) == (["7"], more, total)


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"objects": {}}, {"objects": [item("x")]}, {"objects": [item()], "numItems": 2},
     {"objects": [item()], "numItems": True}, {"objects": [item()], "hasMoreItems": "false"}],
)  # fmt: skip
def test_another_shape_is_no_page(body: object) -> None:
    with pytest.raises(ValueError, match=r"type|object id|numItems"):
        Page.from_json(body)


def test_every_leaf_of_the_tree_is_a_place() -> None:
    leaf = {"id": "3", "children": []}
    tree = {"id": "1", "children": [{"id": "2", "children": [leaf]}, {"id": "3"}]}
    expected = [({"id": "1"}, {"id": "2"}, {"id": "3"}), ({"id": "1"}, {"id": "3"})]
    assert places(tree) == places([tree]) == places({"objects": [tree]}) == expected


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"serviceErrorCode": 1001, "code": 3003}, "1001"),
        ({"errorCode": "1100"}, "1100"),
        ({"code": "3003"}, "3003"),
        ({"code": 404}, None),
        ({"code": "1234567"}, None),
        ({"code": [1001]}, None),
        ([1001], None),
        ("<html>1001</html>", None),
    ],
)
def test_a_code_of_four_to_six_digits_is_that_of_enaio(body: object, code: str | None) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    assert error_code(Response("delete_object", 500, {}, text)) == code


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"version": "5.3.1"}', (5, 3, 1)),
        ('{"version": "5.3.1-SNAPSHOT", "java": {"version": "17.0.2"}}', (5, 3, 1)),
        ('{"java": "17.0.2", "build": {"version": "4.0.2"}}', (4, 0, 2)),
        ('{"a": {"version": "4.0.2"}, "b": {"version": "6.1.0"}}', None),
        ('{"text": "dms 4.0.2 (build 7)"}', (4, 0, 2)),
        ('{"text": "dms 4.0.2, java 17.0.2"}', None),
        ('{"host": "10.0.0.1", "built": "01.02.2020"}', None),
        ('{"version": 5}', None),
        ('["4.0.2"]', (4, 0, 2)),
        ("<html>4.0.2</html>", None),
        ("", None),
    ],
)
def test_only_an_unmistakable_version_counts(body: str, expected: tuple[int, int, int] | None) -> None:
    assert version_in(Response("info", 200, {}, body)) == expected
