"""One item to dispose of, and its canonical form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.exceptions import InvalidRecordsError

_CONTROLS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")
_TEXTS = ("title", "classification", "location", "object_type_id", "parent_id")
_FIELDS = frozenset({"key", "target_id", "attributes", *_TEXTS})
_RENDERED_STARTS = ("[", "{", "(", "<", "LazyXComSequence(")
_RENDERED = ("none", "null", "nan", "undefined", "true", "false")
_LARGEST_NUMBER = 1024  # bits; Python refuses to write much longer ones


@dataclass(frozen=True, slots=True)
class Record:
    """One item to dispose of.

    :param key: the authority's unique key (Opus ``rowKey``).
    :param target_id: the id in the content system; the key if not given.
    :param title: what people call it.
    :param classification: the retention class (Opus ``termFullPath``).
    :param location: enaio: id of the parent it is filed under; Unifier: path of its folder.
    :param object_type_id: enaio object type.
    :param parent_id: Unifier: node id of its folder.
    :param attributes: anything else worth keeping as evidence; JSON.
    :param unrecognized: members of a list that this release does not know; they are written back as they are.
    """

    key: str
    target_id: str
    title: str | None = None
    classification: str | None = None
    location: str | None = None
    object_type_id: str | None = None
    parent_id: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    unrecognized: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_item(cls, item: object) -> Record:
        """Make a record from an id or a mapping of its fields.

        :raises InvalidRecordsError: the item names no record; the message says why.
        """
        if isinstance(item, Record):
            known = {name: value for name, value in item.to_dict().items() if name in _FIELDS}
            return cls._from_mapping(known, _attributes, item.unrecognized)
        if not isinstance(item, Mapping):
            key = _refuse_rendered(_identifier("id", item))
            return cls(key, key)
        return cls._from_mapping(item, _attributes)

    @classmethod
    def parse(cls, line: bytes) -> Record:
        """Read a line of a manifest and check it.

        :raises InvalidRecordsError: it is not what :meth:`line` writes.
        """
        try:
            fields = msgspec.json.decode(line)
            unrecognized = (
                {} if fields.keys() <= _FIELDS else {name: fields.pop(name) for name in fields.keys() - _FIELDS}
            )
            # What was read from JSON is JSON, and nobody else can change it.
            record = cls._from_mapping(fields, lambda _, value: value or {}, unrecognized)
            if record.line() == line:
                return record
        except (msgspec.MsgspecError, ValueError, TypeError, AttributeError, RecursionError):  # 0.19: no ValueError
            pass
        raise InvalidRecordsError("This is no record in canonical form.")

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Record:
        """Read what :meth:`to_dict` wrote, of a list whose bytes are known to be unchanged.

        :raises TypeError: it has no key or no target id.
        """
        if fields.keys() <= _FIELDS:
            return cls(**fields)
        known = {name: value for name, value in fields.items() if name in _FIELDS}
        return cls(**known, unrecognized={name: fields[name] for name in fields.keys() - _FIELDS})

    @classmethod
    def _from_mapping(
        cls,
        item: Mapping[str, Any],
        attributes: Callable[[str, Any], dict[str, Any]],
        unrecognized: Mapping[str, Any] | None = None,
    ) -> Record:
        if not item.keys() <= _FIELDS:
            unknown = ", ".join(sorted(str(name) for name in item.keys() - _FIELDS))
            raise InvalidRecordsError(
                f"A record has no field {unknown}; it has key, target_id, {', '.join(_TEXTS)} "
                "and attributes (for everything else)."
            )
        key = _identifier("key", item.get("key"))
        texts = {name: _text(key, name, item[name]) for name in _TEXTS if name in item}
        target = item.get("target_id")
        target = key if target is None else _identifier("target_id", target)
        return cls(
            key, target, **texts, attributes=attributes(key, item.get("attributes")), unrecognized=unrecognized or {}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON, without what is empty."""
        fields: dict[str, Any] = {**self.unrecognized, "key": self.key, "target_id": self.target_id}
        fields |= {name: value for name in _TEXTS if (value := getattr(self, name)) is not None}
        if self.attributes:
            fields["attributes"] = dict(self.attributes)
        return fields

    def line(self) -> bytes:
        """Return the record as one line of a manifest."""
        return canonical(self.to_dict()) + b"\n"


def _identifier(name: str, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _LARGEST_NUMBER:
        return str(value)
    if not isinstance(value, str):
        raise InvalidRecordsError(f"A record's {name} must be text or a whole number, not {type(value).__name__}.")
    if not value or value != value.strip() or _CONTROLS.search(value):
        raise InvalidRecordsError(
            f"A record's {name} is empty, or has blanks around it or control characters: {value!r}."
        )
    return value


def _refuse_rendered(text: str) -> str:
    if text.startswith(_RENDERED_STARTS) or text.lower() in _RENDERED:
        raise InvalidRecordsError(
            f"{text!r} is a rendered value, not an id. Pass the upstream task's .output instead of a Jinja text."
        )
    return text


def _text(key: str, name: str, value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _LARGEST_NUMBER:
        return str(value)
    if not isinstance(value, str):
        raise InvalidRecordsError(f"Record {key!r}: {name} must be text, not {type(value).__name__}.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRecordsError(f"Record {key!r}: {name} is no valid Unicode text.") from None
    return value


def _attributes(key: str, value: object) -> dict[str, Any]:
    """Return a copy that nobody else can change, and that is read back from a list as it is."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidRecordsError(f"Record {key!r}: attributes must be a mapping, not {type(value).__name__}.")
    try:
        given = dict(value)
        copy: dict[str, Any] = json.loads(canonical(given))
        if copy == given:
            return copy
        problem = "names must be text, and lists be lists"
    except (TypeError, ValueError, RecursionError) as error:
        problem = str(error)
    raise InvalidRecordsError(f"Record {key!r}: attributes must be JSON ({problem}).")
