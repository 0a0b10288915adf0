"""The one answer to "may exactly these records be disposed of?".

The gate asks before the first call of a task; the audit asks the same question afterwards, from files alone. Both state
what is carried out as a `Claim` and get the same `Authorization`, or the same error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.binding import Place
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.files import Files, Lines
from airflow_provider_records.evidence.names import is_hash
from airflow_provider_records.evidence.order import Order, refuse_spent
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.segment import INTENTS, OPEN, Segment
from airflow_provider_records.evidence.signature import VerificationKey
from airflow_provider_records.evidence.summary import Disposal, Provenance
from airflow_provider_records.exceptions import (
    ApprovalError,
    ApprovalLapsedError,
    EvidenceError,
    WaitingPeriodError,
)


@dataclass(frozen=True)
class Execution:
    """Where, how and when a list is carried out; the order of each approval must allow that.

    :param dag_id: the DAG that carries it out.
    :param run_id: its run.
    :param task_id: its task.
    :param place: system, target and method.
    :param begun: when the try began, ISO 8601 with a time zone; an approval must be valid then. For a list that marks
        what an earlier task of the run destroyed: when that one began.
    :param accept_approvals_from: ids of other DAGs whose orders count; of these only system, target and method are
        compared.
    :param over: True if the list was carried out already; then a rejection counts only if it came before ``begun``.
    """

    dag_id: str
    run_id: str
    task_id: str
    place: Place
    begun: str
    accept_approvals_from: Sequence[str] = ()
    over: bool = False


@dataclass(frozen=True)
class Claim:
    """What is carried out, and why that is said to be allowed.

    :param digest: digest of the list that is carried out.
    :param approved: digests of the lists that its records are said to come from: the list itself, or longer ones.
    :param approvals: the approvals that are said to be for these lists.
    :param min_approvals: distinct approvers that each of these lists needs, at least 1.
    :param approval_required: False if the DAG says ``require_approval=False``.
    :param dry_run: True if nothing is sent; a rehearsal needs no approval.
    :param execution: where and when the list is carried out; None: it is only handed on, and the task that carries it
        out will ask again.
    :param min_wait: time that must have passed since the last approval.
    :param key: the key that must have signed each approval, or the one that it rests on; None: none need be signed.
        A rejection counts without a signature: it only stops.
    """

    digest: str
    approved: Sequence[str]
    approvals: Sequence[Approval]
    execution: Execution | None = None
    min_approvals: int = 1
    approval_required: bool = True
    dry_run: bool = False
    min_wait: timedelta = timedelta()
    key: VerificationKey | None = None

    @classmethod
    def from_disposal(cls, disposal: Disposal, files: Files, begun: str) -> Claim:
        """Return the claim that the summary of a disposal makes.

        :param begun: when the last try began that called for records of the list.
        :raises EvidenceError: an approval cannot be read, or the summary states an impossible ``min_approvals``.
        """
        needed = disposal.options.get("min_approvals", 1)
        if type(needed) is not int or needed < 1:
            raise EvidenceError(
                f"{disposal.uri} says that its task demanded {needed!r} approvals; that must be a whole number of at "
                "least 1."
            )
        seconds = disposal.options.get(MIN_WAIT, 0)
        if type(seconds) not in (int, float) or not seconds >= 0:
            raise EvidenceError(
                f"{disposal.uri} says that its task demanded a waiting period of {seconds!r} seconds; that must be a "
                "number of at least 0."
            )
        key = disposal.options.get(APPROVAL_KEY)
        accepted = disposal.options.get("accept_approvals_from", [])
        if not isinstance(accepted, list):
            raise EvidenceError(f"{disposal.uri} does not say as a list whose approvals its task accepted.")
        by = disposal.provenance
        return cls(
            execution=Execution(by.dag_id, by.run_id, by.task_id, disposal.place, begun, accepted, over=True),
            digest=disposal.digest,
            approved=disposal.approved,
            approvals=[files.approval(uri) for uri in disposal.approvals],
            min_approvals=needed,
            approval_required=disposal.approval_required,
            dry_run=disposal.dry_run,
            min_wait=timedelta(seconds=seconds),
            key=None if key is None else VerificationKey.from_dict(key),
        )


@dataclass(frozen=True)
class Authorization:
    """The answer to a claim that is allowed.

    :param digest: digest of the list that may be carried out.
    :param approvals: all approvals of the claim.
    :param originals: for each of them, in the same order, the approval as a person gave it: the same one, or the
        one for the longer list that it rests on.
    :param withheld: by key, the approval of the person who withheld this record.
    :param journal_key: what the journal belongs to.
    """

    digest: str
    approvals: Sequence[Approval]
    originals: Sequence[Approval]
    withheld: Mapping[str, Approval]
    journal_key: str

    @property
    def own_approvals(self) -> list[Approval]:
        """The approvals for exactly this list, without those for the longer lists that it comes from."""
        return [approval for approval in self.approvals if approval.digest == self.digest]

    @property
    def own_originals(self) -> list[Approval]:
        """The own approvals as people gave them."""
        pairs = zip(self.approvals, self.originals, strict=True)
        return [original for approval, original in pairs if approval.digest == self.digest]

    def for_part(self, digest: str) -> list[Approval]:
        """Return the own approvals for a list that was cut from this one.

        :param digest: digest of the shorter list.
        """
        if digest == self.digest:
            return self.own_approvals
        return [for_part(original, digest) for original in self.own_originals]


class Authorizer:
    """Answers claims over the same files. An approval that several claims share is verified once.

    :param files: where lists and approvals are read from.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._originals: dict[str, Approval] = {}

    def authorize(self, claim: Claim) -> Authorization:
        """Check a claim.

        :raises ApprovalError: an approval is for another list or too few people approved, a record is on none of the
            approved lists, or a person who was asked withheld it; an order is of another DAG or run, or for another
            task, system, method or target; an approval is not signed with the key that is demanded.
        :raises ApprovalLapsedError: all that is right, and an approval has expired, or the list was rejected.
        :raises WaitingPeriodError: all that is right, and the waiting period has not passed yet.
        :raises EvidenceError: a file is missing, was changed, or is not what it should be.
        """
        listed = self._files.manifest(claim.digest)
        _check_for_these_lists(claim)
        originals = [self._original(approval) for approval in claim.approvals]
        if claim.key is not None:
            for original in originals:
                self._files.check_signed(original, claim.key)
        if list(claim.approved) != [claim.digest]:
            self._check_contained(claim.digest, claim.approved)
        withheld_by = {key: original for original in originals for key in original.withheld}
        _check_not_withheld(listed, withheld_by)
        if claim.approval_required and not claim.dry_run and len(listed):
            _check_enough(claim)
        if claim.execution is not None and len(listed):
            for approval in claim.approvals:
                self._check_ordered(approval, claim.execution, spends=not claim.dry_run)
            for approval in claim.approvals:
                _check_valid(approval, self._files.order(approval.order), claim.execution)
            self._check_not_rejected(claim, claim.execution, originals)
            if claim.min_wait and originals and not claim.dry_run:
                orders = {each.order: self._files.order(each.order) for each in originals}
                _check_waited(claim.min_wait, originals, orders, claim.execution)
        return Authorization(claim.digest, claim.approvals, originals, withheld_by, journal_key(claim.approved))

    def _original(self, approval: Approval) -> Approval:
        """Return an approval as a person gave it, verified against the lists that it names."""
        if approval.uri not in self._originals or not approval.uri:
            original = approval
            if approval.part_of:
                original = self._files.approval(str(approval.source.get("approval")))
                # The URI of the original is the one that it had then; a store can be moved.
                expected = replace(for_part(original, approval.digest), source=approval.source)
                if original.part_of or replace(approval, unrecognized={}) != expected:
                    raise ApprovalError(
                        f"The approval {approval.uri} does not fit the one that it rests on ({original.uri})."
                    )
                self._check_contained(approval.digest, [original.digest])
                original = self._original(original)
            ordered = self._files.order(original.order).digest
            if ordered != (original.shown or original.digest):
                raise ApprovalError(
                    f"The approval by {original.approver!r} is for the list {original.shown or original.digest}, its "
                    f"order for another one ({ordered})."
                )
            if original is approval and approval.shown:
                shown, left = (self._files.manifest(digest) for digest in (approval.shown, approval.digest))
                withheld.check(approval, shown.each_line(), left.each_line())
            self._originals[approval.uri] = original
        return self._originals[approval.uri]

    def _check_ordered(self, approval: Approval, execution: Execution, *, spends: bool) -> None:
        """Check that an approval allows what is carried out: here, by this task, in this system, by this method.

        :param spends: whether an order of another DAG is spent by this.
        """
        order, by = self._files.order(approval.order), f"The approval by {approval.approver!r}"
        own = order.dag_id == execution.dag_id
        if own and order.run_id != execution.run_id:
            raise ApprovalError(f"{by} was given in the run {order.run_id}, not in this one ({execution.run_id}).")
        if not own and order.dag_id not in execution.accept_approvals_from:
            raise ApprovalError(
                f"{by} was given in the DAG {order.dag_id}, not in this one ({execution.dag_id}); a task that may rely "
                "on it names that DAG in accept_approvals_from."
            )
        covered = [each for each in order.tasks if not own or each.task_id == execution.task_id]
        if not covered:
            tasks = (
                ", ".join(dict.fromkeys(repr(each.task_id) for each in order.tasks if each.task_id))
                or "tasks of another DAG"
            )
            raise ApprovalError(
                f"{by} covers {tasks}, not task {execution.task_id!r}; an approving step covers the disposing tasks "
                "downstream of it, or those that for_tasks names."
            )
        if execution.place not in [each.place for each in covered]:
            allowed = "; or ".join(str(each.place) for each in covered)
            wrong = [name for name in _PLACE if all(_differs(each.place, execution.place, name) for each in covered)]
            raise ApprovalError(
                f"{by} is for {allowed}. Task {execution.task_id!r} is set up for {execution.place}: another "
                f"{' and '.join(wrong) or 'combination'}. Undo that change, if it was none that you wanted."
            )
        if not own:
            spenders = self._files.spent_by(approval.order)
            refuse_spent(spenders, approval.order, execution.dag_id, execution.run_id)
            if execution.over and spends and not spenders:
                raise ApprovalError(f"{by} is of another DAG, and the run did not state that it carries its order out.")

    def _check_not_rejected(self, claim: Claim, execution: Execution, originals: Sequence[Approval]) -> None:
        """Check that nobody rejected the list in this run or in one that approved it, or one that shares its records.

        A list that was cut from a rejected one, or that a rejected one was cut from, has a record in common with it.
        """
        orders = [self._files.order(each.order) for each in originals]
        runs = {(execution.dag_id, execution.run_id), *((each.dag_id, each.run_id) for each in orders)}
        begun = datetime.fromisoformat(execution.begun)
        lines: Set[bytes] | None = None
        for rejection in (each for run in sorted(runs) for each in self._files.rejections(*run)):
            if execution.over and datetime.fromisoformat(rejection.rejected_at) >= begun:
                continue
            rejected = self._files.manifest(rejection.digest)
            if lines is None:
                lines = {line for _, line in self._files.manifest(claim.digest).each_line()}
            if rejection.digest == claim.digest or len(rejected.missing(lines)) < len(lines):
                said = f": {rejection.comment.rstrip('.')}" if rejection.comment else ""
                raise ApprovalLapsedError(
                    f"{rejection.name or rejection.rejected_by} rejected this list, or one that shares records with "
                    f"it, at {rejection.rejected_at}{said}. A rejection stops them in this run."
                )

    def _check_contained(self, digest: str, wholes: Iterable[str]) -> None:
        """Check that every record of a list is, with the same fields, on one of the longer lists."""
        part = self._files.manifest(digest)
        missing: Set[bytes] = {line for _, line in part.each_line()}
        for whole in wholes:
            missing = self._files.manifest(whole).missing(missing)
        for key, line in part.each_line() if missing else ():
            if line in missing:
                raise ApprovalError(f"Record {key!r} of the list {digest} is not on the list that was approved.")


