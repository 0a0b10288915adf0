"""Mapped tasks in real Airflow, with the sandbox's own log as the truth: to build one shows nothing."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from airflow_provider_records import demo
from tests.system.conftest import Night
from tests.system.test_nights import state

pytestmark = pytest.mark.system
RESULTS = {"enaio": "destroyed", "unifier": "recycled", "opus": "destroyed"}


def assert_each_once(night: Night, system: str, task_id: str) -> list[dict[str, Any]]:
    """All parts of one list were carried out: each record once, and no other; return their disposals."""
    parts = night.disposals()[task_id]
    assert [part["provenance"]["map_index"] for part in parts] == list(range(len(parts)))
    assert len(parts) > 1
    assert all(part["approvals"] for part in parts)
    records = {item["key"]: item["target_id"] for part in parts for item in night.manifest(part["digest"])}
    lists = [night.manifest(path.stem) for path in night.evidence.glob("manifests/*.jsonl")]
    assert records in [{item["key"]: item["target_id"] for item in whole} for whole in lists]
    outcomes = {key: item["result"] for part in parts for key, item in night.outcomes(part).items()}
    assert outcomes.keys() == records.keys()
    assert set(outcomes.values()) <= {RESULTS[system], "blocked", "absent"}
    claimed = [key for key, result in outcomes.items() if result == RESULTS[system]]
    assert claimed
    if system == "opus":
        assert Counter(night.stage.effects(system, "marked")) == Counter(claimed)
    else:
        assert Counter(night.stage.effects(system, RESULTS[system])) == Counter(records[key] for key in claimed)
    return parts


@contextmanager
def approving(night: Night) -> Iterator[None]:
    """As the records manager: approve each list as soon as it is there."""
    done: set[str] = set()
    over = threading.Event()

    def person() -> None:
        while not over.wait(0.2):
            for name in {path.stem for path in night.evidence.glob("manifests/*.jsonl")} - done:
                request = {
                    "action": "open",
                    "project_number": demo.PROJECT,
                    "record_no": f"DR-{name[:12]}",
                    "disposal_digest": f"sha256:{name}",
                    "status": "Approved",
                }
                requests.post(f"{night.url}/desk/unifier", json=request, timeout=30).raise_for_status()
                done.add(name)

    thread = threading.Thread(target=person, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("dag_id", ["mapped_by_expand", "mapped_by_expand_kwargs"])
def test_mapped_tasks_dispose_of_each_record_once(begin: Callable[..., Night], dag_id: str) -> None:
    night = begin()
    with approving(night):
        log = night.test_dag(dag_id)
    assert state(log) == "success", log[-6000:]
    told = [tuple(json.loads(found)) for found in re.findall(r"TOLD (\[.*?\])", log)]
    assert sorted(told) == sorted(
        (system, part["provenance"]["map_index"], part["counts"][result])
        for system, result in RESULTS.items()
        for part in assert_each_once(night, system, system)
    )
