"""How rate limiter and circuit breaker change with what the system responds; the clock is that of the test."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from pytest_mock import MockerFixture

from airflow_provider_records.client import throttle as module
from airflow_provider_records.client.throttle import CircuitBreaker, RateLimiter, Throttle
from airflow_provider_records.exceptions import UnavailableError

LOST = "the response was lost"


@pytest.fixture(autouse=True)
def _waits(_no_backoff: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CircuitBreaker, "longest_wait", 30.0)
    monkeypatch.setattr(RateLimiter, "slowest", 1.0)


class Clock:
    """The time, and a throttle that uses it."""

    def __init__(self, mocker: MockerFixture) -> None:
        self.now = 1000.0
        mocker.patch("time.monotonic", side_effect=lambda: self.now)
        # the longest of all random waits
        mocker.patch.object(random, "uniform", side_effect=lambda low, high: high)
        self.throttle = Throttle(None)

    def next(self) -> float:
        """Send the next call as soon as it may leave; return the seconds until then."""
        seconds, _ = self.throttle.acquire()
        self.now += seconds
        return seconds

    def answer(self, calls: int, seconds: float = 0.0) -> None:
        """Let calls be accepted, evenly over some time."""
        for _ in range(calls):
            self.now += seconds / calls
            self.throttle.succeeded(self.throttle.acquire()[1])

    def fail(self, asked: float | None = None, times: int = 1) -> float:
        """Send calls that fail; return when the next one may leave."""
        for _ in range(times):
            self.next()
            self.throttle.failed(self.throttle.generation, LOST, asked)
        return self.wait

    @property
    def wait(self) -> float:
        return self.throttle.limiter.paused_until - self.now


@pytest.fixture
def clock(mocker: MockerFixture) -> Clock:
    return Clock(mocker)


def test_an_undisturbed_system_is_never_waited_for(clock: Clock) -> None:
    assert [clock.next() for _ in range(1000)] == [0.0] * 1000


def test_all_go_on_with_nine_tenths_of_what_was_accepted(clock: Clock) -> None:
    clock.throttle.acquire()
    clock.answer(100, seconds=10)
    assert clock.fail(asked=2) == pytest.approx(2)
    assert clock.next() == pytest.approx(2)
    assert [clock.next() for _ in range(3)] == pytest.approx([1 / 9] * 3, rel=0.01)


def test_requests_in_flight_slow_down_once_only(clock: Clock) -> None:
    clock.throttle.acquire()
    clock.answer(100, seconds=10)
    for _ in range(16):
        clock.throttle.failed(0, LOST, 2)
    assert clock.wait == pytest.approx(2)
    clock.throttle.succeeded(0)
    assert [clock.next() for _ in range(3)] == pytest.approx([2, 1 / 9, 1 / 9], rel=0.01)


def test_the_longest_of_several_waits_is_kept(clock: Clock) -> None:
    for seconds in (1, 20, 5):
        clock.throttle.failed(0, LOST, seconds)
    assert clock.next() == pytest.approx(20)


def test_the_rate_is_that_since_it_asked_before(clock: Clock) -> None:
    clock.throttle.acquire()
    clock.answer(1000, seconds=1)
    clock.fail(asked=1)
    clock.now += 1
    clock.answer(10, seconds=1)
    clock.fail(asked=1)
    clock.next()
    assert clock.next() == pytest.approx(1 / (0.9 * 10 / 2), rel=0.02)


def test_where_nothing_was_accepted_it_begins_slowly(clock: Clock) -> None:
    clock.fail(asked=1)
    clock.next()
    assert clock.next() == pytest.approx(1)


def rates(clock: Clock, *moments: float) -> list[float]:
    begin = clock.now
    found = []
    for moment in moments:
        clock.now = begin + moment
        clock.throttle.acquire()
        found.append(1 / clock.throttle.acquire()[0])
        clock.throttle.limiter._next = 0.0
    return found


def test_the_rate_grows_slowly_first_and_is_forgotten_after_a_minute(clock: Clock) -> None:
    clock.throttle.acquire()
    clock.answer(100, seconds=10)
    clock.fail(asked=1)
    clock.now += 1
    assert rates(clock, 0, 3.1, 8.33, 21.5) == pytest.approx([9, 9.9, 18, 900], rel=0.05)
    clock.now += 40
    assert [clock.next() for _ in range(100)] == [0.0] * 100


def test_eight_failures_in_a_row_hold_everybody_but_one(clock: Clock) -> None:
    assert clock.fail(times=7) <= 0
    assert clock.fail() == pytest.approx(0.5)
    assert clock.next() == pytest.approx(0.5)
    assert clock.throttle.acquire()[0] == pytest.approx(30)


def test_failures_between_answers_hold_nobody(clock: Clock) -> None:
    for _ in range(50):
        assert clock.fail(times=7) <= 0
        clock.answer(1)


def test_the_first_answer_lets_all_go_on_as_fast_as_before(clock: Clock) -> None:
    clock.fail(times=8)
    clock.next()
    clock.throttle.acquire()
    generation = clock.throttle.generation
    clock.answer(1)
    assert clock.throttle.generation > generation
    assert [clock.next() for _ in range(100)] == [0.0] * 100


def test_an_outage_does_not_undo_the_growth(clock: Clock) -> None:
    clock.throttle.acquire()
    clock.answer(100, seconds=10)
    clock.fail(asked=1)
    clock.now += 22.5
    clock.fail(times=8)
    clock.next()
    clock.answer(1)
    assert rates(clock, 0)[0] > 500


def test_fruitless_waits_grow_to_half_a_minute(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CircuitBreaker, "patience", 1e9)
    clock.fail(times=7)
    assert [clock.fail() for _ in range(9)] == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30, 30])


def test_fruitless_waits_that_were_asked_for_grow_as_well(clock: Clock) -> None:
    assert [clock.fail(asked=3) for _ in range(5)] == pytest.approx([3, 3, 3, 4, 8])
    clock.next()
    clock.answer(1)
    assert clock.fail(asked=3) == pytest.approx(3)


def test_a_dead_system_is_given_up_after_two_minutes(clock: Clock) -> None:
    begin = clock.now
    message = r"1[5-9] requests in a row, in 1\d\d s.*host field.*the response was lost"
    with pytest.raises(UnavailableError, match=message):
        clock.fail(times=100)
    assert 120 <= clock.now - begin <= 155


@pytest.mark.parametrize("seconds", [50.0, 500.0])
def test_it_is_given_up_only_after_three_waits(clock: Clock, seconds: float) -> None:
    assert [clock.fail(asked=seconds) for _ in range(3)] == pytest.approx([seconds] * 3)
    clock.fail(asked=seconds)
    with pytest.raises(UnavailableError):
        clock.throttle.acquire()


def test_after_a_minute_one_call_tries_again(clock: Clock) -> None:
    with pytest.raises(UnavailableError):
        clock.fail(times=100)
    clock.now += 59
    with pytest.raises(UnavailableError):
        clock.throttle.acquire()
    clock.now += 2
    assert clock.next() == 0.0
    assert clock.throttle.acquire()[0] == pytest.approx(30)
    clock.throttle.failed(clock.throttle.generation, LOST, None)
    with pytest.raises(UnavailableError):
        clock.throttle.acquire()
    clock.now += 61
    clock.answer(1)
    assert [clock.next() for _ in range(100)] == [0.0] * 100


@pytest.mark.parametrize(("seconds", "open_for"), [(601, 601), (10**6, 3600)])
def test_it_does_not_wait_for_longer_than_ten_minutes(clock: Clock, seconds: float, open_for: float) -> None:
    clock.throttle.failed(0, LOST, 600)
    assert clock.next() == pytest.approx(600)
    clock.throttle.failed(0, LOST, seconds)
    for _ in range(2):
        with pytest.raises(UnavailableError, match=f"asks to wait {seconds:.0f} s"):
            clock.throttle.acquire()
        clock.now += open_for - 1
    clock.now += 2 - open_for
    assert clock.next() <= 0


@pytest.mark.parametrize("trouble", [lambda clock: clock.fail(asked=0), lambda clock: clock.fail(times=8)])
def test_a_new_generation_keeps_the_limit_of_the_connection(clock: Clock, trouble: Callable[[Clock], object]) -> None:
    clock.throttle = Throttle(0.1)
    clock.next()
    clock.throttle.acquire()
    trouble(clock)
    assert clock.next() == pytest.approx(10)
    clock.throttle.succeeded(clock.throttle.generation)
    assert clock.next() == pytest.approx(10)


def test_waits_are_jittered() -> None:
    waits = set()
    for _ in range(20):
        throttle = Throttle(None)
        throttle.failed(0, LOST, 0)
        waits.add(round(throttle.acquire()[0], 6))
    assert len(waits) > 10
    assert all(0.2 < wait <= 0.5 for wait in waits)


def test_the_constants_are_those_of_the_readme() -> None:
    limits = (module.FAILURES_IN_A_ROW, module.FRUITLESS_WAITS, module.LONGEST_RETRY_AFTER, CircuitBreaker.patience)
    assert limits == (8, 3, 600.0, 120.0)
