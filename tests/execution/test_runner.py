"""One try: which list it refuses, and what it writes before it sends."""

from __future__ import annotations

import pytest

from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.segment import load_segments
from airflow_provider_records.exceptions import EvidenceError
from airflow_provider_records.execution import runner as runner_module
from tests.evidence.failing_store import in_memory
from tests.execution.archive import FOLDER, Archive, ObedientSystem, check, listed, names, one_try


def test_a_record_that_comes_twice_is_refused_before_anything_is_sent() -> None:
    archive = Archive(names(2))
    system = ObedientSystem(archive)
    with pytest.raises(EvidenceError, match="'r000' twice"):
        one_try(in_memory(), system, [*listed(2), Record("r000", "other")], 1)
    assert (archive.sent, system.prepared) == ([], 0)


def test_no_call_leaves_before_its_intent_is_on_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 1)
    archive, store = Archive(names(12)), in_memory()

    def intended(key: str) -> None:
        segments = [each for each in load_segments(store, f"{FOLDER.path}/journal") if each.header["kind"] == "intents"]
        assert {"key": key} in [line for each in segments for line in each.lines]

    check(archive, listed(12), one_try(store, ObedientSystem(archive, at_call=intended), listed(12), 1), set(names(12)))
