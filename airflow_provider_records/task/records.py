"""What ``records=`` may be, and which approved lists its records come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest
from typing import Any

from airflow_provider_records.evidence import titles
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.authorization import Authorization, Authorizer, Claim, Execution
from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.files import StoredFiles
from airflow_provider_records.evidence.manifest import Manifest, key_of
from airflow_provider_records.evidence.order import Order, spend
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.reference import DisposalReference, ManifestReference
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, Provenance
from airflow_provider_records.exceptions import ConfigurationError, EvidenceError, InvalidRecordsError
from airflow_provider_records.task.context import approval_key
from airflow_provider_records.task.titles import keep_titles

_EXPECTED = (
    "records= takes a manifest or disposal reference (an upstream task's .output), a list of ids or of record "
    "mappings, or one id"
)


@dataclass(frozen=True)
class Selection:
    """The records that ``records=`` names.

    :param manifest: exactly these records.
    :param approved: digests of the lists that they are said to come from: the manifest itself, or longer lists.
    :param approvals: the approvals that are said to be for these lists.
    :param follows: the disposals whose outcomes chose the records.
    :param due_lists: the due lists that its parts came from; None among them: a part was given otherwise.
    :param set_aside: number of odd rows that the tasks which made the lists set aside.
    :param on_hold: number of records that these tasks left out because they are on hold.
    """

    manifest: Manifest
    approved: Sequence[str]
    approvals: Sequence[Approval] = ()
    follows: Sequence[Disposal] = ()
    due_lists: Sequence[DueList | None] = (None,)
    set_aside: int = 0
    on_hold: int = 0

    @property
    def due_list(self) -> DueList | None:
        """The due list that the records came from; None if they were given otherwise, or if earlier orders name it.

        :raises InvalidRecordsError: they came from several, and nobody has approved them yet.
        """
        if len(self.due_lists) == 1:
            return self.due_lists[0]
        if self.approvals:
            return None
        raise InvalidRecordsError(
            "The records come from different due lists, and an order names one. Have each list approved by a step of "
            "its own."
        )

    @property
    def made_by(self) -> dict[str, Any]:
        """What a reference keeps of the tasks that made the list, as members of it.

        :raises InvalidRecordsError: see :attr:`due_list`.
        """
        return {"due_list": self.due_list, "set_aside": self.set_aside, "on_hold": self.on_hold}

    def authorize(
        self,
        *,
        approval_required: bool,
        min_approvals: int = 1,
        dry_run: bool = False,
        execution: Execution | None = None,
        min_wait: timedelta = timedelta(),
    ) -> Authorization:
        """Check that these records may be handed on, or be disposed of.

        :param approval_required: False: approvals may be missing; those that are there must be right.
        :param min_approvals: distinct approvers that each approved list needs.
        :param dry_run: True if nothing is sent.
        :param execution: where and when they are disposed of; None: they are only handed on.
        :param min_wait: time that must have passed since the last approval.
        Where ``[records] signing_key_file`` is set, each approval must be signed with that key.

        :raises ConfigurationError: that key cannot be read.
        :raises ApprovalError: see `Authorizer.authorize`.
        :raises EvidenceError: see `Authorizer.authorize`.
        """
        claim = Claim(
            self.manifest.digest,
            self.approved,
            self.approvals,
            execution,
            min_approvals,
            approval_required,
            dry_run,
            min_wait,
            approval_key(),
        )
        return Authorizer(StoredFiles(self.manifest.store, [self.manifest])).authorize(claim)

    def spend(self, dag_id: str, run_id: str) -> None:
        """State that a run carries out the orders of other DAGs among its approvals; no other run may then.

        :raises ApprovalError: another run has begun with one of them.
        """
        store = self.manifest.store
        for digest in dict.fromkeys(approval.order for approval in self.approvals):
            if Order.read(store, digest).dag_id != dag_id:
                spend(store, digest, dag_id, run_id)


def resolve(
    records: object,
    store: Store,
    accept: Iterable[str] = (OutcomeKind.DESTROYED,),
    *,
    marks: bool = False,
    shown_by: Provenance | None = None,
) -> Selection:
    """Turn ``records=`` into a list in the store. Sends no request and checks no approval.

    :param records: see the module.
    :param accept: of a disposal reference: the outcomes whose records count.
    :param marks: take in addition what an earlier run destroyed and nobody has marked since; what it recycled, if
        ``accept`` names that.
    :param shown_by: the task that shows the list to reviewers, who need the titles of records that are given here.
    :raises InvalidRecordsError: the value is not one that ``records=`` takes.
    :raises EvidenceError: a file that a reference points to is missing or was changed.
    """
    accepted = accepted_results(accept)
    earlier = (accepted | {OutcomeKind.DESTROYED}) if marks else frozenset[OutcomeKind]()
    if isinstance(records, Mapping):
        return _referenced(records, store, accepted, earlier)
    if isinstance(records, (str, int)) and not isinstance(records, bool):
        records = [Record.from_item(records)]
    if not isinstance(records, Sequence) or isinstance(records, (str, bytes, bytearray, memoryview)):
        raise InvalidRecordsError(
            f"{_EXPECTED}; it got {type(records).__name__}. "
            + ("Did the upstream task run and return something?" if records is None else "")
        )
    items: list[object] = list(records)
    references = [item for item in items if isinstance(item, Mapping) and ("manifest" in item or "disposal" in item)]
    if references and len(references) == len(items):
        return _joined([_referenced(item, store, accepted, earlier) for item in references], store)
    manifest = Manifest.write(store, (store.naming.record(Record.from_item(item)) for item in items))
    if shown_by is not None:
        given = map(Record.from_item, items)
        keep_titles(store, shown_by, manifest.digest, (titles.line(store.naming.record(each), each) for each in given))
    return Selection(manifest, [manifest.digest])


def accepted_results(accept: Iterable[str]) -> frozenset[OutcomeKind]:
    """Check ``accept``.

    :raises ConfigurationError: it names something other than outcomes after which a record is gone.
    """
    allowed = [str(kind) for kind in OutcomeKind if kind.gone]
    given = list(accept) if isinstance(accept, Iterable) and not isinstance(accept, str) else []
    if not given or any(kind not in allowed for kind in given):
        raise ConfigurationError(f"accept must be some of {allowed}, not {accept!r}.")
    return frozenset(OutcomeKind(kind) for kind in given)


def read_disposal(reference: object, store: Store) -> Disposal:
    """Read the disposal that a reference points to.

    :raises InvalidRecordsError: the value is not a disposal reference.
    :raises EvidenceError: the disposal is missing, changed, or does not fit the reference.
    """
    known = DisposalReference.from_dict(reference)
    disposal = Disposal.read(store, known.disposal)
    if (known.digest, known.manifest) != (disposal.digest, disposal.manifest):
        raise EvidenceError(f"{disposal.uri} is about another list than the reference that points to it.")
    return disposal


def _referenced(
    reference: Mapping[str, Any], store: Store, accept: frozenset[OutcomeKind], earlier: frozenset[OutcomeKind]
) -> Selection:
    if "disposal" in reference:
        return _accepted(read_disposal(reference, store), store, accept, earlier)
    known = ManifestReference.from_dict(reference)
    manifest = Manifest.open(store, known.digest, known.manifest)
    if known.count != manifest.count:
        raise EvidenceError(f"The reference says {known.count} records, {known.manifest} holds {manifest.count}.")
    approvals = [Approval.read(store, approval) for approval in known.approvals]
    return Selection(
        manifest,
        [manifest.digest],
        approvals,
        due_lists=[known.due_list],
        set_aside=known.set_aside,
        on_hold=known.on_hold,
    )


def _accepted(
    disposal: Disposal, store: Store, accept: frozenset[OutcomeKind], earlier: frozenset[OutcomeKind]
) -> Selection:
    whole = Manifest.open(store, disposal.digest, disposal.manifest)

    def lines() -> Iterator[bytes]:
        for line, outcome in zip_longest(whole.lines(), disposal.each_outcome(store)):
            if line is None or outcome is None or key_of(line) != outcome.key:
                raise EvidenceError(f"The outcomes of {disposal.uri} do not follow its list.")
            if outcome.kind in accept or outcome.earlier in earlier:
                yield line

    manifest = Manifest.cut(store, lines())
    approvals = [Approval.read(store, uri) for uri in disposal.approvals]
    due_lists = list(dict.fromkeys(Order.read(store, approval.order).due_list for approval in approvals)) or [None]
    return Selection(manifest, disposal.approved, approvals, [disposal], due_lists)


def _joined(parts: Sequence[Selection], store: Store) -> Selection:
    """Join the references of mapped tasks: their records one after the other, each under its own approvals."""
    manifest = Manifest.write(store, (record for part in parts for record in part.manifest))
    approved = dict.fromkeys(digest for part in parts for digest in part.approved)
    approvals = {approval.uri: approval for part in parts for approval in part.approvals}
    follows = [disposal for part in parts for disposal in part.follows] if all(part.follows for part in parts) else []
    due_lists = list(dict.fromkeys(due_list for part in parts for due_list in part.due_lists))
    set_aside, on_hold = sum(part.set_aside for part in parts), sum(part.on_hold for part in parts)
    return Selection(manifest, list(approved), list(approvals.values()), follows, due_lists, set_aside, on_hold)
