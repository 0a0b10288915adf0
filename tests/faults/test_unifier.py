"""Unifier answers wrongly: every fault on every call that a task makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.operators.unifier import UnifierDeleteDocumentOperator
from airflow_provider_records.sensors.unifier import UnifierApprovalSensor
from tests.faults.matrix import Column, Disposing, Reading, cells, plain
from tests.faults.rows import ROWS, Row, Spec, own
from tests.faults.trial import PROJECT, ServedSandbox
from tests.sensors.factories import look

PROCESS = "Disposal Request"
LOGIN: dict[str, Any] = {"/token": "", "/status": 1, "/expiryDate": "", "/expires_in": 1, "/request_headers": {}}
ENVELOPE: dict[str, Any] = {"/data": [], "/message": [], "/status": 1}
DELETED: dict[str, Any] = {**ENVELOPE, "/rest_audit_id": 1, "/message/0": {}, "/message/0/message": ""}
NODE: dict[str, Any] = {**ENVELOPE, "/data/0": {}, "/data/0/node_id": 1}
NODES: dict[str, Any] = {
    **NODE, **{f"/data/0/{name}": 1 for name in ("parent_node_id", "file_id")},
    **{f"/data/0/{name}": "" for name in ("node_path", "type", "Name", "file_name", "projectnumber")},
}  # fmt: skip
RECORD: dict[str, Any] = {
    **ENVELOPE, "/data/0": {}, **{f"/data/0/{name}": "" for name in ("record_no", "status", "disposal_digest")},
}  # fmt: skip
DONE: Spec = {"status": 200, "body": {"data": [], "message": [{"message": "Deleted."}], "status": 200}}


def sensor(status: str) -> Callable[[ServedSandbox], str]:
    def ask(sandbox: ServedSandbox) -> str:
        records = sandbox.fresh("unifier", 2)
        digest = Manifest.write(sandbox.evidence(), records).digest
        sandbox.unifier.open_request(PROJECT, "DR-1", digest=digest, status=status)
        waiting = UnifierApprovalSensor(
            task_id="approve", records=records, project_number=PROJECT, bpname=PROCESS, record_no="DR-1",
            digest_field="disposal_digest", mode="reschedule",
        )  # fmt: skip
        said = look(waiting)
        assert status == "Approved", "approved, and nobody has approved it"
        sandbox.check_secret(plain(said))
        return "ok" if said["approvals"] else "unapproved"

    return ask


def nodes(sandbox: ServedSandbox) -> str:
    records = sandbox.fresh("unifier", 2)
    found = UnifierHook().list_nodes(records[0]["parent_id"])
    sandbox.check_secret(plain([vars(node) for node in found]))
    return "ok" if len(found) == 3 else "part"


def reading(read: Callable[[UnifierHook], object]) -> Callable[[ServedSandbox], str]:
    def ask(sandbox: ServedSandbox) -> str:
        sandbox.fresh("unifier", 1)
        sandbox.unifier.open_request(PROJECT, "DR-1")
        sandbox.check_secret(plain(read(UnifierHook())))
        return "ok"

    return ask


def connection(sandbox: ServedSandbox) -> str:
    worked, words = UnifierHook().test_connection()
    sandbox.check_secret(words)
    return "ok" if worked else "not ok"


def lies(row: Row, spec: Spec) -> bool:
    """It has acted, and says that it has not."""
    return spec.get("status") in {401, 403, 404, 429} or row.name in {"redirect elsewhere", "odd statuses"}


def believed(_: Row, spec: Spec) -> bool:
    """A folder that lists nothing."""
    return spec.get("lose") == ["/data/0"]


def delete(name: str, call: str, fields: Any, **more: Any) -> Disposing:
    def make(**given: Any) -> UnifierDeleteDocumentOperator:
        return UnifierDeleteDocumentOperator(require_approval=False, **given)

    return Disposing(name, "unifier", call, fields, make=make, believed=believed, **more)


FILES = reading(lambda hook: hook.list_bp_files(PROJECT, PROCESS, "DR-1"))
QUERY = reading(lambda hook: hook.query_bp_records(PROJECT, PROCESS, ["status"], "record_no=DR-1"))
SHELL = reading(lambda hook: vars(hook.shell(PROJECT)))
COLUMNS: list[Column] = [
    Reading("approved", "unifier", "get_bp_record", RECORD, ask=sensor("Approved")),
    Reading("list", "unifier", "list_nodes", NODES, ask=nodes, some=None),
    Reading("query", "unifier", "query_bp_records", {**ENVELOPE, "/data/0": {}}, ask=QUERY),
    Reading("files", "unifier", "list_bp_files", ENVELOPE, ask=FILES),
    Reading("shell", "unifier", "shell", {**ENVELOPE, "/data/0/projectnumber": "", "/data/0/status": ""}, ask=SHELL),
    Reading("test", "unifier", "login", LOGIN, ask=connection),
    delete("login", "login", {name: LOGIN[name] for name in list(LOGIN)[:2]}, some=1),
    delete("look before", "list_nodes", NODE, some=1),
    delete("delete, done", "delete_document", DELETED, lies=lies),
    delete("delete, not done", "delete_document", {"/status": 1}, base=DONE, acts=False),
    delete("verify", "list_nodes", NODE, skip=1, some=1),
    delete("look, done", "list_nodes", NODE, skip=1, lost=True, some=1),
    delete("look, not done", "list_nodes", NODE, skip=1, lost=False, some=1),
]


FOREIGN = {"node_id": 1, "parent_node_id": 2, "node_path": "/Other/a.pdf", "type": "Document", "file_id": 3}
OWN = {
    own("another record", {"put": {"/data/0/record_no": "DR-2", "/data/0/status": "Approved"}}): ["approved"],
    own("another list", {"put": {"/data/0/disposal_digest": "sha256:0", "/data/0/status": "Approved"}}): ["approved"],
    own("two records", {"put": {"/data/1": {"record_no": "DR-1", "status": "Approved"}}}): ["approved"],
    own("another folder", {"put": {"/data": [FOREIGN]}}, {"put": {"/data/0": FOREIGN}}): [
        "list", "look before", "verify", "look, done", "look, not done"],
    own("a node twice", {"put": {"/data/9": FOREIGN, "/data/10": FOREIGN}}): ["list", "look before", "look, not done"],
}  # fmt: skip


@pytest.mark.parametrize(("column", "row"), cells(COLUMNS, ROWS, OWN))
def test_cell(column: Column, row: Row, sandbox: ServedSandbox, record_property: Any) -> None:
    record_property("cell", (column.table, row.name, column.name, column.cell(row, sandbox)))


@pytest.mark.parametrize("row", [*ROWS, *OWN], ids=lambda row: row.name)
def test_no_fault_approves(row: Row, sandbox: ServedSandbox) -> None:
    Reading("waits", "unifier", "get_bp_record", RECORD, ask=sensor("Pending"), well="waits").cell(row, sandbox)
