"""What the other rooms ask of a content system or a records management system."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Protocol, Self, runtime_checkable

from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.summary import SystemDescription
from airflow_provider_records.exceptions import VendorError
from airflow_provider_records.systems.finding import GoneRecord, Probe


class System(Protocol):
    """What the runner asks of a system.

    All methods are called from many threads at once, except ``prepare``. They raise the typed errors of
    :mod:`airflow_provider_records.exceptions`. If they do not raise, they return one item for every record of the
    batch, in the order of the batch.

    ``name`` is the short name that the evidence uses, ``batch_size`` the number of records that one call takes.
    """

    name: str
    batch_size: int

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        """Do once what all calls of a try need, before the first of them; refuse here what must not be started.

        :param records: the records that have no final outcome yet.
        :param observed_before: keys that earlier tries observed before they called.
        :return: keys that were observed now; the journal keeps them for later tries.
        """

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> Sequence[Outcome | None]:
        """Send one call for the batch.

        :param batch: at most ``batch_size`` records.
        :param unanswered: keys for which an earlier call of ours got no response.
        :return: outcomes; None where the response does not tell whether the call took effect. A VendorError says
            that of the whole batch; one that says that nothing was done makes the whole batch ``failed``. One that is
            gone without a proof waits for ``verify``, and is ``unknown`` if that does not prove it; one that
            is absent is ``failed`` then.
        """

    def resolve_unanswered(self, batch: Sequence[Record]) -> Sequence[Outcome | None]:
        """Probe what became of records whose call got no response.

        :param batch: at most ``batch_size`` records.
        :return: outcomes; None where the record is still there and may be sent again. Where the system cannot tell:
            an outcome ``unknown``.
        """

    def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> Sequence[Outcome]:
        """Probe records after their calls were answered, once for the calls of a chunk.

        :param batch: records with what the answers say: gone, proven by the response, or not proven yet. There may be
            more of them than ``batch_size``.
        :return: each outcome with a stronger proof, corrected, or as it was if the probe tells nothing.
        :raises VendorError: the system cannot be asked; all outcomes stay as they were.
        """


@runtime_checkable
class ObservesChunks(Protocol):
    """What the runner asks in addition of a system whose ``prepare`` does not observe the records."""

    def observe(self, records: Sequence[Record]) -> Set[str]:
        """Look at the records of a few calls shortly before their intents are published.

        :param records: records that have no final outcome yet; calls of earlier tries cannot take effect any more.
        :return: keys that were observed; the journal keeps them for later tries. The system itself remembers what it
            did not observe, and sends nothing for it.
        :raises VendorError: no call can succeed.
        """


@runtime_checkable
class LooksInBatches(ObservesChunks, Protocol):
    """What the runner asks of a system whose look at many records costs no more than that at one.

    ``look_size`` is the number of records that one look takes best. ``canaries`` are ids of objects that are alive and
    not on the list, by which the system tells that it sees anything at all; the journal keeps them for later tries.
    """

    look_size: int
    canaries: list[str]

    def arrange(self, records: Sequence[Record]) -> Sequence[Sequence[Record]]:
        """Return the records in groups; all calls of a group have ended before those of the next one begin.

        :param records: the records that have no final outcome yet, after ``prepare``.
        :raises VendorError: no call can succeed.
        """

    def not_there(self, records: Sequence[Record]) -> Set[str]:
        """Return which of these records the last ``observe`` did not find anywhere, while it saw others.

        :param records: records that were observed.
        """

    def other_objects(self, records: Sequence[Record]) -> Set[str]:
        """Return of which of these records the last ``observe`` found another object than the one that was approved.

        :param records: records that were observed.
        """

    def unseen(self, records: Sequence[Record]) -> Set[str]:
        """Return which of these records the last ``observe`` did not find where they were, whatever else it saw.

        :param records: records that were observed.
        """

    def unproven(self, records: Sequence[Record]) -> Set[str]:
        """Return which of these records, which :meth:`unseen` names, may be where they were for all that anybody knows.

        Nothing shows then that the account sees anything there.

        :param records: records that were observed.
        :raises VendorError: no call can succeed.
        """

    def foresee(self, records: Sequence[Record]) -> Sequence[Outcome | None]:
        """Return the outcomes of records that would not be sent after the last ``observe``; None: it would be sent.

        :param records: records that were observed.
        :raises VendorError: no call can succeed.
        """


@runtime_checkable
class RemembersRecords(Protocol):
    """A system that keeps something of each record that it has looked at or called for."""

    def forget(self, records: Sequence[Record]) -> None:
        """Let go of it, so that memory does not grow with the list.

        :param records: records with a final outcome; nothing more is asked about them in this try.
        """


@runtime_checkable
class MayListRemoved(Protocol):
    """A system whose lists may go on showing what was removed.

    There a list that shows a record after an unanswered call does not prove that the call had no effect.
    """

    may_list_removed: bool


@runtime_checkable
class KnowsByAnswer(Protocol):
    """A system where the answer to a call may be all that says that a record is not there.

    An account that sees nothing gets the same answer for every record, and so does one at another archive.
    """

    def disbelieved(self, records: Sequence[Record], *, removed: bool) -> Mapping[str, str]:
        """Return why such answers prove nothing, by key; a record of which one does prove it is left out.

        :param records: records that were called not there, and that no look showed before.
        :param removed: another record was removed by a call of this try.
        :raises VendorError: no other request can succeed either.
        """


A_FEW_MARKED = 20
"""Number of marked records that tell whether a list goes on showing such ones."""


def shows_removal(left: int, stayed: int) -> bool:
    """Tell whether a list that may go on showing what is marked seems not to do so.

    :param left: number of records that have left it after calls which got no response.
    :param stayed: number of records that are still on it after such calls.
    """
    return left >= 4 * max(1, stayed)


@runtime_checkable
class KnowsMarked(Protocol):
    """A system that asks which records are marked, to tell whether its list goes on showing such ones.

    ``marked_before`` are the keys of a few records that an earlier try observed, and then marked: what the system said
    to that; or what has left its list, if :func:`shows_removal`.
    """

    marked_before: Set[str]


class ApprovalSource(Protocol):
    """Where an approval was given: it can be read again, since an approval is withdrawn there too."""

    def withdrawn(self, records: Sequence[Record]) -> str | Mapping[str, str | VendorError]:
        """Return in a sentence why the source does not approve the list any more; empty: it does.

        Where the rest may go on without single records: by key, why it does not approve these any more, or why it
        cannot be read for these.

        :param records: some records of the approved list.
        :raises VendorError: the source cannot be read, which says nothing about the approval.
        """

    def stop(self) -> None:
        """End all sending and waiting; may be called from a signal handler."""


class RegisteredSystem(System, Protocol):
    """What a class of :data:`airflow_provider_records.systems.SYSTEMS` offers besides."""

    @classmethod
    def from_connection(cls, conn_id: str) -> Self:
        """Return the system behind an Airflow connection, to look back; the connection itself is read later.

        :param conn_id: id of the connection.
        """

    @property
    def max_concurrency(self) -> int:
        """The number of requests that the connection allows at the same time.

        :raises ConfigurationError: the connection has a wrong field.
        """

    @property
    def target(self) -> str:
        """Where the connection leads, see ``VendorHook.target``."""

    def describe(self) -> SystemDescription:
        """Return what the system says of itself, as it is set up here; sends no request."""

    def look_back(self, claims: Sequence[GoneRecord]) -> Iterator[Probe]:
        """Return probes that together show where all these records are now; they change nothing.

        :param claims: what the evidence says of records of this system.
        """


def outcome_from_error(
    record: Record,
    kind: OutcomeKind,
    reason: str,
    error: VendorError,
    *,
    proof: Proof | None = Proof.RESPONSE,
    unanswered: bool = False,
) -> Outcome:
    """Return an outcome that rests on an error response.

    :param record: the record.
    :param kind: what became of it.
    :param reason: why, in words.
    :param error: the response; its request id and detail are kept.
    :param proof: None: the response proves nothing.
    :param unanswered: the call may still have taken effect.
    """
    return Outcome(
        record.key, kind, proof, reason, request_id=error.request_id, detail=error.detail, unanswered=unanswered
    )
