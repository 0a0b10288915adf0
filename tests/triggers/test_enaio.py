"""What the index fields of the objects decide; the sensor around it is in tests/sensors."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import cast

import pytest

from airflow_provider_records.exceptions import ApprovalError, ApprovalRejectedError, AuthenticationError, NotFoundError
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.enaio_responses import EnaioObject
from airflow_provider_records.triggers.enaio import MOST_OBJECTS, EnaioApprovalTrigger


class Hook:
    """Knows objects by their values; ``None`` as value: the object is not there."""

    settings = SimpleNamespace(max_concurrency=1)

    def __init__(self, values: Mapping[str, str | None], failure: Exception | None = None) -> None:
        self.values = values
        self.failure = failure
        self.asked: list[tuple[str, str | None]] = []

    def get_object(self, object_id: str, *, object_type_id: str | None = None) -> EnaioObject:
        self.asked.append((object_id, object_type_id))
        if self.failure:
            raise self.failure
        value = self.values[object_id]
        if value is None:
            raise NotFoundError("not there")
        return EnaioObject(object_id, "", "DOCUMENT", {"Disposal": value})


def trigger(*object_ids: str) -> EnaioApprovalTrigger:
    return EnaioApprovalTrigger(
        conn_id="enaio_default",
        poke_interval=1.0,
        deadline=0.0,
        objects=[(object_id, "5") for object_id in object_ids],
        field="Disposal",
        approved=["yes", "ja"],
        rejected=["no"],
    )


def ask(values: Mapping[str, str | None], failure: Exception | None = None) -> tuple[object, Hook]:
    hook = Hook(values, failure)
    return trigger(*values).ask(cast(EnaioHook, hook)), hook


def test_all_must_be_approved() -> None:
    found, hook = ask({"1": "yes", "2": " ja "})
    assert found == {"values": ["ja", "yes"]}
    assert hook.asked == [("1", "5"), ("2", "5")]
    assert ask({"1": "yes", "2": ""})[0] is None


def test_one_that_is_rejected_decides() -> None:
    with pytest.raises(ApprovalRejectedError, match=r"enaio object 2 .*1 of 3"):
        ask({"1": "yes", "2": "no", "3": ""})


def test_one_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ApprovalError, match="enaio object 2 does not exist"):
        ask({"1": "yes", "2": None})


def test_refused_credentials_are_tried_once() -> None:
    hook = Hook({"1": "yes", "2": "yes", "3": "yes"}, AuthenticationError("refused"))
    with pytest.raises(AuthenticationError):
        trigger(*hook.values).ask(cast(EnaioHook, hook))
    assert len(hook.asked) == 1


def test_a_long_list_is_cut_in_the_database_only() -> None:
    made = trigger(*map(str, range(MOST_OBJECTS + 1)))
    assert len(made.question()["objects"]) == MOST_OBJECTS
    assert len(made.objects) == MOST_OBJECTS + 1
