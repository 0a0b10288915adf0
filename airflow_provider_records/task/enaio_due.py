"""The due list of enaio: one search over an object type, written as a manifest."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_records.evidence.dates import latest
from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.set_aside import OddRow
from airflow_provider_records.exceptions import ConfigurationError, InvalidRecordsError
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.enaio_responses import MODIFIED, EnaioObject

log = logging.getLogger(__name__)

_ASKED = ("object_type", "due_field", "where", "key_field")
_WORD = re.compile(r"[^\W\d]\w*")
_FIELD = re.compile(r"(system:)?[^\W\d]\w*")
_TEXT = re.compile(r"'(?:[^']|'')*'")
_BEYOND = re.compile(r"\b(or|order|select|union|from)\b|[;@']|--|/\*", re.IGNORECASE)


@dataclass(frozen=True)
class EnaioDue:
    """Which objects of enaio are due.

    :param object_type: internal name of the object type.
    :param due_field: the date that has to be earlier than the bound.
    :param where: further conditions, joined by AND; None: none.
    :param title_field: field with the title; None: no title.
    :param key_field: field with the record's key; None: the object id is the key.
    :param page_size: objects a page.
    :raises ConfigurationError: an argument is none of these.
    """

    object_type: str
    due_field: str
    where: str | None = None
    title_field: str | None = None
    key_field: str | None = None
    page_size: int = 200

    def __post_init__(self) -> None:
        if not isinstance(self.object_type, str) or not _WORD.fullmatch(self.object_type):
            raise ConfigurationError(f"object_type is the internal name of an object type, not {self.object_type!r}.")
        for name in ("due_field", "title_field", "key_field"):
            value = getattr(self, name)
            if value is None and name != "due_field":
                continue
            if not isinstance(value, str) or not _FIELD.fullmatch(value):
                raise ConfigurationError(
                    f"{name} is the internal name of an index field, or of a system field such as "
                    f"system:OBJECT_RETENTION, not {value!r}."
                )
        if self.where is not None and (not isinstance(self.where, str) or not self.where.strip()):
            raise ConfigurationError(f"where is text such as Disposal='approved', or None; not {self.where!r}.")
        if self.where is not None and (found := _BEYOND.search(_TEXT.sub("", self.where))):
            raise ConfigurationError(
                f"where is conditions joined by AND, such as Disposal='approved' AND Site IN ('A', 'B'); it must not "
                f"hold {found.group()!r} outside of quoted text."
            )
        if isinstance(self.page_size, bool) or not isinstance(self.page_size, int) or self.page_size < 1:
            raise ConfigurationError(f"page_size must be a whole number of at least 1, not {self.page_size!r}.")

    @property
    def statement(self) -> str:
        """The search; ``@due`` is its bound."""
        wanted = ["system:objectId", MODIFIED, self.due_field, self.title_field, self.key_field]
        fields = ", ".join(dict.fromkeys(name for name in wanted if name))
        conditions = " AND ".join([f"{self.due_field}<@due", *([self.where.strip()] if self.where else [])])
        return f"SELECT {fields} FROM {self.object_type} WHERE {conditions} ORDER BY system:objectId"  # noqa: S608

    def due_list(self, hook: EnaioHook, bound: str) -> DueList:
        """Return what identifies the list, so that it can be read again before anything is deleted.

        :param bound: see :meth:`rows`.
        """
        asked = {name: value for name in _ASKED if (value := getattr(self, name)) is not None}
        return DueList(hook.conn_id, hook.target, "", bound, system="enaio", query=asked)

    def rows(self, hook: EnaioHook, bound: str) -> Iterator[Mapping[str, Any] | OddRow]:
        """Search to the end; yield the objects that are surely due.

        enaio does not say how it compares dates, so it is asked for the whole day of the bound, and each date is
        compared here.

        :param hook: the client.
        :param bound: ISO 8601 in UTC, without offset.
        :raises InvalidRecordsError: no object that is found shows a date.
        :raises VendorError: the search could not be read to its end.
        """
        moment = datetime.fromisoformat(bound).replace(tzinfo=UTC)
        day = (moment + timedelta(days=1, microseconds=-1)).date().isoformat()
        found = undated = 0
        for item in hook.search(self.statement, {"due": day}, page_size=self.page_size):
            found += 1
            value = item.fields.get(self.due_field, "").strip()
            due = latest(value)
            if not value:
                undated += 1
            elif due is None:
                yield OddRow(item.object_id, f"its {self.due_field} is no date that can be read")
            elif due < moment:
                yield self._row(item, bound)
        if undated:
            if undated == found:
                raise InvalidRecordsError(
                    f"None of the {found} objects that enaio lists shows {self.due_field}; check due_field, and the "
                    "account's right to see it."
                )
            log.info("%s objects without a %s are not due", undated, self.due_field)

    def _row(self, item: EnaioObject, bound: str) -> Mapping[str, Any]:
        origin = {
            "object_type": self.object_type,
            "last_modified": item.fields.get(MODIFIED, ""),
            "due_field": self.due_field,
            "due": item.fields[self.due_field],
            "due_before": bound,
        }
        return {
            "key": item.fields.get(self.key_field, "") if self.key_field else item.object_id,
            "target_id": item.object_id,
            "title": item.fields.get(self.title_field, "") if self.title_field else None,
            "object_type_id": item.object_type_id,
            "attributes": {name: value for name, value in origin.items() if value},
        }
