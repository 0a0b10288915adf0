"""The whole sandbox, connections to it, and an evidence store of this test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.demo import connection_variables
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.sandbox.build import build, connections
from airflow_provider_records.sandbox.core import Fault, Sandbox
from airflow_provider_records.sandbox.server import Server
from airflow_provider_records.task.context import evidence_store


@dataclass
class ServedSandbox:
    """A served sandbox and the evidence store."""

    sandbox: Sandbox
    url: str
    store: Store

    def fault(self, **fields: object) -> None:
        self.sandbox.faults.append(Fault(**fields))  # type: ignore[arg-type]

    def calls(self, vendor: str, call: str) -> int:
        return sum(1 for entry in self.sandbox.log if (entry.vendor, entry.call) == (vendor, call))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", f"file://{tmp_path}/evidence")
    return evidence_store()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ServedSandbox]:
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", f"file://{tmp_path}/evidence")
    sandbox = build(60)
    with Server(sandbox) as server:
        for name, value in connection_variables(connections(sandbox, server.url)).items():
            monkeypatch.setenv(name, value)
        yield ServedSandbox(sandbox, server.url, evidence_store())


@pytest.fixture
def documents(served: ServedSandbox) -> list[str]:
    """Return objects that enaio deletes when it is asked to."""
    found: Any = served.sandbox.vendors["enaio"]
    free = [each for each in found.archive.objects.values() if each.base == "DOCUMENT"]
    held = ("locked_by", "in_workflow", "no_delete", "no_read", "archived")
    return [each.id for each in free if not any(getattr(each, name) for name in held)][:12]
