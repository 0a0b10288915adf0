"""enaio's responses as typed values: objects, places, error codes, and the service's version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_records.client.response import Response
from airflow_provider_records.exceptions import (
    NotFoundError,
    RefusedError,
    ServerError,
    StopError,
    UnreadableAnswerError,
    VendorError,
    WrongAddressError,
)

Version = tuple[int, int, int]
Place = tuple[Mapping[str, Any], ...]

KIND_OF_CODE: Mapping[str | None, type[VendorError]] = {
    "1001": NotFoundError,
    "1100": RefusedError,
    "3003": ServerError,
}
KIND_OF_STATUS: Mapping[int, type[VendorError]] = {
    400: RefusedError,
    404: NotFoundError,
    405: WrongAddressError,
    409: RefusedError,
    423: RefusedError,
    500: ServerError,
}
ADVICE: Mapping[type[VendorError], str] = {
    NotFoundError: "it is not there, or this account may not see it",
    RefusedError: "refused; check the account's rights, what the object still holds, locks and running workflows",
    ServerError: "the service reports an error of its own; its server log holds the cause",
    WrongAddressError: "there is no such method; check host and api_prefix",
    StopError: "the service does not accept this request",
}


CHANGED = "changed"
"""Names when each object was changed last, by object id, in what a look at an approving field found."""

MODIFIED = "system:lastModificationDate"
"""The field with the time of an object's last change; an index field that is set is one."""


@dataclass(frozen=True)
class EnaioObject:
    """A folder, register or document, as far as the service shows it.

    :param object_id: digits.
    :param object_type_id: digits, or empty if the service does not say.
    :param base_type: ``FOLDER``, ``REGISTER``, ``DOCUMENT``, or empty; always upper case here.
    :param fields: system fields (``system:...``) and index fields by their internal names; a missing value is
        an empty text, and what is no text is given as JSON text.
    :param permissions: per action what it is granted for, e.g. ``{"delete": ("metadata", "object")}``; None if
        the service did not say.
    """

    object_id: str
    object_type_id: str
    base_type: str
    fields: Mapping[str, str]
    permissions: Mapping[str, tuple[str, ...]] | None = None
    type_name: str = ""

    @classmethod
    def from_json(cls, item: object) -> EnaioObject:
        """Read one entry of ``objects``.

        :raises ValueError: it is not what the vendor describes.
        """
        properties = typed(typed(item, dict).get("properties"), dict)
        fields = {
            name: value if type(value := typed(entry, dict).get("value")) is str else _text(value)
            for name, entry in properties.items()
        }
        object_id = fields.get("system:objectId", "")
        if not (object_id.isascii() and object_id.isdigit()):
            raise ValueError("no object id")
        return cls(
            object_id=object_id,
            object_type_id=fields.get("system:objectTypeId", ""),
            base_type=fields.get("system:baseTypeId", "").upper(),
            fields=fields,
            permissions=_permissions(typed(item, dict).get("permissions")),
            type_name=_text(properties.get("system:objectTypeId", {}).get("localName")),
        )


@dataclass(frozen=True)
class Page:
    """One page of a list of objects.

    :param objects: the objects of this page.
    :param more: whether more pages follow; None if the service did not say.
    :param total: how many objects there are on all pages, if the service says so.
    """

    objects: list[EnaioObject]
    more: bool | None
    total: int | None

    @classmethod
    def from_json(cls, body: object) -> Page:
        """Read the envelope that GET and search share.

        :raises ValueError: it is not what the vendor describes.
        """
        envelope = typed(body, dict)
        objects = [EnaioObject.from_json(item) for item in typed(envelope.get("objects"), list)]
        if typed(envelope.get("numItems", len(objects)), int) != len(objects):
            raise ValueError("numItems is not the number of objects")
        more, total = envelope.get("hasMoreItems"), envelope.get("totalNumItems")
        return cls(
            objects,
            None if more is None else typed(more, bool),
            None if total is None else typed(total, int),
        )


def typed(value: Any, kind: type) -> Any:  # noqa: ANN401
    """Return a value of a response if it has the JSON type that the vendor describes.

    :raises ValueError: it has another one.
    """
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"not of type {kind.__name__}")
    return value


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _permissions(value: object) -> Mapping[str, tuple[str, ...]] | None:
    """Return None for another shape than the one that was observed: the vendor does not describe it."""
    if not isinstance(value, dict) or not all(isinstance(granted, list) for granted in value.values()):
        return None
    return {action: tuple(str(item) for item in granted) for action, granted in value.items()}


def places(body: object) -> list[Place]:
    """Return the path to every leaf of a tree, or of several (in a list, or below ``objects``).

    Each step comes as it is, without its ``children``.

    :raises ValueError: it is no tree.
    """
    trees = body.get("objects", body) if isinstance(body, dict) else body
    return [path for tree in (trees if isinstance(trees, list) else [trees]) for path in _paths(tree)]


def _paths(tree: object) -> Iterator[Place]:
    node = typed(tree, dict)
    step = {name: value for name, value in node.items() if name != "children"}
    children = typed(node.get("children") or [], list)
    for child in children:
        for path in _paths(child):
            yield (step, *path)
    if not children:
        yield (step,)


def error_code(response: Response) -> str | None:
    """Return enaio's own code from an error body, whose shape the vendor does not publish.

    Shorter numbers are not its codes: gateways write the HTTP status into ``code``.
    """
    try:
        body = response.json()
    except UnreadableAnswerError:
        return None
    for name in ("serviceErrorCode", "errorCode", "code"):
        code = body.get(name) if isinstance(body, dict) else None
        if isinstance(code, (str, int)) and re.fullmatch(r"[0-9]{4,6}", str(code)):
            return str(code)
    return None


def version_in(response: Response) -> Version | None:
    """Find the service's ``x.y.z``: under the outermost keys "version", else in the text; None if ambiguous."""
    try:
        level = [response.json()]
    except UnreadableAnswerError:
        return None
    while level:
        level = [item for item in level if isinstance(item, dict)]
        named = {
            found for item in level if isinstance(item.get("version"), str) for found in _versions(item["version"])
        }
        if named:
            return named.pop() if len(named) == 1 else None
        level = [child for item in level for child in item.values()]
    written = set(_versions(response.text))
    return written.pop() if len(written) == 1 else None


def _versions(text: str) -> list[Version]:
    found = re.findall(r"(?<![\d.])(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)", text)
    return [(int(major), int(minor), int(patch)) for major, minor, patch in found]
