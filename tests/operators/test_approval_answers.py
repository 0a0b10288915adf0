"""Answers that approve nothing: to an old page, of nobody, for another list, or of another form."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.task.context import evidence_store
from tests.operators.reviewer import ANNA, RECORDS, Request, listed, refused, request_for

__all__ = ["listed", "request_for"]


# The old page


def test_an_answer_to_the_old_page_is_refused(request_for: Request, listed: dict[str, Any], store: Store) -> None:
    """After a clear Airflow shows what was asked first; a page "Destroy AAA" would release CCC."""
    page = request_for(listed).ask()
    other = manifest_reference(Manifest.write(store, RECORDS[3:]))
    page.make = request_for(other).make
    changed = f"the list is {other['digest']} now, it was {listed['digest']}. Start a new DAG run"
    refused(page, page.event("Approve", ANNA), changed)
    forged = {"manifest": other["digest"], "order": page.form()["order"]}
    refused(page, page.event("Approve", ANNA, **forged), changed)


def test_nobody_is_bothered_with_the_old_page(request_for: Request, listed: dict[str, Any], store: Store) -> None:
    page = request_for(listed).ask()
    page.ask()
    page.make = request_for(manifest_reference(Manifest.write(store, RECORDS[3:]))).make
    with pytest.raises(AirflowFailException, match=f"another order before .* it was {listed['digest']}. Start a new"):
        page.execute()
    assert len(page.sent) == 2


def test_the_same_list_is_asked_again_after_a_clear(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask().ask()
    assert len(page.approve(ANNA)["approvals"]) == 1


def test_a_list_that_changed_while_it_was_read_is_refused(
    request_for: Request, listed: dict[str, Any], store: Store
) -> None:
    """The digest is computed again, from the bytes that are there when the answer comes."""
    page = request_for(listed).ask()
    name = store.name(listed["manifest"])
    store.write(name, store.read(name).replace(b'"8"', b'"9"'))
    refused(page, page.event("Approve", ANNA), "was changed")


# Silence


@pytest.mark.parametrize("defaults", ["Approve", ["Approve"], "Reject", ["Reject"], []])
def test_defaults_are_refused(defaults: Any) -> None:
    with pytest.raises(ConfigurationError, match="silence"):
        DisposalApprovalOperator(
            task_id="approve", records=[], assigned_users=ANNA, response_timeout=None, defaults=defaults
        )


def test_defaults_are_refused_from_default_args_too() -> None:
    with DAG("night", default_args={"defaults": "Approve"}), pytest.raises(ConfigurationError, match="silence"):
        DisposalApprovalOperator(task_id="approve", records=[], assigned_users=ANNA, response_timeout=None)


@pytest.mark.parametrize("timedout", [True, None, 0, "no"])
def test_what_airflow_fills_in_after_a_time_out_is_no_approval(
    request_for: Request, listed: dict[str, Any], timedout: Any
) -> None:
    """A request of an older version of the DAG keeps its defaults, and their answer has the right digest."""
    page = request_for(listed).ask()
    refused(page, {**page.event("Approve", ANNA), "timedout": timedout}, "Nobody answered")


def test_an_answer_by_nobody_is_none(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    users: list[Any] = [None, "anna", [], {"name": "Anna"}, {"id": None, "name": "Anna"}, {"id": " ", "name": "Anna"}]
    for user in users:
        refused(page, page.event("Approve", user), "Nobody answered|does not name the user")


@pytest.mark.parametrize("at", [None, "2026-11-22T09:30:00Z"])
def test_an_answer_without_a_time_is_none(request_for: Request, listed: dict[str, Any], at: Any) -> None:
    page = request_for(listed).ask()
    refused(page, {**page.event("Approve", ANNA), "responded_at": at}, "Nobody answered")


def test_no_answer_in_time_fails_the_task_for_good(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    refused(page, {"error": "The response timeout has passed.", "error_type": "timeout"}, "Nobody answered within 3 d")


def test_an_error_is_no_answer(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    refused(page, {"error": "boom", "error_type": "unknown"}, "error")
    refused(page, {**page.event("Approve", ANNA), "error": "boom", "error_type": "timeout"}, "Nobody answered")


# An answer that is not for this list


@pytest.mark.parametrize("inputs", [None, {}, {"comment": "yes"}, {"manifest": None}, {"manifest": ""}])
def test_an_answer_without_the_digest_is_refused(request_for: Request, listed: dict[str, Any], inputs: Any) -> None:
    page = request_for(listed).ask()
    event = {**page.event("Approve", ANNA), "params_input": inputs}
    refused(page, event, f"which list and order it is for.*{listed['digest']}")


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "SHA256", True, 7, ["x"], {"sha256": "x"}, "x" * 10**5])
def test_an_answer_with_another_digest_is_refused(request_for: Request, listed: dict[str, Any], digest: Any) -> None:
    page = request_for(listed).ask()
    refused(page, page.event("Approve", ANNA, manifest=digest), "start a new DAG run")


def test_nearly_the_digest_is_not_the_digest(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    for digest in (listed["digest"].upper(), f" {listed['digest']}", listed["digest"][:-1], [listed["digest"]]):
        refused(page, page.event("Approve", ANNA, manifest=digest), "start a new DAG run")


@pytest.mark.parametrize("options", [[], None, ["Approve", "Reject"], ["Approve", "Approve"], ["approve"], "Approve"])
def test_an_answer_that_is_neither_is_refused(request_for: Request, listed: dict[str, Any], options: Any) -> None:
    page = request_for(listed).ask()
    refused(page, {**page.event("Approve", ANNA), "chosen_options": options}, "not one of Approve and Reject")


@pytest.mark.parametrize("value", [7, True, ["enaio-1: held"], {"enaio-1": "held"}, "\ud800"])
@pytest.mark.parametrize("field", ["withhold", "withhold_classes", "bring_back", "comment"])
@pytest.mark.parametrize("option", ["Approve", "Reject"])
def test_a_field_that_is_no_text_is_refused(
    request_for: Request, listed: dict[str, Any], option: str, field: str, value: Any
) -> None:
    page = request_for(listed).ask()
    assert f"{field} must be text" in page.slip(option, ANNA, **{field: value})
    assert not evidence_store().names("approvals")
