"""Which due list a manifest came from: written and read back."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_records.evidence.due_list import DueList

MEMBERS = {
    "conn_id": "opus_default",
    "target": "https://opus.example/?client_id=a",
    "connector_id": "d9da492f-0000-4000-8000-6fbaae1f1410",
    "due_before": "2026-11-01T00:00:00",
}


def test_it_is_read_back_with_what_a_later_release_added() -> None:
    due_list = DueList.from_dict({**MEMBERS, "zone": "UTC"})
    assert due_list.due_before == MEMBERS["due_before"]
    assert due_list.to_dict() == {**MEMBERS, "zone": "UTC"}


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_that_is_missing_is_said(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        DueList.from_dict({key: value for key, value in MEMBERS.items() if key != name})


@pytest.mark.parametrize("value", [None, "", 7, ["a"]])
def test_a_member_of_another_type_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="connector_id of a due list must be text"):
        DueList.from_dict({**MEMBERS, "connector_id": value})


QUERY = {"object_type": "Letter", "due_field": "Ends", "where": "Site='A'"}
ENAIO = {
    "conn_id": "enaio_default",
    "target": "https://enaio.example",
    "due_before": "2026-11-01T00:00:00",
    "system": "enaio",
    "query": QUERY,
}


def test_that_of_another_system_is_read_back_with_what_was_asked_for() -> None:
    assert DueList.from_dict({**ENAIO, "zone": "UTC"}).to_dict() == {**ENAIO, "zone": "UTC"}
    for name, value in {"query": ["Letter"], "system": ""}.items():
        with pytest.raises(ValueError, match=f"{name} of a due list must be"):
            DueList.from_dict({**ENAIO, name: value})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"due_field": "Ends", "last_modified": "2014-01-01"}, True),
        ({"due_field": "Begins"}, False),
        ({"object_type": "Invoice"}, False),
        ({"due_before": "2025-11-01T00:00:00"}, False),
    ],
    ids=str,
)
def test_a_record_may_have_come_from_the_list_that_its_attributes_name(changed: dict[str, str], expected: bool) -> None:
    attributes = {"object_type": "Letter", "due_before": ENAIO["due_before"], **changed}
    assert DueList.from_dict(ENAIO).may_list(attributes) is expected


def test_a_record_that_names_no_bound_says_nothing_of_a_list() -> None:
    assert not DueList.from_dict(ENAIO).may_list({"object_type": "Letter"})
    assert not DueList.from_dict(MEMBERS).may_list({"connector_id": MEMBERS["connector_id"]})
    assert not DueList.from_dict(MEMBERS).may_list({"connector_id": "another", "due_before": MEMBERS["due_before"]})
