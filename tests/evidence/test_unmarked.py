from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_records.evidence import spool, unmarked
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.folders import unmarked_folder
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.spool import sorted_lines
from airflow_provider_records.evidence.store import Store
from tests.evidence.evidence_factory import carry_out
from tests.evidence.failing_store import in_memory

KEYS = ["b", "a", "a!", 'a"', "a#", "ä", "\U0001f5d1", "\ufb01", "records", '"records":{}']
"""``\\ufb01`` sorts behind the rubbish bin in UTF-16, before it in UTF-8; a quote behind ``#`` as JSON has it."""


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_what_is_gone_stands_in_one_canonical_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(spool, "_SORTED_AT_ONCE", at_once)
    store = Store(str(tmp_path))
    listed = [Record(key, f"id of {key}") for key in [*KEYS, "stays"]]
    outcomes = [
        *(Outcome(key, OutcomeKind.RECYCLED if key == "b" else OutcomeKind.DESTROYED) for key in KEYS),
        Outcome("stays", OutcomeKind.BLOCKED),
    ]
    made = carry_out(store, Manifest.write(store, listed))
    disposal = replace(made, counts={**made.counts, "destroyed": 9, "recycled": 1, "blocked": 1})
    unmarked.note(store, disposal, listed, outcomes)
    folder = unmarked_folder(disposal.provenance.dag_id)
    (name,) = store.children(folder)
    content = store.read(f"{folder}/{name}")
    assert name == f"{hashlib.sha256(content).hexdigest()}.json"
    assert content == canonical(json.loads(content)) + b"\n"
    assert json.loads(content)["records"] == {
        key: ["recycled" if key == "b" else "destroyed", f"id of {key}"] for key in KEYS
    }
    found = unmarked.read(store, disposal.provenance.dag_id, "another run", disposal.place)
    assert {key: (each.kind, each.target_id) for key, each in found.items()} == {
        key: (OutcomeKind.RECYCLED if key == "b" else OutcomeKind.DESTROYED, f"id of {key}") for key in KEYS
    }


def test_where_nothing_is_gone_nothing_is_written() -> None:
    store = in_memory()
    listed = [Record("stays", "stays")]
    made = carry_out(store, Manifest.write(store, listed))
    disposal = replace(made, counts={**dict.fromkeys(made.counts, 0), "blocked": 1})
    unmarked.note(store, disposal, listed, [Outcome("stays", OutcomeKind.BLOCKED)])
    assert store.children(unmarked_folder(disposal.provenance.dag_id)) == []


@given(st.lists(st.binary(min_size=1).map(lambda each: each.hex().encode() + b"\n")), st.integers(1, 4))
@settings(max_examples=50)
def test_lines_are_sorted_as_in_memory(lines: list[bytes], at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "_SORTED_AT_ONCE", at_once)
        assert list(sorted_lines(lines, lambda line: line)) == sorted(lines)
