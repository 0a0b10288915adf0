"""What a hook says of where it acts: the same text for the same content, another one for any other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.hooks.unifier import UnifierHook

CONNECTOR = "3f0c6a52-8d1e-4b7a-9c35-5e2a71d04b68"
REGION = "graph-de.avepointonlineservices.com"


def target(kind: type[VendorHook], host: str, login: str = "someone", port: int | None = None, **extra: Any) -> str:
    connection = Connection(
        conn_id="c",
        conn_type=kind.conn_type,
        host=host,
        login=login,
        password="q8Zt-secret",
        port=port,
        extra=json.dumps(extra),
    )
    return kind("c", kind.read_settings(connection, connection.extra_dejson)).target


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (target(UnifierHook, "https://EU.unifier.example.com:443/acme/"), "https://eu.unifier.example.com/acme"),
        (target(UnifierHook, "eu.unifier.example.com/acme", port=443), "https://eu.unifier.example.com/acme"),
        (target(UnifierHook, "eu.unifier.example.com/acme", port=8443), "https://eu.unifier.example.com:8443/acme"),
        (target(EnaioHook, "enaio.example.org"), "https://enaio.example.org/api/dms"),
        (target(EnaioHook, "http://[0:0::1]:8060/", api_prefix="dms/v2/"), "http://[::1]:8060/dms/v2"),
        (target(EnaioHook, "enaio.example.org", api_prefix="/"), "https://enaio.example.org"),
        (target(OpusHook, "", region="de", login="a"), f"https://{REGION}?client_id=a"),
        (
            target(OpusHook, REGION.upper(), login="a&b", connector_id=f" {CONNECTOR.upper()} "),
            f"https://{REGION}?client_id=a%26b&connector_id={CONNECTOR}",
        ),
    ],
)
def test_the_text_of_a_target(made: str, expected: str) -> None:
    assert made == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (target(UnifierHook, "eu.example.com/acme"), target(UnifierHook, "eu.example.com/stage")),
        (target(UnifierHook, "https://x"), target(UnifierHook, "http://x")),
        (target(EnaioHook, "x", api_prefix="/api/dms"), target(EnaioHook, "x", api_prefix="/test/dms")),
        (target(EnaioHook, "x"), target(EnaioHook, "x", port=8443)),
        (target(OpusHook, "x", login="tenant-1"), target(OpusHook, "x", login="tenant-2")),
        (
            target(OpusHook, "x", connector_id=CONNECTOR),
            target(OpusHook, "x", connector_id=CONNECTOR.replace("3", "4")),
        ),
        (target(OpusHook, "x", login="a"), target(OpusHook, "x", login="a", connector_id=CONNECTOR)),
        (target(OpusHook, "x", login=f"a&connector_id={CONNECTOR}"), target(OpusHook, "x", connector_id=CONNECTOR)),
    ],
)
def test_what_is_not_the_same_has_another_text(one: str, other: str) -> None:
    assert one != other


@pytest.mark.parametrize("kind", [OpusHook, EnaioHook, UnifierHook])
def test_a_target_holds_no_credentials(kind: type[VendorHook]) -> None:
    extra: dict[str, Any] = (
        {"private_key": "q8Zt-key", "certificate_thumbprint": "q8Zt-print"} if kind is OpusHook else {}
    )
    made = target(kind, "x", **extra)
    assert "q8Zt" not in made
    assert ("someone" in made) is (kind is OpusHook), "Opus has no other name of a tenant than its client id"


@pytest.mark.parametrize("kind", [OpusHook, EnaioHook, UnifierHook])
def test_other_credentials_and_limits_are_the_same_target(kind: type[VendorHook]) -> None:
    assert target(kind, "x") == target(kind, "x", timeout=5, max_concurrency=2, verify_tls=False)
    if kind is not OpusHook:
        assert target(kind, "x") == target(kind, "x", login="another")
