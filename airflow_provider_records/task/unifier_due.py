"""The due list of Unifier: documents below a folder by a date, from one search or from the listings of the folders."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_records.evidence.dates import latest
from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.names import PLAIN, Naming
from airflow_provider_records.evidence.set_aside import OddRow
from airflow_provider_records.exceptions import (
    AccessDeniedError,
    ConfigurationError,
    InvalidRecordsError,
    RefusedError,
    ServerError,
    UnreadableAnswerError,
    WrongAddressError,
)
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.hooks.unifier_responses import NODE_ID, Node

log = logging.getLogger(__name__)

_NO_SEARCH = (AccessDeniedError, RefusedError, ServerError, UnreadableAnswerError, WrongAddressError)
_FIRST = "1900-01-01T00:00"
Found = Iterator[tuple[str, Node]]
"""Nodes, each with the node id of the folder that was listed; empty if it is not known."""


@dataclass(frozen=True)
class UnifierDue:
    """Which documents of Unifier are due.

    :param project_number: the shell; empty: company level.
    :param parent_path: path of the folder, from ``/``.
    :param date_field: label of the date, or its name and its label.
    :param recursive: whether the folders below count, too.
    :raises ConfigurationError: an argument is none of these.
    """

    project_number: str
    parent_path: str
    date_field: str | tuple[str, str]
    recursive: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.project_number, str):
            raise ConfigurationError(
                f"project_number is text, empty for the company level; not {self.project_number!r}."
            )
        if not isinstance(self.parent_path, str) or not self.parent_path.startswith("/"):
            raise ConfigurationError(f"parent_path is the path of a folder from '/', not {self.parent_path!r}.")
        given = self.date_field if isinstance(self.date_field, (tuple, list)) else ("name", self.date_field)
        if len(given) != 2 or not all(isinstance(text, str) and _plain(text) for text in given):
            raise ConfigurationError(
                "date_field is the label of a date as listings show it, such as 'Issue Date'; or its name and its "
                f"label, such as ('uuu_file_issue_date', 'Issue Date'); not {self.date_field!r}."
            )
        if not isinstance(self.recursive, bool):
            raise ConfigurationError(f"recursive is True or False, not {self.recursive!r}.")

    @property
    def name(self) -> str:
        """The date's name in uDesigner, which a search needs; empty if it is not known."""
        return "" if isinstance(self.date_field, str) else self.date_field[0]

    @property
    def label(self) -> str:
        """The date's label, under which rows show it."""
        return self.date_field if isinstance(self.date_field, str) else self.date_field[1]

    def due_list(self, hook: UnifierHook, bound: str) -> DueList:
        """Return what identifies the list, so that it can be read again before anything is deleted.

        :param bound: see :meth:`rows`.
        """
        date = self.date_field if isinstance(self.date_field, str) else list(self.date_field)
        asked = {"project_number": self.project_number, "parent_path": self.parent_path, "recursive": self.recursive}
        return DueList(hook.conn_id, hook.target, "", bound, system="unifier", query={**asked, "date_field": date})

    def rows(self, hook: UnifierHook, bound: str, naming: Naming = PLAIN) -> Iterator[Mapping[str, Any] | OddRow]:
        """Read all documents to the end; yield those that are surely due.

        :param hook: the client.
        :param bound: ISO 8601 in UTC, without offset.
        :param naming: how the path of a document that has no id stands in the evidence.
        :raises InvalidRecordsError: no document shows the date.
        :raises VendorError: a folder could not be read.
        """
        moment = datetime.fromisoformat(bound).replace(tzinfo=UTC)
        number = labelled = undated = 0
        labels: set[str] = set()
        for folder, node in self._searched(hook, moment) or self._walked(hook):
            if problem := self._problem(node):
                yield OddRow(node.node_id or naming.title(node.path) or "a node without a path", problem)
                continue
            number += 1
            labels.update(node.fields)
            value = self._date(node)
            labelled += value is not None
            due = latest(value) if value else None
            if not value:
                undated += 1
            elif due is None:
                yield OddRow(node.node_id, f"its {self.label} is no date that can be read")
            elif due < moment:
                yield self._row(folder, node, value, bound)
        if number and not labelled:
            shown = ", ".join(sorted(labels))
            raise InvalidRecordsError(
                f"None of the {number} documents below {self.parent_path} shows {self.label!r}; check date_field. They "
                f"show: {shown}."
            )
        if undated:
            log.info("%s documents without a %s are not due", undated, self.label)

    def _problem(self, node: Node) -> str:
        """Say why a row is no document of this shell; empty if it is one."""
        if not node.node_id:
            return "Unifier lists it without a node id"
        if node.type != "Document":
            return f"Unifier lists it as {node.type or 'something of no type'}, not as a document"
        if node.project_number and node.project_number != self.project_number:
            return f"Unifier lists it in another shell, {node.project_number}"
        return ""

    def _date(self, node: Node) -> str | None:
        """Return the text of the date, empty if the document has none; None if the row does not show it."""
        wanted = {_plain(self.label), _plain(self.name)} - {""}
        return next((value for label, value in node.fields.items() if _plain(label) in wanted), None)

    def _searched(self, hook: UnifierHook, moment: datetime) -> Found | None:
        """Find the documents with one search; None if it surely or possibly does not show all of them."""
        if not (self.name and self.recursive):
            return None
        until = (moment + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
        term = {"name": self.name, "label": self.label, "value": _FIRST, "value2": until, "comparator": "range"}
        try:
            nodes = hook.search_nodes(self.project_number, self.parent_path, [term])
        except _NO_SEARCH as error:
            log.info("The search below %s cannot be used; the folders are listed. %s", self.parent_path, error)
            return None
        if any(self._date(node) is None or not node.path for node in nodes):
            log.info("The search does not show %s or the folders; the folders are listed.", self.label)
            return None
        top = self.parent_path.rstrip("/")
        if not any(not node.path.rpartition("/")[0].endswith(top) for node in nodes) and self._list(hook, "Folder"):
            # It is not documented whether a search looks into the folders below.
            log.info("The search shows nothing of the folders below %s; they are listed.", self.parent_path)
            return None
        return iter([("", node) for node in nodes])

    def _walked(self, hook: UnifierHook) -> Found:
        """List the folder, and those below it."""
        left, known = [""], {""}
        while left:
            folder = left.pop()
            kind = None if self.recursive else "Document"
            for node in hook.list_nodes(folder, node_type=kind) if folder else self._list(hook, kind):
                if node.type != "Folder" or not node.node_id:
                    yield folder, node
                elif node.node_id not in known:
                    known.add(node.node_id)
                    left.append(node.node_id)

    def _list(self, hook: UnifierHook, kind: str | None) -> list[Node]:
        return hook.list_nodes(project_number=self.project_number, parent_path=self.parent_path, node_type=kind)

    def _row(self, folder: str, node: Node, date: str, bound: str) -> Mapping[str, Any]:
        parent = node.parent_node_id if NODE_ID.fullmatch(node.parent_node_id) else folder
        place = node.path.rpartition("/")[0] if node.path else "" if folder else self.parent_path
        origin = {"date_field": self.label, "due": date, "due_before": bound, "file_id": node.file_id}
        return {
            "key": node.node_id,
            "target_id": node.node_id,
            "title": node.name,
            "location": place or ("/" if node.path else None),
            "parent_id": parent or None,
            "attributes": {
                "project_number": self.project_number,
                **{name: value for name, value in origin.items() if value},
            },
        }


def _plain(label: str) -> str:
    """Return a label without what differs between forms: ``Upload Date`` and ``upload_date`` are one."""
    return "".join(sign for sign in label.casefold() if sign.isalnum())
