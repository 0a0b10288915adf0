"""Sends one request: ``requests`` finds proxy, CA file and connection pool of a host once, urllib3 sends.

``requests`` alone would find them again for every request, and wrap request and response; that costs as much processor
time as all the rest (``make bench``).
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import threading
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Retry, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
)
from urllib3.util.connection import allowed_gai_family

from airflow_provider_records import __version__
from airflow_provider_records.client.retry import root_cause
from airflow_provider_records.client.settings import Settings
from airflow_provider_records.exceptions import ConfigurationError

_NEVER = Retry(0, read=False)


def user_agent() -> str:
    """Return how requests name this provider, its version and Airflow's, for the vendors' access logs."""
    return f"airflow-provider-records/{__version__} apache-airflow/{version('apache-airflow-core')}"


@dataclass
class Request:
    """One request; it has what a ``requests.auth.AuthBase`` may change of a ``PreparedRequest``.

    :param method: HTTP method.
    :param url: full URL with its query.
    :param headers: by name; never logged, as the body is not.
    :param body: the body, if there is one.
    :param begin: called once the connection stands, just before the first byte leaves; what it raises keeps the
        request from being sent.
    :param begun: whether ``begin`` has let it pass: before that, it certainly has not left.
    """

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    begin: Callable[[], None] = field(default=lambda: None, repr=False)
    begun: bool = False


class _Current(threading.local):
    """The request that this thread sends."""

    request: Request | None = None


_current = _Current()


@dataclass(frozen=True)
class _Route:
    """How a host is reached.

    :param pool: its connections, or those of the proxy.
    :param before_path: stands before the path in the request line: for a proxy scheme and host, else nothing.
    """

    pool: HTTPConnectionPool
    before_path: str


class Transport:
    """Sends requests over one pool of connections, as large as ``max_concurrency``; safe for all threads of a task.

    :param settings: the connection's fields.
    """

    def __init__(self, settings: Settings) -> None:
        self.session = requests.Session()
        size = settings.max_concurrency
        self._adapter = DeadlineAdapter(pool_connections=4, pool_maxsize=size, pool_block=True, max_retries=_NEVER)
        self.session.mount("https://", self._adapter)
        self.session.mount("http://", self._adapter)
        self.session.headers.update({"Accept": "application/json", "User-Agent": user_agent()})
        self.session.cert = settings.certificate
        self.headers = {name: str(value) for name, value in self.session.headers.items()}
        self._settings = settings
        self._timeout = Timeout(connect=settings.timeout, read=settings.timeout)
        self._lock = threading.Lock()
        self._routes: dict[str, _Route] = {}

    def send_once(self, request: Request) -> BaseHTTPResponse:
        """Send a request once, without following redirects.

        The timeout limits look-up, connection, proxy and TLS together, then the sending, then the response.

        :return: the response; its body is still to be read.
        :raises urllib3.exceptions.HTTPError: no response came.
        :raises ConfigurationError: the URL, that of the proxy, or the path of the CA file is wrong; nothing was sent.
        """
        scheme, _, rest = request.url.partition("://")
        host, _, path = rest.partition("/")
        origin = f"{scheme}://{host}/"
        route = self._routes.get(origin) or self._find(origin)
        _current.request = request
        try:
            return route.pool.urlopen(
                request.method,
                f"{route.before_path}/{path}",
                request.body,
                request.headers,
                retries=_NEVER,
                redirect=False,
                assert_same_host=False,
                timeout=self._timeout,
                preload_content=False,
                decode_content=False,
            )
        except LocationValueError:
            raise self._invalid(origin) from None
        finally:
            _current.request = None

    def close(self) -> None:
        """Close all connections; what is sent afterwards opens new ones."""
        with self._lock:
            self.session.close()
            while self._routes:
                self._routes.popitem()[1].pool.close()

    def _find(self, origin: str) -> _Route:
        with self._lock:
            try:
                prepared = requests.Request("GET", origin).prepare()
                url = str(prepared.url)
                found = self.session.merge_environment_settings(url, {}, True, self._settings.verify, None)
                verify, cert, proxies = found["verify"], found["cert"], found["proxies"]
                self._refuse_socks(url, proxies)
                pool = self._adapter.get_connection_with_tls_context(prepared, verify, proxies, cert)
                self._adapter.cert_verify(pool, url, verify, cert)  # type: ignore[no-untyped-call]
                before_path = self._adapter.request_url(prepared, proxies).removesuffix("/")
            except ConfigurationError:
                raise
            except ValueError:
                raise self._invalid(origin) from None
            except OSError:
                raise ConfigurationError(
                    f"Connection {self._settings.conn_id!r}: there is no file where verify_tls, client_cert, "
                    "client_key or REQUESTS_CA_BUNDLE says."
                ) from None
            self._routes[origin] = _Route(cast(HTTPConnectionPool, pool), before_path)
            return self._routes[origin]

    def _refuse_socks(self, url: str, proxies: MutableMapping[str, str]) -> None:
        proxy = select_proxy(url, proxies)
        if str(proxy or "").lower().startswith("socks"):
            raise ConfigurationError(
                f"Connection {self._settings.conn_id!r}: a SOCKS proxy cannot be used; name an HTTP proxy in "
                "HTTPS_PROXY or ALL_PROXY where the task runs, or the host in NO_PROXY."
            )

    def _invalid(self, origin: str) -> ConfigurationError:
        return ConfigurationError(
            f"Connection {self._settings.conn_id!r}: {origin!r} is not a valid URL, or the proxy's is not; check the "
            "host field, and HTTPS_PROXY where the task runs."
        )


class _DeadlineReader(io.RawIOBase):
    """Reads from a connection; its timeout limits the whole response, not each read."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        timeout = sock.gettimeout()
        self._sock, self._raw = sock, raw
        self._end = None if timeout is None else time.monotonic() + timeout
        self._is_first = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - whatever bytes can be written into
        if self._end is not None:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError("the response did not end in time")
            if not self._is_first:  # the first read has the whole timeout, which the socket has already
                self._sock.settimeout(left)
            self._is_first = False
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(sock, *args, **options)
        raw: Any = self.fp
        self.fp = io.BufferedReader(_DeadlineReader(sock, raw.detach()))


