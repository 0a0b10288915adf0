"""How requests get their credentials: ``requests``' own interface, and one bearer token for all threads of a task."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from airflow.sdk.log import mask_secret
from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from airflow_provider_records.exceptions import StopError, VendorError

RENEW_BEFORE = 120.0

mask: ContextVar[Callable[[str], None]] = ContextVar("mask", default=mask_secret)
"""How a secret is masked. A trigger must not call Airflow from a thread, and sets another way."""


def basic_auth(login: str, password: str) -> HTTPBasicAuth:
    """Return HTTP Basic with login and password in UTF-8; ``requests`` would write text in Latin-1."""
    return HTTPBasicAuth(login.encode(), password.encode())


@dataclass(frozen=True)
class Token:
    """A bearer token.

    :param value: the token itself.
    :param lifetime: seconds for which it is valid, or None if the system does not say.
    :param headers: further headers that the system wants with it.
    """

    value: str = field(repr=False)
    lifetime: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class BearerAuth(AuthBase):
    """One token for all threads, fetched again shortly before it expires, and when the system refused it.

    Refused credentials are not tried again: one more attempt from every thread could lock the account.

    :param fetch: asks the system for a new token.
    """

    def __init__(self, fetch: Callable[[], Token]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._refused = ""
        self._renew_at = float("inf")
        self._failure: StopError | None = None

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Add the token to a request.

        :raises VendorError: there is none; see :meth:`token`.
        """
        token = self.token()
        r.headers.update(token.headers)
        r.headers["Authorization"] = f"Bearer {token.value}"
        return r

    def token(self) -> Token:
        """Return the current token.

        :raises VendorError: the system gave none; ``detail`` is empty, since it may repeat the credentials.
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

    def discard(self, authorization: str) -> None:
        """Do not use a refused token again; does not wait for one that another thread is fetching.

        :param authorization: the header that was refused.
        """
        self._refused = authorization
