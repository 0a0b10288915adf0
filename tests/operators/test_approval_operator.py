"""Approving steps in a DAG: what is kept of an approval, and which arguments and lists are refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ConfigurationError, StoreUnavailableError
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.task.records import resolve
from tests.operators import factories
from tests.operators.reviewer import ANNA, BEN, Request, listed, request_for

__all__ = ["listed", "request_for"]


def test_an_approval_is_kept_with_all_that_finds_it_again(
    request_for: Request, listed: dict[str, Any], store: Store
) -> None:
    page = request_for(listed).ask()
    reference = page.approve(ANNA, comment=" Looked at all of it. ")
    assert {**reference, "approvals": []} == listed
    assert json.loads(json.dumps(reference)) == reference
    approval = Approval.read(store, reference["approvals"][0])
    assert approval == Approval(
        digest=listed["digest"],
        approver="airflow:anna",
        name="Anna",
        approved_at="2026-11-22T09:30:00.000Z",
        comment="Looked at all of it.",
        source={
            "kind": "airflow",
            "dag": "night",
            "run": "manual__2026-11-22T04:30:00+00:00",
            "task": "approve",
            "map_index": -1,
            "try": 1,
        },
        approver_type="person",
        order=page.form()["order"],
    )
    resolve(reference, store).authorize(approval_required=True)


def test_an_answer_over_the_api_needs_only_the_digests(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    event = {**page.event("Approve", ANNA), "params_input": {name: page.form()[name] for name in ("manifest", "order")}}
    assert len(page.complete(event)["approvals"]) == 1


def test_a_list_of_ids_is_kept_as_a_list_first(request_for: Request, store: Store) -> None:
    reference = request_for(["enaio-1", "enaio-2"]).ask().approve(BEN)
    assert [record.key for record in Manifest.open(store, reference["digest"])] == ["enaio-1", "enaio-2"]


def test_nobody_is_asked_about_an_empty_list(request_for: Request, store: Store) -> None:
    empty = manifest_reference(Manifest.write(store, []))
    page = request_for(empty)
    assert page.execute() == empty
    assert page.sent == []
    assert request_for([]).execute()["count"] == 0


@pytest.mark.parametrize("records", [None, "", "[]", "None", "{'manifest': 'x'}"])
def test_what_is_no_list_is_refused_before_anybody_is_asked(request_for: Request, store: Store, records: Any) -> None:
    """None is what an upstream task that was marked as success leaves."""
    page = request_for(records)
    with pytest.raises(AirflowFailException):
        page.execute()
    assert page.sent == []


def test_marked_as_success_means_that_nothing_is_deleted(store: Store) -> None:
    with pytest.raises(AirflowFailException, match="Did the upstream task run"):
        factories.run(EnaioDeleteObjectOperator(task_id="delete", records=None))


def test_a_store_that_is_down_is_worth_a_retry(
    request_for: Request, listed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = request_for(listed).ask()

    def down(*_: Any) -> str:
        raise StoreUnavailableError("is down")

    monkeypatch.setattr(Store, "write", down)
    with pytest.raises(StoreUnavailableError):
        page.approve(ANNA)


@pytest.mark.parametrize("name", ["subject", "body", "options", "multiple", "ignore_downstream_trigger_rules"])
def test_what_is_the_operators_own_cannot_be_given(name: str) -> None:
    own: dict[str, Any] = {name: "x"}
    with pytest.raises(ConfigurationError, match=name):
        DisposalApprovalOperator(task_id="approve", records=[], assigned_users=ANNA, response_timeout=None, **own)


def test_the_form_is_the_operators_own(request_for: Request, listed: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="params"):
        DisposalApprovalOperator(
            task_id="approve", records=[], assigned_users=ANNA, response_timeout=None, params={"manifest": "x"}
        )
    with DAG("night", params={"manifest": "of the DAG", "other": 1}):
        page = request_for(listed)
        page.ask()
    assert list(page.form()) == ["manifest", "order", "withhold", "withhold_classes", "bring_back", "comment"]
    assert page.form()["manifest"] == listed["digest"]
    with DAG("night", params={"manifest": "of the DAG"}):
        assert len(page.approve(ANNA)["approvals"]) == 1


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(seconds=-1)])
def test_a_time_that_is_none_is_refused(timeout: timedelta) -> None:
    """Airflow takes it for "wait for ever"."""
    with pytest.raises(ConfigurationError, match="response_timeout"):
        DisposalApprovalOperator(task_id="approve", records=[], assigned_users=ANNA, response_timeout=timeout)


def test_a_title_on_the_page_may_look_like_a_template() -> None:
    assert DisposalApprovalOperator.template_fields == ("records",)
