"""The shared client: connection fields and what never leaves the house."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate

import pytest
from airflow.sdk import Connection

from airflow_provider_records.client.hook import Response, Settings, quoted
from airflow_provider_records.exceptions import ConfigurationError, InvalidRecordsError, UnreadableAnswerError


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("archive.example.org", "https://archive.example.org"),
        ("http://127.0.0.1:8765/unifier/", "http://127.0.0.1:8765/unifier"),
        ("https://eu.unifier.example.com/acme/stage", "https://eu.unifier.example.com/acme/stage"),
        ("[::1]", "https://[::1]"),
    ],
)
def test_base_url(host: str, expected: str) -> None:
    assert Settings.from_connection(Connection(conn_id="c", host=host), {}).base_url == expected


@pytest.mark.parametrize("host", ["", "ftp://x", "https://u:p@x", "https://x?y=1", "https://x:port"])
def test_a_wrong_host_is_named(host: str) -> None:
    with pytest.raises(ConfigurationError, match="'host'"):
        Settings.from_connection(Connection(conn_id="c", host=host), {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", "nope"),
        ("timeout", 0),
        ("timeout", True),
        ("timeout", 1e300),
        ("max_concurrency", 0),
        ("max_concurrency", "2.5"),
        ("requests_per_second", -1),
        ("requests_per_second", "nan"),
        ("verify_tls", "maybe"),
        ("verify_tls", __file__),
    ],
)
def test_a_wrong_extra_is_named(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_connection(Connection(conn_id="c", host="x"), {name: value})


def test_extras_given_as_text_are_converted() -> None:
    extras = {"timeout": "5", "max_concurrency": "16", "requests_per_second": "0.5", "verify_tls": "false"}
    settings = Settings.from_connection(Connection(conn_id="c", host="x"), extras)
    assert (settings.timeout, settings.max_concurrency) == (5.0, 16)
    assert (settings.requests_per_second, settings.verify) == (0.5, False)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        (lambda: formatdate(time.time() + 60, usegmt=True), 60),
        (lambda: formatdate(time.time() + 60).replace("+0000", "-0000"), 60),
        (lambda: formatdate(time.time() - 60, usegmt=True), 0),
        ("Wed, 21 Oct 2026 07:28:00 +99999999999999", None),
        ("\u00b2", None),
        ("-5", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_in_both_forms(
    value: str | Callable[[], str], seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        text = value if isinstance(value, str) else value()
        waiting = Response("get", 429, {"Retry-After": text}, "").retry_after()
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert waiting == (seconds if seconds is None else pytest.approx(seconds, abs=5))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 5000])
def test_a_body_that_is_no_json_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableAnswerError):
        Response("get", 200, {}, text).json()


@pytest.mark.parametrize("part", ["", ".", "..", "\ud800"])
def test_an_id_that_would_change_the_path_is_refused(part: str) -> None:
    with pytest.raises(InvalidRecordsError):
        quoted(part)


def test_ids_are_quoted() -> None:
    assert quoted("2020#7/ä") == "2020%237%2F%C3%A4"
