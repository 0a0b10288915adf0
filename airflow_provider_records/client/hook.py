"""What the three vendor clients share: connection fields, one session, the throttle, and the sending of a request."""

from __future__ import annotations

import codecs
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import cached_property, partial
from typing import Any, ClassVar, TypeVar, cast
from urllib.parse import quote, quote_plus, urlencode

import requests
import tenacity
import urllib3
from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret
from requests.auth import AuthBase

from airflow_provider_records.client.auth import BearerAuth, Token, basic_auth, mask
from airflow_provider_records.client.fields import Field
from airflow_provider_records.client.response import Response, raise_error, raise_for_status
from airflow_provider_records.client.retry import Decision, decide, is_gateway_error, is_transient
from airflow_provider_records.client.rows import TooLongError, without_rows
from airflow_provider_records.client.settings import Settings
from airflow_provider_records.client.throttle import Throttle
from airflow_provider_records.client.transport import Request, Transport, describe
from airflow_provider_records.exceptions import (
    AuthenticationError,
    InvalidRecordsError,
    NoAnswerError,
    NotSentError,
    RecordsError,
    ServerError,
    UnavailableError,
    UnreadableAnswerError,
    VendorError,
)

__all__ = [
    "AuthBase",
    "BearerAuth",
    "Request",
    "Response",
    "Settings",
    "T",
    "Token",
    "VendorHook",
    "basic_auth",
    "mask",
    "quoted",
    "raise_error",
]

T = TypeVar("T")

ATTEMPTS = 8
RENEWALS = 3
"""How often one request may get new credentials: other processes may sign in with the same account meanwhile."""
SMALL_RESPONSE = 64 * 1024
"""Bytes that the response to a call may have which changes something."""
PAGE_RESPONSE = 2 * 1024 * 1024
"""Bytes that the response to a read may have: a page, or one object."""
LARGEST_RESPONSE = 64 * 1024 * 1024
"""Bytes that the response to a read without pages may have; one thread a time reads more than a page."""
ROWS = "data"
"""Name of the member that holds the rows of such a response."""
NAP = 0.1