class _Connection(HTTPConnection):
    """A connection with one deadline for all that leads to it, and one for the sending; it asks before it sends."""

    response_class = _DeadlineResponse
    _end = math.inf
    _is_first = False

    def _new_conn(self) -> socket.socket:
        """Look the host up and connect; each address has its share of the time that is left."""
        self._end = time.monotonic() + float(self.timeout or math.inf)
        host = self._dns_host.strip("[]")
        try:
            host.encode("idna")
        except UnicodeError:
            raise LocationParseError(f"{host!r}, label empty or too long") from None
        try:
            addresses = socket.getaddrinfo(host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        problem: OSError = OSError("the look-up returned no address")
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            left = self._left()
            sock = socket.socket(family, kind, protocol)
            try:
                for option in (*(self.socket_options or ()), *_drop_unsent_after(left)):
                    sock.setsockopt(*option)
                sock.settimeout(left / (len(addresses) - number))
                sock.connect(address)
                sock.settimeout(self._left())
            except OSError as error:
                sock.close()
                problem = error
            else:
                return sock
        if isinstance(problem, TimeoutError):
            raise ConnectTimeoutError(self, "none of its addresses answered in time") from problem
        raise NewConnectionError(self, f"Failed to establish a new connection: {problem}") from problem

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise ConnectTimeoutError(self, "the time for this step is over")
        return left

    def _tunnel(self) -> None:
        super()._tunnel()
        self.sock.settimeout(self._left())

    def request(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        if self.sock is None:
            self.connect()
        if request := _current.request:
            request.begin()
            request.begun = True
        self._end, self._is_first = time.monotonic() + float(self.timeout or math.inf), True
        super().request(*args, **options)

    def send(self, data: Any) -> None:  # noqa: ANN401 - bytes, or what yields them
        if self.sock is not None and not self._is_first:  # the first piece has the whole timeout, see _DeadlineReader
            self.sock.settimeout(self._left())
        self._is_first = False
        super().send(data)


class _SecureConnection(_Connection, HTTPSConnection):
    pass


def _drop_unsent_after(seconds: float) -> list[tuple[int, int, int]]:
    """Return the socket option by which the system stops sending what nobody acknowledges, also after a close.

    Without it, a request that was sent into a dead network could arrive minutes after it was given up.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux
    return [] if option is None else [(socket.IPPROTO_TCP, option, max(1, int(seconds * 1000)))]


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class DeadlineAdapter(HTTPAdapter):
    """An adapter whose read timeout limits head and body of a response together."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager


_CAUSES = (
    (urllib3.exceptions.NameResolutionError, "the host name is unknown; check the host field"),
    (urllib3.exceptions.NewConnectionError, "nothing listens there; check host and port, and firewalls"),
    (urllib3.exceptions.ConnectTimeoutError, "no connection within the timeout; check host and port, and firewalls"),
    (urllib3.exceptions.ReadTimeoutError, "no response within the timeout"),
)


def describe(error: Exception) -> str:
    """Say why no response came, and what to check.

    :param error: what urllib3 raised.
    """
    cause = root_cause(error)
    if isinstance(cause, urllib3.exceptions.SSLError):
        if "CERTIFICATE_VERIFY_FAILED" in str(cause):
            return "its TLS certificate is not trusted; name the file of your CA in verify_tls, and check the host name"
        return "TLS failed; check http or https in the host field, the port, and verify_tls"
    known = next((text for kind, text in _CAUSES if isinstance(cause, kind)), None)
    return known or type(cause if isinstance(cause, Exception) else error).__name__
