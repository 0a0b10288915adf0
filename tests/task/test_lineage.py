"""What OpenLineage is told: each object that is gone for good, and nothing that may still be there."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, SystemDescription
from airflow_provider_records.exceptions import EvidenceError
from airflow_provider_records.task import lineage as module
from airflow_provider_records.task.lineage import lineage
from tests.evidence.evidence_factory import ObedientSystem, carry_out

TARGET = "https://ecm.example.org/enaio/api/dms"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def disposal(store: Store, results: Mapping[str, OutcomeKind], *, action: str = "destroy", **more: Any) -> Disposal:
    """Carry out a list on which each key has the outcome that it is given; the ids are the keys behind ``id-``."""
    manifest = Manifest.write(store, [{"key": key, "target_id": f"id-{key}"} for key in results])
    said = SystemDescription("enaio", action=action)
    return carry_out(store, manifest, system=ObedientSystem(results), description=said, **more)


def test_each_destroyed_object_is_a_dropped_dataset_where_the_disposal_acted(store: Store) -> None:
    done = disposal(store, {"a": OutcomeKind.DESTROYED, "b": OutcomeKind.DESTROYED})
    told = lineage(done, store, TARGET)
    assert told is not None
    assert [(each.namespace, each.name) for each in told.inputs] == [
        ("enaio://ecm.example.org/enaio/api/dms", "id-a"),
        ("enaio://ecm.example.org/enaio/api/dms", "id-b"),
    ]
    for each in told.inputs:
        facet = each.facets["lifecycleStateChange"]
        assert facet.lifecycleStateChange.value == "DROP"
        assert (facet.previousIdentifier.namespace, facet.previousIdentifier.name) == (each.namespace, each.name)
    assert not told.outputs


def test_only_what_was_destroyed_is_told(store: Store) -> None:
    done = disposal(store, {f"k-{kind}": kind for kind in OutcomeKind if kind is not OutcomeKind.NOT_ATTEMPTED})
    told = lineage(done, store, TARGET)
    assert told is not None
    assert [each.name for each in told.inputs] == ["id-k-destroyed"]


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (OutcomeKind.RECYCLED, {}),
        (OutcomeKind.ABSENT, {}),
        (OutcomeKind.DESTROYED, {"action": "mark"}),
        (OutcomeKind.DESTROYED, {"dry_run": True}),
    ],
    ids=["recycled", "gone before", "only marked", "rehearsal"],
)
def test_nothing_is_told_where_nothing_was_destroyed(store: Store, kind: OutcomeKind, more: dict[str, Any]) -> None:
    assert lineage(disposal(store, {"a": kind}, **more), store, TARGET) is None


@pytest.mark.parametrize(("number", "told"), [(2, True), (3, False)], ids=["at the limit", "above"])
def test_a_list_too_long_for_one_event_is_left_out_whole_and_logged(
    store: Store, number: int, told: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_LARGEST_EVENT", 2)
    done = disposal(store, {f"k{place}": OutcomeKind.DESTROYED for place in range(number)})
    with caplog.at_level(logging.INFO, module.__name__):
        assert (lineage(done, store, TARGET) is not None) is told
    assert ("too many for one OpenLineage event" in caplog.text) is not told


@pytest.mark.parametrize("lost", ["manifest", "outcomes"])
def test_evidence_that_is_missing_is_an_error(store: Store, lost: str) -> None:
    done = disposal(store, {"a": OutcomeKind.DESTROYED})
    Path(getattr(done, lost).removeprefix("file://")).unlink()
    with pytest.raises(EvidenceError):
        lineage(done, store, TARGET)