_PLACE = ("system", "target", "method")


def _differs(ordered: Place, carried_out: Place, name: str) -> bool:
    return bool(getattr(ordered, name) != getattr(carried_out, name))


def _check_for_these_lists(claim: Claim) -> None:
    for approval in claim.approvals:
        if approval.digest not in claim.approved:
            lists = claim.approved[0] if len(claim.approved) == 1 else f"one of {len(claim.approved)} approved lists"
            raise ApprovalError(
                f"The approval by {approval.approver!r} is for another list ({approval.digest}), not for {lists}."
            )


def _check_valid(approval: Approval, order: Order, execution: Execution) -> None:
    if datetime.fromisoformat(execution.begun) >= datetime.fromisoformat(order.valid_until):
        raise ApprovalLapsedError(
            f"The approval by {approval.approver!r} expired at {order.valid_until}; it was given at "
            f"{approval.approved_at}."
        )


def _check_waited(
    min_wait: timedelta, originals: Sequence[Approval], orders: Mapping[str, Order], execution: Execution
) -> None:
    """Check that the waiting period has passed; where the approvals expire before its end, no later try helps."""
    since = last_approved(originals)
    allowed = since + min_wait
    if datetime.fromisoformat(execution.begun) >= allowed:
        return
    said = (
        f"The last approval was given at {_utc(since)}, and the task demands a waiting period of {min_wait} after it "
        "(min_wait, or [records] min_wait_days)"
    )
    for approval in originals:
        until = orders[approval.order].valid_until
        if datetime.fromisoformat(until) <= allowed:
            raise ApprovalLapsedError(
                f"{said}; the approval by {approval.approver!r} expires before that, at {until}. "
                "valid_for of the approving task must be longer than min_wait."
            )
    error = WaitingPeriodError(f"{said}: nothing may be deleted before {_utc(allowed)}.")
    error.retry_after = (allowed - datetime.fromisoformat(execution.begun)).total_seconds()
    raise error


