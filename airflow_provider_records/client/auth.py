"""How requests are signed: one bearer token for all threads of a task."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from airflow.sdk.log import mask_secret

from airflow_provider_records.client.transport import Request
from airflow_provider_records.exceptions import StopError, VendorError

Sign = Callable[[Request], Request]
RENEW_BEFORE = 120.0

mask: ContextVar[Callable[[str], None]] = ContextVar("mask", default=mask_secret)
"""How a secret is masked; a trigger must not ask Airflow from a thread and sets another way."""


def basic_auth(login: str, password: str) -> Sign:
    """Return what signs with a login and its password, both in UTF-8."""
    value = "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()

    def sign(request: Request) -> Request:
        request.headers["Authorization"] = value
        return request

    return sign


@dataclass(frozen=True)
class Token:
    """A bearer token.

    :param value: the token itself.
    :param lifetime: seconds it is valid, or None if the system does not say.
    :param headers: further headers that the system wants with it.
    """

    value: str = field(repr=False)
    lifetime: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class BearerAuth:
    """Fetch one token for all threads, and again shortly before it expires or when it was refused.

    Refused credentials stay refused: asking again with them from every thread can lock the account.

    :param fetch: asks the system for a new token.
    """

    def __init__(self, fetch: Callable[[], Token]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._refused = ""
        self._renew_at = float("inf")
        self._failure: StopError | None = None

    def __call__(self, request: Request) -> Request:
        token = self.token()
        request.headers.update(token.headers)
        request.headers["Authorization"] = f"Bearer {token.value}"
        return request

    def token(self) -> Token:
        """Return the current token.

        :raises VendorError: none could be had; its ``detail`` is empty, since it may repeat the credentials.
        """
        with self._lock:
            if self._failure:
                raise self._failure
            begin, token = time.monotonic(), self._token
            if token is None or begin >= self._renew_at or self._refused == f"Bearer {token.value}":
                try:
                    self._token = token = self._fetch()
                except VendorError as error:
                    error.detail = None
                    if isinstance(error, StopError):
                        self._failure = error
                    raise
                mask.get()(token.value)
                lead = min(RENEW_BEFORE, (token.lifetime or 0.0) / 4)
                self._renew_at = float("inf") if token.lifetime is None else begin + token.lifetime - lead
            return token

    def forget(self, authorization: str) -> None:
        """Do not use a token again that was refused; does not wait for one that is just being fetched."""
        self._refused = authorization
