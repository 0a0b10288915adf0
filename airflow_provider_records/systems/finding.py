"""What a later look at a record that was disposed of shows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from airflow_provider_records.evidence.outcome import Outcome
from airflow_provider_records.evidence.record import Record


class State(StrEnum):
    """Where a record is now."""

    GONE = "gone"
    BACK = "back"
    UNSEEN = "cannot be looked up"


@dataclass(frozen=True)
class Claim:
    """What a certificate says of one record that is gone.

    :param system: ``enaio``, ``unifier`` or ``opus``.
    :param conn_id: the connection that it was disposed of through.
    :param record: the record.
    :param outcome: ``destroyed``, ``recycled`` or ``absent``, and how that is known.
    """

    system: str
    conn_id: str
    record: Record
    outcome: Outcome


@dataclass(frozen=True)
class Finding:
    """What a look at one record showed.

    :param claim: what the certificate says.
    :param state: where the record is now.
    :param why: where it was found, or why it cannot be looked up.
    :param failed: the system should have answered and did not.
    """

    claim: Claim
    state: State
    why: str = ""
    failed: bool = False


Key = TypeVar("Key", bound=Hashable)
Question = tuple[Sequence[Claim], Callable[[], list[Finding]]]
"""Records, and one look that finds them all."""


def _grouped(claims: Iterable[Claim], key: Callable[[Claim], Key]) -> dict[Key, list[Claim]]:
    groups: dict[Key, list[Claim]] = {}
    for claim in claims:
        groups.setdefault(key(claim), []).append(claim)
    return groups
