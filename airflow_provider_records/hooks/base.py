"""What the three vendor clients share: connection fields, one session, pace, and the rule of repeating.

A request is either *repeatable* (a read) or not (a delete, a submit). Repeatable requests are retried on
lost answers and gateway errors. The others are sent again only when they provably were not carried out:
the connection was refused, or the system said so itself (401 once, 429).
"""

from __future__ import annotations

import email.utils
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar
from urllib.parse import quote, urlsplit

import requests
import tenacity
import urllib3
from airflow.sdk import BaseHook, Connection
from airflow.sdk.log import mask_secret
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar

from airflow_provider_records.exceptions import (
    AccessDeniedError,
    AuthenticationError,
    ConfigurationError,
    InvalidRecordsError,
    NoAnswerError,
    NotSentError,
    StopError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)

T = TypeVar("T")

mask: ContextVar[Callable[[str], None]] = ContextVar("mask", default=mask_secret)
"""How a secret is masked; a trigger must not ask Airflow from a thread and sets another way."""
Sign = Callable[[requests.PreparedRequest], requests.PreparedRequest]

ATTEMPTS = 8
LONGEST_WAIT = 600.0
LARGEST_ANSWER = 64 * 1024 * 1024
LARGEST_NUMBER = 86400
RENEW_BEFORE = 120.0


@dataclass(frozen=True)
class Settings:
    """The fields of a connection, converted and checked.

    :param conn_id: Airflow connection id, for messages.
    :param base_url: scheme, host, port and path, without a trailing slash.
    :param login: user or client id.
    :param password: its secret.
    :param extra: the vendor's own extras, still unchecked.
    :param timeout: seconds to wait for a connection and for an answer.
    :param max_concurrency: requests in flight at most; also the size of the connection pool.
    :param requests_per_second: limit over all threads of the task, or None.
    :param verify: True, False, or the path of a CA file.
    """

    conn_id: str
    base_url: str
    login: str
    password: str = field(repr=False)
    extra: Mapping[str, Any] = field(repr=False)
    timeout: float = 60.0
    max_concurrency: int = 8
    requests_per_second: float | None = None
    verify: bool | str = True

    @classmethod
    def of(cls, connection: Connection, extra: Mapping[str, Any]) -> Settings:
        """Convert a connection; extras arrive as text when the connection was given as a URI.

        :raises ConfigurationError: a field is missing or has a wrong value; the message names it.
        """
        conn_id = str(connection.conn_id)

        def wrong(name: str, problem: str) -> ConfigurationError:
            return ConfigurationError(f"Connection {conn_id!r}: field {name!r} {problem}.")

        def number(name: str, default: float | None, minimum: float) -> float | None:
            value = extra.get(name)
            if value is None or value == "":
                return default
            try:
                result = float(value) if not isinstance(value, bool) else float("nan")
            except (TypeError, ValueError):
                result = float("nan")
            if not minimum <= result <= LARGEST_NUMBER:
                raise wrong(name, f"must be a number from {minimum:g} to {LARGEST_NUMBER}")
            return result

        concurrency = number("max_concurrency", 8, 1) or 8
        if concurrency != int(concurrency):
            raise wrong("max_concurrency", "must be a whole number")
        return cls(
            conn_id=conn_id,
            base_url=_base_url(connection, wrong),
            login=connection.login or "",
            password=connection.password or "",
            extra=extra,
            timeout=number("timeout", 60.0, 0.001) or 60.0,
            max_concurrency=int(concurrency),
            requests_per_second=number("requests_per_second", None, 0.001),
            verify=_verify(extra.get("verify_tls"), wrong),
        )

    def text(self, name: str, default: str = "") -> str:
        """Return a vendor's extra as text.

        :raises ConfigurationError: it is neither text nor empty.
        """
        value = self.extra.get(name)
        if value is None or value == "":
            return default
        if not isinstance(value, str):
            raise ConfigurationError(f"Connection {self.conn_id!r}: field {name!r} must be text.")
        return value.strip()


