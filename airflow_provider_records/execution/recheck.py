"""The look before each chunk: is what was approved still approved, still due, and not on hold?

Between the approval and the deletion lie days, and a long disposal lasts hours. So each chunk is checked shortly
before it is sent. A check returns the outcomes of records that must not be sent, or raises an error that stops the
sending. It never allows anything: that the gate has done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, Protocol

from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.due_reading import DueReadings
from airflow_provider_records.evidence.folders import rejections_folder
from airflow_provider_records.evidence.hold import HoldRegister, key_hash
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ApprovalWithdrawnError, VendorError
from airflow_provider_records.systems.base import ApprovalSource


class Check(Protocol):
    """One check of a chunk."""

    def __call__(self, records: Sequence[Record], /) -> Mapping[str, Outcome]:
        """Return the outcomes of the records that must not be sent, by key.

        :raises RecordsError: nothing more may be sent.
        """


class Recheck:
    """All checks of a task, in their order; the first that bars a record gives its outcome.

    :param checks: the checks.
    """

    def __init__(self, checks: Iterable[Check]) -> None:
        self._checks = list(checks)

    def __call__(self, records: Sequence[Record]) -> dict[str, Outcome]:
        """Return the outcomes of the records that must not be sent, by key.

        :raises RecordsError: nothing more may be sent.
        """
        barred: dict[str, Outcome] = {}
        for check in self._checks:
            if left := [record for record in records if record.key not in barred]:
                barred |= check(left)
        return barred


class HoldCheck:
    """The register of holds, and the keys that the task itself names.

    :param register: the register.
    :param named: hashes of the keys that ``holds=`` names.
    :param statement: the reason of a record that one of these keeps.
    """

    def __init__(self, register: HoldRegister, named: Set[str] = frozenset(), statement: str = "") -> None:
        self._register = register
        self._named = named
        self._statement = statement

    def __call__(self, records: Sequence[Record]) -> dict[str, Outcome]:
        """Bar what is on hold, by key or target id."""
        reasons = {key: hold.statement for key, hold in self._register.of(records).items()}
        for record in records if self._named else ():
            if not self._named.isdisjoint((key_hash(record.key), key_hash(record.target_id))):
                reasons.setdefault(record.key, self._statement)
        return {key: Outcome(key, OutcomeKind.BLOCKED, reason=reason) for key, reason in reasons.items()}


class RejectionCheck:
    """The decision again, as soon as somebody has rejected a list in one of these runs.

    :param store: the evidence store.
    :param runs: DAG id and run id of this run, and of those that approved.
    :param authorize: asks the gate again; it raises if the list may not be carried out any more.
    """

    def __init__(self, store: Store, runs: Iterable[tuple[str, str]], authorize: Callable[[], object]) -> None:
        self._store = store
        self._folders = sorted({rejections_folder(*run) for run in runs})
        self._authorize = authorize
        self._known: Set[str] | None = None

    def __call__(self, _: Sequence[Record]) -> dict[str, Outcome]:
        """Bar nothing.

        :raises ApprovalError: the list was rejected meanwhile.
        """
        found = {name for folder in self._folders for name in self._store.names(folder)}
        if found != self._known:
            self._authorize()
            self._known = found
        return {}


class SourceCheck:
    """The source of an approval again: it is withdrawn when the source can be read and does not approve any more.

    :param source: the source; its client waits and asks again while it cannot be reached.
    """

    def __init__(self, source: ApprovalSource) -> None:
        self._source = source

    def __call__(self, records: Sequence[Record]) -> dict[str, Outcome]:
        """Bar what a source that withholds single records does not approve any more, and all if it cannot be read.

        :raises ApprovalWithdrawnError: the approval is withdrawn.
        :raises VendorError: the source refuses to be read.
        """
        try:
            why = self._source.withdrawn(records)
        except VendorError as error:
            return _failed(records, error, "whether it is still approved could not be found out")
        if isinstance(why, Mapping):
            reasons = {key: f"not approved any more: {text}" for key, text in why.items()}
            return {key: Outcome(key, OutcomeKind.BLOCKED, reason=reason) for key, reason in reasons.items()}
        if why:
            raise ApprovalWithdrawnError(f"The approval was withdrawn: {why} Nothing more is deleted in this run.")
        return {}


class DueListCheck:
    """The due list again that the records came from.

    :param due_list: the due list.
    :param readings: its readings in this run.
    :param only: it is the only one that the records came from, so that a record need not name it.
    """

    def __init__(self, due_list: DueList, readings: DueReadings, *, only: bool) -> None:
        self._due_list = due_list
        self._readings = readings
        self._only = only

    def __call__(self, records: Sequence[Record]) -> dict[str, Outcome]:
        """Bar what has left the list; as ``failed`` what cannot be found out.

        :raises VendorError: the list may not be read any more.
        """
        mine = [record for record in records if self._names(record.attributes)]
        if not mine:
            return {}
        try:
            listed = self._readings.listed({record.key for record in mine})
        except VendorError as error:
            return _failed(mine, error, "whether it is still due could not be found out")
        reason = "not due in Opus any more"
        return {
            record.key: Outcome(record.key, OutcomeKind.BLOCKED, reason=reason)
            for record in mine
            if record.key not in listed
        }

    def _names(self, attributes: Mapping[str, Any]) -> bool:
        named = (attributes.get("connector_id"), attributes.get("due_before"))
        return named == (self._due_list.connector_id, self._due_list.due_before) or (self._only and named[0] is None)


def _failed(records: Sequence[Record], error: VendorError, problem: str) -> dict[str, Outcome]:
    """Return the outcomes of records that another try may send; an error that no retry cures is raised."""
    if not error.retry:
        raise error
    return {record.key: Outcome(record.key, OutcomeKind.FAILED, reason=f"{problem}: {error}") for record in records}
