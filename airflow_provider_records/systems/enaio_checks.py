"""What a look at an enaio object must show before the object is deleted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Self

from airflow_provider_records.evidence.dates import latest
from airflow_provider_records.evidence.names import PLAIN, Naming
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.hooks.enaio_responses import MODIFIED, EnaioObject
from airflow_provider_records.systems.enaio_batch import LOCKED_BY, PLANNED_RETENTION, RETENTION
from airflow_provider_records.systems.expectation import differs, is_source, other, text_of

NO_HOLD = frozenset({"", "0", "false"})


@dataclass(frozen=True)
class ObjectChecks:
    """The checks that a DAG asks for, besides those that always hold.

    An object is compared with its record: its type (``object_type_id``, or the internal name in the attribute
    ``object_type``), and when it was changed last: as the last approving step that looked at it found it, else as the
    attribute ``last_modified`` says. What neither says is not compared.

    :param expect: index field of enaio by record field or attribute that it must equal.
    :param hold_fields: index fields that hold an object with any value but empty, 0 or false.
    :param retention_field: index field with the last day of the retention.
    :param changed: when objects were changed last as their approval found them, by object id.
    :param naming: how titles and people stand on the list, and in what is said of them.
    """

    expect: Mapping[str, str] = field(default_factory=dict)
    hold_fields: tuple[str, ...] = ()
    retention_field: str | None = None
    changed: Mapping[str, str] = field(default_factory=dict)
    naming: Naming = PLAIN

    @classmethod
    def from_dag(cls, expect: object, hold_fields: object, retention_field: object) -> Self:
        """Check what a DAG says.

        :raises ConfigurationError: it is no mapping, list or name of index fields; the message says which argument.
        """
        expect = {} if expect is None else expect
        if not isinstance(expect, Mapping) or not all(_is_field(name) and is_source(of) for name, of in expect.items()):
            raise ConfigurationError(
                f"expect must map index fields to a record's fields or attributes, not be {expect!r}."
            )
        if not isinstance(hold_fields, (list, tuple)) or not all(_is_field(name) for name in hold_fields):
            raise ConfigurationError(f"hold_fields must be a list of index fields, not {hold_fields!r}.")
        if retention_field is not None and not _is_field(retention_field):
            raise ConfigurationError(f"retention_field must be an index field, not {retention_field!r}.")
        return cls(dict(expect), tuple(hold_fields), None if retention_field is None else str(retention_field))

    @property
    def named(self) -> tuple[str, ...]:
        """All index fields that the DAG names."""
        return (*self.expect, *self.hold_fields, *([self.retention_field] if self.retention_field else []))

    def not_answered(self, shown: Iterable[EnaioObject]) -> str | None:
        """Return a field that the DAG names and no object of a type has; a single object may have no value for it.

        :param shown: what a look has shown.
        """
        answered: dict[str, set[str]] = {}
        for each in shown:
            answered.setdefault(each.object_type_id, set()).update(each.fields)
        return next((name for names in answered.values() for name in self.named if name not in names), None)

    def obstacle(self, record: Record, shown: EnaioObject, type_id: str = "") -> str | None:
        """Return why an object must not be deleted; None if nothing speaks against it.

        :param record: the record that was approved.
        :param shown: the object, as a look shows it.
        :param type_id: id of the type that the list names, where the look does not show the name of a type.
        """
        return self._other_object(record, shown, type_id) or self._held(shown) or self._retained(shown)

    def _other_object(self, record: Record, shown: EnaioObject, type_id: str) -> str | None:
        if record.object_type_id and shown.object_type_id and record.object_type_id != shown.object_type_id:
            return other("object type", record.object_type_id, shown.object_type_id)
        type_name = text_of(record.attributes.get("object_type"))
        if type_name and shown.type_name and type_name != shown.type_name:
            return other("object type", type_name, shown.type_name)
        if type_id and shown.object_type_id not in {"", type_id}:
            return other("object type", type_name, shown.object_type_id)
        for name, source in self.expect.items():
            if why := differs(name, record, source, shown.fields.get(name, "").strip(), self.naming):
                return why
        approved = self.last_change(record)
        found = shown.fields.get(MODIFIED, "")
        if approved and found and _moment(approved) != _moment(found):
            return other("last change", approved, found)
        return None

    def last_change(self, record: Record) -> str:
        """Return when an object was changed last as its approval, else the list, found it; empty: neither says so.

        :param record: the record that was approved.
        """
        return self.changed.get(record.target_id) or text_of(record.attributes.get("last_modified"))

    def _held(self, shown: EnaioObject) -> str | None:
        for name in self.hold_fields:
            if (value := shown.fields.get(name, "").strip()).lower() not in NO_HOLD:
                return f"held: {name} is {value!r}"
        if (by := shown.fields.get(LOCKED_BY, "").strip()) not in {"", "0"}:
            return f"locked by {self.naming.person(by)}"
        return None

    def _retained(self, shown: EnaioObject) -> str | None:
        today = datetime.now(UTC).date()
        for name in (*([self.retention_field] if self.retention_field else []), RETENTION, PLANNED_RETENTION):
            value = shown.fields.get(name, "").strip()
            if name != self.retention_field and value in NO_HOLD:
                continue
            last = _day(value)
            if last is None:
                said_so = f"is {value!r}, which is no date" if value else "is empty"
                return f"its retention is not known to have ended: {name} {said_so}"
            if last >= today:
                if name == self.retention_field:
                    return f"its retention has not ended: {name} is {value}"
                return f"its retention has not ended: enaio keeps it until {value}"
        return None


def _is_field(name: object) -> bool:
    """Tell whether a DAG names an index field; it stands in a statement, so it must be a plain word."""
    return isinstance(name, str) and re.fullmatch(r"[^\W\d][\w:]*", name) is not None


def _moment(text: str) -> datetime | str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@lru_cache(1024)  # the objects of a list have few different days, and many have none
def _day(text: str) -> date | None:
    for form in ("%Y-%m-%d", "%d.%m.%Y"):
        try:
            return datetime.strptime(text[:10], form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    moment = latest(text)
    return moment.date() if moment else None
