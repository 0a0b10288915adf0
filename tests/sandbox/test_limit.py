"""A fault that limits the rate: what comes within it passes."""

from __future__ import annotations

import pytest
from pytest_mock import MockerFixture

from airflow_provider_records.sandbox.core import Fault
from airflow_provider_records.sandbox.message import Call


def test_only_what_is_beyond_the_rate_is_hit(mocker: MockerFixture) -> None:
    clock = mocker.patch("time.monotonic", return_value=1000.0)
    limit = Fault(per_second=8, times=None, status=429)

    def hits(calls: int) -> int:
        return sum(limit.hits("opus", "token", Call("GET", "/", {}, {}, {}, b"")) for _ in range(calls))

    assert hits(20) == 12
    clock.return_value += 0.5
    assert hits(20) == 16
    clock.return_value += 3600
    assert hits(20) == 12


@pytest.mark.parametrize("call", ["delete", "look"])
def test_it_counts_only_the_calls_that_it_is_for(call: str) -> None:
    limit = Fault(call="delete", per_second=1, times=None)
    hits = [limit.hits("opus", call, Call("GET", "/", {}, {}, {}, b"")) for _ in range(3)]
    assert hits == [False, call == "delete", call == "delete"]
