"""The Test button of a connection: it asks once, says in words what would change it, and keeps secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import tenacity
from airflow.models import Connection

from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.sandbox.build import build, connections
from airflow_provider_records.sandbox.core import Fault, Sandbox
from airflow_provider_records.sandbox.server import Server
from tests.client.raw_server import free_port

HOOKS: dict[str, type[VendorHook]] = {"opus": OpusHook, "enaio": EnaioHook, "unifier": UnifierHook}
EVERY_VENDOR = pytest.mark.parametrize("vendor", HOOKS)
LOGIN_PAGE = "<!doctype html><html><title>Sign in</title></html>"
TRANSIENT = "kqzvwxyj"
"""Airflow tests a copy of the connection under an id that nobody has seen before."""


@dataclass
class Connections:
    """The sandbox, and connections to it as Airflow's Test button makes them."""

    sandbox: Sandbox
    url: str
    monkeypatch: pytest.MonkeyPatch

    def press(self, vendor: str, **changed: Any) -> tuple[bool, str]:
        made = connections(self.sandbox, self.url)[f"{vendor}_default"]
        extra = {**made["extra"], **changed.pop("extra", {})}
        fields = {**made, **changed, "extra": extra}
        self.monkeypatch.setenv(f"AIRFLOW_CONN_{TRANSIENT.upper()}", json.dumps(fields))
        works, words = HOOKS[vendor](TRANSIENT).test_connection()
        assert TRANSIENT not in words
        assert not any(secret and secret in words for secret in (fields["password"], LOGIN_PAGE))
        assert "\n" not in words
        return works, words

    def answer(self, vendor: str, call: str, status: int, body: Any = None) -> None:
        self.sandbox.faults.append(Fault(vendor=vendor, call=call, status=status, body=body, act=False, times=None))


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connections]:
    def sleep(_: VendorHook, seconds: float, *__: object) -> None:
        assert seconds < 1, "somebody waits for the answer, and it asks a second time"

    monkeypatch.setattr(VendorHook, "backoff", tenacity.wait_fixed(60))
    monkeypatch.setattr(VendorHook, "_sleep", sleep)
    sandbox = build(5)
    with Server(sandbox) as server:
        yield Connections(sandbox, server.url, monkeypatch)


@EVERY_VENDOR
def test_it_works_and_changes_nothing(served: Connections, vendor: str) -> None:
    assert served.press(vendor)[0] is True
    assert not [entry for entry in served.sandbox.log if entry.effects]


@pytest.mark.parametrize(
    ("vendor", "call", "status", "body", "words"),
    [
        ("opus", "due_records", 403, None, "Token accepted, scope missing: records.readwrite.all"),
        ("opus", "due_records", 401, None, "host and identity_url belong to different clouds or regions"),
        ("opus", "due_records", 404, None, "Token accepted, but: Opus due_records: there is no such call; check host"),
        ("opus", "due_records", 302, None, "as to a login page"),
        ("opus", "due_records", 200, LOGIN_PAGE, "a web page, such as a login page"),
        ("opus", "due_records", 503, None, "Token accepted, but: "),
        ("opus", "token", 400, {"error": "invalid_scope"}, "check the scope"),
        ("opus", "token", 400, {"error": "unauthorized_client"}, "does not allow this kind of login"),
        ("opus", "token", 400, {"error": "invalid_client"}, "client secret"),
        ("opus", "token", 200, LOGIN_PAGE, "identity_url"),
        ("opus", "token", 503, None, "identity service failed"),
        ("enaio", "info", 401, None, "check login and password, and whether the account is locked"),
        ("enaio", "info", 403, None, "the account lacks a right"),
        ("enaio", "info", 302, None, "as to a login page"),
        ("enaio", "info", 200, LOGIN_PAGE, "login filter for HTTP Basic"),
        ("enaio", "info", 503, None, "HTTP 503"),
        ("unifier", "login", 401, None, "an active Integration User that is not locked"),
        ("unifier", "login", 404, None, "check host and login_path"),
        ("unifier", "login", 200, LOGIN_PAGE, "check host and login_path"),
        ("unifier", "list_nodes", 403, None, "Signed in, but no right to read documents"),
        ("unifier", "list_nodes", 200, LOGIN_PAGE, "Signed in, but: "),
        ("unifier", "list_nodes", 302, None, "Signed in, but: "),
        ("unifier", "list_nodes", 503, None, "Signed in, but: "),
    ],
)
def test_what_is_wrong_is_said_in_words(
    served: Connections, vendor: str, call: str, status: int, body: Any, words: str
) -> None:
    served.answer(vendor, call, status, body)
    works, said = served.press(vendor)
    assert not works
    assert words in said


@EVERY_VENDOR
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"host": "https://nobody.invalid"}, "the host name is unknown"),
        ({"host": "http://127.0.0.1:{free}"}, "nothing listens there"),
        ({"host": ""}, "field 'host' is empty"),
        ({"extra": {"timeout": "soon"}}, "field 'timeout' must be a number"),
        ({"extra": {"max_concurency": 2}}, "did you mean 'max_concurrency'"),
        ({"extra": {"verify_tls": "/nowhere/ca.pem"}}, "field 'verify_tls'"),
    ],
)
def test_a_wrong_field_is_named(served: Connections, vendor: str, change: dict[str, Any], words: str) -> None:
    change = {name: value.format(free=free_port()) if name == "host" else value for name, value in change.items()}
    works, said = served.press(vendor, **change)
    assert not works
    assert words in said


@EVERY_VENDOR
@pytest.mark.parametrize("conn_type", ["http", "sftp", ""])
def test_a_connection_of_another_type_is_never_used(served: Connections, vendor: str, conn_type: str) -> None:
    works, said = served.press(vendor, conn_type=conn_type)
    assert not works
    assert f"the type {vendor!r} is needed" in said
    assert said.startswith(f"its type is {conn_type!r}" if conn_type else "it has no type")
    assert not served.sandbox.log


@EVERY_VENDOR
def test_the_connection_that_airflow_tests_is_a_uri(
    served: Connections, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = connections(served.sandbox, served.url)[f"{vendor}_default"]
    connection = Connection(conn_id=TRANSIENT, **{**made, "extra": json.dumps(made["extra"])})
    monkeypatch.setenv(f"AIRFLOW_CONN_{TRANSIENT.upper()}", connection.get_uri())
    assert connection.get_uri().startswith(f"{vendor}://")
    assert HOOKS[vendor](TRANSIENT).test_connection()[0] is True


@EVERY_VENDOR
def test_a_wrong_password_is_tried_once(served: Connections, vendor: str) -> None:
    """More would lock the account."""
    works, said = served.press(vendor, password="Wrong-but-secret-81")
    assert not works
    assert "Wrong-but-secret-81" not in said
    assert len(served.sandbox.log) == 1


@EVERY_VENDOR
def test_https_on_a_port_without_tls_is_said(served: Connections, vendor: str) -> None:
    host = connections(served.sandbox, served.url)[f"{vendor}_default"]["host"]
    works, said = served.press(vendor, host=host.replace("http:", "https:"))
    assert not works
    assert "check http or https" in said
