"""Unifier's responses as typed values, and the envelope around them; nothing is assumed of their shape."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_records.client.hook import Response, Token
from airflow_provider_records.exceptions import UnreadableAnswerError

NODE_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9-]+", re.ASCII)
_VISIBLE = re.compile(r"[!-~]([ -~]*[!-~])?", re.ASCII)


@dataclass(frozen=True)
class DeletedDocument:
    """A document that Unifier has moved to its recycle bin.

    :param node_id: the node that was deleted.
    :param request_id: Unifier's ``rest_audit_id``, if it was sent.
    :param message: Unifier's own text.
    """

    node_id: str
    request_id: str | None
    message: str


@dataclass(frozen=True)
class Node:
    """A document or folder of the document manager; what the response leaves out is empty text.

    :param node_id: what deletes it; not the same number as ``file_id``. Empty: its row could not be read.
    :param parent_node_id: its folder.
    :param path: its path, name included.
    :param name: its name.
    :param type: ``Document`` or ``Folder``.
    :param file_id: what downloads it.
    :param project_number: its shell; empty: company level, or not told.
    :param fields: all that the row shows as text, by the labels that it shows.
    """

    node_id: str
    parent_node_id: str
    path: str
    name: str
    type: str
    file_id: str
    project_number: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def folder(self) -> str:
        """The path without the name, which may hold a slash; empty at the top, or if there is no path."""
        name = f"/{self.name}"
        return self.path.removesuffix(name) if self.path.endswith(name) else self.path.rpartition("/")[0]

    def shows_the_same_as(self, other: Node) -> bool:
        """Tell whether another row shows nothing else."""
        return self == other and self.fields == other.fields

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Node:
        """Read one row; its keys are display labels, and the one of the name varies.

        :return: its ``node_id`` is empty if it cannot be read. Without the row its document would seem to be gone.
        """
        node_id, path = text_of(row.get("node_id")), text_of(row.get("node_path"))
        if not NODE_ID.fullmatch(node_id):
            node_id = ""
        name = text_of(row.get("Name")) or text_of(row.get("file_name")) or path.rpartition("/")[2]
        others = {key: text_of(row.get(key)) for key in ("parent_node_id", "type", "file_id")}
        return cls(
            node_id,
            path=path,
            name=name,
            project_number=text_of(row.get("projectnumber")),
            **others,
            fields={key: text_of(value) for key, value in row.items()},
        )


@dataclass(frozen=True)
class Shell:
    """A shell or project.

    :param project_number: its number.
    :param status: ``Active``, ``Inactive``, ``View-Only``, ``On-Hold``; empty if the response leaves it out.
    :param type: its type; empty if the response leaves it out.
    """

    project_number: str
    status: str
    type: str


@dataclass(frozen=True)
class Envelope:
    """The one form of all responses: ``{"data": ..., "message": ..., "status": <int>}``.

    :param body: the whole object, for the logins that have no ``data``.
    :param status: Unifier's number, or None if it cannot be read.
    :param message: all texts of ``message``, whatever its shape.
    :param request_id: ``rest_audit_id``, from the top or from ``message``.
    """

    body: Mapping[str, Any]
    status: int | None
    message: str
    request_id: str | None

    @property
    def data(self) -> object:
        return self.body.get("data")

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """Return the rows of a listing.

        :raises UnreadableAnswerError: ``data`` is no list of objects.
        """
        if not isinstance(self.data, list) or not all(isinstance(row, dict) for row in self.data):
            raise UnreadableAnswerError("Unifier's data is no list of objects.")
        return self.data

    @classmethod
    def from_json(cls, response: Response) -> Envelope | None:
        """Read a response; None if it is no JSON object, alone or in an array of one."""
        try:
            body = response.json()
        except UnreadableAnswerError:
            return None
        if isinstance(body, list) and len(body) == 1:
            body = body[0]
        if not isinstance(body, dict):
            return None
        texts: list[str] = []
        request_id = text_of(body.get("rest_audit_id"))
        left = [body.get("message")]
        while left:
            item = left.pop()
            if isinstance(item, list):
                left.extend(reversed(item))
            elif isinstance(item, dict):
                request_id = request_id or text_of(item.get("rest_audit_id"))
                left.append(item.get("message"))
            else:
                texts.append(text_of(item))
        message = response.redact(" ".join(text for text in texts if text))[:500]
        return cls(body, _status(body.get("status")), message, response.redact(request_id)[:200] or None)


def _status(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and _NUMBER.fullmatch(value.strip()) else None


def text_of(value: object) -> str:
    """Return text or a number as text, anything else as empty text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value).encode("utf-8", "replace").decode().strip()


def token_of(envelope: Envelope) -> Token | None:
    """Find the token: flat, or in ``data``, under either of its names."""
    data = envelope.data[0] if isinstance(envelope.data, list) and len(envelope.data) == 1 else envelope.data
    for place in (envelope.body, data):
        if not isinstance(place, dict):
            continue
        for name in ("access_token", "token"):
            value = place.get(name)
            if isinstance(value, str) and _VISIBLE.fullmatch(value):
                return Token(value, _seconds(place.get("expires_in")), _headers(place.get("request_headers")))
    return None


def _seconds(value: object) -> float | None:
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < math.inf else None


def _headers(value: object) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else ()
    found = {str(name): text_of(item) for name, item in pairs}
    return {name: item for name, item in found.items() if _HEADER.fullmatch(name) and _VISIBLE.fullmatch(item)}
