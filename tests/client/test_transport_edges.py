"""The shared client over real sockets: the rule of repeating, tokens, pace and stop."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import tenacity
from airflow.sdk._shared.secrets_masker import redact

from airflow_provider_records.client import throttle
from airflow_provider_records.client.transport import Request
from airflow_provider_records.exceptions import AuthenticationError, NoAnswerError, NotSentError, UnavailableError
from airflow_provider_records.sandbox.core import Server
from tests.client.raw_server import PlainHook, RawServer, Scene, ThingHook, free_port, in_threads, settings
from tests.conftest import Serve


@pytest.fixture
def scene(serve: Serve) -> Scene:
    return Scene(serve)


def test_every_request_has_a_timeout_and_a_delete_is_not_sent_again() -> None:
    with RawServer(None) as server:
        hook = PlainHook("thing_default", settings(server.url, timeout=0.3))
        begin = time.monotonic()
        with pytest.raises(NoAnswerError, match="within the timeout"):
            hook.delete()
        assert time.monotonic() - begin < 2
        assert len(server.heads) == 1


def test_a_read_is_tried_eight_times(scene: Scene) -> None:
    scene.fault(call="get", status=503, times=None)
    with pytest.raises(NoAnswerError):
        scene.hook.get()
    assert scene.count("get") == 8


def test_a_read_survives_seven_lost_answers(scene: Scene) -> None:
    scene.fault(call="get", drop=True, times=7)
    assert scene.hook.get() == 200


@pytest.mark.parametrize("fault", [{"drop": True}, {"drop": True, "act": False}, {"status": 503}])
def test_a_delete_is_never_repeated_after_a_lost_answer(scene: Scene, fault: dict[str, Any]) -> None:
    scene.fault(call="delete", **fault)
    with pytest.raises(NoAnswerError):
        scene.hook.delete()
    assert scene.count("delete") == 1


def test_a_delete_is_repeated_after_a_refused_connection(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.hook.get()
    port = free_port()
    servers: list[Server] = []

    class Opening(tenacity.wait.wait_base):
        def __call__(self, _: tenacity.RetryCallState) -> float:
            servers.append(Server(scene.stage, port).__enter__())
            return 0.0

    monkeypatch.setattr(ThingHook, "backoff", Opening())
    hook = ThingHook("thing_default", settings(f"http://127.0.0.1:{port}/thing"))
    hook.__dict__["auth"] = scene.hook.auth
    try:
        assert hook.delete() == 204
    finally:
        for server in servers:
            server.__exit__(None, None, None)
    assert scene.destroyed == ["a"]
    assert len(servers) == 1


def test_a_refused_connection_is_an_error_that_says_not_sent() -> None:
    with pytest.raises(NotSentError, match="no connection could be made"):
        PlainHook("thing_default", settings(f"http://127.0.0.1:{free_port()}")).delete()


def test_slow_down_in_seconds_is_obeyed_by_a_delete(scene: Scene) -> None:
    scene.hook.get()
    scene.fault(call="delete", status=429, headers={"Retry-After": "1"}, act=False)
    assert scene.hook.delete() == 204
    first, second = (entry.time for entry in scene.stage.log if entry.call == "delete")
    assert second - first > 0.98
    assert scene.destroyed == ["a"]


def test_slow_down_until_a_date_is_obeyed(scene: Scene) -> None:
    until = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    scene.fault(call="delete", status=429, headers={"Retry-After": format_datetime(until, usegmt=True)}, act=False)
    assert scene.hook.delete() == 204
    assert [entry.time for entry in scene.stage.log if entry.call == "delete"][1] > until.timestamp() - 0.02


def test_slow_down_holds_every_thread(scene: Scene) -> None:
    hook = scene.another(requests_per_second=20)
    hook.get()
    scene.stage.log.clear()
    scene.fault(call="get", status=429, headers={"Retry-After": "1"}, act=False)
    assert in_threads(6, hook.get) == [200] * 6
    times = [entry.time for entry in scene.stage.log]
    assert sum(moment < times[0] + 0.9 for moment in times) <= 2


def test_too_long_a_wait_is_refused_at_once(scene: Scene) -> None:
    scene.fault(call="get", status=429, headers={"Retry-After": "3600"}, times=None)
    with pytest.raises(UnavailableError, match=r"asks to wait 3600 s.*429"):
        scene.hook.get()
    with pytest.raises(UnavailableError, match="3600"):
        scene.hook.delete()
    assert (scene.count("get"), scene.count("delete")) == (1, 0)


def test_slow_down_for_ever_ends(scene: Scene) -> None:
    scene.fault(call="delete", status=429, headers={"Retry-After": "0"}, times=None, act=False)
    with pytest.raises(NotSentError):
        scene.hook.delete()
    assert scene.count("delete") == 8


def test_a_refused_token_is_renewed_once(scene: Scene) -> None:
    scene.hook.get()
    scene.part.valid.clear()
    assert scene.hook.delete() == 204
    assert (scene.count("token"), scene.count("delete"), scene.destroyed) == (2, 2, ["a"])


def test_the_fourth_refusal_stops(scene: Scene) -> None:
    scene.fault(call="delete", status=401, times=None, act=False)
    with pytest.raises(AuthenticationError):
        scene.hook.delete()
    assert (scene.count("token"), scene.count("delete")) == (4, 4)


def test_refusals_are_counted_over_all_attempts(scene: Scene) -> None:
    for attempt in range(3):
        scene.fault(call="delete", status=401, skip=2 * attempt, act=False)
        scene.fault(call="delete", status=429, skip=2 * attempt + 1, act=False)
    scene.fault(call="delete", status=401, skip=6, act=False)
    with pytest.raises(AuthenticationError):
        scene.hook.delete()
    assert (scene.count("token"), scene.count("delete"), scene.destroyed) == (4, 7, [])


def test_a_refused_login_is_asked_for_once_by_all_threads(scene: Scene) -> None:
    scene.fault(call="token", status=401, body={"error": "sent q8Zt-thing"}, times=None, act=False)
    results = in_threads(8, scene.hook.delete)
    assert [type(result) for result in results] == [AuthenticationError] * 8
    assert (scene.count("token"), scene.count("delete")) == (1, 0)
    assert {error.detail for error in results} == {None}


def test_a_delete_without_a_token_was_not_sent(scene: Scene) -> None:
    scene.fault(call="token", drop=True, times=None)
    with pytest.raises(NotSentError, match="no credentials"):
        scene.hook.delete()
    assert (scene.count("token"), scene.count("delete")) == (8, 0)


def test_a_token_service_that_comes_back_is_used(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "OPEN_FOR", 0.5)
    scene.fault(call="token", status=503, times=8, act=False)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="no credentials"):
            scene.hook.get()
    assert scene.count("token") == 8
    threading.Event().wait(0.5)
    assert scene.hook.get() == 200


def test_many_threads_share_one_renewal(scene: Scene) -> None:
    assert in_threads(8, scene.hook.get) == [200] * 8
    assert scene.count("token") == 1
    scene.part.valid.clear()
    assert in_threads(8, scene.hook.delete) == [204] * 8
    assert (scene.count("token"), len(scene.destroyed)) == (2, 8)


def test_a_token_is_renewed_before_it_expires(scene: Scene) -> None:
    scene.hook.lifetime = 0.4
    scene.hook.get()
    scene.hook.get()
    assert scene.count("token") == 1
    threading.Event().wait(0.31)
    scene.hook.get()
    assert (scene.count("token"), scene.count("get")) == (2, 3)


def test_tokens_and_secrets_are_masked(scene: Scene) -> None:
    scene.hook.get()
    assert "sandbox-bearer-1" not in str(redact("got sandbox-bearer-1"))
    assert "q8Zt-thing" not in repr(scene.hook.settings)
    assert "sandbox-bearer" not in repr(scene.hook.auth.token())
    assert "q8Zt" not in repr(Request("POST", scene.hook.url("token"), {"Authorization": "q8Zt"}, b"secret=q8Zt"))


def test_requests_per_second_holds_over_threads(scene: Scene) -> None:
    hook = scene.another(requests_per_second=40)
    hook.get()
    scene.stage.log.clear()
    in_threads(8, lambda: [hook.get() for _ in range(3)])
    times = [entry.time for entry in scene.stage.log]
    assert len(times) == 24
    assert times[-1] - times[0] > 23 / 40 - 0.05


def test_the_stop_flag_ends_a_wait_within_a_second(scene: Scene) -> None:
    scene.hook.get()
    scene.fault(call="delete", status=429, headers={"Retry-After": "300"}, times=None, act=False)
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.extend(in_threads(1, scene.hook.delete)))
    thread.start()
    while not scene.hook.throttle.generation:
        threading.Event().wait(0.01)
    begin = time.monotonic()
    scene.hook.stopping = True
    thread.join(5)
    assert time.monotonic() - begin < 1
    assert isinstance(results[0], NotSentError)
    assert (scene.count("delete"), scene.destroyed) == (1, [])


def test_nothing_is_sent_once_the_stop_flag_is_set(scene: Scene) -> None:
    scene.hook.stopping = True
    with pytest.raises(NotSentError, match="being stopped"):
        scene.hook.delete()
    assert scene.stage.log == []
