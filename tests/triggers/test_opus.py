"""When a due list is no longer empty; the sensor around it is in tests/sensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.triggers.opus import OpusDueRecordsTrigger


class Hook:
    """Yields rows, and counts how many were read."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.read = 0

    def iter_due_records(self, connector_id: str, due_before: str, page_size: int) -> Iterator[int]:
        assert (connector_id, due_before, page_size) == ("c", "2026-11-01T00:00:00", 1)
        for number in range(self.rows):
            self.read += 1
            yield number + 1


@pytest.mark.parametrize(("rows", "found"), [(0, None), (1, 1), (5, 1)])
def test_the_first_record_is_enough(rows: int, found: int | None) -> None:
    hook = Hook(rows)
    trigger = OpusDueRecordsTrigger(
        conn_id="opus_default", poke_interval=1.0, deadline=0.0, connector_id="c", due_before="2026-11-01T00:00:00"
    )
    assert trigger.ask(cast(OpusHook, hook)) == found  # type: ignore[comparison-overlap]
    assert hook.read == min(rows, 1)
