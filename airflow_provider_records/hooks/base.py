"""What the three vendor clients share: connection fields, one session, pace, and the rule of repeating.

A request is either *repeatable* (a read) or not (a delete, a submit). Repeatable requests are retried on
lost answers and gateway errors. The others are sent again only when they provably were not carried out:
the connection was refused, or the system said so itself (401 with a token that has ended, 429).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, quote_plus

import requests
import tenacity
import urllib3
from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret

from airflow_provider_records.exceptions import (
    ConfigurationError,
    InvalidRecordsError,
    NoAnswerError,
    NotSentError,
    RecordsError,
    ServerError,
    UnavailableError,
    UnreadableAnswerError,
    VendorError,
)
from airflow_provider_records.hooks.answer import Answer, fail, is_gateway_error, may_pass, refuse
from airflow_provider_records.hooks.auth import BearerAuth, Sign, Token, mask, no_auth
from airflow_provider_records.hooks.deadline import DeadlineAdapter
from airflow_provider_records.hooks.lost import cause, never_left
from airflow_provider_records.hooks.pace import Pace
from airflow_provider_records.hooks.settings import Settings

__all__ = [
    "Answer",
    "BearerAuth",
    "Pace",
    "Settings",
    "Sign",
    "T",
    "Token",
    "VendorHook",
    "fail",
    "mask",
    "no_auth",
    "quoted",
]

T = TypeVar("T")

ATTEMPTS = 8
RENEWALS = 3
"""How often one request may meet a login that has just ended; others may sign in with the same account."""
LARGEST_ANSWER = 64 * 1024 * 1024
NAP = 0.1


class _Request(requests.PreparedRequest):
    def prepare_cookies(self, cookies: object) -> None:
        """Look into no jar; that would cost a twentieth of a request."""


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
        self._environments: dict[str, dict[str, Any]] = {}
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
        return Settings.of(connection, extra, cls.own_extras)

    def test_connection(self) -> tuple[bool, str]:
        """Sign in and make the smallest read; changes nothing, and asks once only, since somebody waits for it.

        :return: whether it worked, and what was or was not tested, in words for the user.
        """
        self.attempts = 1
        try:
            return True, self.try_out()
        except RecordsError as error:
            words = str(error)
            # Airflow tests a nameless copy of the connection under a random id.
            for label in (f" (connection {self.conn_id!r})", f"Connection {self.conn_id!r}: "):
                words = words.replace(label, "")
            return False, words

    def try_out(self) -> str:
        """Sign in, make the smallest read, and say what was tested.

        :raises RecordsError: it did not work; the message says what would change it.
        """
        raise NotImplementedError

    @cached_property
    def pace(self) -> Pace:
        return Pace(self.settings.requests_per_second)

    @cached_property
    def session(self) -> requests.Session:
        """One session with a pool as large as the concurrency; safe for all threads of a task.

        It keeps no cookies, whose jar is not; the adapter of a vendor that needs them has a jar of its own.
        """
        session = requests.Session()
        size = self.settings.max_concurrency
        adapter = DeadlineAdapter(pool_connections=4, pool_maxsize=size, pool_block=True, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.headers["Accept"] = "application/json"
        return session

    def get_conn(self) -> requests.Session:
        """Return the shared session."""
        return self.session

    @cached_property
    def auth(self) -> Sign:
        """How requests of this vendor are signed."""
        raise NotImplementedError

    def renew(self, request: requests.PreparedRequest, status: int) -> bool:
        """Tell whether a refused request (401, 403) is worth sending once more with new credentials."""
        if status == 401 and isinstance(self.auth, BearerAuth):
            self.auth.forget(str(request.headers.get("Authorization", "")))
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
        auth: Sign | None = None,
        **request: Any,  # noqa: ANN401
    ) -> T:
        """Send one request under the rule of repeating and return what ``read`` makes of the answer.

        :param call: the call's name, for messages.
        :param method: HTTP method.
        :param url: full URL.
        :param read: turns the answer into a typed value or raises a typed error; it sees every status but
            401, 403, 429 and redirects. A NoAnswerError that it raises is retried if ``repeatable``.
        :param repeatable: True for a read: it may be sent again after a lost answer.
        :param auth: another way to sign than the vendor's usual one; then a refusal is final.
        :param request: ``params``, ``json``, ``data``, ``headers`` as ``requests`` takes them.
        :raises VendorError: one subclass per cause.
        """
        with self._building:  # cached properties are not built once for all threads from Python 3.12 on
            settings, session, _ = self.settings, self.session, self.pace
            sign = auth or self.auth
        try:
            # signed anew at every attempt
            prepared = _Request()
            headers = {**session.headers, **request.pop("headers", {})}
            prepared.prepare(method, url, headers, auth=no_auth, **request)
        except (requests.exceptions.InvalidJSONError, TypeError):
            raise InvalidRecordsError(f"{self._where(call)}: a value cannot be written as JSON.") from None
        except ValueError:  # every way in which requests finds a URL or header invalid
            raise ConfigurationError(f"{self._where(call)}: the URL is not valid; check the host field.") from None
        renewals = RENEWALS if auth is None else 0  # a refused login holds the lock that renewal would wait for

        def once() -> T:
            nonlocal renewals
            request = self._signed(call, prepared, sign)
            round_ = self._wait_for_turn()
            if self.stopping or not (repeatable or self.may_send()):
                raise UnavailableError(f"{self._where(call)}: not sent, the task is being stopped.")
            try:
                answer = self._answer(call, request, settings)
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

    def _signed(self, call: str, prepared: requests.PreparedRequest, sign: Sign) -> requests.PreparedRequest:
        try:
            return sign(prepared.copy())
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
        if not may_pass(error):
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

    def _answer(self, call: str, request: requests.PreparedRequest, settings: Settings) -> Answer:
        where = self._where(call)
        url = str(request.url)
        options = self._environment(url, settings)
        try:
            # Straight to the adapter: the session would read the body of a redirect without limit.
            response = self.session.get_adapter(url).send(
                request, timeout=(settings.timeout, settings.timeout), **options
            )
            with response:
                body = bytearray()
                while piece := response.raw.read1(65536, decode_content=True):
                    body += piece
                    if len(body) > LARGEST_ANSWER:
                        raise NoAnswerError(f"{where}: the answer is too large to be read.")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if isinstance(error, ValueError) and not isinstance(error, requests.exceptions.InvalidHeader):  # their head
                raise ConfigurationError(f"{where}: the URL or the proxy's URL is not valid.") from None
            if not isinstance(error, (requests.RequestException, urllib3.exceptions.HTTPError)):
                raise ConfigurationError(
                    f"{where}: there is no CA file where verify_tls or REQUESTS_CA_BUNDLE says."
                ) from None
            if never_left(error):
                raise NotSentError(f"{where}: no connection could be made ({cause(error)}).") from None
            raise NoAnswerError(f"{where}: the answer was lost ({cause(error)}).") from None
        text = body.decode("utf-8-sig", "replace")
        return Answer(call, response.status_code, response.headers, text, self._secrets(request))

    def _secrets(self, request: requests.PreparedRequest) -> set[str]:
        """Return what opens doors: pages for debugging send back what they were asked with."""
        cookies = str(request.headers.get("Cookie", "")).split("; ")
        sent = {cookie.partition("=")[2] for cookie in cookies}
        sent |= {str(request.headers.get("Authorization", "")).partition(" ")[2]}
        password = self.settings.password
        return (sent | {password, quote_plus(password)}) - {""}

    def _environment(self, url: str, settings: Settings) -> dict[str, Any]:
        """Return the proxies and the CA file for a host; read once, since it costs a third of a request."""
        host = "/".join(url.split("/", 3)[:3])
        if host not in self._environments:
            found = self.session.merge_environment_settings(url, {}, True, settings.verify, None)
            self._environments[host] = dict(found)
        return self._environments[host]

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
