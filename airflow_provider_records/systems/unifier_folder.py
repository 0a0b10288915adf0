"""Folders of Unifier: how a record names one, and what its listings show."""

from __future__ import annotations

import math
import threading
import time
import unicodedata
from collections.abc import Callable, Container, Iterable, Mapping, Set
from dataclasses import dataclass
from itertools import islice
from typing import Self

from airflow_provider_records.evidence.names import PLAIN, Naming
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import ConfigurationError, InvalidRecordsError, UnreadableAnswerError
from airflow_provider_records.hooks.unifier_responses import NODE_ID, Node, text_of
from airflow_provider_records.systems.expectation import differs, is_source, other

_CANARIES = 20
NAME = "Name"
"""The label of the name; listings that show it under another label, or only in the path, count as well."""


@dataclass(frozen=True)
class FolderAddress:
    """A folder as a record names it: by its node id, or by shell and path. The node id counts if there are both.

    :param node_id: the record's ``parent_id``.
    :param project_number: the record's attribute ``project_number``; empty: company level.
    :param path: the record's ``location``; empty if only the node id is known.
    """

    node_id: str | None = None
    project_number: str = ""
    path: str = ""

    @classmethod
    def from_record(cls, record: Record) -> FolderAddress | None:
        """Return the folder that a record names, or None.

        :raises InvalidRecordsError: its node id, shell or path is malformed.
        """
        path, project = record.location or "", record.attributes.get("project_number") or ""
        if record.parent_id is not None:
            if not NODE_ID.fullmatch(record.parent_id):
                raise InvalidRecordsError(f"Record {record.key!r}: parent_id must be the node id of a folder.")
            if not path.startswith("/") or not isinstance(project, str):
                path = project = ""
            return cls(record.parent_id, project, path.rstrip("/"))
        if record.location is None or "project_number" not in record.attributes:
            return None
        if not isinstance(project, str) or not path.startswith("/"):
            raise InvalidRecordsError(
                f"Record {record.key!r}: the attribute project_number must be text, and location a path from '/'."
            )
        return cls(None, project, path.rstrip("/") or "/")

    def __str__(self) -> str:
        return f"folder {self.node_id or self.path}" + (f" of {self.project_number}" if self.project_number else "")


class Contents:
    """What one listing of a folder showed; of a long one, only what is asked of it.

    Besides what is asked for, folders are kept and a few other documents, which show that the account sees any.

    :param nodes: the documents and folders directly in it. One without an id is a row that could not be read: then
        the listing does not prove that a document is not there.
    :param wanted: ids of nodes or files that are asked for; None: all.
    """

    def __init__(self, nodes: Iterable[Node] = (), wanted: Container[str] | None = None) -> None:
        self.by_id: dict[str, Node] = {}
        self.by_file: dict[str, Node] = {}
        self._again: dict[str, list[Node]] = {}
        self.readable = True
        self._labels = {NAME}
        self._documents = False
        others = 0
        for node in nodes:
            self.readable = self.readable and bool(node.node_id)
            if node.type == "Document" and node.node_id:
                self._documents = True
                self._labels.update(node.fields)
            if (
                wanted is not None
                and node.type != "Folder"
                and node.node_id not in wanted
                and node.file_id not in wanted
            ):
                others += 1
                if others > _CANARIES:
                    continue
            if node.node_id:
                if (known := self.by_id.get(node.node_id)) is not None and not known.shows_the_same_as(node):
                    self._again.setdefault(node.node_id, []).append(known)
                self.by_id[node.node_id] = node
                if node.file_id:
                    self.by_file[node.file_id] = node

    def obstacle(self, record: Record, expect: Mapping[str, str], naming: Naming = PLAIN) -> str | None:
        """Say why the record's id is not that of its document here; None if it is.

        :param record: the record that was approved.
        :param expect: label by the record's field or attribute that it must equal.
        :param naming: how titles and people stand on the list, and in what is said of them.
        :raises UnreadableAnswerError: it may be in a row that could not be read.
        """
        node, owner = self.by_id.get(record.target_id), self.by_file.get(record.target_id)
        if node is None and not self.readable:
            raise UnreadableAnswerError(
                f"Unifier lists nodes whose node_id cannot be read; {record.target_id} may be one."
            )
        if node is None:
            hint = f"it is the file id of node {owner.node_id}" if owner else "it was deleted or moved before"
            return f"does not list node {record.target_id}: {hint}, or the id is wrong"
        for each in (node, *self._again.get(node.node_id, ())):
            if why := self._differs(each, record, expect, naming):
                return f"lists node {record.target_id}{why}"
        return None

    def _differs(self, node: Node, record: Record, expect: Mapping[str, str], naming: Naming) -> str | None:
        """Say how a row with the record's id differs from what was approved; None if it does not."""
        if node.type != "Document":
            return f" as {node.type or 'something of no type'}, not as a document"
        owner = self.by_file.get(record.target_id)
        if owner and owner.name != node.name and record.title in {owner.name, naming.title(owner.name)}:
            return f" under another name: it is the file id of node {owner.node_id}"
        if why := _is_another(node, record):
            return f", which is {why}"
        for label, source in expect.items():
            if why := differs(label, record, source, _shown(node, label).strip(), naming):
                return f", which is {why}"
        return None

    def not_answered(self, labels: Iterable[str]) -> str | None:
        """Return one of these labels that no document here shows; None if all are shown, or if there is no document."""
        return next((label for label in labels if self._documents and label not in self._labels), None)