def _base_url(connection: Connection, wrong: Callable[[str, str], ConfigurationError]) -> str:
    host = (connection.host or "").strip()
    if not host:
        raise wrong("host", "is empty; give the host name or the full URL of the system")
    if "://" not in host:
        host = f"{connection.schema if connection.schema in {'http', 'https'} else 'https'}://{host}"
    try:
        parts = urlsplit(host)
        port = parts.port or connection.port
    except ValueError:
        raise wrong("host", "is not a valid host name or URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise wrong("host", "must be a host name or an http(s) URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise wrong("host", "must not hold credentials, a query or a fragment; use login and password")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}{parts.path}".rstrip("/")


def _verify(value: object, wrong: Callable[[str, str], ConfigurationError]) -> bool | str:
    if isinstance(value, bool):
        return value
    if value is None or value == "":
        return True
    if isinstance(value, str):
        if value.strip().lower() in {"true", "false"}:
            return value.strip().lower() == "true"
        if Path(value.strip()).is_file():
            try:
                ssl.create_default_context(cafile=value.strip())
            except (OSError, ValueError):
                raise wrong("verify_tls", "names a file that holds no CA certificate (PEM)") from None
            return value.strip()
    raise wrong("verify_tls", "must be true, false, or the path of an existing CA file")


