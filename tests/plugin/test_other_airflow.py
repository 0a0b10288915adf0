"""On an Airflow whose inner parts have other names, the page says so."""

from __future__ import annotations

import sys

import pytest
from airflow import __version__
from fastapi.testclient import TestClient

from airflow_provider_records.plugin import page


def test_an_airflow_that_misses_a_part_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "airflow_provider_records.plugin.app", raising=False)
    monkeypatch.setitem(sys.modules, "airflow.api_fastapi.core_api.security", None)
    answer = TestClient(page).get("/")
    assert answer.status_code == 503
    assert f"The page Disposals does not fit Airflow {__version__}" in answer.text
    assert "it misses airflow.api_fastapi.core_api.security" in answer.text
