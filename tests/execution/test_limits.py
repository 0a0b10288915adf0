from __future__ import annotations

import pytest

from airflow_provider_records.exceptions import ConfigurationError, TooManyRecordsError
from airflow_provider_records.execution.limits import Limits


@pytest.mark.parametrize("number", [2**53, 0, -1, True, 1.0, "10", None, float("inf")])
def test_a_wrong_max_records_is_refused(number: object) -> None:
    with pytest.raises(ConfigurationError, match="max_records"):
        Limits(max_records=number)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [-0.1, 1.1, True, "0.1", None, float("nan"), float("inf")])
def test_a_wrong_failure_rate_is_refused(rate: object) -> None:
    with pytest.raises(ConfigurationError, match="max_failure_rate"):
        Limits(max_failure_rate=rate)  # type: ignore[arg-type]


def test_a_list_is_refused_whole_and_only_above_the_limit() -> None:
    Limits(3).refuse_too_many(3)
    with pytest.raises(TooManyRecordsError, match=r"4 records, more than max_records=3\. Nothing was deleted"):
        Limits(3).refuse_too_many(4)


@pytest.mark.parametrize(
    ("rate", "calls", "attempted", "failures", "stop"),
    [
        (0.1, 19, 19, 19, False),
        (0.1, 20, 20, 2, False),
        (0.1, 20, 20, 3, True),
        (0.0, 20, 20, 1, True),
        (0.0, 20, 20, 0, False),
        (1.0, 100, 100, 100, False),
        (0, 0, 0, 0, False),
        (0.1, 4, 60, 15, False),
        (0.1, 20, 300, 30, False),
        (0.1, 20, 300, 45, True),
        (0.29, 100, 100, 29, False),  # as floats, 0.29 * 100 is less than 29
        (0.29, 100, 100, 30, True),
        (0.1, 20, 0, 0, False),
    ],
)
def test_the_breaker_needs_twenty_calls_and_more_than_the_rate(
    rate: float, calls: int, attempted: int, failures: int, stop: bool
) -> None:
    assert Limits(1, rate).too_many_failures(calls, attempted, failures) is stop


@pytest.mark.parametrize(
    ("rate", "looked_at", "absent", "stop"),
    [
        (0.1, 19, 19, False),
        (0.1, 20, 2, False),
        (0.1, 20, 3, True),
        (0.29, 100, 29, False),  # as floats, 0.29 * 100 is less than 29
        (0.29, 100, 30, True),
        (0.58, 50, 29, False),
        (0, 20, 1, True),
        (1, 20, 20, False),
    ],
)
def test_a_list_is_for_another_archive_from_twenty_looks_and_above_the_rate(
    rate: float, looked_at: int, absent: int, stop: bool
) -> None:
    assert Limits(1, 0.1, rate).too_many_absent(looked_at, absent) is stop
