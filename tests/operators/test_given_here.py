"""An approval counts in the run that it was given in, and until it expires; a refusal forbids new deletes only."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import ConfigurationError, DisposalIncompleteError
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.operators import base
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.manifest import SplitManifestOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.reporting.verify import verify
from airflow_provider_records.sandbox.opus import FakeOpus
from tests.evidence.schemas import assert_store_valid
from tests.minors import DownstreamTasksSkipped
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run
from tests.operators.reviewer import ANNA, BEN, Request, request_for
from tests.operators.test_four_eyes import gone, keys, listed

__all__ = ["listed", "request_for"]


def ordered(served: ServedSandbox, reference: dict[str, Any]) -> Order:
    """Return what the first approval of a list allows."""
    return Order.read(served.store, Approval.read(served.store, reference["approvals"][0]).order)


def lasts(order: Order) -> timedelta:
    """Return how long an order allows new deletes."""
    return datetime.fromisoformat(order.valid_until) - datetime.fromisoformat(order.asked_at)


LATER = "2999-01-01T00:00:00.000Z"


def delete(records: Any, try_number: int = 1, *, task_id: str = "delete", **more: Any) -> Any:
    facts = {name: more.pop(name) for name in ("dag_id", "run_id") if name in more}
    operator = EnaioDeleteObjectOperator(task_id=task_id, records=records, **{"hard_delete": True, **more})
    return run(operator, try_number, **facts)


def mark(records: Any, **more: Any) -> Any:
    facts = {name: more.pop(name) for name in ("dag_id", "run_id") if name in more}
    return run(OpusDestroyRecordsOperator(task_id="mark", records=records, **more), **facts)


@pytest.fixture
def expire(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let time pass until every approval has expired."""
    return lambda: monkeypatch.setattr(base, "now", lambda: LATER)


def certified(served: ServedSandbox, *disposals: Any, dag_id: str = "night") -> None:
    operator = DestructionCertificateOperator(task_id="certificate", disposals=list(disposals), require_complete=False)
    reference = run(operator, dag_id=dag_id)
    assert_store_valid(served.store)
    report = verify(reference["certificate"].removeprefix("file://"))
    assert report.ok, report.problem


