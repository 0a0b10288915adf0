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
from tests.client.raw_server import ServedThing, in_threads
from tests.conftest import Serve


@pytest.fixture
def thing(serve: Serve) -> ServedThing:
    return ServedThing(serve)


def test_a_refused_token_is_renewed_once(thing: ServedThing) -> None:
    thing.hook.get()
    thing.part.valid.clear()
    assert thing.hook.delete() == 204
    assert (thing.count("token"), thing.count("delete"), thing.destroyed) == (2, 2, ["a"])


def test_the_fourth_refusal_stops(thing: ServedThing) -> None:
    thing.fault(call="delete", status=401, times=None, act=False)
    with pytest.raises(AuthenticationError):
        thing.hook.delete()
    assert (thing.count("token"), thing.count("delete")) == (4, 4)


def test_refusals_are_counted_over_all_attempts(thing: ServedThing) -> None:
    for attempt in range(3):
        thing.fault(call="delete", status=401, skip=2 * attempt, act=False)
        thing.fault(call="delete", status=429, skip=2 * attempt + 1, act=False)
    thing.fault(call="delete", status=401, skip=6, act=False)
    with pytest.raises(AuthenticationError):
        thing.hook.delete()
    assert (thing.count("token"), thing.count("delete"), thing.destroyed) == (4, 7, [])


def test_a_refused_login_is_asked_for_once_by_all_threads(thing: ServedThing) -> None:
    thing.fault(call="token", status=401, body={"error": "sent q8Zt-thing"}, times=None, act=False)
    results = in_threads(8, thing.hook.delete)
    assert [type(result) for result in results] == [AuthenticationError] * 8
    assert (thing.count("token"), thing.count("delete")) == (1, 0)
    assert {error.detail for error in results} == {None}


def test_a_delete_without_a_token_was_not_sent(thing: ServedThing) -> None:
    thing.fault(call="token", drop=True, times=None)
    with pytest.raises(NotSentError, match="no credentials"):
        thing.hook.delete()
    assert (thing.count("token"), thing.count("delete")) == (8, 0)


def test_a_token_service_that_comes_back_is_used(thing: ServedThing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "OPEN_FOR", 0.5)
    thing.fault(call="token", status=503, times=8, act=False)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="no credentials"):
            thing.hook.get()
    assert thing.count("token") == 8
    threading.Event().wait(0.5)
    assert thing.hook.get() == 200


def test_many_threads_share_one_renewal(thing: ServedThing) -> None:
    assert in_threads(8, thing.hook.get) == [200] * 8
    assert thing.count("token") == 1
    thing.part.valid.clear()
    assert in_threads(8, thing.hook.delete) == [204] * 8
    assert (thing.count("token"), len(thing.destroyed)) == (2, 8)


def test_a_token_is_renewed_before_it_expires(thing: ServedThing) -> None:
    thing.hook.lifetime = 0.4
    thing.hook.get()
    thing.hook.get()
    assert thing.count("token") == 1
    threading.Event().wait(0.31)
    thing.hook.get()
    assert (thing.count("token"), thing.count("get")) == (2, 3)


def test_tokens_and_secrets_are_masked(thing: ServedThing) -> None:
    thing.hook.get()
    assert "sandbox-bearer-1" not in str(redact("got sandbox-bearer-1"))
    assert "q8Zt-thing" not in repr(thing.hook.settings)
    assert "sandbox-bearer" not in repr(thing.hook.auth.token())
    assert "q8Zt" not in repr(Request("POST", thing.hook.url("token"), {"Authorization": "q8Zt"}, b"secret=q8Zt"))


def test_a_user_of_the_session_signs_in_the_same_way(thing: ServedThing) -> None:
    session, url = thing.hook.get_conn(), thing.hook.url("a")
    assert session.get(url, timeout=5).status_code == 401
    assert session.get(url, auth=thing.hook.auth, timeout=5).status_code == 200
    assert thing.count("token") == 1


def test_a_login_beyond_latin_1_is_sent_in_utf_8() -> None:
    request = requests.Request("GET", "http://x/", auth=basic_auth("jürgen", "€")).prepare()
    assert request.headers["Authorization"] == "Basic asO8cmdlbjrigqw="
