"""Which assets a disposal has changed, and what their events say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from airflow.sdk import Asset

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.operators.assets import DISPOSALS, disposed, events
from tests.evidence.evidence_factory import ObedientSystem, carry_out

D, R, A, B, F = (
    OutcomeKind.DESTROYED,
    OutcomeKind.RECYCLED,
    OutcomeKind.ABSENT,
    OutcomeKind.BLOCKED,
    OutcomeKind.FAILED,
)


def disposal(folder: Path, results: Mapping[str, OutcomeKind], name: str = "enaio") -> Disposal:
    """Carry out a list on which each key has the outcome that it is given."""
    store = Store(str(folder))
    return carry_out(store, Manifest.write(store, list(results)), system=ObedientSystem(results), name=name)


def test_the_names_that_dags_follow_are_a_contract() -> None:
    assert DISPOSALS.name == "records_disposals"
    assert disposed("enaio") == Asset(name="records_destroyed_enaio", uri="x-records://enaio/destroyed")
    assert disposed("unifier", "recycled") == Asset(name="records_recycled_unifier", uri="x-records://unifier/recycled")


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([D, D, A, B], {"destroyed": 2}),
        ([R, A], {"recycled": 1}),
        ([D, R, R, F], {"destroyed": 1, "recycled": 2}),
        ([A, B, F], {}),
        ([], {}),
    ],
    ids=["destroyed", "recycled", "both", "nothing disposed of", "empty list"],
)
def test_destroyed_and_recycled_records_change_an_asset_each_and_others_none(
    tmp_path: Path, results: list[OutcomeKind], expected: dict[str, int]
) -> None:
    found = events(disposal(tmp_path, {f"k{place}": kind for place, kind in enumerate(results)}))
    assert [(asset, extra["records"]) for asset, extra in found] == [
        (disposed("enaio", kind), number) for kind, number in expected.items()
    ]


def test_an_event_points_to_the_disposal_and_its_outcomes(tmp_path: Path) -> None:
    done = disposal(tmp_path, {"a": D, "b": D}, name="opus")
    ((asset, extra),) = events(done)
    assert asset == disposed("opus")
    assert extra == {**done.reference(), "records": 2, "outcomes": done.outcomes}
    assert extra["disposal"] == done.uri
