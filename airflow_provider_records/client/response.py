"""A response of a vendor's system, and the typed errors that are made of it."""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import cache, lru_cache
from html.entities import html5
from typing import Any, NoReturn

from airflow_provider_records.exceptions import (
    AccessDeniedError,
    AuthenticationError,
    NotSentError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)


@lru_cache(64)
def _echoes(secret: str) -> re.Pattern[str]:
    """Return what finds a secret, with each of its characters written as it is, as in JSON, HTML or a URL."""
    return re.compile("".join(f"(?:{'|'.join(_written(letter))})" for letter in secret))


@cache
def _named() -> Mapping[str, Sequence[str]]:
    """Return the names that HTML has for each character."""
    found: dict[str, list[str]] = {}
    for name, letter in html5.items():
        if name.endswith(";"):
            found.setdefault(letter, []).append(name.removesuffix(";"))
    return found


def _written(letter: str) -> Iterator[str]:
    code = ord(letter)
    yield re.escape(letter)
    yield "".join(f"(?i:%{byte:02x})" for byte in letter.encode("utf-8", "surrogatepass"))
    yield f"&#0*{code};|(?i:&#x0*{code:x};)"
    units = letter.encode("utf-16-be", "surrogatepass")
    yield "".join(rf"(?i:\\u{units[place : place + 2].hex()})" for place in range(0, len(units), 2))
    yield from (f"&{name};" for name in _named().get(letter, ()))
    if letter in _ESCAPED:
        yield re.escape(_ESCAPED[letter])
    if letter == " ":
        yield r"\+"


_ESCAPED = {letter: json.dumps(letter)[1:-1] for letter in '"\\\b\f\n\r\t'} | {"/": r"\/", "'": r"\'"}


@dataclass(frozen=True)
class Response:
    """A response of a vendor's system, with its whole body.

    :param call: the call's name, for messages (``delete_object``).
    :param status: HTTP status code.
    :param headers: by name, upper and lower case alike.
    :param text: the body; never logged.
    :param secrets: returns the credentials of the request; some error pages repeat them.
    :param rows: what was made of the rows of a long body, which ``text`` is without.
    """

    call: str
    status: int
    headers: Mapping[str, str]
    text: str = field(repr=False)
    secrets: Callable[[], Collection[str]] = field(default=tuple, repr=False)
    rows: Any = field(default=None, repr=False)

    @property
    def is_html(self) -> bool:
        """Whether it is a web page, such as a login page."""
        kind = self.headers.get("Content-Type", "").lower()
        return "html" in kind or self.text.lstrip()[:15].lower().startswith(("<!doctype", "<html"))

    @property
    def request_id(self) -> str | None:
        """The vendor's id of the request, for its support."""
        for name in ("request-id", "x-request-id", "x-ms-request-id", "x-correlation-id"):
            if value := self.headers.get(name):
                return self.redact(value)[:200]
        return None

    @property
    def detail(self) -> str:
        """The beginning of the body, for the evidence."""
        return self.redact(self.text[:100_000])[:500]

    def redact(self, text: str) -> str:
        """Return a text of the response with the credentials replaced by ``***``, in JSON, HTML and URLs, too."""
        for secret in sorted(self.secrets(), key=len, reverse=True):
            text = _echoes(secret).sub("***", text)
        return text

    def json(self) -> Any:  # noqa: ANN401
        """Return the parsed body.

        :raises UnreadableAnswerError: the body is not JSON.
        """
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            raise UnreadableAnswerError(
                f"{self.call}: HTTP {self.status} came with "
                f"{'a web page, such as a login page, instead of JSON' if self.is_html else 'a body that is no JSON'}.",
                status=self.status,
                request_id=self.request_id,
                detail=self.detail,
            ) from None

    def retry_after(self) -> float | None:
        """Return the seconds that the system asks to wait (``Retry-After``: seconds or a date), or None."""
        value = (self.headers.get("Retry-After") or "").strip()
        if value.isdecimal():
            return float(value)
        try:
            moment = email.utils.parsedate_to_datetime(value)
            # "-0000" is parsed as a local time, but HTTP dates are always in UTC
            return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time())
        except (TypeError, ValueError, OverflowError):
            return None


def raise_error(kind: type[VendorError], response: Response, message: str, code: str | None = None) -> NoReturn:
    """Raise a typed error with the facts of a response.

    :param kind: class of the error.
    :param response: where status, request id and the beginning of the body are taken from.
    :param message: what was refused and what would change it.
    :param code: the vendor's own code.
    """
    raise kind(message, status=response.status, code=code, request_id=response.request_id, detail=response.detail)


def raise_for_status(response: Response, status: int, where: str) -> None:
    """Raise the error of a status that means the same for every vendor: 401, 403, 429, redirects.

    :param response: the response.
    :param status: its HTTP status, or the one in the body that decides.
    :param where: vendor, call and connection, for the message.
    :raises AuthenticationError: 401.
    :raises AccessDeniedError: 403.
    :raises NotSentError: 429; its ``retry_after`` is set.
    :raises WrongAddressError: a redirect.
    """
    if status < 300:
        return
    if status == 401:
        advice = "check login and password, and whether the account is locked"
        raise_error(AuthenticationError, response, f"{where}: the credentials were refused (HTTP 401); {advice}.")
    if status == 403:
        raise_error(AccessDeniedError, response, f"{where}: the account lacks a right (HTTP 403).")
    if status == 429:
        error = NotSentError(
            f"{where}: the system asks to slow down (HTTP 429).",
            status=response.status,
            request_id=response.request_id,
            detail=response.detail,
        )
        error.retry_after = response.retry_after() or 0.0
        raise error
    if status < 400:
        advice = "as to a login page, which is never followed; check host, path and login method"
        raise_error(WrongAddressError, response, f"{where}: the system redirects (HTTP {status}), {advice}.")
