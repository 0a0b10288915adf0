"""Rate limits, logins that end and dead systems, met by disposals of many threads; the sandbox's log is the truth."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import tenacity

from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.client.throttle import CircuitBreaker, RateLimiter
from airflow_provider_records.exceptions import DisposalIncompleteError, VendorError
from airflow_provider_records.operators.opus import OpusDueRecordsOperator
from airflow_provider_records.retry import RecordsRetryPolicy
from tests.client.raw_server import free_port
from tests.minors import since
from tests.operators.factories import run
from tests.operators.throttling import THREADS, Clock, Simulation, ThrottledRun, throttled_run

BACKOFF, LONGEST_WAIT, SLOWEST = VendorHook.backoff, CircuitBreaker.longest_wait, RateLimiter.slowest
VENDORS = pytest.mark.parametrize("vendor", ["enaio", "unifier", "opus"])

Begin = Callable[..., ThrottledRun]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    with ExitStack() as stack:

        def made(vendor: str = "enaio", count: int = 60, **options: Any) -> ThrottledRun:
            made: AbstractContextManager[ThrottledRun] = throttled_run(vendor, count, tmp_path, monkeypatch, **options)
            return stack.enter_context(made)

        yield made


@pytest.fixture
def real(_no_backoff: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits as they are."""
    monkeypatch.setattr(VendorHook, "backoff", BACKOFF)
    monkeypatch.setattr(CircuitBreaker, "longest_wait", LONGEST_WAIT)
    monkeypatch.setattr(RateLimiter, "slowest", SLOWEST)


