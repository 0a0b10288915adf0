"""What a business process record decides; the sensor around it is in tests/sensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from airflow_provider_records.exceptions import (
    ApprovalError,
    ApprovalRejectedError,
    ConfigurationError,
    NotFoundError,
)
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.triggers.unifier import UnifierApprovalTrigger

DIGEST = "sha256:" + "0123456789abcdef" * 4
NUMBER = "DR-456789ABCDEF"


class Hook:
    """Answers with one record, or with none."""

    def __init__(self, record: Mapping[str, object] | None) -> None:
        self.record = record
        self.asked = 0

    def get_bp_record(self, project_number: str, bpname: str, record_no: str) -> Mapping[str, object]:
        assert (project_number, bpname, record_no) == ("P-1", "Disposal", NUMBER)
        self.asked += 1
        if self.record is None:
            raise NotFoundError("no such record")
        return self.record


def ask(record: Mapping[str, object] | None, **changed: Any) -> object:
    arguments: dict[str, Any] = {
        "conn_id": "unifier_default",
        "poke_interval": 1.0,
        "deadline": 0.0,
        "project_number": "P-1",
        "bpname": "Disposal",
        "record_no": NUMBER,
        "approved": ["Approved"],
        "rejected": ["Rejected"],
        "status_field": "status",
        "digest_field": None,
        "digest": DIGEST,
        "wait_for_record": False,
    }
    hook = Hook(record)
    try:
        return UnifierApprovalTrigger(**{**arguments, **changed}).ask(cast(UnifierHook, hook))
    except ConfigurationError:
        assert not hook.asked
        raise


def test_only_a_status_that_is_named_decides() -> None:
    assert ask({"status": " Approved "}) == {"status": "Approved"}
    assert ask({"status": "approved"}) is None
    assert ask({"status": None}) is None
    with pytest.raises(ApprovalRejectedError, match=DIGEST):
        ask({"status": "Rejected"})


def test_a_missing_record_is_an_error_unless_it_is_waited_for() -> None:
    with pytest.raises(ApprovalError, match="wait_for_record=True"):
        ask(None)
    assert ask(None, wait_for_record=True) is None


@pytest.mark.parametrize("record", [{}, {"state": "Approved"}])
def test_a_field_that_never_comes_is_an_error_at_once(record: Mapping[str, object]) -> None:
    with pytest.raises(ApprovalError, match="no field 'status'"):
        ask(record)
    with pytest.raises(ApprovalError, match="no field 'digest'"):
        ask({"status": "Open"}, digest_field="digest")


def test_the_record_approves_the_list_that_it_names() -> None:
    assert ask({"status": "Approved", "digest": DIGEST}, digest_field="digest") == {"status": "Approved"}
    assert ask({"status": "Open", "digest": "another"}, digest_field="digest") is None
    with pytest.raises(ApprovalError, match="another"):
        ask({"status": "Approved", "digest": "another"}, digest_field="digest")


@pytest.mark.parametrize("number", ["DR-7", "456789abcde", "DR-456789abcde0", "DR-4567-89ab-cdef", "sha256:"])
def test_a_record_that_names_no_list_approves_none(number: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{number}.*digest_field"):
        ask({"status": "Approved"}, record_no=number)


@pytest.mark.parametrize("number", [NUMBER, "0123456789ab", f"{DIGEST[7:]}/1", "x" + DIGEST[-12:]])
def test_a_record_is_bound_by_twelve_digits_in_its_number(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hook, "get_bp_record", lambda *_: {"status": "Approved"})
    assert ask(None, record_no=number) == {"status": "Approved"}