def _is_another(node: Node, record: Record) -> str | None:
    """Say by what a row shows that it is another document than the list names, or another revision of it.

    What the list or the row leaves out is not compared.
    """
    for label, approved, found in (
        ("projectnumber", text_of(record.attributes.get("project_number")), node.project_number),
        ("parent_node_id", record.parent_id or "", node.parent_node_id),
        ("file_id", text_of(record.attributes.get("file_id")), node.file_id),
    ):
        if approved and found and _plain(approved) != _plain(found):
            return other(label, approved, found)
    place, folder = record.location or "", node.folder
    if place.startswith("/") and node.path and not _plain(folder).endswith(_plain(place.rstrip("/"))):
        return other("its folder", place, folder or "/")
    return None


def _plain(text: str) -> str:
    """Return a path or number without what differs between the forms that people and systems write."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _shown(node: Node, label: str) -> str:
    return node.name if label == NAME else node.fields.get(label, "")


def checked_expect(expect: object) -> dict[str, str]:
    """Return what a DAG says as ``expect``.

    :raises ConfigurationError: it is no mapping of labels to fields or attributes of records.
    """
    expect = {} if expect is None else expect
    if not isinstance(expect, Mapping) or not all(is_source(name) and is_source(of) for name, of in expect.items()):
        raise ConfigurationError(f"expect must map labels to a record's fields or attributes, not be {expect!r}.")
    return dict(expect)


@dataclass(frozen=True)
class Canaries:
    """What a later listing of a folder has to show as well, if it is to prove that a document is gone.

    :param nodes: ids of a few nodes in the folder that are not on the list.
    :param path: the folder's own path; empty if no row told it.
    :param project_number: the folder's shell.
    """

    nodes: Set[str]
    path: str
    project_number: str

    @classmethod
    def among(cls, contents: Contents, folder: FolderAddress, on_list: Set[str]) -> Self:
        """Choose them from a listing of a folder before the first call."""
        others = (node_id for node_id in contents.by_id if node_id not in on_list)
        nodes = frozenset(islice(others, _CANARIES))
        told = next((node for node in contents.by_id.values() if node.path), None)
        if told is None:
            return cls(nodes, folder.path, folder.project_number)
        return cls(nodes, told.path.rpartition("/")[0], told.project_number)

    @property
    def above(self) -> FolderAddress | None:
        """The folder above, or None if it is not known, or if there is none."""
        if self.path in {"", "/"}:
            return None
        return FolderAddress(None, self.project_number, self.path.rpartition("/")[0] or "/")


class Listing:
    """The newest listing of one folder, shared by all threads that may rely on it."""

    def __init__(self, read: Callable[[], Contents]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._begun = -math.inf
        self._contents = Contents()

    @property
    def begun(self) -> float:
        """When the newest listing was requested, by the monotonic clock; minus infinity if there was none."""
        return self._begun

    @property
    def newest(self) -> Contents | None:
        """The newest listing; None if there was none."""
        return self._contents if self._begun > -math.inf else None

    def since(self, moment: float) -> Contents:
        """Return a listing that was requested after ``moment``: an older one may still show deleted documents."""
        with self._lock:
            if self._begun < moment:
                begun = time.monotonic()
                self._contents = self._read()
                self._begun = begun
            return self._contents
