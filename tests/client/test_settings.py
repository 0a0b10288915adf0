"""Connection fields: every one is checked and converted, and the wrong one is named before any request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_provider_records.client import fields
from airflow_provider_records.client.hook import Settings, VendorHook
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.hooks.opus_login import HOSTS, ClientCredentialsAuth, token_url
from airflow_provider_records.hooks.unifier import UnifierHook

HOOKS: list[type[VendorHook]] = [OpusHook, EnaioHook, UnifierHook]


def read(hook: type[VendorHook] = OpusHook, host: str = "x", **extra: Any) -> Settings:
    connection = Connection(
        conn_id="c", conn_type=hook.conn_type, host=host, login="me", password="pw", extra=json.dumps(extra)
    )
    return hook.read_settings(connection, connection.extra_dejson)


def plain(host: str = "x", **extra: Any) -> Settings:
    return Settings.from_connection(Connection(conn_id="c", conn_type="thing", host=host), extra, "thing")


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("actual", ["http", "", None, "others", "UPPER"])
def test_a_connection_of_another_type_is_refused_before_its_fields(hook: type[VendorHook], actual: str | None) -> None:
    others = [other.conn_type for other in HOOKS if other is not hook]
    types = {"others": others, "UPPER": [hook.conn_type.upper()]}.get(str(actual), [actual])
    for conn_type in types:
        connection = Connection(conn_id="c", conn_type=conn_type, host="x", login="me", password="q8Zt")
        with pytest.raises(ConfigurationError) as refused:
            hook.read_settings(connection, {"foreign": "q8Zt-2"})
        said = f"its type is {conn_type!r}" if conn_type else "it has no type"
        assert f"Connection 'c': {said}, but the type {hook.conn_type!r} is needed" in str(refused.value)
        assert "q8Zt" not in str(refused.value)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize(
    ("name", "meant"),
    [("max_concurency", "max_concurrency"), ("Timeout", "timeout"), ("extra__timeout", "timeout"), ("verify", None)],
)
def test_a_misspelt_field_is_named(hook: type[VendorHook], name: str, meant: str | None) -> None:
    with pytest.raises(ConfigurationError, match=f"no field '{name}'") as caught:
        read(hook, **{name: "60"})
    assert (f"did you mean '{meant}'" if meant else "verify_tls") in str(caught.value)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_field_of_another_system_is_named(hook: type[VendorHook]) -> None:
    for other in HOOKS:
        for name in {field.name for field in other.extra_fields} - {field.name for field in hook.extra_fields}:
            with pytest.raises(ConfigurationError, match=f"no field '{name}'"):
                read(hook, **{name: "x"})


@pytest.mark.parametrize("text", ["{", "timeout=60", "[1]", '"text"'])
def test_extras_that_are_no_json_object_are_not_ignored(text: str) -> None:
    connection = Connection(conn_id="c", conn_type="opus", host="x", extra=text)
    with pytest.raises(ConfigurationError, match="'extra'"):
        OpusHook.read_settings(connection, connection.extra_dejson)


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_no_extras_are_the_defaults(text: str | None) -> None:
    connection = Connection(conn_id="c", conn_type="enaio", host="x", extra=text)
    settings = EnaioHook.read_settings(connection, connection.extra_dejson)
    assert (settings.timeout, settings.max_concurrency, settings.verify) == (60.0, 8, True)


def test_a_connection_in_uri_form() -> None:
    connection = Connection.from_uri(
        "opus://me:pw@graph-de.avepointonlineservices.com?timeout=5&max_concurrency=2&verify_tls=false", "c"
    )
    settings = OpusHook.read_settings(connection, connection.extra_dejson)
    assert (settings.timeout, settings.max_concurrency, settings.verify) == (5.0, 2, False)
    assert settings.base_url == "https://graph-de.avepointonlineservices.com"


@pytest.mark.parametrize("region", HOSTS)
def test_a_region_stands_for_host_and_cloud(region: str) -> None:
    settings = read(host="", region=region)
    assert settings.base_url == f"https://{HOSTS[region]}"
    first = {"gov": "https://identity-gov.", "aos2": "https://identity-aos2.", "fedramp": "https://identity.online15."}
    assert token_url(settings).startswith(first.get(region, fields.OPUS_IDENTITY_URL))
    assert token_url(read(host=HOSTS[region])) == token_url(settings)
    assert token_url(read(host="", region=region, identity_url="https://mine/token")) == "https://mine/token"


def test_host_and_region_must_agree() -> None:
    assert read(host=HOSTS["we"], region="we").base_url == f"https://{HOSTS['we']}"
    assert read(host="opus.example.org", region="").base_url == "https://opus.example.org"
    with pytest.raises(ConfigurationError, match="'region' stands for"):
        read(host=HOSTS["we"], region="gov")
    with pytest.raises(ConfigurationError, match="'region' must be one of au, "):
        read(host="", region="mars")
    with pytest.raises(ConfigurationError, match="'host'"):
        read(host="")


@pytest.mark.parametrize("change", [("\n", ""), ("\n", " "), ("\n", "\\n"), ("\n", "\r\n")])
def test_a_private_key_survives_a_form_with_one_line(change: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    read: list[bytes] = []
    load = serialization.load_pem_private_key

    def reading(data: bytes, password: None) -> object:
        read.append(data)
        return load(data, password)

    monkeypatch.setattr(serialization, "load_pem_private_key", reading)
    extra = {"private_key": pem.replace(*change), "certificate_thumbprint": "A" * 40}
    ClientCredentialsAuth(Settings("c", "https://x", "me", "", extra), "https://x/token")
    # Older libraries read no key whose marks do not stand on lines of their own.
    lines = read[0].splitlines()
    assert (lines[0], lines[-1]) == (b"-----BEGIN PRIVATE KEY-----", b"-----END PRIVATE KEY-----")
    assert b"".join(lines[1:-1]).decode() == "".join(pem.splitlines()[1:-1])


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("archive.example.org", "https://archive.example.org"),
        ("http://127.0.0.1:8765/unifier/", "http://127.0.0.1:8765/unifier"),
        ("https://eu.unifier.example.com/acme/stage", "https://eu.unifier.example.com/acme/stage"),
        ("ARCHIVE.Example.Org/Acme//", "https://archive.example.org/Acme"),
        ("HTTPS://archive.example.org:443", "https://archive.example.org"),
        ("http://archive.example.org:80/x/", "http://archive.example.org/x"),
        ("http://archive.example.org:443", "http://archive.example.org:443"),
        ("https://archive.example.org:8443/", "https://archive.example.org:8443"),
        ("[::1]", "https://[::1]"),
        ("http://[2001:0DB8:0:0::1]:8080/x", "http://[2001:db8::1]:8080/x"),
        ("https://[2001:db8::1]:443", "https://[2001:db8::1]"),
    ],
)
def test_base_url(host: str, expected: str) -> None:
    assert plain(host).base_url == expected


@pytest.mark.parametrize(
    "host", ["", "ftp://x", "https://u:p@x", "https://x?y=1", "https://x:port", "https://[::zz]", "https://:443"]
)
def test_a_wrong_host_is_named(host: str) -> None:
    with pytest.raises(ConfigurationError, match="'host'"):
        plain(host)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", "nope"),
        ("timeout", 0),
        ("timeout", True),
        ("timeout", 1e300),
        ("max_concurrency", 0),
        ("max_concurrency", "2.5"),
        ("requests_per_second", -1),
        ("requests_per_second", "nan"),
        ("verify_tls", "maybe"),
        ("verify_tls", __file__),
    ],
)
def test_a_wrong_extra_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        plain(**{name: value})


def test_extras_given_as_text_are_converted() -> None:
    extras = {"timeout": "5", "max_concurrency": "16", "requests_per_second": "0.5", "verify_tls": "false"}
    settings = plain(**extras)
    assert (settings.timeout, settings.max_concurrency) == (5.0, 16)
    assert (settings.requests_per_second, settings.verify) == (0.5, False)


def test_certificate_and_key_for_mutual_tls_are_files(authority: tuple[Path, object]) -> None:
    pem = authority[0]
    key, both = pem.with_name("key.pem"), pem.with_name("both.pem")
    both.write_bytes(pem.read_bytes() + key.read_bytes())
    assert plain().certificate is None
    assert plain(client_cert=str(pem), client_key=f" {key} ").certificate == (str(pem), str(key))
    assert plain(client_cert=str(both)).certificate == str(both)


@pytest.mark.parametrize(
    ("cert", "key", "told"),
    [
        ("none.pem", "key.pem", "'client_cert' must be the path of an existing file"),
        ("ca.pem", "none.pem", "'client_key' must be the path of an existing file"),
        ("", "key.pem", "'client_cert' is empty, though client_key names a key"),
        ("ca.pem", "", "'client_cert' names a file without an unencrypted certificate and key"),
        ("ca.pem", "other.pem", "'client_key' names a file without an unencrypted key"),
        ("ca.pem", "locked.pem", "'client_key' names a file without an unencrypted key"),
        ("ca.pem", "ca.pem", "'client_key' names a file without an unencrypted key"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_named(
    cert: str, key: str, told: str, authority: tuple[Path, object]
) -> None:
    folder = authority[0].parent
    own = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    forms = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "locked.pem").write_bytes(own.private_bytes(*forms, serialization.BestAvailableEncryption(b"q8Zt")))
    other = rsa.generate_private_key(65537, 2048)
    (folder / "other.pem").write_bytes(other.private_bytes(*forms, serialization.NoEncryption()))
    given = {field: str(folder / name) for field, name in (("client_cert", cert), ("client_key", key)) if name}
    with pytest.raises(ConfigurationError, match=told):
        plain(**given)


@pytest.mark.parametrize("name", ["client_cert", "client_key", "verify_tls"])
def test_the_content_of_a_key_is_refused_and_not_repeated(name: str, authority: tuple[Path, object]) -> None:
    content = authority[0].with_name("key.pem").read_text()
    for text in (content, content * 20):
        with pytest.raises(ConfigurationError, match=f"'{name}' must be .*the path of an existing") as caught:
            plain(**{name: text})
        assert content.splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize("uri", ["enaio://u:p@host:90/path", "enaio://u:p@host/path/b"])
def test_a_path_in_a_uri_is_not_lost_silently(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"'schema' holds 'path.*host.*https%3A%2F%2Fhost%3A90%2Fpath"):
        EnaioHook.read_settings(Connection.from_uri(uri, "c"), {})


def test_a_uri_may_name_the_whole_address() -> None:
    for uri in ("enaio://u:p@https%3A%2F%2Fhost%3A90%2Fpath", "enaio://u:p@https%3A%2F%2Fhost%2Fpath:90"):
        assert EnaioHook.read_settings(Connection.from_uri(uri, "c"), {}).base_url == "https://host:90/path"
    connection = Connection.from_uri("enaio://u:p@host:90/http", "c")
    assert EnaioHook.read_settings(connection, {}).base_url == "http://host:90"
