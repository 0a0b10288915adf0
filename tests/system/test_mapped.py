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
from tests.system.conftest import Installation
from tests.system.test_nights import state

pytestmark = pytest.mark.system
RESULTS = {"enaio": "destroyed", "unifier": "recycled", "opus": "destroyed"}


def assert_each_once(installation: Installation, system: str, task_id: str) -> list[dict[str, Any]]:
    """All parts of one list were carried out: each record once, and no other; return their disposals."""
    parts = installation.disposals()[task_id]
    assert [part["provenance"]["map_index"] for part in parts] == list(range(len(parts)))
    assert len(parts) > 1
    assert all(part["approvals"] for part in parts)
    records = {item["key"]: item["target_id"] for part in parts for item in installation.manifest(part["digest"])}
    lists = [installation.manifest(path.stem) for path in installation.evidence.glob("manifests/*.jsonl")]
    assert records in [{item["key"]: item["target_id"] for item in whole} for whole in lists]
    outcomes = {key: item["outcome"] for part in parts for key, item in installation.outcomes(part).items()}
    assert outcomes.keys() == records.keys()
    assert set(outcomes.values()) <= {RESULTS[system], "blocked", "absent"}
    claimed = [key for key, result in outcomes.items() if result == RESULTS[system]]
    assert claimed
    if system == "opus":
        assert Counter(installation.sandbox.effects(system, "marked")) == Counter(claimed)
    else:
        assert Counter(installation.sandbox.effects(system, RESULTS[system])) == Counter(
            records[key] for key in claimed
        )
    return parts


@contextmanager
def approving(installation: Installation) -> Iterator[None]:
    """As the records manager: approve each list as soon as it is there."""
    done: set[str] = set()
    over = threading.Event()

    def person() -> None:
        while not over.wait(0.2):
            for name in {path.stem for path in installation.evidence.glob("manifests/*.jsonl")} - done:
                request = {
                    "action": "open",
                    "project_number": demo.PROJECT,
                    "record_no": f"DR-{name[:12]}",
                    "disposal_digest": f"sha256:{name}",
                    "status": "Approved",
                }
                requests.post(f"{installation.url}/console/unifier", json=request, timeout=30).raise_for_status()
                done.add(name)

    thread = threading.Thread(target=person, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("dag_id", ["mapped_by_expand", "mapped_by_expand_kwargs"])
def test_mapped_tasks_dispose_of_each_record_once(begin: Callable[..., Installation], dag_id: str) -> None:
    installation = begin()
    with approving(installation):
        log = installation.test_dag(dag_id)
    assert state(log) == "success", log[-6000:]
    told = [tuple(json.loads(found)) for found in re.findall(r"TOLD (\[.*?\])", log)]
    assert sorted(told) == sorted(
        (system, part["provenance"]["map_index"], part["counts"][result])
        for system, result in RESULTS.items()
        for part in assert_each_once(installation, system, system)
    )
