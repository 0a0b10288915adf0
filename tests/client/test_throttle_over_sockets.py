"""The shared client over real sockets, with waits as they are: how it backs off and whom it holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest

from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.client.throttle import CircuitBreaker, RateLimiter
from tests.client.raw_server import ServedThing, in_threads
from tests.conftest import Serve

BACKOFF, LONGEST_WAIT, SLOWEST = VendorHook.backoff, CircuitBreaker.longest_wait, RateLimiter.slowest


@pytest.fixture
def thing(serve: Serve, _no_backoff: None, monkeypatch: pytest.MonkeyPatch) -> ServedThing:
    monkeypatch.setattr(VendorHook, "backoff", BACKOFF)
    monkeypatch.setattr(CircuitBreaker, "longest_wait", LONGEST_WAIT)
    monkeypatch.setattr(RateLimiter, "slowest", SLOWEST)
    return ServedThing(serve)


def test_errors_of_the_system_are_retried_after_waits_that_grow_and_vary(thing: ServedThing) -> None:
    names = iter("ab")
    for name in "ab":
        thing.fault(call="get", match=f"/{name}", status=503, times=3, act=False)
    assert in_threads(2, lambda: thing.hook.get(next(names))) == [200, 200]
    waits = []
    for name in "ab":
        times = [entry.time for entry in thing.sandbox.log if entry.path.endswith(f"/{name}")]
        waits += [
            (limit, later - earlier) for limit, (earlier, later) in zip((0.5, 1, 2), pairwise(times), strict=True)
        ]
    assert all(wait <= limit + 1 for limit, wait in waits)
    shares = [wait / limit for limit, wait in waits]
    assert max(shares) - min(shares) > 0.05


def test_a_date_holds_every_thread(thing: ServedThing) -> None:
    hook = thing.another(max_concurrency=8)
    hook.get()
    until = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    headers = {"Retry-After": format_datetime(until, usegmt=True)}
    thing.fault(call="get", skip=20, status=429, headers=headers, act=False)
    assert in_threads(8, lambda: [hook.get() for _ in range(5)]) == [[200] * 5] * 8
    refused = next(entry for entry in thing.sandbox.log if entry.status == 429)
    assert not [entry for entry in thing.sandbox.log if refused.time + 0.3 < entry.time < until.timestamp() - 0.02]


def test_too_many_requests_holds_every_thread_even_if_it_does_not_say_how_long(thing: ServedThing) -> None:
    hook = thing.another(max_concurrency=8)
    hook.get()
    thing.fault(call="delete", skip=20, status=429, times=1, act=False)
    assert in_threads(8, lambda: [hook.delete() for _ in range(5)]) == [[204] * 5] * 8
    times = [entry.time for entry in thing.sandbox.log]
    assert max(later - earlier for earlier, later in pairwise(times[20:])) > 0.24
