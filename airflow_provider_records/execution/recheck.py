"""The look before each chunk: is what was approved still approved, still due, and not on hold?

Between the approval and the deletion lie days, and a long disposal lasts hours. So each chunk is checked shortly
before it is sent. A check returns the outcomes of records that must not be sent, or raises an error that stops the
sending. It never allows anything: that the gate has done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.due_reading import DueReadings
from airflow_provider_records.evidence.folders import rejections_folder
from airflow_provider_records.evidence.hold import HoldRegister, key_hash
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ApprovalWithdrawnError, VendorError
from airflow_provider_records.systems.base import ApprovalSource

_UNREAD = "whether it is still approved could not be found out"


class Check(Protocol):
    """One check of a chunk."""

    def __call__(self, records: Sequence[Record], /) -> Mapping[str, Outcome]:
        """Return the outcomes of the records that must not be sent, by key.

        :raises RecordsError: nothing more may be sent.
        """


@runtime_checkable
class KnowsNewest(Protocol):
    """A check that may learn something of records while it checks others."""

    def newest(self, records: Sequence[Record], /) -> Mapping[str, Outcome]:
        """Return the outcomes of records that must not be sent after all, by key; asks nobody.

        :param records: records that were checked before.
        """

    @property
    def age(self) -> float:
        """Seconds since that was found out by which the last check of this thread was made; 0: it asked itself."""


class Recheck:
    """All checks of a task, in their order; the first that bars a record gives its outcome.

    :param checks: the checks.
    """

    def __init__(self, checks: Iterable[Check]) -> None:
        self._checks = list(checks)
        self._newest = [check for check in self._checks if isinstance(check, KnowsNewest)]

    def __call__(self, records: Sequence[Record]) -> dict[str, Outcome]:
        """Return the outcomes of the records that must not be sent, by key.

        :raises RecordsError: nothing more may be sent.
        """
        barred: dict[str, Outcome] = {}
        for check in self._checks:
            if left := [record for record in records if record.key not in barred]:
                barred |= check(left)
        return barred

    def newest(self, records: Sequence[Record]) -> dict[str, Outcome]:
        """Return the outcomes of records that must not be sent by what checks of others have shown, by key."""
        return {key: outcome for check in self._newest for key, outcome in check.newest(records).items()}

    @property
    def age(self) -> float:
        """Seconds since the oldest of that was found out by which the last check of this thread was made."""
        return max((check.age for check in self._newest), default=0.0)


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
            return _failed(records, error, _UNREAD)
        if isinstance(why, Mapping):
            return {
                key: Outcome(key, OutcomeKind.FAILED, reason=f"{_UNREAD}: {each}")
                if isinstance(each, VendorError)
                else Outcome(key, OutcomeKind.BLOCKED, reason=f"not approved any more: {each}")
                for key, each in why.items()
            }
        if why:
            raise ApprovalWithdrawnError(
                f"The approval was withdrawn: {why} Nothing more is deleted unless it is given again."
            )
        return {}


@dataclass(frozen=True)
class ReadableDueList:
    """A due list that can be read again.

    :param due_list: which one.
    :param title: what people call the system that lists.
    :param readings: its readings in this run.
    :param covers_all: whether every record of the task came from a due list.
    """

    due_list: DueList
    title: str
    readings: DueReadings
    covers_all: bool = True


class DueListCheck:
    """The due lists again that the records came from.

    :param lists: these lists. A record that names none came from the only one; of several, it is not known which.
    """

    def __init__(self, lists: Sequence[ReadableDueList]) -> None:
        self._lists = lists
        self._thread = threading.local()

    def __call__(self, records: Sequence[Record]) -> dict[str, Outcome]:
        """Bar what has left every list that it may have come from; as ``failed`` what cannot be found out.

        :raises VendorError: a list may not be read any more.
        """
        barred: dict[str, Outcome] = {}
        due: set[str] = set()
        self._thread.age = 0.0
        for each in self._lists:
            mine = [record for record in records if record.key not in due and self._may_be_of(each.due_list, record)]
            if not mine:
                continue
            try:
                due |= each.readings.listed({record.key for record in mine})
            except VendorError as error:
                barred |= _failed(mine, error, "whether it is still due could not be found out")
                continue
            self._thread.age = max(self._thread.age, each.readings.age)
            for record in mine:
                barred.setdefault(record.key, _not_due(record.key, each))
        return {key: outcome for key, outcome in barred.items() if key not in due}

    def newest(self, records: Sequence[Record]) -> dict[str, Outcome]:
        """Bar what has left every list that it may have come from, as readings for other records showed."""
        barred: dict[str, Outcome] = {}
        due: set[str] = set()
        for each in self._lists:
            mine = {record.key for record in records if self._may_be_of(each.due_list, record)}
            left = each.readings.left(mine)
            due |= mine - left
            barred |= {key: _not_due(key, each) for key in left}
        return {key: outcome for key, outcome in barred.items() if key not in due}

    @property
    def age(self) -> float:
        """Seconds since the end of the oldest reading by which the last check of this thread was made."""
        return float(getattr(self._thread, "age", 0.0))

    def _may_be_of(self, due_list: DueList, record: Record) -> bool:
        if len(self._lists) == 1 and "due_before" not in record.attributes:
            return self._lists[0].covers_all
        return due_list.may_list(record.attributes)


def _not_due(key: str, of: ReadableDueList) -> Outcome:
    return Outcome(key, OutcomeKind.BLOCKED, reason=f"not due in {of.title} any more")


def _failed(records: Sequence[Record], error: VendorError, problem: str) -> dict[str, Outcome]:
    """Return the outcomes of records that another try may send; an error that no retry cures is raised."""
    if not error.retry:
        raise error
    return {record.key: Outcome(record.key, OutcomeKind.FAILED, reason=f"{problem}: {error}") for record in records}
