"""Airflow's retry policy for a failed task: later each time while a system is down, never where a person must act.

Whether a single request is sent again is decided in ``client/retry.py``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_records.airflow_version import RetryDecision, RetryPolicy
from airflow_provider_records.exceptions import RecordsError

if TYPE_CHECKING:
    from airflow.sdk import Context

LONGEST_REQUEST = timedelta(days=1)


class RecordsRetryPolicy(RetryPolicy):
    """Decides about the errors of this provider; all others are retried as the task is configured.

    For ``retry_policy=`` of a task, of ``@task`` functions that use the hooks, or of a DAG's ``default_args``. It
    never goes beyond the task's ``retries``. Before Airflow 3.3 no task takes a ``retry_policy``; ``default_args`` may
    hold one, which does nothing.

    :param delay: before the second try; it doubles with each further one. A system that asks for a longer pause
        (``Retry-After``) gets it, up to a day.
    :param longest: the longest delay that doubling leads to.
    """

    def __init__(self, delay: timedelta = timedelta(minutes=5), longest: timedelta = timedelta(hours=1)) -> None:
        self.delay = delay
        self.longest = longest

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Fail where only a person can help; else retry, later each time."""
        if not isinstance(exception, RecordsError):
            return RetryDecision.default()
        name = type(exception).__name__
        if not exception.retry:
            return RetryDecision.fail(f"{name}: no retry cures this, somebody must act first")
        asked = timedelta(seconds=min(exception.retry_after or 0, LONGEST_REQUEST.total_seconds()))
        doubled = min(self.delay * 2 ** min(try_number - 1, 20), self.longest)
        delay = max(asked, doubled)
        return RetryDecision.retry(delay, f"{name}: may pass, next try in {delay}")
