"""A response: Retry-After, JSON, redaction, and the statuses that mean the same for every vendor."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Callable
from email.utils import formatdate
from urllib.parse import quote, quote_plus

import pytest

from airflow_provider_records.client.response import Response, raise_for_status
from airflow_provider_records.exceptions import (
    AccessDeniedError,
    AuthenticationError,
    NotSentError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)


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


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, WrongAddressError),
        (399, WrongAddressError),
        (401, AuthenticationError),
        (403, AccessDeniedError),
        (429, NotSentError),
    ],
)
def test_a_status_that_means_the_same_everywhere_is_an_error(status: int, kind: type[VendorError]) -> None:
    response = Response("get", status, {"x-request-id": "r-7 q8Zt", "Retry-After": "7"}, "said q8Zt", lambda: {"q8Zt"})
    with pytest.raises(kind, match="Thing get") as caught:
        raise_for_status(response, status, "Thing get")
    error = caught.value
    assert (error.status, error.request_id, error.detail) == (status, "r-7 ***", "said ***")
    assert type(error) is kind
    assert error.retry_after == (7 if status == 429 else None)


@pytest.mark.parametrize("status", [100, 200, 204, 299, 400, 404, 409, 500, 503])
def test_any_other_status_is_for_the_call_to_read(status: int) -> None:
    raise_for_status(Response("get", status, {}, ""), status, "Thing get")


def test_the_status_in_the_body_decides_where_a_vendor_says_so() -> None:
    with pytest.raises(AuthenticationError, match="HTTP 401") as caught:
        raise_for_status(Response("get", 200, {}, ""), 401, "Thing get")
    assert caught.value.status == 200


def test_slow_down_without_a_time_is_still_asked_for() -> None:
    with pytest.raises(NotSentError) as caught:
        raise_for_status(Response("get", 429, {}, ""), 429, "Thing get")
    assert caught.value.retry_after == 0.0


@pytest.mark.parametrize(
    ("headers", "text", "is_html"),
    [
        ({"Content-Type": "text/HTML; charset=utf-8"}, "", True),
        ({}, "  <!DOCTYPE html><p>", True),
        ({}, "<html>", True),
        ({"Content-Type": "application/json"}, '{"a": "<html>"}', False),
    ],
)
def test_a_web_page_is_recognised(headers: dict[str, str], text: str, is_html: bool) -> None:
    assert Response("get", 200, headers, text).is_html is is_html


SECRET = 'q8Zt "quoted" <a&b>/ü+\\\'%1😀'


@pytest.mark.parametrize(
    "echo",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(SECRET)[1:-1].replace("/", r"\/").replace("<", r"\u003C").replace("&", r"\u0026"),
        html.escape(SECRET),
        html.escape(SECRET, quote=False),
        html.escape(SECRET).replace("&#x27;", "&#39;").replace("ü", "&uuml;").replace("&quot;", "&#34;"),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), quote(SECRET, safe="")),
    ],
)
def test_a_secret_is_taken_out_however_it_is_written(echo: str) -> None:
    answer = Response("get", 500, {"request-id": f"1 {echo}"}, f"before {echo} after", lambda: {SECRET, "q8Zt"})
    assert answer.detail == "before *** after"
    assert answer.request_id == "1 ***"


def test_a_long_token_is_taken_out() -> None:
    token = "".join(f"{number:x}.-_~" for number in range(400))
    answer = Response("get", 500, {}, f"<pre>{token}</pre>" * 2, lambda: {token})
    assert token[:50] not in answer.detail
