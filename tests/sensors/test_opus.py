"""Opus's due list: due is not approved, unless the DAG says so in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.sandbox.seed import UNIFIER_CONNECTOR
from airflow_provider_records.sensors.opus import OpusDueRecordsSensor
from airflow_provider_records.task.records import resolve
from tests.operators.conftest import ServedSandbox
from tests.sensors.factories import DUE, EVERY_MODE, StillWaitingError, due, keys, opus, wait

LONG_AGO = "1990-01-01T00:00:00"


def sensor(**more: Any) -> OpusDueRecordsSensor:
    return OpusDueRecordsSensor(**{"task_id": "due", "due_before": DUE, "target_id_pattern": r"enaio-(\d+)", **more})


def make_due(served: ServedSandbox) -> None:
    for records in opus(served).connections.values():
        for record in records[:2]:
            record.due = "1989-12-31T00:00:00"


@EVERY_MODE
def test_due_is_a_list_without_approval(served: ServedSandbox, mode: str) -> None:
    reference = wait(sensor, mode)
    assert reference == due()
    assert reference["approvals"] == []
    assert not served.store.names("approvals")


@EVERY_MODE
@pytest.mark.parametrize("empty", ["204", "list"])
def test_nothing_due_waits(served: ServedSandbox, mode: str, empty: str) -> None:
    opus(served).turn({"none_due": empty})

    def early(**more: Any) -> OpusDueRecordsSensor:
        return sensor(due_before=LONG_AGO, **more)

    with pytest.raises(StillWaitingError):
        wait(early, mode)
    reference = wait(early, mode, lambda: make_due(served))
    assert reference["count"] == 2


@EVERY_MODE
def test_due_means_approved_where_the_dag_says_so(served: ServedSandbox, mode: str) -> None:
    reference = wait(lambda **more: sensor(due_means_approved=True, **more), mode)
    (uri,) = reference["approvals"]
    approval = Approval.read(served.store, uri)
    assert (approval.digest, approval.approver) == (reference["digest"], "opus:due_means_approved")
    assert approval.source == {"kind": "opus", "conn_id": "opus_default", "due_means_approved": True}
    assert "Opus itself publishes no approval" in approval.comment
    resolve(reference, served.store).authorize(approval_required=True)


@EVERY_MODE
def test_a_wrong_connector_fails_at_once(served: ServedSandbox, mode: str) -> None:
    with pytest.raises(AirflowFailException, match="connector id"):
        wait(lambda **more: sensor(connector_id="11111111-2222-3333-4444-555555555555", **more), mode)
    with pytest.raises(AirflowFailException, match="must be a GUID"):
        wait(lambda **more: sensor(connector_id="None", **more), mode)


@EVERY_MODE
def test_a_bound_that_is_none_fails(served: ServedSandbox, mode: str) -> None:
    with pytest.raises(AirflowFailException, match="due_before"):
        wait(lambda **more: sensor(**{"due_before": "None", **more}), mode)
    assert not served.store.names("manifests")


@pytest.mark.parametrize("wrong", [{"target_id_pattern": "("}, {"page_size": 0}])
def test_wrong_arguments_are_refused_when_the_dag_is_parsed(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        sensor(**wrong)


@EVERY_MODE
def test_another_connector_and_a_time_with_a_zone(served: ServedSandbox, mode: str) -> None:
    reference = wait(
        lambda **more: sensor(
            connector_id=UNIFIER_CONNECTOR,
            target_id_pattern=r"unifier-(\d+)",
            due_before=datetime(2026, 11, 1, tzinfo=UTC),
            **more,
        ),
        mode,
    )
    assert all(key.startswith("unifier-") for key in keys(served, reference))
    (first, *_) = Manifest.open(served.store, reference["digest"])
    assert first.attributes["due_before"] == DUE


@EVERY_MODE
def test_a_list_that_is_emptied_meanwhile_waits_on(served: ServedSandbox, mode: str) -> None:
    """The first record is seen, but the whole list, read after it, is empty."""
    served.fault(vendor="opus", call="due_records", skip=1, status=204)
    assert wait(sensor, mode, lambda: None)["count"] == 60


@EVERY_MODE
def test_a_page_that_cannot_be_read_waits_and_leaves_no_list(served: ServedSandbox, mode: str) -> None:
    served.fault(vendor="opus", call="due_records", skip=3, times=None, status=503)

    def mend() -> None:
        assert not served.store.names("manifests")
        served.sandbox.faults.clear()

    assert wait(lambda **more: sensor(page_size=7, **more), mode, mend)["count"] == 60
