"""The retry policy agrees with every error of this provider; tests/system shows that Airflow follows it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_records import exceptions
from airflow_provider_records.exceptions import DisposalIncompleteError, NotSentError, RecordsError
from airflow_provider_records.retry import RecordsRetryPolicy
from tests.minors import since

pytestmark = since("3.3")

ERRORS = [kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, RecordsError)]
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_is_decided_as_it_says_itself(kind: type[RecordsError]) -> None:
    decision = RecordsRetryPolicy().evaluate(kind("what happened"), 1, 3)
    assert decision.action.value == ("retry" if kind.retry else "fail")
    assert kind.__name__ in str(decision.reason)
    assert "what happened" not in str(decision.reason)  # it is kept with the task instance


@pytest.mark.parametrize("error", [ValueError(), OSError(), TimeoutError()])
def test_other_errors_are_left_to_the_task(error: BaseException) -> None:
    assert RecordsRetryPolicy().evaluate(error, 1, 3).action.value == "default"


def test_the_pause_doubles_up_to_its_end() -> None:
    policy = RecordsRetryPolicy(delay=5 * MINUTE, longest=30 * MINUTE)
    pauses = [policy.evaluate(DisposalIncompleteError("x"), number, 9).retry_delay for number in (1, 2, 3, 4, 5, 5000)]
    assert pauses == [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE, 30 * MINUTE, 30 * MINUTE]


@pytest.mark.parametrize(
    ("asked", "pause"), [(None, 5 * MINUTE), (0.0, 5 * MINUTE), (7200.0, 120 * MINUTE), (1e300, timedelta(days=1))]
)
def test_a_system_that_asks_for_a_pause_gets_it(asked: float | None, pause: timedelta) -> None:
    error = NotSentError("x")
    error.retry_after = asked
    assert RecordsRetryPolicy().evaluate(error, 1, 3).retry_delay == pause
