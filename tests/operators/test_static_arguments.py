"""An argument that is wrong is refused when the DAG is parsed, and not after people have approved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.manifest import RecordListOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.sensors.opus import OpusDueRecordsSensor

WRONG = [
    *(("min_approvals", value) for value in (0, -1, True, "1", 1.0)),
    *(("max_records", value) for value in (0, True, "5")),
    *(("max_failure_rate", value) for value in (-0.1, 1.1, 10, "0.1", True, None)),
    *(("max_absent_rate", value) for value in (-0.1, 10, "0.1", None)),
    *(("concurrency", value) for value in (0, -1, True, "2", 1.5)),
    *(("accept", value) for value in ((), None, 5, [["destroyed"]], ("blocked",), "destroyed", ("destroyed", "gone"))),
    *((name, "yes") for name in ("require_approval", "recheck", "verify", "dry_run", "hard_delete", "cascade_delete")),
    ("dry_run", None),
    ("dry_run", "{{ params.dry_run }}"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_an_argument_of_a_disposing_task_is_checked_when_the_dag_is_parsed(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be"):
        EnaioDeleteObjectOperator(task_id="delete", records=["1"], **{name: value})


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_so_is_one_that_all_mapped_tasks_have(name: str, value: Any) -> None:
    with DAG("night", schedule=None), pytest.raises(ConfigurationError, match=f"{name} must be"):
        EnaioDeleteObjectOperator.partial(task_id="delete", **{name: value}).expand(records=[["1"]])


def test_default_args_of_the_dag_are_checked_too() -> None:
    rate = {"max_failure_rate": 10}
    with (
        DAG("night", schedule=None, default_args=rate),
        pytest.raises(ConfigurationError, match="max_failure_rate must be"),
    ):
        UnifierDeleteDocumentOperator(task_id="delete", records=["1"])


def test_what_is_mapped_over_is_not_known_yet() -> None:
    with DAG("night", schedule=None):
        EnaioDeleteObjectOperator.partial(task_id="delete", records=["1"]).expand(hard_delete=[True, False])


def test_no_approval_is_asked_for_by_require_approval_and_not_by_a_number() -> None:
    with pytest.raises(ConfigurationError, match="require_approval=False"):
        EnaioDeleteObjectOperator(task_id="delete", records=["1"], min_approvals=0)


@pytest.mark.parametrize("kind", [OpusDueRecordsOperator, OpusDueRecordsSensor])
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("target_id_pattern", r"enaio-\d+", "exactly one group, it has 0"),
        ("target_id_pattern", r"(enaio)-(\d+)", "exactly one group, it has 2"),
        ("target_id_pattern", r"enaio-(\d+", "is not a regular expression"),
        ("target_id_pattern", 5, "must be a regular expression"),
        *(("page_size", value, "page_size must be") for value in (0, 101, True, "10", None)),
        ("set_aside", "no", "set_aside must be"),
    ],
)
def test_how_a_due_list_is_read_is_checked(kind: Callable[..., Any], name: str, value: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        kind(task_id="due", due_before="2026-11-01T00:00:00", **{name: value})


def test_switches_of_other_tasks_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="due_means_approved must be"):
        OpusDueRecordsSensor(task_id="due", due_before="2026-11-01T00:00:00", due_means_approved="no")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="require_complete must be"):
        DestructionCertificateOperator(task_id="certificate", disposals=[], require_complete="no")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="set_aside must be"):
        RecordListOperator(task_id="due", source="/due.csv", set_aside="no")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="exclude_requester must be"):
        DisposalApprovalOperator(
            task_id="review",
            records=["1"],
            assigned_users={"id": "anna", "name": "Anna"},
            response_timeout=None,
            exclude_requester="no",  # type: ignore[arg-type]
        )


@pytest.mark.parametrize("rule", ["all_success", "none_failed", "none_failed_min_one_success", "one_success"])
@pytest.mark.parametrize("mapped", [False, True])
def test_marks_that_would_be_missing_after_a_partly_failed_delete_are_refused(rule: str, mapped: bool) -> None:
    with DAG("night", schedule=None):
        if mapped:
            delete: Any = EnaioDeleteObjectOperator.partial(task_id="delete").expand(records=[["1"], ["2"]])
        else:
            delete = EnaioDeleteObjectOperator(task_id="delete", records=["1"])
        with pytest.raises(ConfigurationError, match=f"With the trigger rule {rule} .* when delete fails"):
            OpusDestroyRecordsOperator(task_id="mark", records=delete.output, trigger_rule=rule)


@pytest.mark.parametrize("rule", ["one_done", "all_done", "always"])
def test_marks_that_are_set_in_any_case_are_not_refused(rule: str) -> None:
    with DAG("night", schedule=None):
        delete = EnaioDeleteObjectOperator(task_id="delete", records=["1"])
        OpusDestroyRecordsOperator(task_id="mark", records=delete.output, trigger_rule=rule)


def test_marks_of_a_list_that_another_dag_disposed_of_need_no_rule() -> None:
    with DAG("night", schedule=None):
        listed = RecordListOperator(task_id="due", source="/due.csv")
        OpusDestroyRecordsOperator(task_id="mark", records=listed.output)
