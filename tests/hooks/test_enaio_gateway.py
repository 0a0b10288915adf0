"""The gateway before enaio: sessions, logins, and answers that are not enaio's are never read as not found."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_records.exceptions import (
    AccessDeniedError,
    AuthenticationError,
    NotFoundError,
    ServerError,
    VendorError,
    WrongAddressError,
)
from tests.hooks.enaio_factory import HTML, ServedEnaio, served

__all__ = ["served"]


# Sessions and logins


def test_the_session_of_the_gateway_is_kept(served: ServedEnaio) -> None:
    for object_id in ("2563", "2564", "2565"):
        served.hook.get_object(object_id)
    assert served.part.state()["logins"] == 1


@pytest.mark.parametrize("status", ["401", "403"])
def test_an_expired_session_is_replaced_once(served: ServedEnaio, status: str) -> None:
    served.part.turn({"expired_cookie": status})
    served.hook.get_object("2563")
    served.part.expire_sessions()
    served.hook.delete_object("2563")
    assert served.part.state()["logins"] == 2
    assert served.state("binned") == ["2563"]
    assert [entry.status for entry in served.server.sandbox.log] == [200, int(status), 204]


def test_asked_to_slow_down_it_keeps_its_session(served: ServedEnaio) -> None:
    served.hook.get_object("2563")
    served.fault(act=False, status=429)
    served.hook.delete_object("2563")
    assert served.part.state()["logins"] == 1
    assert [entry.status for entry in served.server.sandbox.log] == [200, 429, 204]


def test_sessions_that_expire_under_many_threads(served: ServedEnaio) -> None:
    served.part.turn({"session_requests": 2})
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: served.hook.get_object("2563").object_id, range(40)))
    assert found == ["2563"] * 40


@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (403, AccessDeniedError)])
def test_a_refused_login_is_never_repeated_in_a_loop(served: ServedEnaio, status: int, kind: type[VendorError]) -> None:
    served.hook.get_object("2563")
    served.fault(act=False, status=status, times=None)
    with pytest.raises(kind):
        served.hook.delete_object("2563")
    assert len(served.calls("delete_object")) == 2
    with pytest.raises(kind):
        served.hook.delete_object("2563")
    assert len(served.calls("delete_object")) == 3


@pytest.mark.parametrize(
    ("login_filter", "kind"),
    [("401", AuthenticationError), ("redirect", WrongAddressError), ("html", WrongAddressError)],
)
def test_every_login_filter_stops(served: ServedEnaio, login_filter: str, kind: type[VendorError]) -> None:
    served.part.turn({"login_filter": login_filter})
    hook = served.hooked(password="wrong")
    with pytest.raises(VendorError) as caught:
        hook.delete_object("2563")
    assert type(caught.value) is kind
    assert len(served.server.sandbox.log) == 1
    assert hook.test_connection()[0] is False


def test_a_password_may_hold_any_letter(served: ServedEnaio) -> None:
    served.part.password = "pässwörd-€-Ж"
    served.hooked(password="pässwörd-€-Ж").get_object("2563")


# Answers that are not enaio's


@pytest.mark.parametrize("path", ["/enaio/wrong", "/enaio/osrest"])
def test_a_wrong_path_is_never_read_as_not_found(served: ServedEnaio, path: str) -> None:
    hook = served.hooked(path=path)
    calls: list[Callable[[], object]] = [lambda: hook.delete_object("2563"), lambda: hook.get_object("2563")]
    for call in calls:
        with pytest.raises(WrongAddressError, match="api_prefix"):
            call()
    assert hook.test_connection()[0] is False


def test_a_wrong_prefix_is_never_read_as_not_found(served: ServedEnaio) -> None:
    hook = served.hooked(api_prefix="/dms")
    with pytest.raises(WrongAddressError, match="'/dms'"):
        hook.get_object("2563")
    good, message = hook.test_connection()
    assert not good
    assert "api_prefix" in message


def test_a_not_found_without_a_code_is_believed_once_the_service_was_seen(served: ServedEnaio) -> None:
    served.part.turn({"error_body": "html", "info": "404"})
    with pytest.raises(WrongAddressError):
        served.hook.get_object("99")
    served.hook.get_object("2563")
    with pytest.raises(NotFoundError):
        served.hook.get_object("99")


@pytest.mark.parametrize("body", [HTML, "", {"message": "no route"}])
def test_a_service_that_goes_away_leaves_nothing_not_found(served: ServedEnaio, body: object) -> None:
    served.part.turn({"error_body": "empty"})
    served.hook.delete_object("2563")
    with pytest.raises(NotFoundError):
        served.hook.get_object("99")
    served.fault("*", act=False, status=404, body=body, times=None)
    for ask in (served.hook.get_object, served.hook.delete_object):
        with pytest.raises(WrongAddressError):
            ask("99")


def test_one_thread_asks_whether_the_service_is_there_for_all_that_wait(served: ServedEnaio) -> None:
    served.part.turn({"error_body": "empty"})
    served.fault("search", latency_ms=300, times=None)

    def gone(_: int) -> bool:
        with pytest.raises(NotFoundError):
            served.hook.get_object("99")
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(gone, range(8)))
    assert sum(entry.call == "search" for entry in served.server.sandbox.log) <= 3


@pytest.mark.parametrize("status", [400, 404, 409])
def test_a_page_of_somebody_else_is_no_word_of_enaio(served: ServedEnaio, status: int) -> None:
    served.fault("*", act=False, status=status, body=HTML, times=None)
    with pytest.raises(WrongAddressError):
        served.hook.delete_object("2563")


def test_a_version_alone_does_not_make_it_enaio(served: ServedEnaio) -> None:
    for call in ("get_object", "search"):
        served.fault(call, act=False, status=404, times=None)
    with pytest.raises(WrongAddressError):
        served.hook.get_object("2563")


def test_a_page_with_an_internal_error_needs_no_check(served: ServedEnaio) -> None:
    served.fault("*", act=False, status=500, body=HTML, times=None)
    with pytest.raises(ServerError):
        served.hook.delete_object("2563")
    assert len(served.server.sandbox.log) == 1