@dataclass(frozen=True)
class Answer:
    """One answer of a vendor's system, read to its end.

    :param call: the call's name, for messages (``delete_object``).
    :param status: HTTP status code.
    :param headers: header names are looked up without regard to case.
    :param text: the body; never logged.
    """

    call: str
    status: int
    headers: Mapping[str, str]
    text: str = field(repr=False)

    @property
    def is_html(self) -> bool:
        kind = self.headers.get("Content-Type", "").lower()
        return "html" in kind or self.text.lstrip()[:15].lower().startswith(("<!doctype", "<html"))

    @property
    def request_id(self) -> str | None:
        for name in ("request-id", "x-request-id", "x-ms-request-id", "x-correlation-id"):
            if value := self.headers.get(name):
                return value[:200]
        return None

    def json(self) -> Any:  # noqa: ANN401
        """Parse the body.

        :raises UnreadableAnswerError: the body is no JSON.
        """
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            raise UnreadableAnswerError(
                f"{self.call}: HTTP {self.status} came with a body that is no JSON.",
                status=self.status,
                request_id=self.request_id,
                detail=self.text,
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


def no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Send a request as it is; without this, ``requests`` would look into ``.netrc``."""
    return request


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


class BearerAuth(AuthBase):
    """Fetch one token for all threads, and again shortly before it expires or when it was refused.

    Threads that waited for a fetch share its failure, and refused credentials stay refused: asking again with
    them from every thread can lock the account.

    :param fetch: asks the system for a new token.
    """

    def __init__(self, fetch: Callable[[], Token]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._renew_at = float("inf")
        self._failure: VendorError | None = None
        self._failed_at = 0.0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self.token()
        request.headers.update(token.headers)
        request.headers["Authorization"] = f"Bearer {token.value}"
        return request

    def token(self) -> Token:
        """Return the current token.

        :raises VendorError: none could be had; its ``detail`` is empty, since it may repeat the credentials.
        """
        asked = time.monotonic()
        with self._lock:
            if self._failure and (isinstance(self._failure, StopError) or self._failed_at >= asked):
                raise self._failure
            begin = time.monotonic()
            if self._token is None or begin >= self._renew_at:
                try:
                    self._token = token = self._fetch()
                except VendorError as error:
                    error.detail = None
                    self._failure, self._failed_at = error, time.monotonic()
                    raise
                mask.get()(token.value)
                lead = min(RENEW_BEFORE, (token.lifetime or 0.0) / 4)
                self._renew_at = float("inf") if token.lifetime is None else begin + token.lifetime - lead
            return self._token

    def forget(self, authorization: str) -> None:
        """Drop the token that was refused, unless another thread has already renewed it."""
        with self._lock:
            if self._token is not None and authorization == f"Bearer {self._token.value}":
                self._token = None


class Pace:
    """When the next request may leave, over all threads of a task.

    :param requests_per_second: limit, or None.
    """

    def __init__(self, requests_per_second: float | None) -> None:
        self._gap = 1.0 / requests_per_second if requests_per_second else 0.0
        self._lock = threading.Lock()
        self._next = 0.0
        self._held_until = 0.0

    def slot(self) -> float:
        """Reserve the next slot; return the seconds until then."""
        with self._lock:
            now = time.monotonic()
            slot = max(now, self._next, self._held_until)
            self._next = slot + self._gap
            return slot - now

    def hold(self, seconds: float) -> None:
        """Let no thread send before ``seconds`` have passed, not even one that has its slot already."""
        with self._lock:
            self._held_until = max(self._held_until, time.monotonic() + seconds)

    @property
    def held(self) -> bool:
        """Whether a hold has come since, so that another slot must be reserved."""
        return time.monotonic() < self._held_until


class _UnsignedError(NotSentError):
    """No credentials could be had, after all attempts to get them."""


class VendorHook(BaseHook):
    """A thin client: one vendor call is one method, with typed answers and typed errors.

    :param conn_id: Airflow connection id.
    :param settings: the connection's fields, if the caller has read them already (triggers must).
    """

    vendor: ClassVar[str]
    backoff: ClassVar[tenacity.wait.wait_base] = tenacity.wait_random_exponential(multiplier=0.5, max=30)

    def __init__(self, conn_id: str, settings: Settings | None = None) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.stopping = False
        self._building = threading.RLock()
        if settings is not None:
            self.__dict__["settings"] = settings

    @cached_property
    def settings(self) -> Settings:
        """The checked fields of the connection; read before threads are started."""
        connection = self.get_connection(self.conn_id)
        if connection.password:
            mask_secret(connection.password)
        return Settings.of(connection, connection.extra_dejson)

    @cached_property
    def pace(self) -> Pace:
        return Pace(self.settings.requests_per_second)

    @cached_property
    def session(self) -> requests.Session:
        """One session with a pool as large as the concurrency; safe for all threads of a task.

        It keeps no cookies; a vendor that needs them puts in a jar that is safe for threads.
        """
        session = requests.Session()
        size = self.settings.max_concurrency
        adapter = HTTPAdapter(pool_connections=4, pool_maxsize=size, pool_block=True, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.headers["Accept"] = "application/json"
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
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
            prepared = session.prepare_request(requests.Request(method, url, auth=no_auth, **request))
        except (requests.exceptions.InvalidJSONError, TypeError):
            raise InvalidRecordsError(f"{self._where(call)}: a value cannot be written as JSON.") from None
        except ValueError:  # every way in which requests finds a URL or header invalid
            raise ConfigurationError(f"{self._where(call)}: the URL is not valid; check the host field.") from None
        renewable = auth is None  # a refused login holds the lock that renewal would wait for

        def once() -> T:
            nonlocal renewable
            request = self._signed(call, prepared, sign)
            answer = self._answer(call, request, settings)
            status = self.verdict(answer)
            if renewable and status in {401, 403} and self.renew(request, status):
                renewable = False
                answer = self._answer(call, self._signed(call, prepared, sign), settings)
                status = self.verdict(answer)
            self._refuse(answer, status)
            try:
                return read(answer)
            except NoAnswerError as error:
                error.retry_after = answer.retry_after()
                raise

        def again(error: BaseException) -> bool:
            if self.stopping or isinstance(error, _UnsignedError):
                return False
            return isinstance(error, NotSentError) or (repeatable and isinstance(error, NoAnswerError))

        return tenacity.Retrying(
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=self._wait,
            retry=tenacity.retry_if_exception(again),
            sleep=self._sleep,
            reraise=True,
        )(once)

    def _signed(self, call: str, prepared: requests.PreparedRequest, sign: Sign) -> requests.PreparedRequest:
        try:
            return sign(prepared.copy())
        except (NotSentError, NoAnswerError) as error:
            # that request had its own attempts; whatever became of it, this one was not sent
            raise _UnsignedError(
                f"{self._where(call)}: not sent, since there are no credentials for it: {error}",
                status=error.status,
                code=error.code,
                request_id=error.request_id,
            ) from None

    def _answer(self, call: str, request: requests.PreparedRequest, settings: Settings) -> Answer:
        where = self._where(call)
        self._sleep(self.pace.slot())
        while self.pace.held and not self.stopping:
            self._sleep(self.pace.slot())
        if self.stopping:
            raise NotSentError(f"{where}: not sent, the task is being stopped.")
        url = str(request.url)
        options: Any = self.session.merge_environment_settings(url, {}, True, settings.verify, None)
        try:
            # Straight to the adapter: the session would read the body of a redirect without limit.
            response = self.session.get_adapter(url).send(
                request, timeout=(settings.timeout, settings.timeout), **options
            )
            extract_cookies_to_jar(self.session.cookies, request, response.raw)  # type: ignore[no-untyped-call]
            with response:
                deadline = time.monotonic() + settings.timeout
                body = bytearray()
                while piece := response.raw.read1(65536, decode_content=True):
                    body += piece
                    if len(body) > LARGEST_ANSWER or time.monotonic() > deadline:
                        raise NoAnswerError(f"{where}: the answer is too large or too slow to be read.")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            if isinstance(error, ValueError):
                raise ConfigurationError(f"{where}: the URL or the proxy's URL is not valid.") from None
            if not isinstance(error, (requests.RequestException, urllib3.exceptions.HTTPError)):
                raise ConfigurationError(
                    f"{where}: there is no CA file where verify_tls or REQUESTS_CA_BUNDLE says."
                ) from None
            if _never_left(error):
                raise NotSentError(f"{where}: no connection could be made ({_cause(error)}).") from None
            raise NoAnswerError(f"{where}: the answer was lost ({_cause(error)}).") from None
        return Answer(call, response.status_code, response.headers, body.decode("utf-8-sig", "replace"))

    def _where(self, call: str) -> str:
        return f"{self.vendor} {call} (connection {self.conn_id!r})"

    def _refuse(self, answer: Answer, status: int) -> None:
        where = self._where(answer.call)
        facts: dict[str, Any] = {
            "status": answer.status,
            "request_id": answer.request_id,
            "detail": answer.text,
        }
        if status == 401:
            raise AuthenticationError(f"{where}: the credentials were refused (HTTP 401).", **facts)
        if status == 403:
            raise AccessDeniedError(f"{where}: the account lacks a right (HTTP 403).", **facts)
        if 300 <= status < 400:
            raise WrongAddressError(
                f"{where}: the system redirects (HTTP {status}), which is never followed; "
                "check host, path and login method.",
                **facts,
            )
        if status == 429:
            error = NotSentError(f"{where}: the system asks to slow down (HTTP 429).", **facts)
            error.retry_after = answer.retry_after()
            raise error

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = getattr(error, "retry_after", None)
        if not asked:
            return self.backoff(state)
        if asked > LONGEST_WAIT and error is not None:
            raise error
        self.pace.hold(asked)
        return 0.0

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.stopping:
            time.sleep(min(left, 0.2))

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


def _reason(error: Exception) -> object:
    """Return what urllib3 says below the error of requests."""
    return getattr(error.args[0], "reason", error.args[0]) if error.args else None


def _cause(error: Exception) -> str:
    reason = _reason(error)
    if isinstance(reason, urllib3.exceptions.SSLError):
        return "TLS failed; check http or https in the host field, the port, and verify_tls"
    return type(reason if isinstance(reason, Exception) else error).__name__


def _never_left(error: Exception) -> bool:
    """Tell whether the request certainly did not reach the system."""
    reason = _reason(error)
    if isinstance(reason, urllib3.exceptions.ProxyError):
        # urllib3 also says so when the answer was lost on the way back through the proxy
        reason = reason.original_error
        if type(reason) is OSError and str(reason).startswith("Tunnel connection failed"):
            return True
    return isinstance(reason, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)) or (
        isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error)
    )


def fail(kind: type[VendorError], answer: Answer, message: str, code: str | None = None) -> NoReturn:
    """Raise a typed error with the facts of an answer."""
    raise kind(message, status=answer.status, code=code, request_id=answer.request_id, detail=answer.text)
