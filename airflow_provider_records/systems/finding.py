"""What a probe of disposed records shows later, see :mod:`airflow_provider_records.replay`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from airflow_provider_records.evidence.outcome import Outcome
from airflow_provider_records.evidence.record import Record


class Whereabouts(StrEnum):
    """Where a record is now."""

    GONE = "gone"
    BACK = "back"
    UNSEEN = "cannot be looked up"


@dataclass(frozen=True)
class GoneRecord:
    """What a certificate says of one record that is gone.

    :param system: the short name of the system, such as ``enaio``.
    :param title: what people call the system.
    :param conn_id: the connection through which the record was disposed of.
    :param record: the record.
    :param outcome: ``destroyed``, ``recycled`` or ``absent``, and how that is known.
    """

    system: str
    title: str
    conn_id: str
    record: Record
    outcome: Outcome


@dataclass(frozen=True)
class Finding:
    """Where one record is now.

    :param claim: what the certificate says.
    :param whereabouts: where the record is.
    :param detail: the place where it was found, or why it cannot be looked up.
    :param failed: True if a system could not be asked that should have answered.
    """

    claim: GoneRecord
    whereabouts: Whereabouts
    detail: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Probe:
    """One request, or few, that show where records are now.

    :param claims: the records that it looks for.
    :param send: sends the requests, and returns one finding a record.
    """

    claims: Sequence[GoneRecord]
    send: Callable[[], list[Finding]]


Key = TypeVar("Key", bound=Hashable)


def grouped(claims: Iterable[GoneRecord], key: Callable[[GoneRecord], Key]) -> dict[Key, list[GoneRecord]]:
    """Group claims, in their order."""
    groups: dict[Key, list[GoneRecord]] = {}
    for claim in claims:
        groups.setdefault(key(claim), []).append(claim)
    return groups
