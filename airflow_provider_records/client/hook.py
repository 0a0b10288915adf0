"""What the three vendor clients share: connection fields, one session, pace, and the rule of repeating.

A request is either *repeatable* (a read) or not (a delete, a submit). Repeatable requests are retried on
lost answers and gateway errors. The others are sent again only when they provably were not carried out:
the connection was refused, or the system said so itself (401 with a token that has ended, 429).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, quote_plus, urlencode

import requests
import tenacity
import urllib3
from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret

from airflow_provider_records.client.auth import BearerAuth, Sign, Token, basic_auth, mask
from airflow_provider_records.client.response import Answer, fail, is_gateway_error, is_transient, refuse
from airflow_provider_records.client.settings import Settings
from airflow_provider_records.client.throttle import Pace
from airflow_provider_records.client.transport import Request, Wire, cause, was_not_sent
from airflow_provider_records.exceptions import (
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
    "Answer",
    "BearerAuth",
    "Pace",
    "Request",
    "Settings",
    "Sign",
    "T",
    "Token",
    "VendorHook",
    "basic_auth",
    "fail",
    "mask",
    "quoted",
]

T = TypeVar("T")

ATTEMPTS = 8
RENEWALS = 3
"""How often one request may meet a login that has just ended; others may sign in with the same account."""
LARGEST_ANSWER = 64 * 1024 * 1024
NAP = 0.1


class VendorHook(BaseHook):
    """A thin client: one vendor call is one method, with typed answers and typed errors.

    :param conn_id: Airflow connection id.
    :param settings: the connection's fields, if the caller has read them already (triggers must).

    ``stopping`` ends all sending and waiting; ``may_send`` is asked before every request that is not repeatable.
    """

    vendor: ClassVar[str]
    own_extras: ClassVar[frozenset[str]] = frozenset()
    backoff: ClassVar[tenacity.wait.wait_base] = tenacity.wait_random_exponential(multiplier=0.5, max=30)

    def __init__(self, conn_id: str, settings: Settings | None = None) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.stopping = False
        self.attempts = ATTEMPTS
        self.may_send: Callable[[], bool] = lambda: True
        self._building = threading.RLock()
        if settings is not None:
            self.__dict__["settings"] = settings

    @cached_property
    def settings(self) -> Settings:
        """The checked fields of the connection; read before threads are started."""
        connection = self.get_connection(self.conn_id)
        if connection.password:
            mask_secret(connection.password)
        return self.read_settings(connection, connection.extra_dejson)

    @classmethod
    def read_settings(cls, connection: Connection, extra: Mapping[str, Any]) -> Settings:
        """Convert and check the fields of a connection of this type.

        :raises ConfigurationError: a field is missing, unknown or has a wrong value; the message names it.
        """
        return Settings.from_connection(connection, extra, cls.own_extras)

    def test_connection(self) -> tuple[bool, str]:
        """Sign in and make the smallest read; changes nothing, and asks once only, since somebody waits for it.

        :return: whether it worked, and what was or was not tested, in words for the user.
        """
        self.attempts = 1
        try:
            return True, self.check_connection()
        except RecordsError as error:
            words = str(error)
            # Airflow tests a nameless copy of the connection under a random id.
            for label in (f" (connection {self.conn_id!r})", f"Connection {self.conn_id!r}: "):
                words = words.replace(label, "")
            return False, words

    def check_connection(self) -> str:
        """Sign in, make the smallest read, and say what was tested.

        :raises RecordsError: it did not work; the message says what would change it.
        """
        raise NotImplementedError

    @cached_property
    def pace(self) -> Pace:
        return Pace(self.settings.requests_per_second)

    def get_conn(self) -> requests.Session:
        """Return the session whose connections, proxy and CA file all calls use; it neither signs nor repeats."""
        return self.wire.session

    @cached_property
    def auth(self) -> Sign:
        """How requests of this vendor are signed."""
        raise NotImplementedError

    @cached_property
    def wire(self) -> Wire:
        return Wire(self.settings)

    def renew(self, request: Request, status: int) -> bool:
        """Tell whether a refused request (401, 403) is worth sending once more with new credentials."""
        if status == 401 and isinstance(self.auth, BearerAuth):
            self.auth.forget(request.headers.get("Authorization", ""))
            return True
        return False

    def verdict(self, answer: Answer) -> int:
        """Return the HTTP status that an answer stands for; overridden where the body decides instead."""
        return answer.status

    def send(
        self,
        call: str,
        method: str,
        url: str,
        read: Callable[[Answer], T],
        *,
        repeatable: bool,
        params: Mapping[str, str] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        auth: Sign | None = None,
    ) -> T:
        """Send one request under the rule of repeating and return what ``read`` makes of the answer.

        :param call: the call's name, for messages.
        :param method: HTTP method.
        :param url: full URL without a query.
        :param read: turns the answer into a typed value or raises a typed error; it sees every status but
            401, 403, 429 and redirects. A NoAnswerError that it raises is retried if ``repeatable``.
        :param repeatable: True for a read: it may be sent again after a lost answer.
        :param params: the query.
        :param json: the body, to be written as JSON; None: no body.
        :param headers: besides those that all requests have.
        :param auth: another way to sign than the vendor's usual one; then a refusal is final.
        :raises VendorError: one subclass per cause.
        """
        with self._building:  # cached properties are not built once for all threads from Python 3.12 on
            wire, _ = self.wire, self.pace
            sign = auth or self.auth
        body, all_headers = None, {**wire.headers, **(headers or {})}
        if params:
            url = f"{url}?{urlencode(params)}"
        if json is not None:
            body = self._written(call, json)
            all_headers["Content-Type"] = "application/json"
        renewals = RENEWALS if auth is None else 0  # a refused login holds the lock that renewal would wait for

        def once() -> T:
            nonlocal renewals
            request = self._signed(call, Request(method, url, dict(all_headers), body), sign)
            round_ = self._wait_for_turn()
            if self.stopping or not (repeatable or self.may_send()):
                raise UnavailableError(f"{self._where(call)}: not sent, the task is being stopped.")
            try:
                answer = self._answer(call, request)
                status = self.verdict(answer)
                renewed = renewals > 0 and status in {401, 403} and self.renew(request, status)
                if not renewed:
                    result = self._read(answer, status, read)
            except VendorError as error:
                self._tell_pace(round_, error, repeatable=repeatable)
                raise
            if is_gateway_error(status):  # the caller reads it
                self.pace.failed(round_, f"{self._where(call)}: HTTP {status}.", answer.retry_after())
            elif status != 500:  # see _tell_pace
                self.pace.answered(round_)
            if not renewed:
                return result
            renewals -= 1
            return once()

        def again(error: BaseException) -> bool:
            if self.stopping or isinstance(error, UnavailableError):
                return False
            return isinstance(error, NotSentError) or (repeatable and isinstance(error, NoAnswerError))

        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=self._wait,
            retry=tenacity.retry_if_exception(again),
            sleep=self._sleep,
            reraise=True,
        )(once)

    def _written(self, call: str, body: object) -> bytes:
        try:
            return json.dumps(body, allow_nan=False).encode()
        except (ValueError, TypeError, RecursionError):
            raise InvalidRecordsError(f"{self._where(call)}: a value cannot be written as JSON.") from None

    def _signed(self, call: str, request: Request, sign: Sign) -> Request:
        try:
            return sign(request)
        except UnavailableError:
            raise
        except (NotSentError, NoAnswerError) as error:
            # that request had its own attempts; whatever became of it, this one was not sent, and no other can be
            why = f"{self._where(call)}: not sent, since there are no credentials for it: {error}"
            self.pace.close(why)
            given_up = UnavailableError(why, status=error.status, code=error.code, request_id=error.request_id)
            given_up.retry_after = error.retry_after
            raise given_up from None

    def _tell_pace(self, round_: int, error: VendorError, *, repeatable: bool) -> None:
        if not is_transient(error):
            self.pace.answered(round_)
        elif repeatable or not isinstance(error, ServerError):
            self.pace.failed(round_, str(error), error.retry_after)
        # else: it may fail, or refuse this one record so

    def _wait_for_turn(self) -> int:
        """Wait until this thread may send; return the round of the pace."""
        while True:
            seconds, round_ = self.pace.slot()
            self._sleep(seconds, round_)
            if self.pace.round == round_ or self.stopping:
                return round_

    def exchange(self, request: Request) -> urllib3.BaseHTTPResponse:
        """Send a request once, as it is, and return the answer with its body still to be read."""
        return self.wire.send(request)

    def _answer(self, call: str, request: Request) -> Answer:
        where = self._where(call)
        try:
            response = self.exchange(request)
            try:
                body = bytearray()
                while piece := response.read1(65536, decode_content=True):
                    body += piece
                    if len(body) > LARGEST_ANSWER:
                        raise NoAnswerError(f"{where}: the answer is too large to be read.")
            finally:
                response.close()
                response.release_conn()
        except RecordsError:
            raise
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            if was_not_sent(error):
                raise NotSentError(f"{where}: no connection could be made ({cause(error)}).") from None
            raise NoAnswerError(f"{where}: the answer was lost ({cause(error)}).") from None
        text = body.decode("utf-8-sig", "replace")
        return Answer(call, response.status, response.headers, text, self._secrets(request))

    def _secrets(self, request: Request) -> set[str]:
        """Return what opens doors: pages for debugging send back what they were asked with."""
        password = self.settings.password
        found = {password, quote_plus(password), request.headers.get("Authorization", "").partition(" ")[2]}
        if cookies := request.headers.get("Cookie"):
            found |= {cookie.partition("=")[2] for cookie in cookies.split("; ")}
        return found - {""}

    def _where(self, call: str) -> str:
        return f"{self.vendor} {call} (connection {self.conn_id!r})"

    def _read(self, answer: Answer, status: int, read: Callable[[Answer], T]) -> T:
        try:
            refuse(answer, status, self._where(answer.call))
            try:
                return read(answer)
            except RecursionError:
                fail(UnreadableAnswerError, answer, f"{self._where(answer.call)}: the answer is nested too deeply.")
        except VendorError as error:
            if error.retry_after is None:
                error.retry_after = answer.retry_after()
            raise

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        # what the system asks for, the pace waits for, with all threads
        return self.backoff(state) if getattr(error, "retry_after", None) is None else 0.0

    def _sleep(self, seconds: float, round_: int | None = None) -> None:
        """Sleep until the stop flag is set, or another round than ``round_`` begins."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.stopping and round_ in {None, self.pace.round}:
            time.sleep(min(left, NAP))

    def url(self, *parts: str) -> str:
        """Append path parts to the base URL; parts are given ready, ids through :func:`quoted`."""
        return "/".join([self.settings.base_url, *(part.strip("/") for part in parts)])


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
