"""Credentials: one token for all threads, renewed when it ends, never asked for again once the login was refused."""

from __future__ import annotations

import threading

import pytest
import requests
from airflow.sdk._shared.secrets_masker import redact

from airflow_provider_records.client import throttle
from airflow_provider_records.client.auth import basic_auth
from airflow_provider_records.client.transport import Request
from airflow_provider_records.exceptions import (
    AuthenticationError,
    NotSentError,
    UnavailableError,
)
from tests.client.raw_server import Scene, in_threads
from tests.conftest import Serve


@pytest.fixture
def scene(serve: Serve) -> Scene:
    return Scene(serve)


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


def test_a_user_of_the_session_signs_in_the_same_way(scene: Scene) -> None:
    session, url = scene.hook.get_conn(), scene.hook.url("a")
    assert session.get(url, timeout=5).status_code == 401
    assert session.get(url, auth=scene.hook.auth, timeout=5).status_code == 200
    assert scene.count("token") == 1


def test_a_login_beyond_latin_1_is_sent_in_utf_8() -> None:
    request = requests.Request("GET", "http://x/", auth=basic_auth("jürgen", "€")).prepare()
    assert request.headers["Authorization"] == "Basic asO8cmdlbjrigqw="
