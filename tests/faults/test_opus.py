"""Opus answers wrongly: every fault on every call that a task makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator, OpusDueRecordsOperator
from airflow_provider_records.sandbox.core import Fault
from airflow_provider_records.sandbox.message import Call, Reply
from airflow_provider_records.sandbox.seed import ENAIO_CONNECTOR
from airflow_provider_records.sensors.opus import OpusDueRecordsSensor
from airflow_provider_records.task.context import evidence_store
from tests.faults.matrix import Column, Disposing, Reading, cells, observed
from tests.faults.rows import FEW, ODD, ROWS, Row, Spec, own
from tests.faults.trial import DUE, ServedSandbox
from tests.operators.factories import run
from tests.sensors.factories import look

TOKEN = {"/access_token": "", "/expires_in": 1, "/token_type": "", "/ext_expires_in": 1, "/scope": ""}
DUE_LIST: dict[str, Any] = {
    "/startIndex": "", "/statusCode": 1, "/message": "", "/queriedItems": [], "/queriedItems/0": {},
    **{f"/queriedItems/0/{name}": "" for name in (
        "rowKey", "leafName", "termFullPath", "timeCreated", "timeModified", "createdBy", "modifiedBy")},
}  # fmt: skip
ANSWER: dict[str, Any] = {"/statusCode": 1, "/message": [], "/failedItems": []}


def due(kind: type, **options: Any) -> Any:
    def ask(sandbox: ServedSandbox) -> str:
        records = sandbox.fresh("opus", 2)
        connector = records[0]["attributes"]["connector_id"]
        operator = kind(task_id="due", due_before=DUE, connector_id=connector, page_size=2, **options)
        said = look(operator) if kind is OpusDueRecordsSensor else run(operator)
        store = evidence_store()
        listed = {record.key for record in Manifest.open(store, said["digest"], said["manifest"])}
        here = {record.rowKey for record in sandbox.opus.connections[connector]}
        # What the vendor itself wrote into the place of a key cannot be known for wrong.
        assert listed - here <= {str(value).strip() for value in FEW + ODD} | {"../x"}
        return "ok" if listed == here else "part"

    return ask


def submit(sandbox: ServedSandbox) -> str:
    sandbox.made += 1
    keys = [f"new-{sandbox.made}-{number}" for number in range(2)]
    fields = {"leafName": "a.pdf", "createdBy": "me", "modifiedBy": "me", "timeCreated": "2014-12-19 18:15:00"}
    records = [{"rowKey": key, **fields, "timeModified": "2014-12-19 18:15:00"} for key in keys]
    answer = OpusHook().submit_records(ENAIO_CONNECTOR, records)
    assert sorted([*answer.submitted, *answer.refused, *answer.unclear]) == keys
    assert all(sandbox.opus.records(key) for key in answer.submitted)
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
    Reading("due list", "opus", "due_records", DUE_LIST, ask=due(OpusDueRecordsOperator), some=None),
    Reading("sensor", "opus", "due_records", LOOK, ask=due(OpusDueRecordsSensor, mode="reschedule")),
    Reading("submit", "opus", "submit_records", ANSWER, ask=submit),
    destroy("token", "token", TOKEN, some=1),
    destroy("look before", "due_records", LOOK, some=1),
    destroy("mark, done", "destroy_records", ANSWER, lies=lies),
    destroy("mark, not done", "destroy_records", {"/statusCode": 1, "/failedItems": []}, base=DONE, acts=False),
    destroy("look, done", "due_records", LOOK, skip=1, lost=True, some=1),
    destroy("look, not done", "due_records", LOOK, skip=1, lost=False, some=1),
]


ROW: dict[str, Any] = {"rowKey": "7", "leafName": "a", "createdBy": "b"}
STRANGERS = [["stranger"], [{"rowKey": "stranger"}], ["stranger"] * 20, [7], ["1001", "stranger"]]


@dataclass
class Endless(Fault):
    """Every page announces another one.

    :param page: the rows of each page.
    """

    page: tuple[Any, ...] = ()
    number: int = 0

    def change(self, reply: Reply, call: Call) -> Reply:
        self.number += 1
        body = {"statusCode": 200, "startIndex": f"page {self.number}", "queriedItems": list(self.page)}
        return Reply(200, body, effects=reply.effects)


OWN = {
    own("pages for ever", *({"kind": Endless, "status": 200, "page": page} for page in ((), (ROW,)))): [
        "due list", "look before"],
    own("the same page for ever", {"act": False, "status": 200, "body": {"queriedItems": [ROW], "startIndex": "x"}}): [
        "due list", "look before", "look, not done"],
    own("a row twice", {"status": 200, "body": {"queriedItems": [ROW, ROW]}}): ["due list", "look before"],
    own("a row with two faces", {"status": 200, "body": {"queriedItems": [ROW, {**ROW, "leafName": "c"}]}}): [
        "due list", "look before", "look, not done"],
    own("strangers failed", *({"put": {"/statusCode": 418, "/failedItems": items}} for items in STRANGERS)): [
        "mark, done"],
    own("strangers failed, too", *({**DONE, "put": {"/failedItems": items}} for items in STRANGERS)): [
        "mark, not done", "submit"],
}  # fmt: skip


@pytest.mark.parametrize(("column", "row"), cells(COLUMNS, ROWS, OWN))
def test_cell(column: Column, row: Row, sandbox: ServedSandbox, record_property: Any) -> None:
    record_property("cell", (column.table, row.name, column.name, column.cell(row, sandbox)))


@pytest.fixture(scope="module")
def by_key(shared: ServedSandbox) -> Iterator[None]:
    """Sign in by assertion instead of by secret."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    shared.opus.tokens.keys["A" * 40] = key.public_key()
    shared.extra["opus"] = {"private_key": pem, "certificate_thumbprint": "A" * 40}
    yield
    shared.extra.clear()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_login_by_key(row: Row, sandbox: ServedSandbox, by_key: None, record_property: Any) -> None:
    column = destroy("token by key", "token", {"/access_token": ""}, some=1)
    record_property("cell", (column.table, row.name, column.name, column.cell(row, sandbox)))


@pytest.mark.parametrize("paging", ["stable", "offset"])
def test_a_list_that_shrinks_while_it_is_read_may_be_shorter_but_never_wrong(
    paging: str, sandbox: ServedSandbox
) -> None:
    sandbox.opus.turn({"shrinking": True, "paging": paging})
    try:
        assert observed(sandbox, due(OpusDueRecordsOperator)) == ("part" if paging == "offset" else "ok")
    finally:
        sandbox.opus.turn({"shrinking": False, "paging": "stable"})
