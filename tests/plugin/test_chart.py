"""The layout of the chart: nothing is lost, nothing lies outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.plugin.chart import HEIGHT, WIDTH, strips
from airflow_provider_records.plugin.status import add_counts

COUNTS = st.dictionaries(st.sampled_from([str(kind) for kind in OutcomeKind]), st.integers(0, 10**6)).map(
    lambda counts: add_counts([counts])
)


@given(st.lists(st.dictionaries(st.sampled_from(["enaio", "opus"]), COUNTS), max_size=120))
def test_every_outcome_of_every_run_is_seen_within_the_strip(runs: list[dict[str, dict[str, int]]]) -> None:
    found = {strip.system: strip for strip in strips(runs)}
    for system in ("enaio", "opus"):
        shown = {place: run[system] for place, run in enumerate(runs) if any(run.get(system, {}).values())}
        columns = found[system].columns if system in found else []
        assert [column.run for column in columns] == list(shown)
        for column in columns:
            assert 0 <= column.left < column.left + column.width <= WIDTH
            assert [box.kind for box in column.boxes] == [
                kind
                for kind in ("destroyed", "recycled", "absent", "blocked", "not_attempted", "unknown", "failed")
                if shown[column.run][kind]
            ]
            assert all(box.height > 1 for box in column.boxes)
            assert column.boxes[-1].top >= -0.05
            bottom = HEIGHT
            for box in column.boxes:
                assert box.top + box.height == pytest.approx(bottom, abs=0.05)
                bottom = box.top


def test_columns_of_the_same_height_stand_for_the_same_number() -> None:
    (strip,) = strips([{"enaio": add_counts([{"destroyed": number}])} for number in (50, 100, 25)])
    assert strip.maximum == 100
    assert [column.boxes[0].height for column in strip.columns] == [HEIGHT / 2, HEIGHT, HEIGHT / 4]
