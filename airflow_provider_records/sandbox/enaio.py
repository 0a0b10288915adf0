"""The fake of enaio: the calls of the DMS service that disposal needs, behind its gateway.

It follows the vendor's pages "DELETE /objects/{objectId}", "DELETE /objects/{objectId}/actions/trash",
"GET /objects/{objectId}", "POST /objects/search" and "GET /objects/{objectId}/native/locations". What they
leave open is a switch. It refuses everything that they do not describe, and is stricter than a real service there.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from typing import Any

from airflow_provider_records.sandbox.core import FakeVendor, Handler, Switch
from airflow_provider_records.sandbox.enaio_archive import UNNAMED_FIELDS, Archive, StoredObject, is_object_id
from airflow_provider_records.sandbox.enaio_search import BadQueryError, Statement, read_query
from airflow_provider_records.sandbox.message import AbortWith, Call, Reply
from airflow_provider_records.sandbox.seed import Item

DMS = "/enaio/api/dms"
OSREST = "/enaio/osrest/api"
NOT_FOUND = 1001
REFUSED = 1100
INTERNAL = 3003
TEXTS = {
    NOT_FOUND: "The object was not found.",
    REFUSED: "The object is already in the recycle bin, may not be deleted, or the recycle bin cannot be loaded.",
    INTERNAL: "Internal error. See the log of the server.",
}
GET_PARAMETERS = {
    "objectTypeId", "includePermissions", "includeContentStreams", "followDocLink", "garbadeMode", "garbageMode",
}  # fmt: skip
REFUSAL = ("400", "500", "allowed")


class FakeEnaio(FakeVendor):
    """enaio with one technical user."""

    name = "enaio"
    switches: Mapping[str, Switch] = {
        "version": Switch(
            ("6.2.1", "3.2.4", "4.0.2", "5.0.0", "5.2.2", "5.3.0", "5.5.3", "6.5.0"),
            "version of the DMS service: below 5.0 hardDelete and cascadeDelete are ignored and only options works; "
            "5.x knows both; from 6.0 on options is gone; purging from the bin from 5.3.0 on",
        ),
        "bin_flag": Switch(("garbadeMode", "garbageMode", "neither"), "which flag lets GET see the recycle bin"),
        "several_places": Switch(("all", "400", "500"), "DELETE without location of a document in several places"),
        "non_empty": Switch(("400", "500"), "DELETE without cascade of something with children"),
        "retention": Switch(("allowed", "400", "500"), "DELETE before the retention known to the server has ended"),
        "workflow": Switch(REFUSAL, "DELETE of an object in a workflow process"),
        "archive": Switch(REFUSAL, "DELETE of an archived document"),
        "lock": Switch(REFUSAL, "DELETE of what somebody else has checked out"),
        "binned_delete": Switch(("400", "404"), "DELETE of a binned object that does not purge it"),
        "binned_get": Switch(("404", "400"), "GET of a binned object without the flag that works"),
        "unreadable": Switch(("404", "400"), "any call on an object, or somebody else's bin, that the user cannot see"),
        "error_body": Switch(("serviceErrorCode", "errorCode", "code", "text", "html", "empty"), "form of errors"),
        "info": Switch(("version", "no_version", "404"), "what /info answers"),
        "login_filter": Switch(("401", "redirect", "html"), "answer to missing or wrong credentials"),
        "expired_cookie": Switch(("401", "403"), "answer to a session cookie that is no longer valid"),
        "session_requests": Switch((0,), "how many requests a session cookie is good for; 0: never expires"),
        "search_ids": Switch(
            ("any", "literals", "lists", "neither"), "how IN takes ids: IN (1, 2), IN (@list), either, or not at all"
        ),
        "search_more": Switch(("truth", "always", "never"), "what a search says in hasMoreItems"),
        "system_fields": Switch(("known", "refused"), "whether a search knows system fields that no page names"),
        "reads": Switch(("allowed", "nothing"), "whether the user still has the right to read anything"),
        "tenant": Switch(("first", "second"), "which of two archives, with the same ids, is behind the address"),
        "search_lag": Switch((0.0,), "seconds for which a search goes on showing objects as they were"),
        "page_shift": Switch((0,), "rows that vanished (negative: appeared) before the second page of a search"),
    }

    def __init__(self) -> None:
        super().__init__()
        self.user = "disposal"
        self.password = "v3Rz-enaio-demo-8wKd"  # noqa: S105 - valid in this sandbox only
        self.archives = {"first": Archive(), "second": Archive()}
        self.archive = self.archives["first"]
        self._items: list[Item] = []
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.sessions: dict[str, int] = {}
        self.logins = 0

    def turn(self, values: Mapping[str, Any]) -> None:
        super().turn(values)
        self.archive = self.archives[self.set["tenant"]]
        if self.set["tenant"] == "second" and not self.archive.objects:
            self._fill(self._items, "Not ours: ")
        for archive in self.archives.values():
            archive.lag = self.set["search_lag"]

    def calls(self) -> list[tuple[str, str, str, Handler]]:
        listed: list[tuple[str, str, str, Callable[[Call], Reply]]] = [
            ("DELETE", DMS + "/objects/{id}", "delete_object", self._delete_object),
            ("GET", DMS + "/objects/{id}", "get_object", self._get_object),
            ("POST", DMS + "/objects/search", "search", self._search),
            ("GET", DMS + "/objects/{id}/native/locations", "locations", self._locations),
            ("POST", DMS + "/objects/{id}/history", "add_history", self._add_history),
            ("DELETE", DMS + "/objects/{id}/actions/trash", "trash", self._trash),
            ("GET", DMS + "/info", "info", self._info),
            ("GET", OSREST + "/session", "session", self._session),
            ("GET", OSREST + "/session/logout", "logout", self._logout),
        ]
        return [(method, path, name, self._behind_gateway(answer)) for method, path, name, answer in listed]

    # Contents

    def load(self, items: Iterable[Item]) -> None:
        """Add seeded records, with their folders and troubles."""
        self._items = [item for item in items if item.system == "enaio"]
        self._fill(self._items)

    def _fill(self, items: Iterable[Item], before_title: str = "") -> None:
        for item in items:
            if item.folder_id not in self.archive.objects:
                self.archive.add(item.folder_id, "Folder", base="FOLDER", fields={"Title": item.folder_path})
            if item.trouble == "gone":
                continue
            title = before_title + item.title
            texts = {"Title": title, "Author": item.author, "Disposal": "", "RetentionEnd": item.due[:10]}
            made = self.archive.add(item.target_id, item.object_type, fields=texts, places=[item.folder_id])
            made.retention = item.due[:10]
            made.modified = item.modified.replace(" ", "T") + "+00:00"
            made.in_workflow = item.trouble == "workflow"
            made.locked_by = "clerk" if item.trouble == "locked" else ""
            made.no_delete = {self.user} if item.trouble == "no_right" else set()

    def set_field(self, object_id: str, name: str, value: str) -> None:
        """Set an index field, as a person does in the client.

        :raises ValueError: no such object.
        """
        if object_id not in self.archive.objects:
            raise ValueError(f"enaio has no object {object_id}")
        found = self.archive.objects[object_id]
        self.archive.keep_past(found)
        found.fields[name] = value
        found.modified = datetime.now(UTC).isoformat(timespec="seconds")
        self.archive.types[found.object_type].fields.add(name)

    def expire_sessions(self) -> None:
        """Make every session cookie invalid."""
        self.sessions.clear()

    def state(self) -> dict[str, Any]:
        objects = self.archive.objects.values()
        return {
            "live": [item.id for item in objects if not item.bin],
            "binned": [item.id for item in objects if item.bin],
            "destroyed": list(self.archive.destroyed),
            "objects": {
                item.id: {**asdict(item), "no_read": sorted(item.no_read), "no_delete": sorted(item.no_delete)}
                for item in objects
            },
            "history": self.history,
            "logins": self.logins,
        }

    # The gateway

    def _behind_gateway(self, answer: Callable[[Call], Reply]) -> Handler:
        async def handler(call: Call) -> Reply:
            cookie = self._enter(call)
            try:
                reply = answer(call)
            except AbortWith as abort:
                reply = abort.reply
            reply.headers.update(cookie)
            return reply

        return handler

    def _enter(self, call: Call) -> dict[str, str]:
        """Check session cookie or Basic credentials; return the header that sets a new cookie."""
        if (cookie := _session_cookie(call)) is not None:
            left = self.sessions.get(cookie)
            if left is None or 0 < self.set["session_requests"] <= left:
                self.sessions.pop(cookie, None)
                raise self._error(int(self.set["expired_cookie"]), None, "The session has expired.")
            self.sessions[cookie] = left + 1
            return {}
        scheme, _, given = call.headers.get("authorization", "").partition(" ")
        try:
            known = base64.b64decode(given, validate=True).decode() == f"{self.user}:{self.password}"
        except (binascii.Error, UnicodeDecodeError):
            known = False
        if scheme.lower() != "basic" or not known:
            if self.set["login_filter"] == "redirect":
                raise AbortWith(Reply(302, headers={"Location": "/enaio/login"}))
            if self.set["login_filter"] == "html":
                raise AbortWith(Reply(200, "<html><form>Login</form></html>", {"Content-Type": "text/html"}))
            refused = self._error(401, None, "Login failed.")
            refused.reply.headers["WWW-Authenticate"] = 'Basic realm="enaio"'
            raise refused
        session = uuid.uuid4().hex.upper()
        self.sessions[session] = 1
        self.logins += 1
        return {"Set-Cookie": f"JSESSIONID={session}; Path=/; HttpOnly"}

    def _session(self, call: Call) -> Reply:
        self._allow(call, set())
        guid = str(uuid.uuid5(uuid.NAMESPACE_OID, _session_cookie(call) or self.user)).upper()
        return Reply(body={"userid": 27, "username": self.user, "sessionGuid": guid, "groups": ["DISPOSAL"]})

    def _logout(self, call: Call) -> Reply:
        self._allow(call, set())
        self.sessions.pop(_session_cookie(call) or "", None)
        return Reply(204)

    def _info(self, call: Call) -> Reply:
        self._allow(call, set())
        if self.set["info"] == "404":
            raise self._error(404, None, "No such address.")
        return Reply(body={"name": "dms"} | ({"version": self.set["version"]} if self.set["info"] == "version" else {}))

    # Objects

    def _delete_object(self, call: Call) -> Reply:
        gone = {"options"} if self._since(6) else set()
        self._allow(call, {"objectTypeId", "location", "hardDelete", "cascadeDelete", "options"} - gone)
        old = {option for option in call.query.get("options", "").split(",") if option}
        if old - {"HARDDELETE", "DELETECASCADING"}:
            raise self._error(400, None, "options are HARDDELETE and DELETECASCADING.")
        hard, cascade = "HARDDELETE" in old, "DELETECASCADING" in old
        if self._since(5):
            hard = self._flag(call, "hardDelete") or hard
            cascade = self._flag(call, "cascadeDelete") or cascade
        return Reply(204, effects=self._remove(call, hard, cascade))

    def _trash(self, call: Call) -> Reply:
        self._demand_version(5, 3)
        self._allow(call, {"objectTypeId", "location"})
        effects = self._remove(call, hard=True, cascade=True)
        return Reply(204, effects=[{"effect": "trash_alias_used", "id": call.params["id"]}, *effects])

    def _remove(self, call: Call, hard: bool, cascade: bool) -> list[dict[str, Any]]:
        found = self._find(call)
        location = call.query.get("location")
        if location is not None and not is_object_id(location):
            raise self._error(400, None, "location must be an object id.")
        if location is not None and location not in found.places:
            raise self._error(404, NOT_FOUND)
        if found.bin and not (hard and self._since(5, 3)):
            raise self._refuse("binned_delete")
        tree = self.archive.tree(found)
        self._check(found)
        if len(tree) > 1 and not cascade:
            raise self._refuse("non_empty")
        for item in tree:
            self._check(item)
        if len(found.places) > 1 and not found.bin:
            if location is not None:
                return [self.archive.leave(found, [location])]
            if self.set["several_places"] != "all":
                raise self._refuse("several_places")
        going = {item.id for item in tree}
        effects = []
        for item in reversed(tree):
            inside = [place for place in item.places if place in going]
            if item is not found and len(inside) < len(item.places):
                effects.append(self.archive.leave(item, inside))
            elif hard:
                effects.append(self.archive.destroy(item))
            else:
                effects.append(self.archive.recycle(item, self.user))
        return effects

    def _check(self, item: StoredObject) -> None:
        if self.user in item.no_delete:
            raise self._error(400, REFUSED)
        today = datetime.now(UTC).date().isoformat()
        reasons = {
            "workflow": item.in_workflow,
            "lock": item.locked_by not in {"", self.user},
            "archive": item.archived,
            "retention": item.retention >= today,
        }
        for switch, holds in reasons.items():
            if holds and self.set[switch] != "allowed":
                raise self._refuse(switch)

    def _get_object(self, call: Call) -> Reply:
        self._allow(call, GET_PARAMETERS)
        permissions = self._flag(call, "includePermissions", default=True)
        self._flag(call, "includeContentStreams")
        self._flag(call, "followDocLink")
        found = self._find(call)
        if found.bin and not self._sees_bin(call):
            raise self._refuse("binned_get")
        return Reply(body=_envelope([self._row(found, {"system:lastModificationDate", *found.fields}, permissions)], 1))

    def _sees_bin(self, call: Call) -> bool:
        if self.set["bin_flag"] == "garbadeMode":
            return self._flag(call, "garbadeMode")
        if self.set["bin_flag"] == "neither":
            return False
        number = call.query.get("garbageMode", "0")
        if not is_object_id(number):
            raise self._error(400, None, "garbageMode must be a number.")
        return int(number) > 0

    def _locations(self, call: Call) -> Reply:
        self._demand_version(4, 0, 1)
        self._allow(call, {"objectTypeId"})
        found = self._find(call)
        if found.bin:
            raise self._refuse("binned_get")
        line = self.archive.line(found)

        def node(item: StoredObject) -> dict[str, Any]:
            below = [] if item is found else self.archive.children(item.id)
            children = [node(child) for child in below if child in line]
            return {**self._row(item, set(), permissions=False), "children": children}

        roots = [node(item) for item in line if not item.places]
        return Reply(body={"objects": roots})

    def _add_history(self, call: Call) -> Reply:
        self._demand_version(3, 3)
        self._allow(call, set())
        note = self._body(call)
        if note.get("action") not in (470, 471):
            raise self._error(400, None, "action must be 470 or 471.")
        found = self._find(call)
        if found.bin:
            raise self._refuse("binned_get")
        self.history.setdefault(found.id, []).append(note)
        return Reply(204, effects=[{"effect": "noted", "id": found.id}])

    # Search

    def _search(self, call: Call) -> Reply:
        self._allow(call, set())
        try:
            body = self._body(call)
            query = read_query(body)
            self._check_statement(body["query"], query.statement)
            rows = self.archive.select(query.statement, self.user, binned=query.binned)
        except BadQueryError as error:
            raise self._error(400, None, str(error)) from None
        rows = [] if self.set["reads"] == "nothing" else rows
        shift = int(self.set["page_shift"]) if query.skip else 0
        start = max(0, query.skip + shift)
        fields = set(query.statement.fields)
        page = self._rows(rows[start : start + query.most], fields, query.permissions)
        more = {"always": True, "never": False}.get(self.set["search_more"], start + len(page) < len(rows))
        return Reply(body=_envelope(page, len(rows) - shift, more=more))

    def _check_statement(self, query: dict[str, Any], statement: Statement) -> None:
        ids, lists = (
            self.set["search_ids"],
            [each for each in query.get("parameters", {}).values() if isinstance(each, list)],
        )
        if lists and ids in {"literals", "neither"}:
            raise BadQueryError("a parameter is one value")
        if " IN (" in query["statement"] and not lists and ids in {"lists", "neither"}:
            raise BadQueryError("IN takes a parameter")
        if self.set["system_fields"] == "refused" and (unknown := statement.names() & UNNAMED_FIELDS):
            raise BadQueryError(f"no field {', '.join(sorted(unknown))}")

    # Shared by the calls

    def _rows(self, items: Iterable[StoredObject], fields: set[str], permissions: bool) -> list[dict[str, Any]]:
        names = sorted({"system:objectId", "system:objectTypeId", "system:baseTypeId"} | fields)
        names_types = self._since(6, 3, 1)
        rows = []
        for item in items:
            values = self.archive.values(item)
            properties = {name: {"value": found[0]} for name in names if (found := values(name))}
            if names_types:
                properties["system:objectTypeId"]["localName"] = item.object_type
            row: dict[str, Any] = {"properties": properties}
            if permissions:
                row["permissions"] = {"delete": [] if self.user in item.no_delete else ["metadata", "object"]}
            rows.append(row)
        return rows

    def _row(self, item: StoredObject, fields: set[str], permissions: bool) -> dict[str, Any]:
        return self._rows([item], fields, permissions)[0]

    def _find(self, call: Call) -> StoredObject:
        object_id, object_type = call.params["id"], call.query.get("objectTypeId")
        if not is_object_id(object_id) or (object_type is not None and not is_object_id(object_type)):
            raise self._error(400, None, "Ids of objects and object types are made of digits.")
        found = self.archive.objects.get(object_id)
        if found is None or object_type not in {None, self.archive.types[found.object_type].id}:
            raise self._error(404, NOT_FOUND)
        if self.set["reads"] == "nothing" or self.user in found.no_read or found.bin not in {"", self.user}:
            raise self._refuse("unreadable")
        return found

    def _allow(self, call: Call, known: set[str]) -> None:
        if unknown := sorted(set(call.query) - known):
            raise self._error(400, None, f"Unknown parameter {', '.join(unknown)}.")

    def _flag(self, call: Call, name: str, *, default: bool = False) -> bool:
        given = call.query.get(name, "true" if default else "false")
        if given not in {"true", "false"}:
            raise self._error(400, None, f"{name} must be true or false.")
        return given == "true"

    def _body(self, call: Call) -> dict[str, Any]:
        if call.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise self._error(415, None, "The body must be application/json.")
        body = call.json()
        if not isinstance(body, dict):
            raise self._error(400, None, "The body must be a JSON object.")
        return body

    def _since(self, *version: int) -> bool:
        return tuple(int(part) for part in self.set["version"].split(".")) >= version

    def _demand_version(self, *version: int) -> None:
        if not self._since(*version):
            raise self._error(404, None, "No such address.")

    def _refuse(self, switch: str) -> AbortWith:
        status = int(self.set[switch])
        return self._error(status, {400: REFUSED, 404: NOT_FOUND, 500: INTERNAL}[status])

    def _error(self, status: int, code: int | None, text: str = "") -> AbortWith:
        form, text = self.set["error_body"], text or TEXTS[code or INTERNAL]
        if form == "empty":
            return AbortWith(Reply(status))
        if form == "text":
            return AbortWith(Reply(status, f"{code or status} {text}"))
        if form == "html":
            page = f"<html><body><h1>HTTP {status}</h1><p>{code or ''} {text}</p></body></html>"
            return AbortWith(Reply(status, page, {"Content-Type": "text/html; charset=utf-8"}))
        body: dict[str, Any] = {"httpStatusCode": status, "error" if form == "code" else "message": text}
        return AbortWith(Reply(status, body if code is None else {form: code, **body}))


def _session_cookie(call: Call) -> str | None:
    found = SimpleCookie(call.headers.get("cookie", "")).get("JSESSIONID")
    return None if found is None else found.value


def _envelope(rows: list[dict[str, Any]], total: int, *, more: bool = False) -> dict[str, Any]:
    return {"objects": rows, "numItems": len(rows), "hasMoreItems": more, "totalNumItems": total}
