"""Whether exactly these records may be disposed of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.manifest import Manifest, key_of
from airflow_provider_records.evidence.record import canonical
from airflow_provider_records.exceptions import ApprovalError

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class ApprovedList:
    """One approved list, or one that the DAG says needs no approval.

    :param manifest: the list.
    :param approvals: what was given for it.
    """

    manifest: Manifest
    approvals: Sequence[Approval]


@dataclass(frozen=True)
class Selection:
    """The records that one task is to carry out.

    :param manifest: exactly these records.
    :param bases: the lists that they were taken from; the manifest itself, or longer ones.
    """

    manifest: Manifest
    sources: Sequence[ApprovedList]

    @property
    def approvals(self) -> list[str]:
        """URIs of all approvals."""
        return [approval.uri for basis in self.sources for approval in basis.approvals]

    @property
    def journal_key(self) -> str:
        """What a journal belongs to: the approved list, or the hash over several."""
        digests = sorted({basis.manifest.digest for basis in self.sources})
        return digests[0] if len(digests) == 1 else f"sha256:{hashlib.sha256(canonical(digests)).hexdigest()}"

    def reference(self) -> dict[str, Any]:
        """Return the manifest reference that goes into XCom."""
        return manifest_reference(self.manifest, self.approvals)

    def require_approval(self, min_approvals: int) -> None:
        """Check every approval again, now.

        :param min_approvals: distinct approvers that each list needs.
        :raises ApprovalError: one is missing or is for another list, or a record stands on no approved list.
        """
        for basis in self.sources:
            check(basis.approvals, basis.manifest.digest, min_approvals)
            for approval in basis.approvals:
                _check_given(basis.manifest, approval)

    def check_source(self) -> None:
        """Check that every record stands, field by field, on one of the lists it is said to come from.

        :raises ApprovalError: one does not.
        """
        if [basis.manifest.digest for basis in self.sources] != [self.manifest.digest]:
            _check_within(self.manifest, [basis.manifest for basis in self.sources])

    def check_exclusions(self) -> None:
        """Check that no record was taken out by a person who was asked about one of the lists.

        A list may have been shown to two people side by side: the no of one is not overruled by the yes of the other.

        :raises ApprovalError: one was.
        """
        given: dict[str, Approval] = {}
        for approval in (approval for basis in self.sources for approval in basis.approvals):
            uri = str(approval.source.get("approval")) if approval.part_of else approval.uri
            if uri not in given:
                given[uri] = approval.given(self.manifest.store)
        excluded = {key: approval for approval in given.values() for key in approval.excluded}
        for record in self.manifest if excluded else ():
            if record.key in excluded:
                words = withheld.taken_out(record.key, excluded[record.key])
                raise ApprovalError(f"{words}, and is on another list of this task; nothing was deleted.")


def manifest_reference(manifest: Manifest, approvals: Iterable[str] = ()) -> dict[str, Any]:
    """Return a manifest reference as it goes into XCom."""
    return {
        "manifest": manifest.uri,
        "digest": manifest.digest,
        "count": manifest.count,
        "approvals": list(approvals),
    }


def _check_given(manifest: Manifest, approval: Approval) -> None:
    """Hold an approval against the lists that it speaks of: the longer one, and the one that the person saw."""
    given = approval.given(manifest.store)
    if given is not approval:
        _check_within(manifest, [Manifest.open(manifest.store, given.digest)])
    if given.shown:
        shown, left = (Manifest.open(manifest.store, digest) for digest in (given.shown, given.digest))
        withheld.check(given, _lines(shown), _lines(left))


def _check_within(manifest: Manifest, wholes: Iterable[Manifest]) -> None:
    missing = {_hash(line) for line in manifest.lines()}
    for whole in wholes:
        missing.difference_update(map(_hash, whole.lines()))
    for key, digest in _lines(manifest) if missing else ():
        if digest in missing:
            raise ApprovalError(f"Record {key!r} is not on the approved list; nothing was deleted.")


def _lines(manifest: Manifest) -> Iterator[withheld.Line]:
    return ((key_of(line), _hash(line)) for line in manifest.lines())


def _hash(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()


def check(approvals: Iterable[Approval], digest: str, min_approvals: int) -> list[str]:
    """Check that a list was approved by enough people.

    :param approvals: all that were given for it.
    :param digest: the list's digest, recomputed now.
    :param min_approvals: distinct approvers that are needed, at least 1.
    :return: the distinct approvers.
    :raises ApprovalError: one is for another list, or there are too few approvers.
    """
    approvers: dict[str, None] = {}
    for approval in approvals:
        if approval.digest != digest:
            raise ApprovalError(
                f"The approval by {approval.approver!r} is for another list ({approval.digest}), not for {digest}; "
                "start a new DAG run to have this list approved."
            )
        approvers[approval.approver] = None
    if len(approvers) < min_approvals:
        raise ApprovalError(
            f"The list {digest} has {len(approvers)} distinct approvers and needs {min_approvals}. Put an approval "
            "sensor or operator before this task, or write require_approval=False into the DAG."
        )
    return list(approvers)


def own_approvals(selection: Selection) -> list[Approval]:
    """Return what was given for exactly this list, not for the longer ones that it may come from.

    :raises ApprovalError: one is said to be for this list and is for another.
    """
    digest = selection.manifest.digest
    own = [item for basis in selection.sources if basis.manifest.digest == digest for item in basis.approvals]
    check(own, digest, 0)
    return own
