"""A due list of the served Opus: listed, approved, marked, and what became of each of its records."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import given, run

DUE = "2026-11-01T00:00:00"


def due(**more: Any) -> Any:
    return run(OpusDueRecordsOperator(task_id="due", due_before=DUE, **{"target_id_pattern": r"enaio-(\d+)", **more}))


def approved(served: ServedSandbox, reference: dict[str, Any], *approvers: str) -> dict[str, Any]:
    """Approve a list as the named people."""
    uris = [
        Approval(
            reference["digest"], approver, now(), {"kind": "test"}, **given(served.store, reference["digest"])
        ).write(served.store)
        for approver in approvers or ("anna",)
    ]
    return {**reference, "approvals": uris}


def free(served: ServedSandbox, reference: dict[str, Any]) -> Any:
    """Release in Opus whatever is on the list, so that only the fault under test stands in the way."""
    manifest = Manifest.open(served.store, reference["digest"])
    part: Any = served.sandbox.vendors["opus"]
    for record in manifest:
        part.decide(record.key, "approve")
        part.decide(record.key, "release")
    return manifest


def outcomes(served: ServedSandbox, reference: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the outcomes of a disposal by key."""
    disposal = json.loads(served.store.read(served.store.name(reference["disposal"])))
    _, *lines = served.store.read(served.store.name(disposal["outcomes"])).splitlines()  # the first names the format
    return {item["key"]: item for item in map(json.loads, lines)}


def mark(reference: Any, **more: Any) -> Any:
    return run(OpusDestroyRecordsOperator(task_id="mark", records=reference, **more))
