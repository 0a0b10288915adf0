"""enaio answers wrongly: every fault on every call that a task makes."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.sensors.enaio import EnaioApprovalSensor
from tests.faults.matrix import Column, Disposing, Reading, cells, plain
from tests.faults.rows import ROWS, Row, Spec, own
from tests.faults.trial import ServedSandbox
from tests.sensors.factories import look

PROPERTY = "/objects/0/properties"
OBJECT: dict[str, Any] = {
    "/objects": [], "/objects/0": {}, PROPERTY: {}, f"{PROPERTY}/system:objectId/value": "", "/numItems": 1,
}  # fmt: skip
PAGE: dict[str, Any] = {
    **OBJECT, f"{PROPERTY}/system:objectId": {}, "/hasMoreItems": True, "/totalNumItems": 1,
}  # fmt: skip
MORE: dict[str, Any] = {
    **PAGE, f"{PROPERTY}/system:objectTypeId/value": "", f"{PROPERTY}/system:baseTypeId": {},
    f"{PROPERTY}/system:baseTypeId/value": "", f"{PROPERTY}/Disposal/value": "", "/objects/0/permissions": {},
}  # fmt: skip
PLACES: dict[str, Any] = {"/objects": [], "/objects/0": {}, "/objects/0/children": []}
ERROR: dict[str, Any] = {"/serviceErrorCode": 1, "/errorCode": 1, "/code": 1, "/message": "", "/error": ""}
CODE = {"/serviceErrorCode": 1, "/message": ""}
REFUSAL: Spec = {"status": 500, "body": {"serviceErrorCode": 3003, "message": "Internal error."}}


def sensor(state: str) -> Any:
    def ask(sandbox: ServedSandbox) -> str:
        keys = [record["key"] for record in sandbox.fresh("enaio", 2)]
        for key in keys:
            sandbox.enaio.set_field(key, "Disposal", state)
        waiting = EnaioApprovalSensor(
            task_id="approve", records=keys, field="Disposal", approved="yes", rejected="no", mode="reschedule"
        )
        said = look(waiting)
        assert state == "yes", "approved, and nobody has approved it"
        sandbox.check_secret(plain(said))
        return "ok" if said["approvals"] else "unapproved"

    return ask


def search(sandbox: ServedSandbox) -> str:
    keys = [record["key"] for record in sandbox.fresh("enaio", 2)]
    for key in keys:
        sandbox.enaio.set_field(key, "Case", str(sandbox.made))
    statement = "SELECT system:objectId FROM Personnel WHERE Case=@case ORDER BY system:objectId"
    found = [item.object_id for item in EnaioHook().search(statement, {"case": str(sandbox.made)}, page_size=1)]
    return "ok" if found == keys else "part"


def locations(sandbox: ServedSandbox) -> str:
    (record,) = sandbox.fresh("enaio", 1)
    places = EnaioHook().locations(record["key"])
    sandbox.check_secret(plain(places))
    return "ok"


def history(sandbox: ServedSandbox) -> str:
    (record,) = sandbox.fresh("enaio", 1)
    EnaioHook().add_history(record["key"], {"info": "disposal"})
    return "ok"


def connection(sandbox: ServedSandbox) -> str:
    worked, words = EnaioHook().test_connection()
    sandbox.check_secret(words)
    return "ok" if worked else "not ok"


def lies(row: Row, spec: Spec) -> bool:
    """It has acted, and says that it has not."""
    not_me = row.name in {"login page", "redirect elsewhere", "odd statuses"}
    return spec.get("status") in {400, 401, 403, 404, 409, 418, 429} or not_me


def refuses(_: Row, spec: Spec) -> bool:
    """It says that it refuses, which is final for this run."""
    return spec.get("status") in {400, 409}


def believed(_: Row, spec: Spec) -> bool:
    """Twice "not found", after a call of ours that went unanswered."""
    return spec.get("status") == 404


def delete(name: str, call: str, fields: Any, **more: Any) -> Disposing:
    def make(**given: Any) -> EnaioDeleteObjectOperator:
        return EnaioDeleteObjectOperator(require_approval=False, hard_delete=True, **given)

    return Disposing(name, "enaio", call, fields, make=make, **more)


COLUMNS: list[Column] = [
    Reading("approved", "enaio", "get_object", MORE, ask=sensor("yes"), some=None),
    Reading("search", "enaio", "search", PAGE, ask=search),
    Reading("locations", "enaio", "locations", PLACES, ask=locations),
    Reading("history", "enaio", "add_history", ERROR, base=REFUSAL, ask=history),
    Reading("test", "enaio", "info", {"/version": "", "/name": ""}, ask=connection),
    delete("version", "info", {"/version": ""}, some=1),
    delete("delete, done", "delete_object", CODE, base=REFUSAL, lies=lies),
    delete("delete, not done", "delete_object", CODE, base=REFUSAL, acts=False, lies=refuses),
    delete("first look", "get_object", OBJECT, lies=refuses, believed=believed, some=1),
    delete("verify", "get_object", OBJECT, skip=2, some=1),
    delete("look, done", "get_object", OBJECT, lost=True, skip=2, some=1),
    delete("look, not done", "get_object", OBJECT, lost=False, believed=believed, skip=2, some=1),
]


ID, STATE = f"{PROPERTY}/system:objectId/value", f"{PROPERTY}/Disposal/value"
OTHER: dict[str, Any] = {"properties": {"system:objectId": {"value": "1"}, "Disposal": {"value": "yes"}}}
OWN = {
    own("another object", {"put": {ID: "1"}}, {"put": {"/objects/0": OTHER}}, {"put": {"/objects": []}}): [
        "approved", "first look", "verify", "look, done", "look, not done"],
    own("two objects", {"put": {"/objects/1": OTHER, "/numItems": 2}}): [
        "approved", "first look", "verify", "look, not done"],
    own("pages for ever", {"put": {"/hasMoreItems": True}}, {"put": {"/hasMoreItems": True, "/totalNumItems": 10**9}},
        {"put": {"/hasMoreItems": True, ID: "1"}}): ["search"],
    own("an object twice", {"put": {ID: "1"}}): ["search"],
}  # fmt: skip


@pytest.mark.parametrize(("column", "row"), cells(COLUMNS, ROWS, OWN))
def test_cell(column: Column, row: Row, sandbox: ServedSandbox, record_property: Any) -> None:
    record_property("cell", (column.table, row.name, column.name, column.cell(row, sandbox)))


@pytest.mark.parametrize("row", [*ROWS, *OWN], ids=lambda row: row.name)
def test_no_fault_approves(row: Row, sandbox: ServedSandbox) -> None:
    Reading("waits", "enaio", "get_object", OBJECT, ask=sensor("open"), well="waits").cell(row, sandbox)
