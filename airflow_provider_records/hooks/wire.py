"""One request over the wire: ``requests`` finds the way to a host once, and urllib3 sends along it.

``requests`` alone would look for proxy, CA file and pool again for every request, and wrap request and answer; that
costs as much processor time as all the rest (``make bench``).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import cast

import requests
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Retry, Timeout
from urllib3.exceptions import LocationValueError

from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.hooks.deadline import DeadlineAdapter
from airflow_provider_records.hooks.settings import Settings

_NEVER = Retry(0, read=False)


@dataclass
class Request:
    """One attempt of a call, as it leaves.

    :param method: HTTP method.
    :param url: full URL with its query.
    :param headers: by name; never logged, as the body is not.
    :param body: the body, if there is one.
    """

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Route:
    """The pool of connections to a host, and what stands before the path in a request line (all, for a proxy)."""

    pool: HTTPConnectionPool
    before_path: str


class Wire:
    """Sends requests over one session, whose pool is as large as the concurrency; safe for all threads of a task.

    :param settings: the connection's fields.
    """

    def __init__(self, settings: Settings) -> None:
        self.session = requests.Session()
        size = settings.max_concurrency
        self._adapter = DeadlineAdapter(pool_connections=4, pool_maxsize=size, pool_block=True, max_retries=_NEVER)
        self.session.mount("https://", self._adapter)
        self.session.mount("http://", self._adapter)
        self.session.headers["Accept"] = "application/json"
        self.headers = {name: str(value) for name, value in self.session.headers.items()}
        self._settings = settings
        self._timeout = Timeout(connect=settings.timeout, read=settings.timeout)
        self._lock = threading.Lock()
        self._routes: dict[str, _Route] = {}

    def send(self, request: Request) -> BaseHTTPResponse:
        """Send a request once, follow nothing, and return the answer with its body still to be read.

        :raises urllib3.exceptions.HTTPError: no answer came.
        :raises ConfigurationError: the URL, that of the proxy, or the path of the CA file is wrong; nothing was sent.
        """
        scheme, _, rest = request.url.partition("://")
        host, _, path = rest.partition("/")
        origin = f"{scheme}://{host}/"
        route = self._routes.get(origin) or self._find(origin)
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
                verify, proxies = found["verify"], found["proxies"]
                pool = self._adapter.get_connection_with_tls_context(prepared, verify, proxies)
                self._adapter.cert_verify(pool, url, verify, None)  # type: ignore[no-untyped-call]
                before_path = self._adapter.request_url(prepared, proxies).removesuffix("/")
            except ValueError:
                raise self._invalid(origin) from None
            except OSError:
                raise ConfigurationError(
                    f"Connection {self._settings.conn_id!r}: there is no CA file where verify_tls or "
                    "REQUESTS_CA_BUNDLE says."
                ) from None
            self._routes[origin] = _Route(cast(HTTPConnectionPool, pool), before_path)
            return self._routes[origin]

    def _invalid(self, origin: str) -> ConfigurationError:
        return ConfigurationError(
            f"Connection {self._settings.conn_id!r}: {origin!r} is not a valid URL, or the proxy's is not; check the "
            "host field, and HTTPS_PROXY where the task runs."
        )
