"""From when, and how long, an approval allows new deletes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import XComArg

from airflow_provider_records.airflow_version import conf
from airflow_provider_records.exceptions import ConfigurationError


def check_valid_for(valid_for: object) -> timedelta | None:
    """Check ``valid_for`` of an approving step.

    :raises ConfigurationError: it is no duration longer than nothing, and not None.
    """
    if valid_for is None or (isinstance(valid_for, timedelta) and valid_for > timedelta()):
        return valid_for
    raise ConfigurationError(f"valid_for is a timedelta longer than nothing, or None; not {valid_for!r}.")


def valid_until(approved_at: str, valid_for: timedelta | None) -> str:
    """Return when an approval expires.

    :param approved_at: ISO 8601 with a time zone.
    :param valid_for: None: ``[records] approval_valid_days`` (30).
    :return: ISO 8601 in UTC.
    :raises ConfigurationError: ``approval_valid_days`` is less than 1.
    """
    until = (datetime.fromisoformat(approved_at) + approval_validity(valid_for)).astimezone(UTC)
    return until.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check_min_wait(min_wait: object) -> timedelta | None:
    """Check ``min_wait`` of a disposing task.

    :raises ConfigurationError: it is no duration from nothing on, and not None.
    """
    if min_wait is None or (isinstance(min_wait, timedelta) and min_wait >= timedelta()):
        return min_wait
    raise ConfigurationError(f"min_wait is a timedelta that is not negative, or None; not {min_wait!r}.")


def waiting_period(min_wait: timedelta | None) -> timedelta:
    """Return the time that must pass between the last approval and the first delete.

    :param min_wait: None: ``[records] min_wait_days`` (0).
    :raises ConfigurationError: ``min_wait_days`` is negative.
    """
    if min_wait is None:
        days = conf.getint("records", "min_wait_days", fallback=0)
        if days < 0:
            raise ConfigurationError(f"[records] min_wait_days must be at least 0, not {days}.")
        return timedelta(days=days)
    return min_wait


def check_outlasts(records: object, wait: timedelta, name: str) -> None:
    """Check, when a DAG is parsed, that the approvals before a task hold for longer than its waiting period.

    :param records: ``records=`` of the task.
    :param wait: the waiting period.
    :param name: what the DAG calls it.
    :raises ConfigurationError: an approving step before the task says a shorter ``valid_for``.
    """
    for step in _steps_before(records) if wait else ():
        scope = getattr(step, "scope", None)
        if scope is not None and getattr(step, "due_means_approved", True):
            valid_for = approval_validity(scope.valid_for)
            if valid_for <= wait:
                raise ConfigurationError(
                    f"An approval by {step.task_id} is valid for {valid_for}, which is not longer than the waiting "
                    f"period after it ({name}: {wait}): it would expire before anything may be deleted. Make its "
                    "valid_for longer."
                )


def _steps_before(records: object) -> Iterator[Any]:
    """Return the operators that a value of ``records=`` goes through, as far as it is known when a DAG is parsed."""
    for operator, _ in XComArg.iter_xcom_references(records):
        yield operator
        yield from _steps_before(getattr(operator, "records", None))


def approval_validity(valid_for: timedelta | None) -> timedelta:
    """Return for how long an approval allows new deletes.

    :param valid_for: None: ``[records] approval_valid_days`` (30).
    :raises ConfigurationError: ``approval_valid_days`` is less than 1.
    """
    if valid_for is not None:
        return valid_for
    days = conf.getint("records", "approval_valid_days", fallback=30)
    if days < 1:
        raise ConfigurationError(f"[records] approval_valid_days must be at least 1, not {days}.")
    return timedelta(days=days)
