"""Shared by all tests: an Airflow home of their own, served sandboxes, and connections to them."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

HOME = tempfile.mkdtemp(prefix="airflow-records-tests-")
os.environ["AIRFLOW_HOME"] = HOME
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"

import hypothesis  # noqa: E402
import pytest  # noqa: E402
import tenacity  # noqa: E402
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]  # noqa: E402

from airflow_provider_records.client.hook import VendorHook  # noqa: E402
from airflow_provider_records.client.throttle import CircuitBreaker, RateLimiter  # noqa: E402
from airflow_provider_records.evidence.journal import Journal  # noqa: E402
from airflow_provider_records.sandbox.core import FakeVendor, Sandbox  # noqa: E402
from airflow_provider_records.sandbox.server import Server  # noqa: E402
from tests.faults.chance import MORE  # noqa: E402
from tests.faults.table import pytest_terminal_summary  # noqa: E402, F401 - prints the fault matrix
from tests.minors import has  # noqa: E402

# A busy machine is not slow code; the same examples each time, others where more are asked for.
hypothesis.settings.register_profile("records", deadline=None, derandomize=MORE not in os.environ)
hypothesis.settings.load_profile("records")

Serve = Callable[..., Server]
Connect = Callable[..., str]
BROWSER = "tests/browser/"


class ByFile(LoadFileScheduling):  # type: ignore[misc]
    """Each file goes to one worker, and all browser tests to the same one: they share one running Airflow."""

    def _split_scope(self, nodeid: str) -> str:
        return BROWSER if nodeid.startswith(BROWSER) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Take our way to share the tests out."""
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the installed Airflow does not offer, or does in another way."""
    others = [
        item
        for item in items
        if any(not has(*mark.args) for mark in item.iter_markers("since"))
        or any(has(*mark.args) for mark in item.iter_markers("before"))
    ]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VendorHook, "backoff", tenacity.wait_none())
    monkeypatch.setattr(CircuitBreaker, "longest_wait", 0.0)
    monkeypatch.setattr(RateLimiter, "slowest", math.inf)


@pytest.fixture(autouse=True)
def _killed_tries_left_no_call_in_the_air(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "seconds_until_settled", lambda _: 0.0)


@pytest.fixture(autouse=True)
def _no_fsync(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk: a test's evidence need not survive a power failure, and a busy disk takes minutes."""
    if request.node.get_closest_marker("durability") is None:
        monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve parts of the sandbox on a free port: ``serve(OpusPart())``."""
    with ExitStack() as stack:
        yield lambda *parts: stack.enter_context(Server(Sandbox(list[FakeVendor](parts))))


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Define a connection for this test: ``connect("opus", url + "/opus", login=…, **extras)``."""

    def define(conn_type: str, host: str, login: str = "", password: str = "", **extra: object) -> str:
        conn_id = f"{conn_type}_default"
        value = {"conn_type": conn_type, "host": host, "login": login, "password": password, "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))
        return conn_id

    return define