class VendorHook(BaseHook):
    """A thin client: one vendor call is one method, which returns a typed value or raises a typed error.

    :param conn_id: Airflow connection id.
    :param settings: the connection's fields, if the caller has read them already (triggers must).

    ``stopping`` ends all sending and waiting; ``may_send`` is asked before every request that is not repeatable, and
    again when its connection stands.
    """

    vendor: ClassVar[str]
    conn_type: ClassVar[str]
    """The one connection type that this client takes its credentials from."""
    extra_fields: ClassVar[tuple[Field, ...]] = ()
    """The extras of this vendor's connection, besides the common ones."""
    backoff: ClassVar[tenacity.wait.wait_base] = tenacity.wait_random_exponential(multiplier=0.5, max=30)

    def __init__(self, conn_id: str, settings: Settings | None = None) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.stopping = False
        self.attempts = ATTEMPTS
        self.may_send: Callable[[], bool] = lambda: True
        self._building = threading.RLock()
        self._long_response = threading.Lock()
        if settings is not None:
            self.__dict__["settings"] = settings

    @cached_property
    def settings(self) -> Settings:
        """The checked fields of the connection; to be read before threads are started."""
        connection = self.get_connection(self.conn_id)
        if connection.password:
            mask_secret(connection.password)
        return self.read_settings(connection, connection.extra_dejson)

    @classmethod
    def read_settings(cls, connection: Connection, extra: Mapping[str, Any]) -> Settings:
        """Convert and check the fields of a connection of this type.

        :raises ConfigurationError: the connection has another type or none, or a field is missing, unknown or has a
            wrong value; the message names it.
        """
        return Settings.from_connection(connection, extra, cls.conn_type, cls.extra_fields)

    @property
    def target(self) -> str:
        """Where this client acts, as orders, journals and summaries name it; it holds no password and no user name.

        Two clients with the same text act on the same content. It is the connection's normalised base URL; a vendor
        that serves several services or tenants at one address adds what tells them apart.

        :return: text that is compared as it is, such as ``https://eu.unifier.example.com/acme``.
        :raises ConfigurationError: a field of the connection is missing, unknown or has a wrong value.
        """
        return self.settings.base_url

    def test_connection(self) -> tuple[bool, str]:
        """Sign in and make the smallest read, once: a person waits for it. Changes nothing.

        :return: whether it worked, and a message that says what was tested and what was not.
        """
        self.attempts = 1
        try:
            return True, self.check_connection()
        except RecordsError as error:
            message = str(error)
            # Airflow tests a nameless copy of the connection under a random id.
            for label in (f" (connection {self.conn_id!r})", f"Connection {self.conn_id!r}: "):
                message = message.replace(label, "")
            return False, message

    def check_connection(self) -> str:
        """Sign in and make the smallest read.

        :return: a message that says what was tested.
        :raises RecordsError: it did not work; the message says what would change it.
        """
        raise NotImplementedError

    @cached_property
    def throttle(self) -> Throttle:
        """Rate limiter and circuit breaker, shared by all threads."""
        return Throttle(self.settings.requests_per_second)

    def get_conn(self) -> requests.Session:
        """Return the session whose connections, proxy and CA file all calls use.

        It adds no credentials (``auth=hook.auth`` does) and repeats nothing.
        """
        return self.transport.session

    @cached_property
    def auth(self) -> AuthBase:
        """How requests of this vendor get their credentials."""
        raise NotImplementedError

    @cached_property
    def transport(self) -> Transport:
        """The connections to the vendor's system, shared by all threads."""
        return Transport(self.settings)

    def renew_credentials(self, request: Request, error: VendorError) -> bool:
        """Tell whether a request that was refused with 401 or 403 is worth sending again with new credentials.

        :param request: the request, as it was sent.
        :param error: AuthenticationError (401) or AccessDeniedError (403).
        """
        if isinstance(error, AuthenticationError) and isinstance(self.auth, BearerAuth):
            self.auth.discard(request.headers.get("Authorization", ""))
            return True
        return False

    def effective_status(self, response: Response) -> int:
        """Return the HTTP status that a response stands for; overridden where the body decides instead."""
        return response.status

    def send(
        self,
        call: str,
        method: str,
        url: str,
        read: Callable[[Response], T],
        *,
        repeatable: bool,
        params: Mapping[str, str] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: AuthBase | None = None,
        gather: Callable[[Iterator[Any]], object] | None = None,
    ) -> T:
        """Send one request, again where :func:`decide` allows it, and return what ``read`` makes of the response.

        :param call: the call's name, for messages.
        :param method: HTTP method.
        :param url: full URL without a query.
        :param read: turns the response into a typed value or raises a typed error; it gets every status but
            401, 403, 429 and redirects.
        :param repeatable: True for a read: it can be sent twice without harm.
        :param params: the query.
        :param json: the body, to be written as JSON; None: no body.
        :param form: the body, to be written as an HTML form is.
        :param headers: besides those that all requests have.
        :param auth: other credentials than the vendor's usual ones; they are not renewed when they are refused.
        :param gather: for a read whose whole answer comes at once, however long it is: makes something of its rows,
            one after the other as they arrive, which ``read`` finds in :attr:`Response.rows`. It may be called again.
        :raises VendorError: one subclass per cause.
        """
        with self._building:  # cached properties are not built once for all threads from Python 3.12 on
            transport, _ = self.transport, self.throttle
            sign = auth or self.auth
        body, all_headers = None, {**transport.headers, **(headers or {})}
        if params:
            url = f"{url}?{urlencode(params)}"
        if json is not None:
            body = self._written(call, json)
            all_headers["Content-Type"] = "application/json"
        if form is not None:
            body = urlencode(form).encode()
            all_headers["Content-Type"] = "application/x-www-form-urlencoded"
        most = PAGE_RESPONSE if repeatable else SMALL_RESPONSE
        renewals = RENEWALS if auth is None else 0  # a refused login holds the lock that renewal would wait for

        def begin() -> None:
            """Ask before the connection is made, and again when it stands: to make it may have taken long."""
            if self.stopping or not (repeatable or self.may_send()):
                raise UnavailableError(f"{self._where(call)}: not sent, the task is being stopped.")

        def attempt() -> T:
            nonlocal renewals
            while True:
                request = self._authorized(call, Request(method, url, dict(all_headers), body, begin), sign)
                generation = self._wait_for_turn()
                begin()
                response = None
                try:
                    with ExitStack() as turn:
                        response = self._receive(call, request, most, turn, gather)
                        status = self.effective_status(response)
                        try:
                            raise_for_status(response, status, self._where(call))
                        except VendorError as error:
                            renews = renewals > 0 and decide(error, repeatable=repeatable) is Decision.RENEW
                            if not renews or not self.renew_credentials(request, error):
                                raise
                        else:
                            result = self._read(response, read)
                            self._report_status(generation, status, response)
                            return result
                except VendorError as error:
                    if response is not None and error.retry_after is None:
                        error.retry_after = response.retry_after()
                    self._report_error(generation, error, repeatable=repeatable)
                    raise
                self.throttle.succeeded(generation)
                renewals -= 1

        # tenacity costs a tenth of a call, so it begins with the first failure, as its first attempt
        failures: list[VendorError] = []

        def first_failure_then_attempt() -> T:
            if failures:
                raise failures.pop()
            return attempt()

        try:
            return attempt()
        except VendorError as error:
            failures.append(error)
        retrying = self._retrying_reads if repeatable else self._retrying_changes
        return retrying(first_failure_then_attempt)

    @cached_property
    def _retrying_reads(self) -> tenacity.Retrying:
        return self._retrying(repeatable=True)

    @cached_property
    def _retrying_changes(self) -> tenacity.Retrying:
        return self._retrying(repeatable=False)

    def _retrying(self, *, repeatable: bool) -> tenacity.Retrying:
        """Return what repeats requests of one kind, in any thread.

        It is made once: it holds itself, so that only the garbage collector would free one made for each request.
        """

        def again(error: BaseException) -> bool:
            if self.stopping or not isinstance(error, VendorError):
                return False
            return decide(error, repeatable=repeatable) is Decision.WAIT

        return tenacity.Retrying(
            stop=lambda state: state.attempt_number >= self.attempts,
            wait=self._wait,
            retry=tenacity.retry_if_exception(again),
            sleep=self._sleep,
            reraise=True,
        )

    def _written(self, call: str, body: object) -> bytes:
        try:
            return json.dumps(body, allow_nan=False).encode()
        except (ValueError, TypeError, RecursionError):
            raise InvalidRecordsError(f"{self._where(call)}: a value cannot be written as JSON.") from None

    def _authorized(self, call: str, request: Request, auth: AuthBase) -> Request:
        try:
            # an AuthBase changes URL, headers and body only, which our requests have as well
            return cast(Request, auth(cast(requests.PreparedRequest, request)))
        except UnavailableError:
            raise
        except (NotSentError, NoAnswerError) as error:
            # the login had its own attempts; whatever became of it, this request was not sent, and no other can be
            reason = f"{self._where(call)}: not sent, since there are no credentials for it: {error}"
            self.throttle.open(reason)
            unavailable = UnavailableError(reason, status=error.status, code=error.code, request_id=error.request_id)
            unavailable.retry_after = error.retry_after
            raise unavailable from None

    def _report_status(self, generation: int, status: int, response: Response) -> None:
        """Tell the throttle of a response that the call could read."""
        if is_gateway_error(status):
            self.throttle.failed(generation, f"{self._where(response.call)}: HTTP {status}.", response.retry_after())
        elif status != 500:  # see _report_error
            self.throttle.succeeded(generation)

    def _report_error(self, generation: int, error: VendorError, *, repeatable: bool) -> None:
        """Tell the throttle of an error.

        An error of the system itself says nothing where the request would change something: the system may fail, or
        refuse this one record that way.
        """
        if not is_transient(error):
            self.throttle.succeeded(generation)
        elif repeatable or not isinstance(error, ServerError):
            self.throttle.failed(generation, str(error), error.retry_after)

    def _wait_for_turn(self) -> int:
        """Wait until this thread may send; return the generation."""
        while True:
            seconds, generation = self.throttle.acquire()
            self._sleep(seconds, generation)
            if self.throttle.generation == generation or self.stopping:
                return generation

    def send_once(self, request: Request) -> urllib3.BaseHTTPResponse:
        """Send a request once, as it is.

        :return: the response; its body is still to be read.
        """
        return self.transport.send_once(request)

    def _receive(
        self,
        call: str,
        request: Request,
        most: int,
        turn: ExitStack,
        gather: Callable[[Iterator[Any]], object] | None,
    ) -> Response:
        """Send a request and read its response.

        :param most: number of bytes that it may have, without the rows that are gathered.
        :param turn: keeps the other threads from reading long responses at the same time, if this one is long.
        :param gather: what to do with its rows.
        """
        where = self._where(call)
        rows: object = None
        try:
            received = self.send_once(request)
            try:
                largest = min(most, LARGEST_RESPONSE) if gather is None else LARGEST_RESPONSE
                pieces = codecs.iterdecode(self._pieces(where, received, largest, turn), "utf-8-sig", "replace")
                if gather is None:
                    text = "".join(pieces)
                else:
                    text, rows = without_rows(pieces, ROWS, gather, most)
            finally:
                received.close()
                received.release_conn()
        except RecordsError:
            raise
        except TooLongError:
            raise _too_large(where) from None
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            if not request.begun:
                raise NotSentError(f"{where}: no connection could be made ({describe(error)}).") from None
            raise NoAnswerError(f"{where}: the response was lost ({describe(error)}).") from None
        return Response(call, received.status, received.headers, text, partial(self._secrets, request), rows)

    def _pieces(self, where: str, received: urllib3.BaseHTTPResponse, most: int, turn: ExitStack) -> Iterator[bytes]:
        """Read a body; from the size of a page on only one thread does so at a time."""
        length = 0
        while piece := received.read1(65536, decode_content=True):
            if length <= PAGE_RESPONSE < length + len(piece):
                turn.enter_context(self._long_response)
            length += len(piece)
            if length > most:
                raise _too_large(where)
            yield piece

    def _secrets(self, request: Request) -> set[str]:
        """Return the credentials of a request: error pages for debugging repeat them."""
        password = self.settings.password
        found = {password, quote_plus(password), request.headers.get("Authorization", "").partition(" ")[2]}
        if cookies := request.headers.get("Cookie"):
            found |= {cookie.partition("=")[2] for cookie in cookies.split("; ")}
        return found - {""}

    def _where(self, call: str) -> str:
        return f"{self.vendor} {call} (connection {self.conn_id!r})"

    def _read(self, response: Response, read: Callable[[Response], T]) -> T:
        try:
            return read(response)
        except RecursionError:
            where = self._where(response.call)
            raise_error(UnreadableAnswerError, response, f"{where}: the response is nested too deeply.")

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        # where the system says how long to wait, the throttle waits, with all threads
        return self.backoff(state) if getattr(error, "retry_after", None) is None else 0.0

    def _sleep(self, seconds: float, generation: int | None = None) -> None:
        """Sleep until the stop flag is set, or another generation than ``generation`` begins."""
        end = time.monotonic() + seconds
        while (
            (left := end - time.monotonic()) > 0
            and not self.stopping
            and generation in {None, self.throttle.generation}
        ):
            time.sleep(min(left, NAP))

    def url(self, *parts: str) -> str:
        """Append path parts to the base URL.

        :param parts: quoted already; ids by :func:`quoted`.
        """
        return "/".join([self.settings.base_url, *(part.strip("/") for part in parts)])


def _too_large(where: str) -> NoAnswerError:
    return NoAnswerError(f"{where}: the response is too large to be read.")


def quoted(part: str) -> str:
    """Quote an id for a URL path.

    :raises InvalidRecordsError: the id is empty or would change the path.
    """
    try:
        if part and part not in {".", ".."}:
            return quote(part, safe="")
    except UnicodeError:
        pass
    raise InvalidRecordsError(f"{part!r} cannot be used as an id in a URL.")
