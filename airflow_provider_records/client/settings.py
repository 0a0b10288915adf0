"""The fields of a connection, converted and checked as ``client/fields.py`` describes them."""

from __future__ import annotations

import difflib
import json
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import Connection

from airflow_provider_records.client import fields
from airflow_provider_records.client.fields import Field
from airflow_provider_records.exceptions import ConfigurationError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Settings:
    """The fields of a connection, converted and checked.

    :param conn_id: Airflow connection id, for messages.
    :param base_url: normalised, so that connections to the same address have the same text: scheme, host in lower case
        (an IPv6 address in its short form), the port where it is not the scheme's own, path without a trailing slash.
    :param login: user or client id.
    :param password: its secret.
    :param extra: the extras as they were given; :meth:`text` converts those of the vendor.
    :param timeout: seconds to wait for a connection and for a response.
    :param max_concurrency: requests in flight at most; also the size of the connection pool.
    :param requests_per_second: limit over all threads of the task, or None.
    :param verify: True, False, or the path of a CA file.
    :param certificate: path of the client's certificate for mutual TLS, or the paths of certificate and key; None: no
        mutual TLS.
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
    certificate: str | tuple[str, str] | None = None

    @classmethod
    def from_connection(
        cls,
        connection: Connection,
        extra: Mapping[str, Any],
        conn_type: str,
        own: Collection[Field] = (),
        host: str | None = None,
    ) -> Settings:
        """Convert a connection; extras are text where the connection was given as a URI.

        :param connection: the connection.
        :param extra: its extras; Airflow gives none where they are not JSON.
        :param conn_type: the connection type that is needed.
        :param own: the extras of this vendor, besides the common ones.
        :param host: what stands for an empty host field.
        :raises ConfigurationError: the connection has another type or none, or a field is missing, unknown or has a
            wrong value; the message names it.
        """
        conn_id = str(connection.conn_id)
        # First of all: the password of another system must not be sent to this one.
        if connection.conn_type != conn_type:
            actual = f"its type is {connection.conn_type!r}" if connection.conn_type else "it has no type"
            raise ConfigurationError(
                f"Connection {conn_id!r}: {actual}, but the type {conn_type!r} is needed; name a connection of that "
                "type in the DAG, or correct the type of this one."
            )
        if not isinstance(extra, Mapping) or not (extra or _is_object(connection.extra)):
            raise invalid(conn_id, "extra", "is no JSON object")
        known = {each.name: each for each in (*own, *fields.COMMON)}
        for name in extra:
            if name not in known:
                close = difflib.get_close_matches(str(name), known, 1)
                advice = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(sorted(known))}"
                raise ConfigurationError(f"Connection {conn_id!r}: there is no field {name!r}; {advice}")
        values = {name: _converted(conn_id, each, extra.get(name)) for name, each in known.items()}
        return cls(
            conn_id=conn_id,
            base_url=_base_url(connection, host),
            login=connection.login or "",
            password=connection.password or "",
            extra=extra,
            timeout=values[fields.TIMEOUT.name],
            max_concurrency=int(values[fields.MAX_CONCURRENCY.name]),
            requests_per_second=values[fields.REQUESTS_PER_SECOND.name],
            verify=values[fields.VERIFY_TLS.name],
            certificate=_certificate(conn_id, values[fields.CLIENT_CERT.name], values[fields.CLIENT_KEY.name]),
        )

    def text(self, extra_field: Field) -> str:
        """Return an extra of the vendor as text; its default or empty text where it is not set.

        :raises ConfigurationError: it has a wrong value; the message names it.
        """
        return _converted(self.conn_id, extra_field, self.extra.get(extra_field.name)) or ""


def invalid(conn_id: str, name: str, problem: str) -> ConfigurationError:
    """Return the error of a connection's field.

    :param conn_id: Airflow connection id.
    :param name: name of the field.
    :param problem: what is wrong with it and what it must be, without the value.
    """
    return ConfigurationError(f"Connection {conn_id!r}: field {name!r} {problem}.")


def _converted(conn_id: str, about: Field, value: object) -> Any:  # noqa: ANN401 - text, number or bool, as the field says
    if value is None or value == "":
        value = about.default
    try:
        if value is None:
            return None
        if about.type in ("number", "integer"):
            return _number(about, value)
        return _verify(value) if about.type == "tls" else _text(about, value)
    except ValueError as error:
        raise invalid(conn_id, about.name, str(error)) from None


def _number(about: Field, value: object) -> float:
    try:
        result = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else float("nan")
    except (ValueError, OverflowError):
        result = float("nan")
    if not about.minimum <= result <= fields.GREATEST_NUMBER:
        raise ValueError(f"must be a number from {about.minimum:g} to {fields.GREATEST_NUMBER}")
    if about.type == "integer" and result != int(result):
        raise ValueError("must be a whole number")
    return result


def _text(about: Field, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    text = value.strip()
    if about.choices and text not in about.choices:
        raise ValueError(f"must be one of {', '.join(about.choices)}")
    if about.type == "file" and not _is_file(text):
        raise ValueError("must be the path of an existing file where the task runs, never its content")
    if about.type == "path" and not text.startswith("/"):
        raise ValueError("must be a path from '/'")
    return text


def _verify(value: object) -> bool | str:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if value.strip().lower() in {"true", "false"}:
            return value.strip().lower() == "true"
        if _is_file(value.strip()):
            try:
                ssl.create_default_context(cafile=value.strip())
            except (OSError, ValueError):
                raise ValueError("names a file that holds no CA certificate (PEM)") from None
            return value.strip()
    raise ValueError("must be true, false, or the path of an existing CA file")


def _certificate(conn_id: str, cert: str | None, key: str | None) -> str | tuple[str, str] | None:
    """Return the client's certificate as ``requests`` wants it."""
    if not cert:
        if key:
            raise invalid(conn_id, fields.CLIENT_CERT.name, "is empty, though client_key names a key")
        return None
    try:
        # A key that is encrypted is refused: without a password here, OpenSSL would ask for one on the terminal.
        ssl.create_default_context().load_cert_chain(cert, key or None, password="")
    except (OSError, ValueError):
        name, what = (fields.CLIENT_KEY, "key") if key else (fields.CLIENT_CERT, "certificate and key")
        problem = f"names a file without an unencrypted {what} (PEM) that fit"
        raise invalid(conn_id, name.name, f"{problem} the certificate in client_cert" if key else problem) from None
    return (cert, key) if key else cert


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a path, or not one at all
        return False