@pytest.fixture
def hasty(_no_backoff: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits as they are, but in a hundredth of the time."""
    monkeypatch.setattr(VendorHook, "backoff", tenacity.wait_random_exponential(multiplier=0.005, max=0.3))
    monkeypatch.setattr(CircuitBreaker, "first_wait", 0.005)
    monkeypatch.setattr(CircuitBreaker, "longest_wait", 0.3)
    monkeypatch.setattr(CircuitBreaker, "patience", 1.2)


# A system that limits the rate


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(("count", "limit"), [(220, 50), (32, 8), (1000, 50), (10_000, 300)])
def test_a_limit_is_found_and_kept(monkeypatch: pytest.MonkeyPatch, count: int, limit: int) -> None:
    """Simulated: how many calls are refused, and how long a list takes, must not depend on how busy this machine is."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    made = Simulation(clock, limit, count)
    made.run()
    assert len(made.accepted) == count
    later = [moment for moment in made.refused if moment > 3]
    assert 0 < len(made.refused) - len(later) <= 2 * THREADS
    assert len(later) <= 0.01 * count
    assert made.accepted[-1] < 2 + 1.05 * count / limit  # two waits of a second, and nearly the full rate


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize(("vendor", "count", "limit"), [("enaio", 220, 50), ("opus", 480, 8)])
def test_all_threads_slow_down_together(begin: Begin, vendor: str, count: int, limit: int) -> None:
    trial = begin(vendor, count)
    trial.fault("*", latency_ms=20)
    trial.fault(per_second=limit, status=429, headers={"Retry-After": "1"}, act=False)
    assert sum(trial.carry_out().values()) == count
    assert trial.error is None
    assert len(trial.done) == count
    assert 0 < sum(entry.status == 429 for entry in trial.sent) <= 2 * THREADS


@pytest.mark.usefixtures("real")
def test_full_speed_comes_back_when_the_limit_is_lifted(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RateLimiter, "growth", 2.0)
    trial = begin("enaio", 400)
    limit = trial.fault(per_second=30, status=429, headers={"Retry-After": "1"}, act=False)
    with trial.after(120, lambda: trial.sandbox.faults.remove(limit)):
        assert trial.carry_out(verify=False) == {"destroyed": 400}
    times = [entry.time for entry in trial.sent]
    assert times[-1] - times[120] < 8  # 10 at the old rate


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize("acted", [True, False])
def test_a_503_holds_all_threads_and_is_looked_up(begin: Begin, acted: bool) -> None:
    trial = begin("enaio", 120)
    trial.fault("*", latency_ms=20)
    trial.fault(skip=40, times=1, status=503, headers={"Retry-After": "1"}, act=acted)
    assert trial.carry_out(verify=False) == {"destroyed": 120}
    (lost,) = (entry for entry in trial.sent if entry.status == 503)
    assert not [entry for entry in trial.sent if lost.time + 0.2 < entry.time < lost.time + 1]
    assert len(trial.sent) == (120 if acted else 121)
    assert trial.calls("get_object") > 0


# A login that ends


@VENDORS
def test_a_login_that_ends_twice_is_renewed_once_each_time(begin: Begin, vendor: str) -> None:
    count = 570 if vendor == "opus" else 180
    trial = begin(vendor, count)
    trial.fault("*", latency_ms=20)
    trial.fault("token", latency_ms=200)
    trial.fault("login", latency_ms=200)
    calls = count // 15 if vendor == "opus" else count
    with trial.after(calls // 4, trial.end_logins), trial.after(calls * 3 // 4, trial.end_logins):
        assert sum(trial.carry_out().values()) == count
    assert trial.error is None
    assert len(trial.done) == count
    assert any(entry.status == 401 for entry in trial.sent)
    assert trial.logins == 3 if vendor != "enaio" else trial.logins <= 1 + 2 * THREADS


@pytest.mark.parametrize(("vendor", "login"), [("unifier", "login"), ("opus", "token")])
def test_a_login_that_fails_first_is_asked_for_by_one_thread(begin: Begin, vendor: str, login: str) -> None:
    count = 570 if vendor == "opus" else 180
    trial = begin(vendor, count)
    trial.fault("*", latency_ms=20)
    trial.fault(login, skip=1, times=3, status=503, act=False)
    with trial.after(20, trial.end_logins):
        trial.carry_out()
    assert trial.error is None
    assert len(trial.done) == count
    assert trial.logins == 1 + 3 + 1


# A system that is dead


def given_up(trial: ThrottledRun, why: str = "Check that it is up") -> None:
    """The try ended soon, with its state safe; and the next one carries on with the rest."""
    count, done = len(trial.records), len(trial.done)
    assert isinstance(trial.error, DisposalIncompleteError)
    assert why in str(trial.error)
    assert trial.seconds < 20
    assert trial.counts["not_attempted"] >= count - done - 4 * THREADS
    assert trial.counts.get("unknown", 0) <= 4 * THREADS
    trial.sandbox.faults.clear()
    sent, trial.error = len(trial.sent), None
    assert sum(trial.carry_out(verify=False).get(name, 0) for name in ("destroyed", "recycled")) == count
    assert len(trial.sent) - sent == count - done


DEATHS: dict[str, dict[str, Any]] = {
    "cut": {"drop": True, "act": False},
    "cut after the delete": {"drop": True},
    "mute": {"latency_ms": 60_000, "act": False},
    "503 after the delete": {"status": 503},
    "429": {"status": 429, "act": False, "headers": {"Retry-After": "0"}},
}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("death", DEATHS)
def test_a_system_that_dies_is_left_alone(begin: Begin, death: str) -> None:
    trial = begin("enaio", 160, timeout=0.8 if death == "mute" else 10)
    looks_and_calls = 160 + 40
    trial.fault("*", skip=looks_and_calls, **DEATHS[death])
    trial.carry_out(verify=False, max_failure_rate=1.0)
    assert trial.sent
    assert len(trial.sandbox.log) < looks_and_calls + 4 * THREADS
    given_up(trial)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("vendor", "status"), [("unifier", 502), ("opus", 500), ("enaio", 500)])
def test_every_system_that_dies_is_left_alone(begin: Begin, vendor: str, status: int) -> None:
    count, calls = (570, 38) if vendor == "opus" else (180, 180)
    trial = begin(vendor, count)
    trial.fault(latency_ms=30)
    with trial.after(10, lambda: trial.fault("*", status=status, act=False)):
        trial.carry_out(max_failure_rate=1.0, concurrency=4)
    assert len(trial.sent) < min(calls, 60)
    assert isinstance(trial.error, DisposalIncompleteError)
    assert trial.counts.get("not_attempted", 0) > 0
    trial.sandbox.faults.clear()
    trial.carry_out(max_failure_rate=1.0)
    assert len(trial.done) == count


@pytest.mark.usefixtures("hasty")
@VENDORS
def test_nothing_is_attempted_where_nobody_listens(begin: Begin, vendor: str) -> None:
    port = free_port()
    trial = (
        begin(vendor, 120, host=f"http://127.0.0.1:{port}", identity_url=f"http://127.0.0.1:{port}/token")
        if vendor == "opus"
        else begin(vendor, 120, host=f"http://127.0.0.1:{free_port()}")
    )
    counts = trial.carry_out(max_failure_rate=1.0)
    assert counts == {"not_attempted": 120}
    assert isinstance(trial.error, DisposalIncompleteError)
    assert "nothing listens there" in str(trial.error)
    assert trial.seconds < 10


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("vendor", "login", "fault"), [("unifier", "login", {"drop": True}), ("opus", "token", {"latency_ms": 60_000})]
)
def test_a_login_that_is_dead_ends_the_try(begin: Begin, vendor: str, login: str, fault: dict[str, Any]) -> None:
    count = 570 if vendor == "opus" else 180
    trial = begin(vendor, count, timeout=0.8)
    trial.fault("*", latency_ms=10)
    dead = trial.fault(login, skip=1, act=False, **fault)
    with trial.after(10, trial.end_logins):
        trial.carry_out(max_failure_rate=1.0)
    assert trial.logins <= 1 + 8 + 2
    assert trial.counts["not_attempted"] > 0
    assert "no credentials" in str(trial.error)
    trial.sandbox.faults.remove(dead)
    trial.carry_out()
    assert len(trial.done) == count


