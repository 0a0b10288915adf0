"""What ``records=`` may be, and which approved list each of its records stands on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from airflow_provider_records.disposal import exclusion
from airflow_provider_records.disposal.approval import Approval, check
from airflow_provider_records.disposal.disposal import Disposal
from airflow_provider_records.disposal.manifest import Manifest, key_of
from airflow_provider_records.disposal.outcome import Result
from airflow_provider_records.disposal.record import Record, canonical
from airflow_provider_records.disposal.store import Store
from airflow_provider_records.exceptions import ApprovalError, ConfigurationError, EvidenceError, InvalidRecordsError

_EXPECTED = (
    "records= takes a manifest or disposal reference (an upstream task's .output), a list of ids or of record "
    "mappings, or one id"
)


@dataclass(frozen=True)
class Basis:
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
    bases: Sequence[Basis]

    @property
    def approvals(self) -> list[str]:
        """URIs of all approvals."""
        return [approval.uri for basis in self.bases for approval in basis.approvals]

    @property
    def binding(self) -> str:
        """What a journal belongs to: the approved list, or the hash over several."""
        digests = sorted({basis.manifest.digest for basis in self.bases})
        return digests[0] if len(digests) == 1 else f"sha256:{hashlib.sha256(canonical(digests)).hexdigest()}"

    def reference(self) -> dict[str, Any]:
        """Return the manifest reference that goes into XCom."""
        return manifest_reference(self.manifest, self.approvals)

    def require_approval(self, min_approvals: int) -> None:
        """Check every approval again, now.

        :param min_approvals: distinct approvers that each list needs.
        :raises ApprovalError: one is missing or is for another list, or a record stands on no approved list.
        """
        for basis in self.bases:
            check(basis.approvals, basis.manifest.digest, min_approvals)
            for approval in basis.approvals:
                _check_given(basis.manifest, approval)

    def check_source(self) -> None:
        """Check that every record stands, field by field, on one of the lists it is said to come from.

        :raises ApprovalError: one does not.
        """
        if [basis.manifest.digest for basis in self.bases] != [self.manifest.digest]:
            _check_within(self.manifest, [basis.manifest for basis in self.bases])

    def check_exclusions(self) -> None:
        """Check that no record was taken out by a person who was asked about one of the lists.

        A list may have been shown to two people side by side: the no of one is not overruled by the yes of the other.

        :raises ApprovalError: one was.
        """
        given: dict[str, Approval] = {}
        for approval in (approval for basis in self.bases for approval in basis.approvals):
            uri = str(approval.source.get("approval")) if approval.part_of else approval.uri
            if uri not in given:
                given[uri] = approval.given(self.manifest.store)
        excluded = {key: approval for approval in given.values() for key in approval.excluded}
        for record in self.manifest if excluded else ():
            if record.key in excluded:
                words = exclusion.taken_out(record.key, excluded[record.key])
                raise ApprovalError(f"{words}, and is on another list of this task; nothing was deleted.")


def manifest_reference(manifest: Manifest, approvals: Iterable[str] = ()) -> dict[str, Any]:
    """Return a manifest reference as it goes into XCom."""
    return {
        "manifest": manifest.uri,
        "digest": manifest.digest,
        "count": manifest.count,
        "approvals": list(approvals),
    }


def resolve(records: object, store: Store, accept: Iterable[str] = (Result.DESTROYED,)) -> Selection:
    """Turn ``records=`` into a list in the store; sends no request.

    :param records: see the module.
    :param accept: of a disposal reference: the outcomes whose records count.
    :raises InvalidRecordsError: it is none of what ``records=`` takes.
    :raises EvidenceError: what a reference points to is missing or changed.
    :raises ApprovalError: a record was taken out by one of those who were asked.
    """
    selection = _resolve(records, store, accepted_results(accept))
    selection.check_exclusions()
    return selection


def _resolve(records: object, store: Store, accepted: frozenset[Result]) -> Selection:
    if isinstance(records, Mapping):
        return _referenced(records, store, accepted)
    if isinstance(records, (str, int)) and not isinstance(records, bool):
        records = [Record.of(records)]
    if not isinstance(records, Sequence) or isinstance(records, (str, bytes, bytearray, memoryview)):
        raise InvalidRecordsError(
            f"{_EXPECTED}; it got {type(records).__name__}. "
            + ("Did the upstream task run and return something?" if records is None else "")
        )
    items: list[object] = list(records)
    references = [item for item in items if isinstance(item, Mapping) and ("manifest" in item or "disposal" in item)]
    if references and len(references) == len(items):
        return _joined([_referenced(item, store, accepted) for item in references], store)
    manifest = Manifest.write(store, items)
    return Selection(manifest, [Basis(manifest, [])])


def accepted_results(accept: Iterable[str]) -> frozenset[Result]:
    """Check ``accept``.

    :raises ConfigurationError: it names something else than outcomes after which a record is gone.
    """
    allowed = [str(result) for result in Result if result.gone]
    given = list(accept) if isinstance(accept, Iterable) and not isinstance(accept, str) else []
    if not given or any(result not in allowed for result in given):
        raise ConfigurationError(f"accept must be some of {allowed}, not {accept!r}.")
    return frozenset(Result(result) for result in given)


def read_disposal(reference: object, store: Store) -> Disposal:
    """Read what a disposal reference points to.

    :raises InvalidRecordsError: it is no disposal reference.
    :raises EvidenceError: the disposal is missing, changed, or does not fit the reference.
    """
    if not isinstance(reference, Mapping) or not isinstance(reference.get("disposal"), str):
        raise InvalidRecordsError(
            f"A disposal reference is what a disposing task returns; this is {type(reference).__name__}. "
            "Did the upstream task run?"
        )
    disposal = Disposal.read(store, reference["disposal"])
    if reference.get("digest") != disposal.digest or reference.get("manifest") != disposal.manifest:
        raise EvidenceError(f"{disposal.uri} is about another list than the reference that points to it.")
    return disposal


def _referenced(reference: Mapping[str, Any], store: Store, accept: frozenset[Result]) -> Selection:
    if "disposal" in reference:
        return _accepted(read_disposal(reference, store), store, accept)
    uri, digest, approvals = reference.get("manifest"), reference.get("digest"), reference.get("approvals", [])
    well_formed = isinstance(uri, str) and isinstance(digest, str) and isinstance(approvals, list)
    if not well_formed or not all(isinstance(approval, str) for approval in approvals):
        raise InvalidRecordsError(f"{_EXPECTED}; it got a mapping that is neither.")
    manifest = Manifest.open(store, str(digest), str(uri))
    if type(count := reference.get("count")) is not int or count != manifest.count:
        raise EvidenceError(f"The reference says {count!r} records, {uri} holds {manifest.count}.")
    return Selection(manifest, [Basis(manifest, [Approval.read(store, approval) for approval in approvals])])


def _accepted(disposal: Disposal, store: Store, accept: frozenset[Result]) -> Selection:
    whole = Manifest.open(store, disposal.digest, disposal.manifest)

    def taken() -> Iterator[bytes]:
        for line, outcome in zip_longest(whole.lines(), disposal.each_outcome(store)):
            if line is None or outcome is None or key_of(line) != outcome.key:
                raise EvidenceError(f"The outcomes of {disposal.uri} do not follow its list.")
            if outcome.result in accept:
                yield line

    manifest = Manifest.cut(store, taken())
    approvals = [Approval.read(store, approval) for approval in disposal.approvals]
    bases = [
        Basis(Manifest.open(store, digest), [approval for approval in approvals if approval.digest == digest])
        for digest in disposal.approved
    ]
    if foreign := [approval for approval in approvals if approval.digest not in disposal.approved]:
        raise ApprovalError(f"{foreign[0].uri} is for another list than those of {disposal.uri}.")
    return Selection(manifest, bases)


def _joined(parts: Sequence[Selection], store: Store) -> Selection:
    """Several references (mapped tasks): their records one after the other, each on its own approved list."""
    manifest = Manifest.write(store, (record for part in parts for record in part.manifest))
    bases: dict[str, Basis] = {}
    for basis in (basis for part in parts for basis in part.bases):
        known = bases.get(basis.manifest.digest)
        approvals = {item.uri: item for item in (*(known.approvals if known else ()), *basis.approvals)}
        bases[basis.manifest.digest] = Basis(basis.manifest, list(approvals.values()))
    return Selection(manifest, list(bases.values()))


def _check_given(manifest: Manifest, approval: Approval) -> None:
    """Hold an approval against the lists that it speaks of: the longer one, and the one that the person saw."""
    given = approval.given(manifest.store)
    if given is not approval:
        _check_within(manifest, [Manifest.open(manifest.store, given.digest)])
    if given.shown:
        shown, left = (Manifest.open(manifest.store, digest) for digest in (given.shown, given.digest))
        exclusion.check(given, _lines(shown), _lines(left))


def _check_within(manifest: Manifest, wholes: Iterable[Manifest]) -> None:
    missing = {_hash(line) for line in manifest.lines()}
    for whole in wholes:
        missing.difference_update(map(_hash, whole.lines()))
    for key, digest in _lines(manifest) if missing else ():
        if digest in missing:
            raise ApprovalError(f"Record {key!r} is not on the approved list; nothing was deleted.")


def _lines(manifest: Manifest) -> Iterator[exclusion.Line]:
    return ((key_of(line), _hash(line)) for line in manifest.lines())


def _hash(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()
