"""What a look must show of an object to be the one that was approved: ``expect=`` of the deleting operators."""

from __future__ import annotations

from airflow_provider_records.evidence.names import Naming
from airflow_provider_records.evidence.record import Record

OTHER = "not the object that was approved"
_RECORD_FIELDS = frozenset({"key", "target_id", "title", "classification", "location", "object_type_id", "parent_id"})


def said(record: Record, name: str) -> str:
    """Return what a record says: its field, else its attribute; empty if it says nothing.

    :param name: name of the field or attribute.
    """
    value = getattr(record, name) if name in _RECORD_FIELDS else record.attributes.get(name)
    return text_of(value)


def differs(what: str, record: Record, source: str, found: str, naming: Naming) -> str | None:
    """Return why an object is another one than was approved; None if the value that the DAG names is the same.

    :param what: the field of the system.
    :param source: the field or attribute of the record that it must equal.
    :param found: its value now, without blanks around it.
    :param naming: how titles and people stand on the list.
    """
    approved = said(record, source)
    if approved in {found, naming.value(source, found)}:
        return None
    return other(what, naming.value(source, approved), naming.value(source, found))


def other(what: str, approved: str, found: str) -> str:
    """Return why an object is another one.

    :param what: the field that differs.
    :param approved: its value on the list.
    :param found: its value now.
    """
    return f"{OTHER}: {what} is {found!r}, on the list {approved!r}"


def is_other(why: object) -> bool:
    """Tell whether this is why an object is another one.

    :param why: what keeps an object from being deleted, if anything does.
    """
    return isinstance(why, str) and OTHER in why


def is_source(name: object) -> bool:
    """Tell whether a DAG names a field or attribute of records."""
    return isinstance(name, str) and bool(name)


def text_of(value: object) -> str:
    """Return a value as text without blanks around it; empty for None."""
    return "" if value is None else str(value).strip()
