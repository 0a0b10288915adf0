"""The sandbox of a whole file: its cells work on records of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_records.client import hook as hook_module
from airflow_provider_records.sandbox.build import build
from airflow_provider_records.sandbox.server import Server
from airflow_provider_records.task import context
from tests.client.raw_server import RawServer
from tests.faults.rows import LIMIT
from tests.faults.trial import ServedSandbox


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSandbox]:
    sandbox = build(0)
    with pytest.MonkeyPatch.context() as patch, RawServer(b"") as elsewhere, Server(sandbox) as server:
        patch.setattr(hook_module, "ATTEMPTS", 2)
        patch.setattr(hook_module, "LARGEST_RESPONSE", LIMIT)
        patch.setattr(context, "airflow_version", lambda: "3")
        yield ServedSandbox(sandbox, server.url, elsewhere, tmp_path_factory.mktemp("evidence"), patch)


@pytest.fixture
def sandbox(shared: ServedSandbox) -> Iterator[ServedSandbox]:
    shared.connect()
    yield shared
    shared.sandbox.faults.clear()
    shared.elsewhere.heads.clear()
