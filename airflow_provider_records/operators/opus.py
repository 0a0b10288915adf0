"""AvePoint Opus: list the records whose retention has ended, and mark records as Destroyed."""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_records.disposal.manifest import Manifest
from airflow_provider_records.disposal.outcome import Outcome, Proof, Result, now
from airflow_provider_records.disposal.record import Record
from airflow_provider_records.disposal.store import Store
from airflow_provider_records.exceptions import ConfigurationError, InvalidRecordsError, VendorError
from airflow_provider_records.hooks.opus import OpusHook, due_text
from airflow_provider_records.operators.base import DisposeOperator, evidence_store, hard_stops
from airflow_provider_records.operators.links import ListLink, list_url
from airflow_provider_records.operators.selection import Selection, manifest_reference

if TYPE_CHECKING:
    from airflow.sdk import Context

DueList = tuple[str, str]
"""Which due list a record was on: connector id, and the date it was asked with."""


class OpusSystem:
    """How Opus marks a record as Destroyed, and how far it can be asked afterwards.

    The only thing Opus shows is its due list, so a record is known to be marked after a lost answer only if
    it was listed before and is not listed any more (Opus API: connector records). A reading takes a request for
    each hundred records of the connector, so one serves all records whose last mark was over when it began.

    :param hook: the client.
    """

    name = "opus"
    batch_size = 15

    def __init__(self, hook: OpusHook) -> None:
        self.hook = hook
        self._seen: Set[str] = frozenset()
        self._lists: set[DueList] = set()
        self._keys: Set[str] = frozenset()
        self._readings: tuple[tuple[float, Set[str]], ...] = ()
        self._over: dict[str, float] = {}
        self._gate = threading.Condition()
        self._marking = 0
        self._reading = False

    def prepare(self, records: Sequence[Record], seen: Set[str]) -> Set[str]:
        """Read the due list before the first mark: what is on it now proves later that a mark took effect."""
        self._lists = {due_list for record in records if (due_list := self.due_list(record))}
        self._keys = {record.key for record in records}
        here = self._read() if self._lists else frozenset()
        self._seen = here | seen
        return here

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
        """Mark up to 15 records."""
        keys = [record.key for record in batch]
        with self._mark(keys):
            answer = self.hook.destroy_records(keys)
        listed = self._still_listed(answer.refused.keys() & unanswered)
        outcomes: list[Outcome | None] = []
        for record in batch:
            key = record.key
            if key in answer.refused and key in unanswered and key not in listed:
                reason = "Opus refuses it after an unanswered call of ours, which may have marked it"
                outcomes.append(Outcome(key, Result.UNKNOWN, reason=reason, detail=answer.refused[key]))
            elif key in answer.refused:
                reason = "refused by Opus: not approved, on hold, or not to be destroyed; look at it in Opus"
                outcomes.append(
                    Outcome(
                        key,
                        Result.BLOCKED,
                        Proof.RESPONSE,
                        reason,
                        request_id=answer.request_id,
                        detail=answer.refused[key],
                    )
                )
            elif key in answer.destroyed:
                outcomes.append(Outcome(key, Result.DESTROYED, Proof.RESPONSE, request_id=answer.request_id))
            else:
                outcomes.append(None)
        return outcomes

    def settle(self, batch: Sequence[Record]) -> list[Outcome | None]:
        """Look at the due list after a lost answer."""
        keys = {record.key for record in batch}
        here = self._look(keys) if self._lists else frozenset()
        outcomes: list[Outcome | None] = []
        for record in batch:
            key = record.key
            if key in here:
                outcomes.append(None)
            elif self.due_list(record) is None:
                reason = "the mark went unanswered, and without a connector id Opus cannot be asked about it"
                outcomes.append(Outcome(key, Result.UNKNOWN, reason=reason, time=now()))
            elif key in self._seen:
                reason = "the mark went unanswered; the record has left the due list since"
                outcomes.append(Outcome(key, Result.DESTROYED, Proof.INFERRED, reason, time=now()))
            else:
                reason = "the mark went unanswered, and the record was not on the due list before either"
                outcomes.append(Outcome(key, Result.UNKNOWN, reason=reason, time=now()))
        return outcomes

    def verify(self, record: Record, outcome: Outcome) -> Outcome:
        """Opus cannot be asked about a single record."""
        return outcome

    def due_list(self, record: Record) -> DueList | None:
        """Return the due list that a record is looked for on, or None if no connector is known."""
        connector = record.attributes.get("connector_id") or self.hook.connector_id
        if not isinstance(connector, str):
            return None
        due_before = record.attributes.get("due_before")
        return connector, due_before if isinstance(due_before, str) else now()[:19]

    def _read(self) -> Set[str]:
        return {
            row.row_key
            for connector_id, due_before in sorted(self._lists)
            for row in self.hook.iter_due_records(connector_id, due_before)
            if row.row_key in self._keys
        }

    def _still_listed(self, refused: Set[str]) -> Set[str]:
        """Return what is refused though an earlier call of ours did not mark it: it is due even now."""
        try:
            return self._look(refused) if refused and self._lists else frozenset()
        except VendorError:
            return frozenset()

    def _look(self, keys: Set[str]) -> Set[str]:
        """Return which records are on the due list, as read while no mark of ours is in the air.

        A list that shrinks while it is read may skip records, and a skipped record would be taken for a
        destroyed one; so a record counts as gone only if two readings in a row do not show it.
        """
        asked = time.monotonic()
        here = self._known(keys, asked)
        if here is None:
            with self._quiet():
                while (here := self._known(keys, asked)) is None:
                    begun = time.monotonic()
                    self._readings = (*self._readings[-1:], (begun, self._read()))
        return here

    def _known(self, keys: Set[str], asked: float) -> Set[str] | None:
        """Return which records are on the due list; None if the last two readings do not tell.

        Only one that began after the last mark of each record was over tells, or at least after ``asked``: the
        runner asks when no earlier call can take effect any more.
        """
        since = min(asked, max(self._over.get(key, -math.inf) for key in keys))
        told = [listed for begun, listed in self._readings if begun >= since]
        here = frozenset[str]().union(*told) & keys
        return here if here == keys or len(told) > 1 else None

    @contextmanager
    def _mark(self, keys: Iterable[str]) -> Iterator[None]:
        with self._gate:
            self._gate.wait_for(lambda: not self._reading)
            self._marking += 1
        lasts = 2 * self.hook.settings.timeout  # without an answer: to connect, and to be answered
        try:
            yield
            lasts = 0.0
        finally:
            with self._gate:
                self._over |= dict.fromkeys(keys, time.monotonic() + lasts)
                self._marking -= 1
                self._gate.notify_all()

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        with self._gate:
            self._gate.wait_for(lambda: not self._reading)
            self._reading = True
            self._gate.wait_for(lambda: not self._marking)
        try:
            yield
        finally:
            with self._gate:
                self._reading = False
                self._gate.notify_all()