def last_approved(originals: Iterable[Approval]) -> datetime:
    """Return when the last of these approvals was given; a waiting period counts from there."""
    return max(datetime.fromisoformat(each.approved_at) for each in originals)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _check_enough(claim: Claim) -> None:
    for digest in claim.approved:
        given = [approval for approval in claim.approvals if approval.digest == digest]
        found = _persons(given)
        if claim.min_approvals == 1:
            found = max(found, bool(given))  # any one approval will do, also one that names no person
        if found < claim.min_approvals:
            unnamed = sum(not approval.person for approval in given)
            note = f" ({unnamed} of its approvals name no person, and from 2 on only persons count)" if unnamed else ""
            if len({is_hash(approval.approver) for approval in given if approval.person}) > 1:
                note += (
                    " (some were given before [records] names_key_file was set, and nobody can tell whether these are "
                    "by other people than the rest; start a new DAG run)"
                )
            raise ApprovalError(
                f"The list {digest} has {found} distinct approvers and needs {claim.min_approvals}{note}. An "
                "approval sensor or operator before the disposing task asks for one; a DAG that needs none says "
                "require_approval=False."
            )


def _persons(approvals: Iterable[Approval]) -> int:
    """Count distinct persons: two approvals are of one person if they share the id or the name.

    A person who stands as a keyed hash may be one who stands by name elsewhere, so that only one kind counts.
    """
    by_kind: dict[bool, list[Approval]] = {True: [], False: []}
    for approval in approvals:
        by_kind[is_hash(approval.approver)].append(approval)
    return max(_distinct(each) for each in by_kind.values())