def _is_object(text: str | None) -> bool:
    try:
        return isinstance(json.loads(text or "{}"), dict)
    except ValueError:
        return False


def _base_url(connection: Connection, default: str | None) -> str:
    def refused(problem: str) -> ConfigurationError:
        return invalid(str(connection.conn_id), "host", problem)

    if connection.schema and connection.schema not in _PORTS:  # where Airflow puts the path of a connection in URI form
        raise invalid(
            str(connection.conn_id),
            "schema",
            f"holds {connection.schema!r}, and must be http, https or empty. Write a path into host, as a full URL; in "
            "URI form with its signs encoded: enaio://user:password@https%3A%2F%2Fhost%3A90%2Fpath",
        )
    host = (connection.host or "").strip() or default
    if not host:
        raise refused("is empty; give the host name or the full URL of the system")
    if "://" not in host:
        host = f"{connection.schema if connection.schema in _PORTS else 'https'}://{host}"
    try:
        parts = urlsplit(host)
        port = parts.port or connection.port
        name = parts.hostname or ""
        name = f"[{IPv6Address(name).compressed}]" if ":" in name else name
    except ValueError:
        raise refused("is not a valid host name or URL") from None
    if parts.scheme not in _PORTS or not name:
        raise refused("must be a host name or an http(s) URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise refused("must not hold credentials, a query or a fragment; use login and password")
    explicit = f":{port}" if port and port != _PORTS[parts.scheme] else ""
    return f"{parts.scheme}://{name}{explicit}{parts.path}".rstrip("/")
