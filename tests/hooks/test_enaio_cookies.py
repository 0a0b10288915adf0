"""The gateway's cookies: sent back while they last, without asking the jar for every request."""

from __future__ import annotations

import time

from requests.cookies import create_cookie

from airflow_provider_records.hooks.enaio import Cookies

URL = "http://127.0.0.1:8765/enaio/api/dms/objects/{}?hardDelete=true"


def jar(*cookies: tuple[str, int | None]) -> Cookies:
    made = Cookies()
    for value, expires in cookies:
        made.set_cookie(create_cookie("JSESSIONID", value, domain="127.0.0.1", expires=expires))  # type: ignore[no-untyped-call]
    return made


def test_the_newest_cookie_is_sent_back() -> None:
    made = jar(("A", None))
    assert [made.header(URL.format(number)) for number in (1, 2)] == ["JSESSIONID=A"] * 2
    made.set_cookie(create_cookie("JSESSIONID", "B", domain="127.0.0.1"))  # type: ignore[no-untyped-call]
    assert made.header(URL.format(3)) == "JSESSIONID=B"
    made.clear()
    assert made.header(URL.format(4)) is None


def test_a_cookie_is_not_sent_to_another_host_or_folder() -> None:
    made = jar(("A", None))
    made.set_cookie(create_cookie("deep", "C", domain="127.0.0.1", path="/enaio/osrest"))  # type: ignore[no-untyped-call]
    assert made.header(URL.format(1)) == "JSESSIONID=A"
    for url in ("http://127.0.0.1:8765/enaio/osrest/api", "http://example.org/enaio/api/dms/objects/1"):
        expected = "deep=C; JSESSIONID=A" if "osrest" in url else None
        assert made.header(url) == expected


def test_a_cookie_that_ends_is_not_sent_afterwards() -> None:
    now = int(time.time())
    assert jar(("A", now + 60)).header(URL.format(1)) == "JSESSIONID=A"
    ending = jar(("A", now + 60))
    assert ending.header(URL.format(1)) == "JSESSIONID=A"
    for cookie in ending:
        cookie.expires = now - 1
    assert ending.header(URL.format(2)) is None
