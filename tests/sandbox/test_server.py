"""The server: a port of its own, in a thread of its own, given back at the end."""

from __future__ import annotations

import threading
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_records.sandbox.core import Sandbox
from airflow_provider_records.sandbox.server import Server


def log_of(server: Server) -> requests.Response:
    return requests.get(f"{server.url}/_sandbox/log", timeout=60)


def test_it_takes_a_free_port_and_gives_it_back() -> None:
    with Server(Sandbox([])) as one, Server(Sandbox([])) as two:
        assert one.url != two.url
        assert log_of(one).json() == log_of(two).json() == []
        port = urlsplit(one.url).port or 0
    with pytest.raises(requests.ConnectionError):
        log_of(one)
    with Server(Sandbox([]), port) as again:
        assert again.url == one.url


def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    with Server(Sandbox([])) as one, pytest.raises(OSError, match="in use"):
        Server(Sandbox([]), urlsplit(one.url).port or 0)


def test_its_thread_ends_with_it_although_a_client_is_connected() -> None:
    before = set(threading.enumerate())
    with requests.Session() as client, Server(Sandbox([])) as server:
        assert client.get(f"{server.url}/_sandbox/log", timeout=60).status_code == 200
    assert set(threading.enumerate()) <= before
