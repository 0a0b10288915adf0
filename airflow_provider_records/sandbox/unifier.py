"""The fake of Oracle Primavera Unifier: Document Manager, business process records and shells.

It follows the pages "Delete Documents by Node ID", "Get Folders or Documents Metadata by Parent Folder ID" and
"Get BP Record" of Unifier's Integration Interface Guide.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_records.sandbox import unifier_wire as wire
from airflow_provider_records.sandbox.core import FakeVendor, Handler, Switch
from airflow_provider_records.sandbox.message import AbortWith, Call, Reply
from airflow_provider_records.sandbox.seed import Item
from airflow_provider_records.sandbox.unifier_tokens import OAUTH_USER, PASSWORD, USER, UnifierTokens

BASE = "/unifier/ws/rest/service"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
Effects = list[dict[str, Any]]
SWITCHES = {
    "error_http": Switch((200,), "HTTP status that carries business codes, e.g. 200 or 400"),
    "message": Switch(("objects", "strings", "empty", "string", "object"), "shape of the envelope's message"),
    "wrapped": Switch((False, True), "the envelope comes in an array"),
    "status": Switch(("number", "text"), "type of the envelope's status"),
    "rest_audit_id": Switch(("top", "message", "none"), "where a delete names its audit id"),
    "second_delete": Switch((12764,), "status of deleting a binned document again, 12764 or 200"),
    "folder_id_accepted": Switch((False, True), "the delete takes a folder's id, and all inside along"),
    "binned_listed": Switch((False, True), "listings still show what is in the recycle bin"),
    "reads": Switch(("allowed", "nothing"), "an account without rights: no id is known to it, each folder seems empty"),
    "labels": Switch(("by_form", "Name", "file_name", "neither"), "under which key listings give the name"),
    "node_ids": Switch(("number", "text"), "type of the ids in listings"),
    "missing_folder": Switch((1074,), "status of listing an unknown folder, perhaps 1074 or 12764"),
    "search_call": Switch(("present", "404", "405"), "whether this edition has the search call"),
    "search_depth": Switch(("below", "direct"), "whether the search looks into the folders below"),
    "search_dates": Switch((True, False), "whether the search shows the dates of what it finds"),
    "bp_status_missing": Switch((False, True), "BP records come without their status field"),
    "missing_record": Switch(("657", "empty"), "answer for an unknown record number"),
    "delete_call": Switch(("present", "404", "405"), "whether this edition has the delete call"),
    "one_token": Switch((False, True), "a login ends the user's older tokens"),
    "token_lifetime": Switch((180 * 86400.0,), "life of a Basic user's token, in seconds"),
    "oauth_lifetime": Switch((3600.0,), "life of an OAuth user's token, in seconds"),
    "tenant_headers": Switch((False, True), "token calls name tenant headers, and calls demand them"),
    "hold_after": Switch((0,), "once this many documents are recycled, the last one's shell goes On-Hold; 0: never"),
    "link_after": Switch((0,), "once this many documents are recycled, the next one is linked; 0: never"),
}


@dataclass
class Folder:
    """A folder of the Document Manager; ``project`` is empty at company level, ``parent_id`` 0 at the top."""

    node_id: int
    project: str
    path: str
    parent_id: int = 0
    binned: bool = False


@dataclass
class Document:
    """A document; ``file_id`` identifies its content, and is often the node id of another document."""

    node_id: int
    file_id: int
    parent_id: int
    project: str
    path: str
    uploaded: str
    locked: bool = False
    binned: bool = False


@dataclass
class BpRecord:
    """A business process record; ``attachments`` are node ids of documents, which are linked by it."""

    project_number: str
    bpname: str
    fields: dict[str, Any]
    attachments: list[int] = field(default_factory=list)


class FakeUnifier(FakeVendor):
    """The fake of Unifier, below the path ``/unifier``.

    Tests may change the attributes: ``shells`` (project number to status), ``folders`` and ``documents`` (by node
    id), ``links`` (node ids with a link that no call shows), ``records``, ``interfaces`` (BP name to the only fields
    of its responses), ``tokens``. ``user``, ``oauth_user`` and ``password`` are the credentials.
    """

    name = "unifier"
    user, oauth_user, password = USER, OAUTH_USER, PASSWORD
    switches = SWITCHES

    def __init__(self) -> None:
        super().__init__()
        self.tokens = UnifierTokens(self.set)
        self.shells: dict[str, str] = {}
        self.folders: dict[int, Folder] = {}
        self.documents: dict[int, Document] = {}
        self.links: set[int] = set()
        self.bpnames = {"Disposal Request"}
        self.records: dict[tuple[str, str, str], BpRecord] = {}
        self.interfaces: dict[str, list[str]] = {}
        self._recycled = 0
        self._audit_id = 48212

    def load(self, items: list[Item]) -> None:
        """Add the seeded items of Unifier, with their shells and folders.

        Each file id is the node id of the next document, so that a client that confuses them deletes the wrong one.
        Items whose trouble is ``gone`` are left out; ``linked`` ones get a link that no call shows.

        :param items: the seed; items of other systems are ignored.
        :raises ValueError: an id is used twice.
        """
        ours = [item for item in items if item.system == self.name]
        for item in ours:
            if item.project:
                self.shells.setdefault(item.project, "Active")
            folder = Folder(int(item.folder_id), item.project, item.folder_path)
            known = self._folder_at(item.project, item.folder_path) or self.folders.setdefault(folder.node_id, folder)
            if (known.node_id, known.project, known.path) != (folder.node_id, folder.project, folder.path):
                raise ValueError(f"folder {item.folder_id} ({item.folder_path}) contradicts another folder")
        live = sorted((item for item in ours if item.trouble != "gone"), key=lambda item: int(item.target_id))
        ids = [int(item.target_id) for item in live]
        for item, node_id, file_id in zip(live, ids, [*ids[1:], *(last + 1 for last in ids[-1:])], strict=True):
            if node_id in self.documents or node_id in self.folders:
                raise ValueError(f"node id {node_id} is used twice")
            path = f"{item.folder_path.rstrip('/')}/{item.title}"
            document = Document(node_id, file_id, int(item.folder_id), item.project, path, item.created)
            document.locked = item.trouble == "locked"
            self.documents[node_id] = document
            if item.trouble == "linked":
                self.links.add(node_id)
        for folder in list(self.folders.values()):
            self._hang(folder)

    def open_request(
        self,
        project_number: str,
        record_no: str,
        *,
        bpname: str = "Disposal Request",
        title: str = "",
        digest: str = "",
        status: str = "Pending",
    ) -> None:
        """Create a record of a business process, or replace it.

        :param project_number: the shell; empty: company level.
        :param record_no: e.g. ``DR-0007``.
        :param bpname: display name of the business process.
        :param title: the record's title.
        :param digest: digest of the manifest, kept in the field ``disposal_digest``.
        :param status: the record's status text.
        """
        self.bpnames.add(bpname)
        values = {"record_no": record_no, "status": status, "title": title or None, "disposal_digest": digest or None}
        self.records[project_number, bpname, record_no] = BpRecord(project_number, bpname, values)

    def set_status(self, project_number: str, bpname: str, record_no: str, status: str) -> None:
        """Set a record's status text.

        :raises KeyError: there is no such record.
        """
        self.records[project_number, bpname, record_no].fields["status"] = status

    def state(self) -> dict[str, Any]:
        """Return shells, folders, ``live`` and ``recycled`` documents by node id, and BP records."""
        live: dict[str, Any] = {}
        recycled: dict[str, Any] = {}
        for node_id, document in self.documents.items():
            place = recycled if document.binned else live
            place[str(node_id)] = {**asdict(document), "linked": self._linked(node_id)}
        return {
            "shells": dict(self.shells),
            "folders": {str(node_id): asdict(folder) for node_id, folder in self.folders.items()},
            "live": live,
            "recycled": recycled,
            "bp_records": [asdict(record) for record in self.records.values()],
        }

    def calls(self) -> list[tuple[str, str, str, Handler]]:
        """Return the calls; every other method or path under ``/unifier`` is refused, and logged too."""
        v1, project = f"{BASE}/v1", "{project_number:path}"
        guarded: list[tuple[str, str, str, Handler]] = [
            ("POST", f"{v1}/dm/document/delete/{{node_id}}", "delete_document", self._delete_document),
            ("POST", f"{v1}/dm/folder/delete/{{node_id}}", "delete_folder", self._delete_folder),
            ("GET", f"{v1}/dm/node/properties", "list_nodes", self._list_by_path),
            ("GET", f"{v1}/dm/node/properties/{{parent_folder_id}}", "list_nodes", self._list_by_id),
            ("POST", f"{v1}/dm/search", "search_nodes", self._search),
            ("GET", f"{v1}/bp/record/file/list", "list_bp_files", self._list_bp_files),
            ("GET", f"{v1}/bp/record/file/list/{project}", "list_bp_files", self._list_bp_files),
            ("GET", f"{v1}/bp/record", "get_bp_record", self._get_bp_record),
            ("GET", f"{v1}/bp/record/{project}", "get_bp_record", self._get_bp_record),
            ("POST", f"{v1}/bp/records", "query_bp_records", self._query_bp_records),
            ("POST", f"{v1}/bp/records/{project}", "query_bp_records", self._query_bp_records),
            ("GET", f"{v1}/admin/projectshell", "shell", self._shell),
        ]
        known: list[tuple[str, str, str, Handler]] = [
            ("GET", f"{v1}/login", "login", self.tokens.login),
            ("GET", f"{BASE}/v2/auth/token", "token_v2", self.tokens.token_v2),
            ("GET", f"{v1}/oauth/token", "oauth_token", self.tokens.oauth_token),
            *((method, path, name, self.tokens.required(handler)) for method, path, name, handler in guarded),
        ]
        wrong = [
            (method, path, name, wire.wrong_method)
            for right, path, name, _ in known
            for method in METHODS
            if method != right
        ]
        rest = [(method, "/unifier/{rest:path}", "unknown", wire.no_such_call) for method in METHODS]
        return [*known, *wrong, *rest]

    # Document Manager

    async def _delete_document(self, call: Call) -> Reply:
        if self.set["delete_call"] != "present":
            return wire.page(int(self.set["delete_call"]))
        node_id = wire.deletable(call)
        document, folder = self.documents.get(node_id), self.folders.get(node_id)
        if self.set["reads"] == "nothing":
            return self._outcome(12764)
        if document is None:
            if folder is None or folder.binned or not self.set["folder_id_accepted"]:
                return self._outcome(12764)
            return self._outcome(200, self._bin_folder(folder))
        if document.binned:
            return self._outcome(int(self.set["second_delete"]))
        effects: Effects = []
        if 0 < self.set["link_after"] <= self._recycled:
            self.set["link_after"] = 0
            self.links.add(node_id)
            effects.append({"effect": "linked", "id": node_id})
        if refusal := self._obstacle(document):
            return self._outcome(refusal, effects)
        effects.append(self._bin(document))
        if 0 < self.set["hold_after"] <= self._recycled and document.project:
            self.set["hold_after"] = 0
            self.shells[document.project] = "On-Hold"
            effects.append({"effect": "on_hold", "id": document.project})
        return self._outcome(200, effects)

    async def _delete_folder(self, call: Call) -> Reply:
        folder = self.folders.get(node_id := wire.deletable(call))
        used: Effects = [{"effect": "folder_delete_used", "id": node_id}]
        if folder is None or folder.binned:
            return self._outcome(12764, used)
        return self._outcome(200, used + self._bin_folder(folder))

    def _obstacle(self, document: Document) -> int:
        """Return the code that a delete is refused with, or 0."""
        if document.project and document.project not in self.shells:
            return 602
        if document.project and self.shells[document.project] != "Active":
            return 1245
        if document.locked:
            return 12767
        return 12766 if self._linked(document.node_id) else 0

    def _linked(self, node_id: int) -> bool:
        return node_id in self.links or any(node_id in record.attachments for record in self.records.values())

    def _bin(self, document: Document) -> dict[str, Any]:
        document.binned = True
        self._recycled += 1
        return {"effect": "recycled", "id": document.node_id}

    def _bin_folder(self, folder: Folder) -> Effects:
        folder.binned = True
        effects: Effects = [{"effect": "folder_recycled", "id": folder.node_id}]
        for document in self.documents.values():
            if document.parent_id == folder.node_id and not document.binned:
                effects.append(self._bin(document))
        for below in self.folders.values():
            if below.parent_id == folder.node_id and not below.binned:
                effects += self._bin_folder(below)
        return effects

    def _outcome(self, status: int, effects: Effects | None = None) -> Reply:
        self._audit_id += 1
        return wire.envelope(
            self.set, (), status, text=wire.DELETED if status == 200 else "", audit_id=self._audit_id, effects=effects
        )

    async def _list_by_path(self, call: Call) -> Reply:
        wire.only(call, {"projectnumber", "parentpath", "nodetype"})
        project, path = call.query.get("projectnumber", ""), call.query.get("parentpath", "")
        if not path.startswith("/"):
            wire.refuse(400, "parentpath is the full path of a folder.")
        if project and project not in self.shells:
            return self._answer(status=602)
        folder = self._folder_at(project, path) or (Folder(0, project, "/") if path == "/" else None)
        return self._listing(call, folder, "Name")

    async def _list_by_id(self, call: Call) -> Reply:
        wire.only(call, {"nodetype"})
        return self._listing(call, self.folders.get(wire.integer(call.params["parent_folder_id"])), "file_name")

    def _listing(self, call: Call, folder: Folder | None, label: str) -> Reply:
        kind = call.query.get("nodetype", "")
        if "nodetype" in call.query and kind not in {"Folder", "Document"}:
            wire.refuse(400, "nodetype is Folder or Document.")
        if folder is None or folder.binned:
            return self._answer(status=int(self.set["missing_folder"]))
        label = label if self.set["labels"] == "by_form" else self.set["labels"]
        nodes: list[Folder | Document] = [*self.folders.values()] if kind != "Document" else []
        nodes += self.documents.values() if kind != "Folder" else []
        return self._answer(
            [
                self._node(node, label)
                for node in nodes
                if self.set["reads"] == "allowed"
                if (node.parent_id, node.project) == (folder.node_id, folder.project)
                if not node.binned or self.set["binned_listed"]
            ]
        )

    async def _search(self, call: Call) -> Reply:
        if self.set["search_call"] != "present":
            return wire.page(int(self.set["search_call"]))
        project, path, terms = wire.search_of(call)
        if project and project not in self.shells:
            return self._answer(status=602)
        if self._folder_at(project, path) is None and path != "/":
            return self._answer(status=int(self.set["missing_folder"]))
        found = [
            document
            for document in self.documents.values()
            if self.set["reads"] == "allowed"
            if document.project == project and not document.binned and self._lies_below(document, path)
            if all(wire.matches(term, _searchable(document)) for term in terms)
        ]
        rows = [self._node(document, "Name") for document in found]
        if not self.set["search_dates"]:
            rows = [{key: value for key, value in row.items() if "ate" not in key} for row in rows]
        return self._answer(rows)

    def _lies_below(self, document: Document, path: str) -> bool:
        folder = document.path.rpartition("/")[0] or "/"
        return folder == path or (self.set["search_depth"] == "below" and folder.startswith(f"{path.rstrip('/')}/"))

    def _node(self, node: Folder | Document, label: str) -> dict[str, Any]:
        shown: dict[str, Any] = {"node_id": node.node_id, "parent_node_id": node.parent_id}
        if isinstance(node, Document):
            shown["file_id"] = node.file_id
            when = datetime.fromisoformat(node.uploaded)
            if label == "Name":
                dates = {"Upload Date": when.strftime("%Y/%m/%d %H:%M")}
            else:
                dates = {"upload_date": when.strftime("%m/%d/%Y %I:%M %p")}
        else:
            dates = {}
        if self.set["node_ids"] == "text":
            shown = {key: str(value) for key, value in shown.items()}
        names = {} if label == "neither" else {label: node.path.rpartition("/")[2]}
        facts = {"node_path": node.path, "type": type(node).__name__, "projectnumber": node.project}
        return {**shown, **facts, **names, **dates}

    def _folder_at(self, project: str, path: str) -> Folder | None:
        return next((item for item in self.folders.values() if (item.project, item.path) == (project, path)), None)

    def _hang(self, folder: Folder) -> None:
        """Set the parent of a folder; a parent that the seed does not contain is created."""
        above = folder.path.rpartition("/")[0] or "/"
        parent = self._folder_at(folder.project, above)
        if parent is None and above != "/":
            used = [*self.folders, *self.documents, *(item.file_id for item in self.documents.values())]
            parent = self.folders[max(used) + 1] = Folder(max(used) + 1, folder.project, above)
            self._hang(parent)
        if parent is not None and parent is not folder:
            folder.parent_id = parent.node_id

    # Business processes and shells

    async def _get_bp_record(self, call: Call) -> Reply:
        record = self._asked_record(call, {"lineitem"})
        return self._answer([self._fields(record)]) if record else self._answer()

    async def _list_bp_files(self, call: Call) -> Reply:
        record = self._asked_record(call, set())
        files = (
            [self.documents[node_id] for node_id in record.attachments if node_id in self.documents] if record else []
        )
        return self._answer([{"file_id": item.file_id, "file_name": item.path.rpartition("/")[2]} for item in files])

    def _asked_record(self, call: Call, further: set[str]) -> BpRecord | None:
        project, asked = wire.project_of(call), wire.asked_in(call, "input", {"bpname", "record_no"}, further)
        self._check_bp(project, asked["bpname"])
        record = self.records.get((project, asked["bpname"], asked["record_no"]))
        if record is None and self.set["missing_record"] == "657":
            raise AbortWith(self._answer(status=657))
        return record

    async def _query_bp_records(self, call: Call) -> Reply:
        project = wire.project_of(call)
        wire.content_type(call, "application/json")
        asked = wire.checked(call.json(), {"bpname"}, {"lineitem", "record_fields", "filter_condition"})
        name, value = wire.condition(asked, {"record_no", "status", "end_date"})
        self._check_bp(project, asked["bpname"])
        wanted = asked["record_fields"].split(";") if "record_fields" in asked else None
        return self._answer(
            [
                {key: shown for key, shown in self._fields(record).items() if wanted is None or key in wanted}
                for record in self.records.values()
                if (record.project_number, record.bpname) == (project, asked["bpname"])
                if not name or record.fields.get(name) == value
            ]
        )

    def _check_bp(self, project: str, bpname: str) -> None:
        if project and project not in self.shells:
            raise AbortWith(self._answer(status=602))
        if bpname not in self.bpnames:
            raise AbortWith(self._answer(status=603))

    def _fields(self, record: BpRecord) -> dict[str, Any]:
        names = self.interfaces.get(record.bpname, list(record.fields))
        hidden = {"status"} if self.set["bp_status_missing"] else set()
        return {name: record.fields.get(name) for name in names if name not in hidden}

    async def _shell(self, call: Call) -> Reply:
        asked = wire.asked_in(call, "options", {"filter_condition"}, set()) if call.query else {}
        name, value = wire.condition(asked, {"projectnumber", "status"})
        shells = [{"projectnumber": key, "status": status, "type": "Projects"} for key, status in self.shells.items()]
        return self._answer([shell for shell in shells if not name or shell[name] == value])

    def _answer(self, data: Any = (), status: int = 200) -> Reply:  # noqa: ANN401 - any JSON
        return wire.envelope(self.set, data, status)


def _searchable(document: Document) -> dict[str, str]:
    """Return the properties of a document that a search knows, by their names in uDesigner."""
    when = datetime.fromisoformat(document.uploaded)
    return {"uuu_dm_node_name": document.path.rpartition("/")[2], "upload_date": when.strftime("%Y-%m-%dT%H:%M")}
