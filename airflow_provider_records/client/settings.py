"""The fields of a connection, converted and checked."""

from __future__ import annotations

import difflib
import json
import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import Connection

from airflow_provider_records.exceptions import ConfigurationError

LARGEST_NUMBER = 86400
COMMON_EXTRAS = frozenset({"timeout", "max_concurrency", "requests_per_second", "verify_tls"})


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
    def from_connection(
        cls, connection: Connection, extra: Mapping[str, Any], own: Collection[str] = (), host: str | None = None
    ) -> Settings:
        """Convert a connection; extras arrive as text when the connection was given as a URI.

        :param connection: the connection.
        :param extra: its extras; Airflow gives none where they are no JSON.
        :param own: names of the extras that this vendor has besides the common ones.
        :param host: what stands for an empty host field.
        :raises ConfigurationError: a field is missing, unknown or has a wrong value; the message names it.
        """
        conn_id = str(connection.conn_id)

        def wrong(name: str, problem: str) -> ConfigurationError:
            return ConfigurationError(f"Connection {conn_id!r}: field {name!r} {problem}.")

        if not isinstance(extra, Mapping) or not (extra or _is_object(connection.extra)):
            raise wrong("extra", "is no JSON object")
        known = COMMON_EXTRAS.union(own)
        for name in extra:
            if name not in known:
                close = difflib.get_close_matches(str(name), known, 1)
                advice = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(known))}"
                raise ConfigurationError(f"Connection {conn_id!r}: there is no field {name!r}; {advice}")

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
            base_url=_base_url(connection, host, wrong),
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


def _is_object(text: str | None) -> bool:
    try:
        return isinstance(json.loads(text or "{}"), dict)
    except ValueError:
        return False


def _base_url(connection: Connection, default: str | None, wrong: Callable[[str, str], ConfigurationError]) -> str:
    host = (connection.host or "").strip() or default
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
