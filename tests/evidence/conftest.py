"""An evidence store of this test, in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_records.evidence.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))