class OpusDestroyRecordsOperator(DisposeOperator):
    """Mark records as Destroyed in Opus, in batches of at most 15.

    Nothing in Opus deletes content: run it after the content was destroyed where it lives. A record that Opus
    refuses (not approved, held) becomes ``blocked``; Opus has no call that shows why.

    :param records: see :class:`~airflow_provider_records.operators.base.DisposeOperator`; usually the disposal
        reference of the deleting task.
    :param accept: which outcomes of that disposal count: ``destroyed``, ``recycled``, ``absent``.
    :param opus_conn_id: connection of type ``opus``.
    """

    template_fields: Sequence[str] = (*DisposeOperator.template_fields, "opus_conn_id")
    system_name = "opus"

    def __init__(self, *, opus_conn_id: str = OpusHook.default_conn_name, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self.opus_conn_id = opus_conn_id

    @cached_property
    def hook(self) -> OpusHook:
        """The client."""
        return OpusHook(self.opus_conn_id)

    def system(self, selection: Selection) -> OpusSystem:
        """Return how Opus marks a record."""
        return OpusSystem(self.hook)


class OpusDueRecordsOperator(BaseOperator):
    """List the records whose retention has ended, and keep the list as a manifest.

    *Due* is not *approved*: the list must pass an approval before anything is deleted.

    :param due_before: records due earlier than this; ISO 8601 text or datetime. One with a time zone is
        converted to UTC; it is sent without offset, and a bound 12 hours or more in the past lists nothing
        early in any tenant's zone.
    :param connector_id: GUID of the Opus connector connection; None: the connection's.
    :param target_id_pattern: regular expression with one group that finds the content system's id in the
        ``rowKey``; it must match the whole key. None: the ``rowKey`` itself is the id.
    :param page_size: records a page, 1 to 100.
    :param opus_conn_id: connection of type ``opus``.
    :return: a manifest reference.
    :raises AirflowFailException: an argument or the connection is wrong, or a key does not match the pattern.
    """

    template_fields: Sequence[str] = ("due_before", "connector_id", "opus_conn_id")
    operator_extra_links = (ListLink(),)

    def __init__(
        self,
        *,
        due_before: datetime | str,
        connector_id: str | None = None,
        target_id_pattern: str | None = None,
        page_size: int = 100,
        opus_conn_id: str = OpusHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.due_before = due_before
        self.connector_id = connector_id
        self.target_id_pattern = target_id_pattern
        self.page_size = page_size
        self.opus_conn_id = opus_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the whole due list; see the class."""
        with hard_stops():
            manifest = due_manifest(
                OpusHook(self.opus_conn_id),
                evidence_store(),
                due_before=self.due_before,
                connector_id=self.connector_id,
                target_id_pattern=self.target_id_pattern,
                page_size=self.page_size,
            )
        self.listed = manifest.digest
        ti = context["ti"]
        where = list_url(manifest.digest, ti.dag_id, ti.run_id)
        self.log.info("%s records are due before %s: %s, %s", manifest.count, self.due_before, manifest.digest, where)
        return manifest_reference(manifest)


def due_manifest(
    hook: OpusHook,
    store: Store,
    *,
    due_before: datetime | str,
    connector_id: str | None,
    target_id_pattern: str | None,
    page_size: int,
) -> Manifest:
    """Read the due list to its end and write it as a manifest; any error leaves no manifest.

    :raises ConfigurationError: an argument or the connection is wrong.
    :raises InvalidRecordsError: a key does not match the pattern, or comes twice with different fields.
    :raises VendorError: Opus did not answer the whole list.
    """
    pattern = _compiled(target_id_pattern)
    connector = hook.due_connector(connector_id)
    asked = due_text(due_before)

    def records() -> Iterator[dict[str, Any]]:
        for row in hook.iter_due_records(connector, asked, page_size):
            target = row.row_key
            if pattern is not None:
                if (match := pattern.fullmatch(row.row_key)) is None or not match.group(1):
                    raise InvalidRecordsError(
                        f"Record {row.row_key!r} does not match target_id_pattern {pattern.pattern!r}; "
                        "no list was made. Correct the pattern, or list another connector."
                    )
                target = match.group(1)
            origin = {
                "connector_id": connector,
                "due_before": asked,
                "created": row.time_created,
                "created_by": row.created_by,
                "modified": row.time_modified,
                "modified_by": row.modified_by,
            }
            yield {
                "key": row.row_key,
                "target_id": target,
                "title": row.leaf_name,
                "classification": row.term_full_path,
                "attributes": {name: value for name, value in origin.items() if value},
            }

    return Manifest.write(store, records())


def _compiled(pattern: object) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    if not isinstance(pattern, str):
        raise ConfigurationError(f"target_id_pattern must be a regular expression as text, not {pattern!r}.")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(f"target_id_pattern {pattern!r} is no regular expression: {error}.") from None
    if compiled.groups != 1:
        raise ConfigurationError(
            f"target_id_pattern {pattern!r} must have exactly one group, it has {compiled.groups}."
        )
    return compiled
