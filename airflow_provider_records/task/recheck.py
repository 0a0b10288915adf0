"""Which checks a disposing task makes before each chunk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.evidence.authorization import Authorization
from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.due_reading import DueReadings
from airflow_provider_records.evidence.folders import due_lists_folder
from airflow_provider_records.evidence.hold import HoldRegister
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.execution.recheck import (
    Check,
    DueListCheck,
    HoldCheck,
    ReadableDueList,
    RejectionCheck,
    SourceCheck,
)
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.systems import approval_source
from airflow_provider_records.task.context import signing_key
from airflow_provider_records.task.enaio_due import EnaioDue
from airflow_provider_records.task.holds import NamedHolds
from airflow_provider_records.task.unifier_due import UnifierDue

log = logging.getLogger(__name__)


class Rechecks:
    """The checks of one task instance, and their clients, which end with it.

    :param store: the evidence store.
    :param origin: which task instance.
    """

    def __init__(self, store: Store, origin: Provenance) -> None:
        self._store = store
        self._origin = origin
        self._stopped = threading.Event()
        self._clients: list[Callable[[], object]] = []
        self._readings: list[DueReadings] = []

    def end(self) -> None:
        """End all that the checks still do, and return when it has ended; nothing is checked any more."""
        self.stop()
        for readings in self._readings:
            readings.join()

    def stop(self) -> None:
        """End all waiting of the checks; may be called from a signal handler."""
        self._stopped.set()
        for stop in self._clients:
            stop()

    def always(self, named: NamedHolds, authorization: Authorization, authorize: Callable[[], object]) -> list[Check]:
        """Return the checks that every disposal makes: rejections and holds.

        :param named: what the task itself holds.
        :param authorization: what the gate allowed.
        :param authorize: asks the gate again.
        """
        runs = {(order.dag_id, order.run_id) for order in self._orders(authorization)}
        runs.add((self._origin.dag_id, self._origin.run_id))
        return [RejectionCheck(self._store, runs, authorize), self.holds(named)]

    def holds(self, named: NamedHolds) -> HoldCheck:
        """Return the check of what is on hold.

        :param named: what ``holds=`` names.
        """
        return HoldCheck(HoldRegister(self._store, signing_key()), named.hashes, named.statement)

    def sources(self, authorization: Authorization) -> Iterator[Check]:
        """Return the checks of where the approvals come from, as far as that can be read again.

        :param authorization: what the gate allowed.
        :raises ConfigurationError: a connection is wrong.
        """
        originals = {original.uri: original for original in authorization.originals}
        for original in originals.values():
            if source := approval_source(original.digest, original.source):
                self._clients.append(source.stop)
                yield SourceCheck(source)

    def due_lists(
        self,
        authorization: Authorization,
        referenced: Sequence[DueList | None],
        *,
        system: str,
        records: int,
    ) -> Iterator[Check]:
        """Return the check of the due lists that the records came from; none if they came from none.

        :param authorization: what the gate allowed; its orders name the due list.
        :param referenced: what the reference of the records names, where nobody approved them.
        :param system: short name of the system that the task calls. Its calls change a list of the same system, and a
            list that shrinks while it is read skips records; so such a list is not read ahead.
        :param records: number of records that have no outcome yet.
        :raises ConfigurationError: a connection is wrong, or leads elsewhere than when the list was read.
        """
        ordered = [order.due_list for order in self._orders(authorization)]
        known = [each for each in dict.fromkeys([*ordered, *referenced]) if each is not None]
        covers_all = None not in ordered and (len(referenced) == 1 or None not in referenced)
        if found := [
            self._readable(each, 0 if each.system == system else records, covers_all=covers_all) for each in known
        ]:
            yield DueListCheck(found)

    def _readable(self, due_list: DueList, records: int, *, covers_all: bool) -> ReadableDueList:
        if (lister := LISTERS.get(due_list.system)) is None:
            raise ConfigurationError(f"This release cannot read a due list of {due_list.system!r} again.")
        hook = lister.hook(due_list.conn_id)
        self._clients.append(partial(setattr, hook, "stopping", True))
        if hook.target != due_list.target:
            raise ConfigurationError(
                f"The connection {due_list.conn_id} leads to {hook.target}, but the due list was read from "
                f"{due_list.target}. Nothing was deleted."
            )

        def read() -> Iterator[str]:
            log.info("Reading the due list of %s again", lister.title)
            return lister.keys(hook, due_list)

        folder = due_lists_folder(self._origin.dag_id, self._origin.run_id)
        readings = DueReadings(self._store, folder, due_list, read, stopped=self._stopped, records=records)
        self._readings.append(readings)
        return ReadableDueList(due_list, lister.title, readings, covers_all)

    def _orders(self, authorization: Authorization) -> list[Order]:
        return [Order.read(self._store, digest) for digest in {each.order for each in authorization.originals}]


@dataclass(frozen=True)
class Lister:
    """A system whose due lists can be read again.

    :param title: what people call it.
    :param hook: its client.
    :param keys: reads a due list to its end and returns the keys of the records on it.
    """

    title: str
    hook: Callable[[str], VendorHook]
    keys: Callable[[Any, DueList], Iterator[str]]


def _keys_of(due: EnaioDue | UnifierDue, hook: Any, due_list: DueList) -> Iterator[str]:  # noqa: ANN401
    return (str(row["key"]) for row in due.rows(hook, due_list.due_before) if isinstance(row, Mapping))


LISTERS: Mapping[str, Lister] = {
    "opus": Lister(
        "Opus",
        OpusHook,
        lambda hook, asked: (row.row_key for row in hook.iter_due_records(asked.connector_id, asked.due_before)),
    ),
    "enaio": Lister("enaio", EnaioHook, lambda hook, asked: _keys_of(EnaioDue(**asked.query), hook, asked)),
    "unifier": Lister("Unifier", UnifierHook, lambda hook, asked: _keys_of(UnifierDue(**asked.query), hook, asked)),
}
"""The systems that list what is due, by short name."""
