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