def _distinct(approvals: Iterable[Approval]) -> int:
    groups: list[frozenset[str]] = []
    for approval in approvals:
        if person := approval.person:
            same = [group for group in groups if group & person]
            groups = [group for group in groups if group not in same] + [person.union(*same)]
    return len(groups)


def _check_not_withheld(listed: Lines, withheld_by: Mapping[str, Approval]) -> None:
    """Check that no record is carried out that one of the people who were asked withheld.

    A list may be shown to two people at the same time: the yes of one does not overrule the no of the other.
    """
    for key, _ in listed.each_line() if withheld_by else ():
        if key in withheld_by:
            raise ApprovalError(f"Record {key!r} is on the list, but was {withheld.statement(key, withheld_by[key])}.")


def for_part(original: Approval, digest: str) -> Approval:
    """Return the approval of a shorter list: whoever approved all records approved each of them.

    :param original: the approval of the longer list, as a person gave it.
    :param digest: digest of the shorter list.
    """
    return replace(
        original,
        digest=digest,
        source={"approval": original.uri},
        part_of=original.digest,
        shown="",
        withheld={},
        unrecognized={},
        uri="",
    )


def called_at(disposal: Disposal, segments: Iterable[Segment]) -> str:
    """Return when the last try began that called for records of a list; its approvals must have been valid then.

    A try whose approvals had lapsed meanwhile calls for nothing: it only finds out what earlier calls have done.

    :param segments: the journal of the disposal, as far as its summary knows it.
    """
    opened: dict[str, Mapping[str, Any]] = {}
    sessions: set[str] = set()
    for header in (segment.header for segment in segments):
        if header["kind"] == OPEN:
            opened[header["session"]] = header
        elif header["kind"] == INTENTS:
            sessions.add(header["session"])
    calling = [opened[session] for session in sessions if "refused" not in opened[session]]
    return max((header.get("begun", header["time"]) for header in calling), default=disposal.started_at)


def only_marks(provenance: Provenance, *, deletes_content: bool, followed: Sequence[Disposal]) -> bool:
    """Tell whether a task only marks what earlier tasks of its run destroyed: it may, though an approval lapsed since.

    :param provenance: who carries out the marking.
    :param deletes_content: whether its system deletes content.
    :param followed: the disposals that its records come from.
    """
    run = (provenance.dag_id, provenance.run_id)
    return (
        not deletes_content
        and bool(followed)
        and all((each.provenance.dag_id, each.provenance.run_id) == run and not each.dry_run for each in followed)
    )


MIN_WAIT = "min_wait_seconds"
"""Option of a disposal: the waiting period that its task demanded."""

APPROVAL_KEY = "approval_key"
"""Option of a disposal: the key that its task demanded each approval to be signed with."""

MARKED = frozenset({OutcomeKind.DESTROYED, OutcomeKind.RECYCLED})
"""Outcomes of our own calls: a record with one of them may be marked, whatever became of its approval."""


def journal_key(digests: Iterable[str]) -> str:
    """Return what a journal belongs to: the digest of the approved list, or a hash over those of several."""
    distinct = sorted(set(digests))
    return distinct[0] if len(distinct) == 1 else f"sha256:{hashlib.sha256(canonical(distinct)).hexdigest()}"