def test_an_approval_states_where_and_until_when(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    reference = request_for(listed, valid_for=timedelta(hours=36)).ask().approve(ANNA)
    order = ordered(served, reference)
    assert (order.dag_id, order.run_id) == ("night", "manual__2026-11-22T04:30:00+00:00")
    assert lasts(order) == timedelta(hours=36)


@pytest.mark.parametrize(("days", "expected"), [("", 30), ("7", 7)])
def test_the_configuration_says_how_long_where_the_dag_does_not(
    request_for: Request,
    served: ServedSandbox,
    listed: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    days: str,
    expected: int,
) -> None:
    if days:
        monkeypatch.setenv("AIRFLOW__RECORDS__APPROVAL_VALID_DAYS", days)
    reference = request_for(listed).ask().approve(ANNA)
    assert lasts(ordered(served, reference)) == timedelta(days=expected)


@pytest.mark.parametrize("valid_for", [timedelta(), timedelta(days=-1), 30, "30"])
def test_a_duration_that_is_none_is_refused(request_for: Request, listed: dict[str, Any], valid_for: Any) -> None:
    with pytest.raises(ConfigurationError, match="valid_for"):
        request_for(listed, valid_for=valid_for).ask()


def test_no_days_at_all_are_refused(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__RECORDS__APPROVAL_VALID_DAYS", "0")
    with pytest.raises(AirflowFailException, match="approval_valid_days must be at least 1"):
        request_for(listed).ask().approve(ANNA)
    assert not served.store.names("approvals")


def test_last_months_approval_posted_as_an_xcom_deletes_nothing(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    reference = request_for(listed).ask().approve(ANNA)
    for posted in (reference, [reference], run(SplitManifestOperator(task_id="split", records=reference, size=3))):
        with pytest.raises(AirflowFailException, match=r"was given in the run manual__2026-11-22.* not in this one"):
            delete(posted, run_id="scheduled__2026-12-22")
    assert not served.sandbox.log


def test_an_approval_of_another_dag_counts_only_where_the_task_names_it(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    reference = request_for(listed).ask().approve(ANNA)
    for accepted in ([], ["nights"]):
        with pytest.raises(AirflowFailException, match="was given in the DAG night, not in this one"):
            delete(reference, dag_id="other", accept_approvals_from=accepted)
    assert not served.sandbox.log
    done = delete(reference, dag_id="other", accept_approvals_from=["night"])
    assert done["counts"]["destroyed"] == 8
    assert Disposal.read(served.store, done["disposal"]).options["accept_approvals_from"] == ["night"]
    certified(served, done, dag_id="other")


def test_an_order_of_another_dag_is_spent_by_the_first_run(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    reference = request_for(listed).ask().approve(ANNA)
    accepted: dict[str, Any] = {"dag_id": "other", "accept_approvals_from": ["night"]}
    delete(reference, dry_run=True, run_id="rehearsal", **accepted)
    done = delete(reference, run_id="r1", **accepted)
    delete(reference, 2, run_id="r1", **accepted)
    with pytest.raises(AirflowFailException, match="was carried out by the run r1 of other already"):
        delete(reference, run_id="r2", **accepted)
    assert served.calls("enaio", "delete_object") == 8
    assert done["counts"]["destroyed"] == 8


def another_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody points the connection elsewhere, where objects have the same numbers."""
    fields = json.loads(os.environ["AIRFLOW_CONN_ENAIO_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_ENAIO_DEFAULT", json.dumps({**fields, "extra": {"api_prefix": "/other/dms"}}))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"task_id": "elsewhere"}, "covers 'again', 'delete', 'mark', not task 'elsewhere'"),
        ({"hard_delete": False}, "is for enaio at .*, method destroy. .*: another method"),
        ({"moved": True}, "set up for enaio at .*/other/dms, method destroy: another target"),
    ],
)
def test_what_was_not_ordered_is_not_carried_out(
    request_for: Request,
    served: ServedSandbox,
    listed: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    more: dict[str, Any],
    words: str,
) -> None:
    reference = request_for(listed).ask().approve(ANNA)
    if more.pop("moved", False):
        another_archive(monkeypatch)
    for records in (reference, run(SplitManifestOperator(task_id="split", records=reference, size=3))):
        with pytest.raises(AirflowFailException, match=words):
            delete(records, **more)
    assert not served.sandbox.log


def test_an_answer_to_a_page_that_shows_another_target_releases_nothing(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = request_for(listed).ask()
    another_archive(monkeypatch)
    with pytest.raises(AirflowFailException, match=r"set up for enaio at .*/other/dms.* Start a new DAG run"):
        page.approve(ANNA)
    with pytest.raises(AirflowFailException, match="Start a new DAG run"):
        page.execute()
    assert not served.store.names("approvals")


def test_an_answer_for_another_order_releases_nothing(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    page, other = (request_for(listed, task_id=task_id).ask() for task_id in ("left", "right"))
    for order in (f"sha256:{'0' * 64}", listed["digest"], 7):
        with pytest.raises(AirflowFailException, match=r"answered for the order .*, but the order is .* now"):
            page.approve(ANNA, order=order)
    assert page.form()["order"] in page.shown["body"]
    assert other.approve(ANNA)["approvals"]


def test_an_answer_after_the_order_expired_releases_nothing(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    page = request_for(listed, valid_for=timedelta(hours=1)).ask()
    event = {**page.event("Approve", ANNA), "responded_at": datetime.now(UTC) + timedelta(hours=2)}
    with pytest.raises(AirflowFailException, match="answered after the order had expired"):
        page.complete(event)
    assert not served.store.names("approvals")


@pytest.mark.parametrize("ids", ["night", b"x", 7, [7], None])
def test_other_dags_are_a_list_of_ids(ids: Any) -> None:
    with pytest.raises(ConfigurationError, match="accept_approvals_from must be a list of DAG ids"):
        EnaioDeleteObjectOperator(task_id="delete", records=[], accept_approvals_from=ids)


def test_a_disposal_of_another_run_cannot_be_marked(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    done = delete(request_for(listed).ask().approve(ANNA))
    with pytest.raises(AirflowFailException, match="not in this one"):
        mark(done, run_id="scheduled__2026-12-22")
    assert served.calls("opus", "destroy_records") == 0


def test_an_expired_approval_deletes_nothing(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], expire: Any
) -> None:
    reference = request_for(listed).ask().approve(ANNA)
    expire()
    options: list[dict[str, Any]] = [{}, {"require_approval": False}, {"dry_run": True}]
    for more in options:
        with pytest.raises(AirflowFailException, match="by 'airflow:anna' expired at 20"):
            delete(reference, **more)
    assert not served.sandbox.log


def test_what_was_destroyed_in_time_stands_and_nothing_else_is_sent(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], expire: Any
) -> None:
    reference = request_for(listed).ask().approve(ANNA)
    first = keys(served, listed)[0]
    target = first.removeprefix("enaio-")
    served.fault(vendor="enaio", call="delete_object", match=target, times=None, status=500, act=False)
    with pytest.raises(DisposalIncompleteError, match="1 failed"):
        delete(reference, max_failure_rate=1.0)
    assert len(gone(served)) == 7
    served.sandbox.faults.clear()
    before = served.calls("enaio", "delete_object")
    expire()
    with pytest.raises(AirflowFailException, match="1 failed of 8 records; The approval by 'airflow:anna' expired"):
        delete(reference, 2)
    assert served.calls("enaio", "delete_object") == before
    done = newest(served, "delete")
    assert (done["counts"]["destroyed"], done["counts"]["failed"]) == (7, 1)
    marked = mark(done)
    assert sum(marked["counts"].values()) == 7
    assert served.calls("opus", "destroy_records") > 0
    certified(served, done, marked)


def test_calls_in_doubt_are_resolved_though_the_approval_expired(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], expire: Any
) -> None:
    reference = request_for(listed).ask().approve(ANNA)
    served.fault(vendor="enaio", call="delete_object", times=None, status=500, act=True)
    served.fault(vendor="enaio", call="*", skip=14, times=None, status=500, act=False)
    with pytest.raises(DisposalIncompleteError, match="unknown"):
        delete(reference, max_failure_rate=1.0, concurrency=1)
    served.sandbox.faults.clear()
    destroyed, sent = gone(served), served.calls("enaio", "delete_object")
    assert destroyed
    unknown = newest(served, "delete")["counts"]["unknown"]
    assert unknown
    expire()
    with pytest.raises(AirflowFailException, match="expired"):
        delete(reference, 2)
    done = newest(served, "delete")
    assert done["counts"]["unknown"] == 0
    assert done["counts"]["destroyed"] + done["counts"]["absent"] == len(destroyed)
    assert served.calls("enaio", "delete_object") == sent
    certified(served, done)


@pytest.mark.parametrize("more", [{"accept": ("destroyed", "absent")}, {"records": "manifest"}])
def test_only_what_our_own_calls_destroyed_is_marked_later(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], expire: Any, more: dict[str, Any]
) -> None:
    reference = request_for(listed).ask().approve(ANNA)
    done = delete(reference)
    expire()
    with pytest.raises(AirflowFailException, match="expired"):
        mark(reference if more.pop("records", "") else done, **more)
    assert served.calls("opus", "destroy_records") == 0


def test_a_second_system_deletes_nothing_though_a_first_one_did(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], expire: Any
) -> None:
    done = delete(request_for(listed).ask().approve(ANNA))
    sent = served.calls("enaio", "delete_object")
    expire()
    with pytest.raises(AirflowFailException, match="expired"):
        delete(done, task_id="again")
    assert served.calls("enaio", "delete_object") == sent


def newest(served: ServedSandbox, task: str) -> dict[str, Any]:
    """Return the reference that the last try of a task pushed."""
    names = [name for name in served.store.names("disposals") if f"/{task}/" in name and name.endswith("disposal.json")]
    return Disposal.read(served.store, served.store.uri(max(names))).reference()


def test_another_tenant_of_opus_under_the_same_address_is_another_target(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its records have the same keys; what was destroyed must not be marked there."""
    done = delete(request_for(listed).ask().approve(ANNA))
    fake = served.sandbox.vendors["opus"]
    assert isinstance(fake, FakeOpus)
    known = json.loads(os.environ["AIRFLOW_CONN_OPUS_DEFAULT"])
    second = {**known, "login": fake.second_client_id, "password": fake.second_client_secret}
    monkeypatch.setenv("AIRFLOW_CONN_OPUS_DEFAULT", json.dumps(second))
    assert OpusHook("opus_default").test_connection()[0]
    with pytest.raises(AirflowFailException, match=f"client_id={fake.second_client_id}"):
        mark(done)
    assert served.calls("opus", "destroy_records") == 0
    monkeypatch.setenv("AIRFLOW_CONN_OPUS_DEFAULT", json.dumps(known))
    assert mark(done)["counts"]["destroyed"] == done["counts"]["destroyed"]
    assert not served.sandbox.effects("opus", "marked_in_second_tenant")


# Rejections


def test_a_rejection_beside_an_approval_stops_the_list(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    """Two reviewers are asked side by side; what one rejected must not go because the other one approved it."""
    one, two = (request_for(listed, task_id=task_id).ask() for task_id in ("left", "right"))
    reference = one.approve(ANNA, withhold=f"{keys(served, listed)[0]}: held")
    with pytest.raises(DownstreamTasksSkipped):
        two.answer("Reject", BEN, comment="still needed")
    for records in (reference, run(SplitManifestOperator(task_id="split", records=reference, size=3))):
        for needed in (True, False):
            with pytest.raises(AirflowFailException, match=r"Ben rejected this list, .*: still needed"):
                delete(records, require_approval=needed)
    assert not gone(served)
    assert len(served.store.names("rejections/night")) == 1


def test_what_was_destroyed_before_the_rejection_is_marked(
    request_for: Request, served: ServedSandbox, listed: dict[str, Any]
) -> None:
    left, right = (request_for(listed, task_id=task_id).ask() for task_id in ("left", "right"))
    done = delete(left.approve(ANNA))
    event = {**right.event("Reject", BEN), "responded_at": datetime.now(UTC)}
    with pytest.raises(DownstreamTasksSkipped):
        right.complete(event)
    with pytest.raises(AirflowFailException, match="rejected this list"):
        delete(done, task_id="again")
    marked = mark(done)
    assert served.calls("opus", "destroy_records") > 0
    certified(served, done, marked)
