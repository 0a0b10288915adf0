"""One answer of a vendor's system, and how it becomes a typed error."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, NoReturn

from airflow_provider_records.exceptions import (
    AccessDeniedError,
    AuthenticationError,
    NoAnswerError,
    NotSentError,
    RecordsError,
    ServerError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)


@dataclass(frozen=True)
class Answer:
    """One answer of a vendor's system, read to its end.

    :param call: the call's name, for messages (``delete_object``).
    :param status: HTTP status code.
    :param headers: header names are looked up without regard to case.
    :param text: the body; never logged.
    :param secrets: what the request was signed with; a system may send it back.
    """

    call: str
    status: int
    headers: Mapping[str, str]
    text: str = field(repr=False)
    secrets: Collection[str] = field(default=(), repr=False)

    @property
    def is_html(self) -> bool:
        kind = self.headers.get("Content-Type", "").lower()
        return "html" in kind or self.text.lstrip()[:15].lower().startswith(("<!doctype", "<html"))

    @property
    def request_id(self) -> str | None:
        for name in ("request-id", "x-request-id", "x-ms-request-id", "x-correlation-id"):
            if value := self.headers.get(name):
                return self.hide(value)[:200]
        return None

    @property
    def detail(self) -> str:
        """The beginning of the body, for the evidence."""
        return self.hide(self.text[:5000])[:500]

    def hide(self, text: str) -> str:
        """Return a text of the answer without the secrets that may be in it."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text

    def json(self) -> Any:  # noqa: ANN401
        """Parse the body.

        :raises UnreadableAnswerError: the body is no JSON.
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
        """Seconds that the system asks to wait, from either form of ``Retry-After``."""
        value = (self.headers.get("Retry-After") or "").strip()
        if value.isdecimal():
            return float(value)
        try:
            moment = email.utils.parsedate_to_datetime(value)
            # "-0000" is parsed as a local time, but HTTP dates are always in UTC
            return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time())
        except (TypeError, ValueError, OverflowError):
            return None


def fail(kind: type[VendorError], answer: Answer, message: str, code: str | None = None) -> NoReturn:
    """Raise a typed error with the facts of an answer."""
    raise kind(message, status=answer.status, code=code, request_id=answer.request_id, detail=answer.detail)


def refuse(answer: Answer, status: int, where: str) -> None:
    """Raise what those statuses mean that mean the same for every vendor.

    :param status: HTTP status, or the one in the body that decides.
    :param where: vendor, call and connection, for the message.
    """
    facts: dict[str, Any] = {
        "status": answer.status,
        "request_id": answer.request_id,
        "detail": answer.detail,
    }
    if status == 401:
        raise AuthenticationError(
            f"{where}: the credentials were refused (HTTP 401); check login and password, and whether the account "
            "is locked.",
            **facts,
        )
    if status == 403:
        raise AccessDeniedError(f"{where}: the account lacks a right (HTTP 403).", **facts)
    if 300 <= status < 400:
        raise WrongAddressError(
            f"{where}: the system redirects (HTTP {status}), as to a login page, which is never followed; "
            "check host, path and login method.",
            **facts,
        )
    if status == 429:
        error = NotSentError(f"{where}: the system asks to slow down (HTTP 429).", **facts)
        error.retry_after = answer.retry_after() or 0.0
        raise error


def is_gateway_error(status: int) -> bool:
    """Tell whether a status leaves open if the system has got the request at all."""
    return status == 408 or status > 500


def is_transient(error: RecordsError) -> bool:
    """Tell whether the same call may be answered later: the system was not reached, or had an error of its own."""
    if isinstance(error, ServerError):
        return any(500 <= int(number or 0) < 600 for number in (error.status, error.code))
    return isinstance(error, (NoAnswerError, NotSentError))
