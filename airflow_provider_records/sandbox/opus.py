"""The fake of AvePoint Opus: the calls on connector records.

It follows the vendor's pages "Use Connector" and "Use AvePoint Graph API", and refuses requests that they do not
allow. What they leave open is a switch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_records.sandbox.core import FakeVendor, Handler, Switch
from airflow_provider_records.sandbox.message import Call, Reply
from airflow_provider_records.sandbox.opus_due import due_list
from airflow_provider_records.sandbox.opus_record import (
    ConnectorRecord,
    answer,
    invalid_request,
    json_body,
    years_later,
)
from airflow_provider_records.sandbox.opus_token import OpusTokens
from airflow_provider_records.sandbox.seed import ENAIO_CONNECTOR, UNIFIER_CONNECTOR, Item

PER_CALL = 15
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
DECISIONS = ("approve", "reject", "review", "hold", "release", "extend")
REQUIRED = ("rowKey", "leafName", "timeCreated", "timeModified", "createdBy", "modifiedBy")

_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


SWITCHES = {
    "token_lifetime": Switch((3600,), "seconds a token is valid"),
    "token_shape": Switch(("ext", "scope"), "which of the two sample answers the token call gives"),
    "success": Switch(("200", "204"), "answer to a DELETE that marked everything"),
    "partial": Switch(
        ("line_and_body", "line", "body", "neither"),
        "where 418 stands when ids were refused; neither: 200 with failedItems",
    ),
    "failed_items": Switch(("strings", "objects", "unreadable", "empty", "absent"), "how refused ids are named"),
    "list_under_review": Switch((True, False), "whether the due list shows records under review"),
    "list_rejected": Switch((True, False), "whether the due list shows rejected records"),
    "list_held": Switch((True, False), "whether the due list shows records on hold"),
    "list_destroyed": Switch((False, True), "whether the due list shows Destroyed records"),
    "second_delete": Switch(("succeeds", "refused"), "a DELETE of a Destroyed record"),
    "unapproved": Switch(
        ("item", "call_418", "call_400"),
        "an id that may not be destroyed is refused alone, or the whole call is, with all ids or as invalid",
    ),
    "sixteen": Switch(("refused", "processed"), "more than 15 ids or records in a call"),
    "none_due": Switch(("204", "list"), "answer when nothing is due: no body, or an empty list"),
    "start_index": Switch(("opaque", "numeric"), "form of the page cursor"),
    "last_page": Switch(("null", "empty", "absent"), "the cursor of the last page"),
    "query_case": Switch(("ignored", "exact"), "whether the case of query names matters"),
    "zone": Switch(("utc", "tenant"), "zone of disposalDueDate; the tenant is ten hours ahead of UTC"),
    "shared_key": Switch(("all", "first"), "which records a key in two connections destroys"),
    "paging": Switch(("stable", "offset"), "offset: records that leave the list make the next page skip some"),
    "repeat_cursor": Switch((False, True), "every page after the first answers the cursor it was asked with"),
    "overlap": Switch((False, True), "every page after the first repeats the last record before it"),
    "empty_page": Switch((False, True), "an empty page with a cursor lies between two pages"),
    "shrinking": Switch((False, True), "with each page read, its first record gets a later due date"),
}


@dataclass
class Tenant:
    """The records of one tenant.

    :param connections: records by connector id.
    :param by_key: the same records by ``rowKey``.
    """

    connections: dict[str, list[ConnectorRecord]]
    by_key: dict[str, list[ConnectorRecord]] = field(default_factory=dict)


class FakeOpus(FakeVendor):
    """Opus with two connections, one for enaio and one for Unifier.

    A second client has a tenant of its own under the same address, with records of the same keys.
    """

    name = "opus"
    client_id = "records-client"
    client_secret = "k7Qm-opus-demo-4fT9"  # noqa: S105 - the sandbox's own
    second_client_id = "second-client"
    second_client_secret = "p2Xc-opus-demo-9vLs"  # noqa: S105 - the sandbox's own
    switches = SWITCHES

    def __init__(self) -> None:
        super().__init__()
        others = {self.second_client_id: self.second_client_secret}
        self.tokens = OpusTokens(self.client_id, self.client_secret, others)
        self.terms: set[str] = set()
        self._tenants = {
            client_id: Tenant({ENAIO_CONNECTOR: [], UNIFIER_CONNECTOR: []}) for client_id in (self.client_id, *others)
        }
        self._signed_in = self.client_id

    @property
    def connections(self) -> dict[str, list[ConnectorRecord]]:
        """The records of the tenant by connector id; outside of a call, of the first one."""
        return self._tenants[self._signed_in].connections

    @connections.setter
    def connections(self, records: dict[str, list[ConnectorRecord]]) -> None:
        self._tenants[self._signed_in].connections = records

    @property
    def _by_key(self) -> dict[str, list[ConnectorRecord]]:
        return self._tenants[self._signed_in].by_key

    @_by_key.setter
    def _by_key(self, records: dict[str, list[ConnectorRecord]]) -> None:
        self._tenants[self._signed_in].by_key = records

    @contextmanager
    def _tenant(self, client_id: str) -> Iterator[None]:
        """Work on the records of a client's tenant; no handler gives up control meanwhile."""
        self._signed_in = client_id
        try:
            yield
        finally:
            self._signed_in = self.client_id

    def load(self, items: Iterable[Item]) -> None:
        """Add seeded records to each tenant; those without trouble are approved."""
        listed = list(items)
        for client_id in self._tenants:
            with self._tenant(client_id):
                self._load(listed)

    def _load(self, items: Iterable[Item]) -> None:
        for item in items:
            self.terms.add(item.classification)
            self._add(
                ConnectorRecord(
                    rowKey=item.key,
                    connector_id=item.connector_id,
                    leafName=item.title,
                    termFullPath=item.classification,
                    timeCreated=item.created,
                    timeModified=item.modified,
                    createdBy=item.author,
                    modifiedBy=item.author,
                    due=item.due,
                    review="under_review" if item.trouble == "under_review" else "approved",
                    held=item.trouble == "held",
                )
            )

    def records(self, key: str) -> list[ConnectorRecord]:
        """Return the records with this key: at most one of each connection."""
        return list(self._by_key.get(key, ()))

    def decide(self, key: str, decision: str) -> None:
        """Set the review or the hold of a record, as a person does in the user interface.

        :param key: the ``rowKey``; its records in all connections change.
        :param decision: one of ``approve``, ``reject``, ``review``, ``hold``, ``release``, ``extend`` (due one
            retention period later).
        :raises ValueError: no such record or decision.
        """
        if decision not in DECISIONS:
            raise ValueError(f"a decision is one of {', '.join(DECISIONS)}, not {decision!r}")
        if key not in self._by_key:
            raise ValueError(f"Opus has no record {key!r}")
        for record in self._by_key[key]:
            if decision in {"hold", "release"}:
                record.held = decision == "hold"
            elif decision == "extend":
                record.due = years_later(record.due)
            else:
                record.review = {"approve": "approved", "reject": "rejected", "review": "under_review"}[decision]

    def calls(self) -> list[tuple[str, str, str, Handler]]:
        """Return the calls; every other method or path under ``/opus`` is refused, and logged too."""
        token, records = "/opus/connect/token", "/opus/records/connector/records"
        known = [
            ("POST", token, "token", self._token),
            ("GET", records, "due_records", self._due_records),
            ("DELETE", records, "destroy_records", self._destroy_records),
            ("POST", records, "submit_records", self._submit_records),
        ]
        wrong = [(method, path, "unknown", _no_such_method) for path in (token, records) for method in METHODS]
        return [*known, *wrong, *((method, "/opus/{rest:path}", "unknown", _no_such_call) for method in METHODS)]

    def state(self) -> dict[str, Any]:
        return {
            "connections": {
                connector: [asdict(record) for record in records] for connector, records in self.connections.items()
            }
        }

    def _add(self, record: ConnectorRecord) -> None:
        self.connections.setdefault(record.connector_id, []).append(record)
        self._by_key.setdefault(record.rowKey, []).append(record)

    async def _token(self, call: Call) -> Reply:
        return self.tokens.issue(call, self.set["token_lifetime"], self.set["token_shape"])

    async def _due_records(self, call: Call) -> Reply:
        with self._tenant(self.tokens.check(call)):
            return due_list(call, self.connections, self.set)

    async def _destroy_records(self, call: Call) -> Reply:
        with self._tenant(self.tokens.check(call)):
            return self._destroy(call)

    def _destroy(self, call: Call) -> Reply:
        body = json_body(call)
        ids = body.get("disposalIds")
        if call.query or set(body) != {"disposalIds"}:
            raise invalid_request("the body holds disposalIds and nothing else; there is no query")
        if not isinstance(ids, list) or not ids or not all(isinstance(item, str) and item for item in ids):
            raise invalid_request("disposalIds must be a list of keys")
        if len(set(ids)) != len(ids):
            raise invalid_request("disposalIds holds a key twice")
        self._check_count("disposalIds", ids)

        refused = {key: reason for key in ids if (reason := self._refusal(key))}
        if refused and self.set["unapproved"] == "call_400":
            raise invalid_request("disposalIds holds records that may not be destroyed")
        if refused and self.set["unapproved"] == "call_418":
            refused = {key: refused.get(key, "the call was refused") for key in ids}
        effects = [self._mark(record) for key in ids if key not in refused for record in self._hit(key)]
        if refused:
            return self._partial(refused, ids, 200, effects)
        if self.set["success"] == "204":
            return answer(204, None, effects)
        return answer(200, {"statusCode": 200, "message": None}, effects)

    def _hit(self, key: str) -> list[ConnectorRecord]:
        return self._by_key.get(key, [])[: 1 if self.set["shared_key"] == "first" else None]

    def _refusal(self, key: str) -> str:
        for record in self._hit(key):
            if record.status == "Destroyed":
                if self.set["second_delete"] == "refused":
                    return "already Destroyed"
            elif record.held:
                return "on hold"
            elif record.review != "approved":
                return record.review.replace("_", " ")
            elif record.due > datetime.now(UTC).isoformat():
                return "not yet due"
        return "" if key in self._by_key else "not found"

    def _mark(self, record: ConnectorRecord) -> dict[str, Any]:
        effect = "marked_again" if record.status == "Destroyed" else "marked"
        effect += "_in_second_tenant" if self._signed_in == self.second_client_id else ""
        record.status = "Destroyed"
        return {"effect": effect, "id": record.rowKey, "connector_id": record.connector_id}

    def _partial(self, refused: dict[str, str], sent: list[str], good: int, effects: list[dict[str, Any]]) -> Reply:
        where = self.set["partial"]
        body: dict[str, Any] = {"message": None}
        if where != "line":
            body["statusCode"] = good if where == "neither" else 418
        shape = self.set["failed_items"]
        if shape == "strings":
            body["failedItems"] = list(refused)
        elif shape == "objects":
            body["failedItems"] = [{"rowKey": key, "reason": reason} for key, reason in refused.items()]
        elif shape == "unreadable":
            body["failedItems"] = [{"index": sent.index(key)} for key in refused]
        elif shape == "empty":
            body["failedItems"] = []
        return answer(418 if where in {"line", "line_and_body"} else good, body, effects)

    async def _submit_records(self, call: Call) -> Reply:
        with self._tenant(self.tokens.check(call)):
            return self._submit(call)

    def _submit(self, call: Call) -> Reply:
        body = json_body(call)
        if call.query or set(body) != {"id", "conflictOption", "data"}:
            raise invalid_request("the body holds id, conflictOption and data, and nothing else; there is no query")
        connector = str(body["id"]).lower()
        if connector not in self.connections:
            raise invalid_request("id is not the GUID of a connection")
        if body["conflictOption"] not in ("Overwrite", "Skip"):
            raise invalid_request("conflictOption must be Overwrite or Skip")
        data = body["data"]
        if not isinstance(data, list) or not data or not all(isinstance(item, dict) for item in data):
            raise invalid_request("data must be a list of records")
        self._check_count("data", data)
        for item in data:
            for name in REQUIRED:
                if not isinstance(item.get(name), str) or not item[name]:
                    raise invalid_request(f"every record needs {name!r} as text")
                if name.startswith("time") and not _TIME.fullmatch(item[name]):
                    raise invalid_request(f"{name} must look like 2014-12-19 18:15:00")
        keys = [item["rowKey"] for item in data]
        if len(set(keys)) != len(keys):
            raise invalid_request("data holds a rowKey twice")

        refused: dict[str, str] = {}
        effects = []
        for item in data:
            key = item["rowKey"]
            old = next((record for record in self.records(key) if record.connector_id == connector), None)
            if item.get("termFullPath") and item["termFullPath"] not in self.terms:
                refused[key] = "unknown term"
            elif old and old.status == "Destroyed":
                refused[key] = "already Destroyed"
            elif not old:
                self._add(_submitted(item, connector))
                effects.append({"effect": "submitted", "id": key, "connector_id": connector})
            elif body["conflictOption"] == "Overwrite":
                new = _submitted(item, connector)
                vars(old).update({name: getattr(new, name) for name in (*REQUIRED, "termFullPath", "columns")})
                effects.append({"effect": "overwritten", "id": key, "connector_id": connector})
        if refused:
            return self._partial(refused, keys, 201, effects)
        return answer(201, {"statusCode": 201, "message": None}, effects)

    def _check_count(self, name: str, values: list[Any]) -> None:
        if len(values) > PER_CALL and self.set["sixteen"] == "refused":
            raise invalid_request(f"{name} holds more than {PER_CALL}")


def _submitted(item: dict[str, Any], connector: str) -> ConnectorRecord:
    """Return a new record: under review, due ten years after its last change."""
    own = {name: item[name] for name in REQUIRED}
    columns = {name: value for name, value in item.items() if name not in {*REQUIRED, "termFullPath"}}
    return ConnectorRecord(
        **own,
        connector_id=connector,
        termFullPath=item.get("termFullPath") or "",
        due=years_later(item["timeModified"].replace(" ", "T")),
        review="under_review",
        columns=columns,
    )


async def _no_such_method(_: Call) -> Reply:
    return answer(405, {"statusCode": 405, "message": "no such method", "errors": []})


async def _no_such_call(_: Call) -> Reply:
    return answer(404, {"statusCode": 404, "message": "no such call", "errors": []})
