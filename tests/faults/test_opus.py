"""Opus answers wrongly: every fault on every call that a task makes."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_records.disposal.manifest import Manifest
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.operators.base import evidence_store
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.sandbox.seed import ENAIO_CONNECTOR
from airflow_provider_records.sensors.opus import OpusDueRecordsSensor
from tests.faults.bench import DUE, Bench
from tests.faults.matrix import Column, Disposing, Reading
from tests.faults.rows import FEW, ODD, ROWS, Row, Spec
from tests.operators.desk import run
from tests.sensors.desk import look

TOKEN = {"/access_token": "", "/expires_in": 1, "/token_type": "", "/ext_expires_in": 1, "/scope": ""}
DUE_LIST: dict[str, Any] = {
    "/startIndex": "", "/statusCode": 1, "/message": "", "/queriedItems": [], "/queriedItems/0": {},
    **{f"/queriedItems/0/{name}": "" for name in (
        "rowKey", "leafName", "termFullPath", "timeCreated", "timeModified", "createdBy", "modifiedBy")},
}  # fmt: skip
ANSWER: dict[str, Any] = {"/statusCode": 1, "/message": [], "/failedItems": []}


def due(kind: type, **options: Any) -> Any:
    def ask(bench: Bench) -> str:
        records = bench.fresh("opus", 2)
        connector = records[0]["attributes"]["connector_id"]
        operator = kind(task_id="due", due_before=DUE, connector_id=connector, page_size=2, **options)
        said = look(operator) if kind is OpusDueRecordsSensor else run(operator)
        store = evidence_store()
        listed = {record.key for record in Manifest.open(store, said["digest"], said["manifest"])}
        here = {record.rowKey for record in bench.opus.connections[connector]}
        # What the vendor itself wrote into the place of a key cannot be known for wrong.
        assert listed - here <= {str(value).strip() for value in FEW + ODD} | {"../x"}
        return "ok" if listed == here else "part"

    return ask


def submit(bench: Bench) -> str:
    bench.made += 1
    keys = [f"new-{bench.made}-{number}" for number in range(2)]
    fields = {"leafName": "a.pdf", "createdBy": "me", "modifiedBy": "me", "timeCreated": "2014-12-19 18:15:00"}
    records = [{"rowKey": key, **fields, "timeModified": "2014-12-19 18:15:00"} for key in keys]
    answer = OpusHook().submit_records(ENAIO_CONNECTOR, records)
    assert sorted([*answer.submitted, *answer.refused, *answer.unclear]) == keys
    assert all(bench.opus.records(key) for key in answer.submitted)
    return "ok" if answer.submitted else "refused" if answer.refused else "unclear"


def lies(row: Row, spec: Spec) -> bool:
    """It has acted, and says that it has not."""
    return spec.get("status") in {400, 401, 403, 404, 409, 429} or row.name in {"odd statuses", "redirect elsewhere"}


def believed(_: Row, spec: Spec) -> bool:
    """A clean answer of Opus's: all is marked, or nothing is due any more."""
    none_failed = "/failedItems" in spec.get("lose", []) or spec.get("put") == {"/failedItems": None}
    return spec.get("status") == 204 or spec.get("lose") == ["/queriedItems/0"] or none_failed


def destroy(name: str, call: str, fields: Any, **more: Any) -> Disposing:
    def make(**given: Any) -> OpusDestroyRecordsOperator:
        return OpusDestroyRecordsOperator(require_approval=False, **given)

    return Disposing(name, "opus", call, fields, make=make, count=2, believed=believed, **more)


LOOK = {name: DUE_LIST[name] for name in list(DUE_LIST)[:6]}
DONE: dict[str, Any] = {"status": 200, "body": {"statusCode": 200, "message": None}}
COLUMNS: list[Column] = [
    Reading("due list", "opus", "due_records", DUE_LIST, ask=due(OpusDueRecordsOperator), full=True),
    Reading("sensor", "opus", "due_records", LOOK, ask=due(OpusDueRecordsSensor, mode="reschedule")),
    Reading("submit", "opus", "submit_records", ANSWER, ask=submit),
    destroy("token", "token", TOKEN),
    destroy("look before", "due_records", LOOK),
    destroy("mark, done", "destroy_records", ANSWER, lies=lies),
    destroy("mark, not done", "destroy_records", {"/statusCode": 1, "/failedItems": []}, base=DONE, acts=False),
    destroy("look, done", "due_records", LOOK, skip=1, lost=True),
    destroy("look, not done", "due_records", LOOK, skip=1, lost=False),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_cell(column: Column, row: Row, bench: Bench, record_property: Any) -> None:
    record_property("cell", ("Opus", row.name, column.name, column.cell(row, bench)))
