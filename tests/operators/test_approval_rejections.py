"""A rejection ends what follows and is kept, and the reviewers of later runs read it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_records.evidence.approval import Rejection
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import StoreUnavailableError
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.task.context import evidence_store
from tests.minors import DownstreamTasksSkipped
from tests.operators.reviewer import BEN, CARL, RECORDS, Page, Request, listed, refused, request_for

__all__ = ["listed", "request_for"]


# Rejected in this run


def chain(page: Page) -> tuple[DisposalApprovalOperator, list[str]]:
    """The operator with tasks behind it, each of which would run after a skipped one."""
    with DAG("night"):
        approve = page.make()
        last: BaseOperator = approve
        for task_id, rule in (("delete", "all_success"), ("mark", "none_failed"), ("certificate", "all_done")):
            task = BaseOperator(task_id=task_id, trigger_rule=rule)
            last >> task
            last = task
        last >> BaseOperator(task_id="clean_up").as_teardown()
    return approve, ["delete", "mark", "certificate"]


def test_reject_skips_all_that_follows_whatever_its_trigger_rule(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    operator, behind = chain(page)
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        operator.execute_complete(page.context(operator), page.event("Reject", BEN, comment="not these"))
    assert sorted(skipped.value.tasks) == sorted(behind)
    assert not evidence_store().names("approvals")


@pytest.mark.parametrize("user", [BEN, CARL, {"id": "Anonymous", "name": ""}])
@pytest.mark.parametrize("inputs", [{}, {"manifest": "sha256:old"}, {"withhold": "nonsense"}])
def test_a_rejection_needs_no_more_than_the_word(
    request_for: Request, listed: dict[str, Any], user: dict[str, str], inputs: dict[str, Any]
) -> None:
    """It leaves nothing that a task behind it could take for a list."""
    page = request_for(listed, requester="ben").ask()
    with pytest.raises(DownstreamTasksSkipped):
        page.answer("Reject", user, **inputs)
    assert not evidence_store().names("approvals")


def test_a_rejection_is_kept_as_evidence(request_for: Request, listed: dict[str, Any], store: Store) -> None:
    page = request_for(listed).ask()
    with pytest.raises(DownstreamTasksSkipped):
        page.answer("Reject", BEN, comment="the court wants them")
    (name,) = store.names("rejections")
    kept = json.loads(store.read(name))
    assert kept["digest"] == listed["digest"]
    assert (kept["format"], kept["rejected_by"], kept["name"]) == ("airflow-records/rejection", "airflow:ben", "Ben")
    assert kept["comment"] == "the court wants them"
    assert kept["source"]["task"] == "approve"


def test_a_rejection_holds_even_if_it_cannot_be_kept(
    request_for: Request, listed: dict[str, Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise StoreUnavailableError("the disk is full")

    page = request_for(listed).ask()
    monkeypatch.setattr(Store, "write", fail)
    operator, behind = chain(page)
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        operator.execute_complete(page.context(operator), page.event("Reject", BEN))
    assert sorted(skipped.value.tasks) == sorted(behind)


def test_fail_on_reject_fails_for_good(request_for: Request, listed: dict[str, Any]) -> None:
    """A retry would ask again, until somebody says yes."""
    page = request_for(listed, fail_on_reject=True).ask()
    refused(page, page.event("Reject", BEN), r"Ben \(ben\) rejected the list")


def test_a_rejection_by_silence_is_a_failure(request_for: Request, listed: dict[str, Any]) -> None:
    page = request_for(listed).ask()
    refused(page, {**page.event("Reject", None), "timedout": True}, "Nobody answered")


# What was rejected in an earlier run


def rejection(store: Store, records: list[Any], run_id: str, **more: Any) -> str:
    """Have somebody reject a list in an earlier run."""
    given: dict[str, Any] = {
        "name": "Ben",
        "comment": "a court asked",
        "rejected_at": "2026-11-21T09:30:00Z",
        "dag_id": "night",
        **more,
    }
    digest = Manifest.write(store, records).digest
    return Rejection(digest, "airflow:ben", source={"kind": "airflow"}, run_id=run_id, **given).write(store)


def test_the_next_reviewer_reads_what_was_rejected_in_an_earlier_run(
    request_for: Request, listed: dict[str, Any], store: Store
) -> None:
    """By key: the fields of a record that is listed again the next night are others."""
    again = [{**record, "title": "as it was then"} for record in RECORDS]
    rejection(store, [*again[:3], "enaio-99"], "scheduled__2026-11-21T02:00:00+00:00")
    rejection(store, again, "manual__2026-11-20T02:00:00+00:00", name="Carl", rejected_at="2026-11-20T09:30:00Z")
    rejection(store, ["enaio-99"], "scheduled__2026-11-19T02:00:00+00:00", name="Dora")
    rejection(store, again, "scheduled__2026-11-18T02:00:00+00:00", name="Emil", dag_id="another")
    rejection(store, again, "manual__2026-11-22T04:30:00+00:00", name="Fritz")
    body = request_for(listed).ask().shown["body"]
    first = body.index(
        "**Rejected in an earlier run** by Ben, 21 Nov 2026, a list with 3 of these 8 records: a court asked"
    )
    second = body.index("**Rejected in an earlier run** by Carl, 20 Nov 2026, a list with all of these records: ")
    assert first < second
    assert not [name for name in ("Dora", "Emil", "Fritz") if name in body]
    assert "that cannot be read" not in body


def test_only_the_newest_rejections_are_read_and_shown(
    request_for: Request, listed: dict[str, Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(1, 26):
        rejection(store, RECORDS, f"scheduled__2026-10-{day:02}", rejected_at=f"2026-10-{day:02}T09:30:00Z")
    read: list[str] = []
    original = Rejection.read

    def counted(store: Store, name: str) -> Rejection:
        read.append(name)
        return original(store, name)

    monkeypatch.setattr(Rejection, "read", counted)
    body = request_for(listed).ask().shown["body"]
    assert len(read) == 20
    assert body.count("**Rejected in an earlier run**") == 5
    assert "15 more rejections in earlier runs" in body
    assert "25 Oct 2026" in body


def test_a_rejection_that_cannot_be_read_is_said_and_stops_nobody(
    request_for: Request, listed: dict[str, Any], store: Store
) -> None:
    uri = rejection(store, RECORDS, "scheduled__2026-11-21")
    store.write(store.name(uri), b"{}")
    body = request_for(listed).ask().shown["body"]
    assert "**Rejections in earlier runs that cannot be read: 1**" in body
