"""Who may answer a request: people who are named, and not who triggered the run."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from tests.operators.reviewer import ANNA, BEN, CARL, Request, listed, refused, request_for

__all__ = ["listed", "request_for"]


@pytest.mark.parametrize(
    "users",
    [
        None,
        [],
        (),
        {},
        "anna",
        ["anna"],
        {"id": "anna"},
        {"name": "anna"},
        {"id": "", "name": "Anna"},
        {"id": " anna", "name": "Anna"},
        {"id": 7, "name": "Anna"},
        {"id": "7", "name": None},
        [{"id": "anna", "name": "Anna"}, {"id": "", "name": ""}],
        {"id": "Anonymous", "name": "Anonymous"},
    ],
)
def test_who_may_answer_must_be_named(users: Any) -> None:
    with pytest.raises(ConfigurationError, match="assigned_users"):
        DisposalApprovalOperator(task_id="approve", records=[], assigned_users=users, response_timeout=None)


def test_one_user_is_a_list_of_one(request_for: Request, listed: dict[str, Any]) -> None:
    assert request_for(listed, assigned_users=CARL).ask().shown["assigned_users"] == [CARL]


@pytest.mark.parametrize(
    "user",
    [CARL, {"id": "Anonymous", "name": "Anonymous"}, {"id": "ANNA", "name": "Anna"}, {"id": "9", "name": "anna"}],
)
def test_who_is_not_assigned_cannot_approve(request_for: Request, listed: dict[str, Any], user: dict[str, str]) -> None:
    """Airflow lets everybody answer with all-admins, and whoever the old page names."""
    page = request_for(listed).ask()
    refused(page, page.event("Approve", user), "not in assigned_users")


@pytest.mark.parametrize("requester", ["anna", "Anna", "ANNA", " anna "])
def test_the_requester_cannot_approve(request_for: Request, listed: dict[str, Any], requester: str) -> None:
    page = request_for(listed, requester=requester).ask()
    assert page.shown["assigned_users"] == [BEN]
    refused(page, page.event("Approve", ANNA), "triggered this DAG run")
    assert len(page.approve(BEN)["approvals"]) == 1


@pytest.mark.parametrize("user", [{"id": "7", "name": "anna"}, {"id": "anna", "name": "Anna Schmidt"}])
def test_the_requester_is_known_by_id_or_name(
    request_for: Request, listed: dict[str, Any], user: dict[str, str]
) -> None:
    """Airflow tells the requester's name only; the auth manager says what the one who answers is called."""
    assigned = [{"id": user["id"], "name": "Records office"}, BEN]
    page = request_for(listed, requester="anna", assigned_users=assigned).ask()
    refused(page, page.event("Approve", user), "triggered this DAG run")


def test_a_scheduled_run_has_no_requester(request_for: Request, listed: dict[str, Any]) -> None:
    for requester in (None, ""):
        page = request_for(listed, requester=requester).ask()
        assert len(page.approve({"id": "anna", "name": ""})["approvals"]) == 1


def test_the_dag_may_let_the_requester_approve(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed, requester="anna", exclude_requester=False).ask()
    assert page.shown["assigned_users"] == [ANNA, BEN]
    assert len(page.approve(ANNA)["approvals"]) == 1


def test_a_request_that_nobody_could_answer_is_not_made(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed, requester="anna", assigned_users=ANNA)
    with pytest.raises(AirflowFailException, match="Nobody is left to ask"):
        page.execute()
    assert page.sent == []
