"""The shared client over real sockets: what is sent again, how it waits, and how it stops."""

from __future__ import annotations

import gc
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import tenacity

from airflow_provider_records.client.hook import quoted
from airflow_provider_records.exceptions import (
    InvalidRecordsError,
    NoAnswerError,
    NotSentError,
    UnavailableError,
)
from airflow_provider_records.sandbox.server import Server
from tests.client.raw_server import PlainHook, RawServer, ServedThing, ThingHook, free_port, in_threads, settings
from tests.conftest import Serve


@pytest.fixture
def thing(serve: Serve) -> ServedThing:
    return ServedThing(serve)


def test_every_request_has_a_timeout_and_a_delete_is_not_sent_again() -> None:
    with RawServer(None) as server:
        hook = PlainHook("thing_default", settings(server.url, timeout=0.3))
        with pytest.raises(NoAnswerError, match="within the timeout"):
            hook.delete()
        assert len(server.heads) == 1


def test_a_read_is_tried_eight_times(thing: ServedThing) -> None:
    thing.fault(call="get", status=503, times=None)
    with pytest.raises(NoAnswerError):
        thing.hook.get()
    assert thing.count("get") == 8


def test_a_read_survives_seven_lost_answers(thing: ServedThing) -> None:
    thing.fault(call="get", drop=True, times=7)
    assert thing.hook.get() == 200


@pytest.mark.parametrize("fault", [{"drop": True}, {"drop": True, "act": False}, {"status": 503}])
def test_a_delete_is_never_repeated_after_a_lost_answer(thing: ServedThing, fault: dict[str, Any]) -> None:
    thing.fault(call="delete", **fault)
    with pytest.raises(NoAnswerError):
        thing.hook.delete()
    assert thing.count("delete") == 1


def test_a_delete_is_repeated_after_a_refused_connection(thing: ServedThing, monkeypatch: pytest.MonkeyPatch) -> None:
    thing.hook.get()
    port = free_port()
    servers: list[Server] = []

    class Opening(tenacity.wait.wait_base):
        def __call__(self, _: tenacity.RetryCallState) -> float:
            servers.append(Server(thing.sandbox, port).__enter__())
            return 0.0

    monkeypatch.setattr(ThingHook, "backoff", Opening())
    hook = ThingHook("thing_default", settings(f"http://127.0.0.1:{port}/thing"))
    hook.__dict__["auth"] = thing.hook.auth
    try:
        assert hook.delete() == 204
    finally:
        for server in servers:
            server.__exit__(None, None, None)
    assert thing.destroyed == ["a"]
    assert len(servers) == 1


def test_a_refused_connection_is_an_error_that_says_not_sent() -> None:
    with pytest.raises(NotSentError, match="no connection could be made"):
        PlainHook("thing_default", settings(f"http://127.0.0.1:{free_port()}")).delete()


def test_slow_down_in_seconds_is_obeyed_by_a_delete(thing: ServedThing) -> None:
    thing.hook.get()
    thing.fault(call="delete", status=429, headers={"Retry-After": "1"}, act=False)
    assert thing.hook.delete() == 204
    first, second = (entry.time for entry in thing.sandbox.log if entry.call == "delete")
    assert second - first > 0.98
    assert thing.destroyed == ["a"]


def test_slow_down_until_a_date_is_obeyed(thing: ServedThing) -> None:
    until = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    thing.fault(call="delete", status=429, headers={"Retry-After": format_datetime(until, usegmt=True)}, act=False)
    assert thing.hook.delete() == 204
    assert [entry.time for entry in thing.sandbox.log if entry.call == "delete"][1] > until.timestamp() - 0.02


def test_slow_down_holds_every_thread(thing: ServedThing) -> None:
    hook = thing.another(requests_per_second=20)
    hook.get()
    thing.sandbox.log.clear()
    thing.fault(call="get", status=429, headers={"Retry-After": "1"}, act=False)
    assert in_threads(6, hook.get) == [200] * 6
    times = [entry.time for entry in thing.sandbox.log]
    assert sum(moment < times[0] + 0.9 for moment in times) <= 2


def test_too_long_a_wait_is_refused_at_once(thing: ServedThing) -> None:
    thing.fault(call="get", status=429, headers={"Retry-After": "3600"}, times=None)
    with pytest.raises(UnavailableError, match=r"asks to wait 3600 s.*429"):
        thing.hook.get()
    with pytest.raises(UnavailableError, match="3600"):
        thing.hook.delete()
    assert (thing.count("get"), thing.count("delete")) == (1, 0)


def test_slow_down_for_ever_ends(thing: ServedThing) -> None:
    thing.fault(call="delete", status=429, headers={"Retry-After": "0"}, times=None, act=False)
    with pytest.raises(NotSentError):
        thing.hook.delete()
    assert thing.count("delete") == 8


def test_requests_per_second_holds_over_threads(thing: ServedThing) -> None:
    hook = thing.another(requests_per_second=40)
    hook.get()
    thing.sandbox.log.clear()
    in_threads(8, lambda: [hook.get() for _ in range(3)])
    times = [entry.time for entry in thing.sandbox.log]
    assert len(times) == 24
    assert times[-1] - times[0] > 23 / 40 - 0.05


def test_the_stop_flag_ends_a_wait(thing: ServedThing) -> None:
    thing.hook.get()
    thing.fault(call="delete", status=429, headers={"Retry-After": "300"}, times=None, act=False)
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.extend(in_threads(1, thing.hook.delete)))
    thread.start()
    while not thing.hook.throttle.generation:
        threading.Event().wait(0.01)
    thing.hook.stopping = True
    thread.join(60)
    assert isinstance(results[0], NotSentError)
    assert (thing.count("delete"), thing.destroyed) == (1, [])


def test_nothing_is_sent_once_the_stop_flag_is_set(thing: ServedThing) -> None:
    thing.hook.stopping = True
    with pytest.raises(NotSentError, match="being stopped"):
        thing.hook.delete()
    assert thing.sandbox.log == []


def test_a_delete_that_may_not_be_sent_is_not_and_a_read_is(thing: ServedThing) -> None:
    thing.hook.may_send = lambda: False
    with pytest.raises(NotSentError, match="not sent"):
        thing.hook.delete()
    assert thing.count("delete") == 0
    assert thing.destroyed == []
    assert thing.hook.get() == 200


def test_it_is_asked_again_before_a_repeat(thing: ServedThing) -> None:
    thing.fault(call="delete", status=429, act=False)
    answers = iter([True, True, *[False] * 8])
    thing.hook.may_send = lambda: next(answers)
    with pytest.raises(NotSentError):
        thing.hook.delete()
    assert thing.count("delete") == 1
    assert thing.destroyed == []


def test_requests_leave_nothing_that_only_the_garbage_collector_frees(thing: ServedThing) -> None:
    thing.hook.get()
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            thing.hook.get()
            thing.hook.delete()
        assert gc.collect() < 50
    finally:
        gc.enable()


@pytest.mark.parametrize("part", ["", ".", "..", "\ud800"])
def test_an_id_that_would_change_the_path_is_refused(part: str) -> None:
    with pytest.raises(InvalidRecordsError):
        quoted(part)


def test_ids_are_quoted() -> None:
    assert quoted("2020#7/ä") == "2020%237%2F%C3%A4"
