"""Fixtures of the tests of certificates."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.reporting import issue
from tests.evidence import evidence_factory
from tests.reporting.certified import (
    Evidence,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "evidence"))


@pytest.fixture
def listed(store: Store) -> Manifest:
    return Manifest.write(store, evidence_factory.records(40))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Evidence that tests read and leave as it is."""
    return Evidence(tmp_path_factory.mktemp("night") / "evidence")


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return Evidence(tmp_path / "evidence")


@pytest.fixture
def always_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a certificate anew though it says the same, for tests that look at how one replaces another."""
    monkeypatch.setattr(issue, "_says_the_same", lambda *_: False)
