"""Time that passes when a test says so, for all that asks how long a call may still take effect."""

from __future__ import annotations

import pytest

from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.execution import retries

SECONDS_UNTIL_SETTLED = Journal.seconds_until_settled


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(Journal, "seconds_until_settled", SECONDS_UNTIL_SETTLED)
    monkeypatch.setattr(retries, "_NAP", 0.002)
    return Clock()