@pytest.mark.usefixtures("hasty")
def test_a_system_that_dies_between_delete_and_probe_leaves_one_record_open(begin: Begin) -> None:
    trial = begin("enaio", 120)
    trial.fault(skip=50, times=1, drop=True)
    looks = 122  # at all objects, since the first looks go that far, and at a folder with the way to it
    trial.fault("*", skip=52 + looks, drop=True, act=False)
    trial.carry_out(verify=False, max_failure_rate=1.0, concurrency=1)
    assert trial.counts["destroyed"] == 50
    assert len(trial.done) == 51
    assert trial.counts["unknown"] <= 20
    given_up(trial)


@pytest.mark.usefixtures("hasty")
def test_unanswered_probes_end(begin: Begin) -> None:
    trial = begin("enaio", 200)
    trial.fault(drop=True, skip=20, times=100)
    with trial.after(1, lambda: trial.fault("get_object", status=503)):
        trial.carry_out(verify=False, max_failure_rate=1.0)
    looks = 200 + 8  # before the calls, and those at folders
    assert trial.calls("get_object") < looks + 4 * THREADS
    assert "Check that it is up" in str(trial.error)
    assert trial.counts["destroyed"] + trial.counts["unknown"] + trial.counts.get("not_attempted", 0) == 200


@pytest.mark.usefixtures("hasty")
def test_an_unanswered_preparation_ends_before_anything_is_sent(begin: Begin) -> None:
    trial = begin("unifier", 180)
    trial.fault("list_nodes", status=503)
    assert trial.carry_out(max_failure_rate=1.0) == {"not_attempted": 180}
    assert trial.calls("list_nodes") < 4 * THREADS
    assert trial.sent == []
    given_up(trial)


@pytest.mark.usefixtures("hasty")
def test_a_due_list_that_breaks_off_is_asked_for_eight_times(begin: Begin) -> None:
    trial = begin("opus", 1)
    trial.fault("due_records", skip=3, status=503)
    with pytest.raises(VendorError, match="HTTP 503") as caught:
        run(OpusDueRecordsOperator(task_id="due", due_before="2026-11-01T00:00:00"))
    assert caught.value.retry
    assert trial.calls("due_records") == 3 + 8


@since("3.3")
def test_a_system_that_asks_for_an_hour_is_left_alone(begin: Begin) -> None:
    trial = begin("enaio", 200)
    trial.fault(status=429, skip=20, act=False, headers={"Retry-After": "3600"})
    trial.carry_out(max_failure_rate=1.0)
    assert len(trial.sent) <= 20 + THREADS
    assert isinstance(trial.error, DisposalIncompleteError)
    pause = RecordsRetryPolicy().evaluate(trial.error, 1, 3).retry_delay
    assert pause is not None
    assert timedelta(minutes=59) < pause <= timedelta(hours=1)
    given_up(trial, "asks to wait 3600 s")


# The breaker, and the stop flag


def test_the_breaker_ends_the_sending_with_what_is_in_flight(begin: Begin) -> None:
    trial = begin("enaio", 200)
    trial.fault("*", latency_ms=10)
    trial.fault(status=500, act=False)
    trial.carry_out()
    assert 20 <= len({entry.path for entry in trial.sent}) <= 20 + THREADS
    assert trial.counts["not_attempted"] >= 200 - 20 - THREADS
    assert "max_failure_rate" in str(trial.error)


def test_what_is_blocked_is_no_failure(begin: Begin) -> None:
    trial = begin("enaio", 100)
    trial.fault(status=409, act=False)
    assert trial.carry_out(max_failure_rate=0.0) == {"blocked": 100}
    assert trial.error is None


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize("fault", [{"status": 429, "headers": {"Retry-After": "300"}}, {"status": 429}, {"drop": True}])
def test_a_stop_ends_every_wait(begin: Begin, fault: dict[str, Any]) -> None:
    trial = begin("enaio", 100)
    trial.fault("*", skip=30, act=False, **fault)
    task = threading.Thread(target=lambda: trial.carry_out(max_failure_rate=1.0))
    task.start()
    while (
        trial.operator is None or "hook" not in trial.operator.__dict__ or not trial.operator.hook.throttle.generation
    ):
        time.sleep(0.01)
    time.sleep(0.3)
    trial.operator.on_kill()
    task.join(60)
    assert not task.is_alive()
    assert "the task was stopped" in str(trial.error)
    assert trial.counts["not_attempted"] >= 50
