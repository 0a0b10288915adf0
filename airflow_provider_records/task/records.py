"""What ``records=`` may be, and which approved list each of its records stands on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.authorization import ApprovedList, Selection
from airflow_provider_records.evidence.manifest import Manifest, key_of
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import ApprovalError, ConfigurationError, EvidenceError, InvalidRecordsError

_EXPECTED = (
    "records= takes a manifest or disposal reference (an upstream task's .output), a list of ids or of record "
    "mappings, or one id"
)


def resolve(records: object, store: Store, accept: Iterable[str] = (OutcomeKind.DESTROYED,)) -> Selection:
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


def _resolve(records: object, store: Store, accepted: frozenset[OutcomeKind]) -> Selection:
    if isinstance(records, Mapping):
        return _referenced(records, store, accepted)
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
        return _joined([_referenced(item, store, accepted) for item in references], store)
    manifest = Manifest.write(store, items)
    return Selection(manifest, [ApprovedList(manifest, [])])


def accepted_results(accept: Iterable[str]) -> frozenset[OutcomeKind]:
    """Check ``accept``.

    :raises ConfigurationError: it names something else than outcomes after which a record is gone.
    """
    allowed = [str(kind) for kind in OutcomeKind if kind.gone]
    given = list(accept) if isinstance(accept, Iterable) and not isinstance(accept, str) else []
    if not given or any(kind not in allowed for kind in given):
        raise ConfigurationError(f"accept must be some of {allowed}, not {accept!r}.")
    return frozenset(OutcomeKind(kind) for kind in given)


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


def _referenced(reference: Mapping[str, Any], store: Store, accept: frozenset[OutcomeKind]) -> Selection:
    if "disposal" in reference:
        return _accepted(read_disposal(reference, store), store, accept)
    uri, digest, approvals = reference.get("manifest"), reference.get("digest"), reference.get("approvals", [])
    well_formed = isinstance(uri, str) and isinstance(digest, str) and isinstance(approvals, list)
    if not well_formed or not all(isinstance(approval, str) for approval in approvals):
        raise InvalidRecordsError(f"{_EXPECTED}; it got a mapping that is neither.")
    manifest = Manifest.open(store, str(digest), str(uri))
    if type(count := reference.get("count")) is not int or count != manifest.count:
        raise EvidenceError(f"The reference says {count!r} records, {uri} holds {manifest.count}.")
    return Selection(manifest, [ApprovedList(manifest, [Approval.read(store, approval) for approval in approvals])])


def _accepted(disposal: Disposal, store: Store, accept: frozenset[OutcomeKind]) -> Selection:
    whole = Manifest.open(store, disposal.digest, disposal.manifest)

    def taken() -> Iterator[bytes]:
        for line, outcome in zip_longest(whole.lines(), disposal.each_outcome(store)):
            if line is None or outcome is None or key_of(line) != outcome.key:
                raise EvidenceError(f"The outcomes of {disposal.uri} do not follow its list.")
            if outcome.kind in accept:
                yield line

    manifest = Manifest.cut(store, taken())
    approvals = [Approval.read(store, approval) for approval in disposal.approvals]
    sources = [
        ApprovedList(Manifest.open(store, digest), [approval for approval in approvals if approval.digest == digest])
        for digest in disposal.approved
    ]
    if foreign := [approval for approval in approvals if approval.digest not in disposal.approved]:
        raise ApprovalError(f"{foreign[0].uri} is for another list than those of {disposal.uri}.")
    return Selection(manifest, sources)


def _joined(parts: Sequence[Selection], store: Store) -> Selection:
    """Several references (mapped tasks): their records one after the other, each on its own approved list."""
    manifest = Manifest.write(store, (record for part in parts for record in part.manifest))
    sources: dict[str, ApprovedList] = {}
    for basis in (basis for part in parts for basis in part.sources):
        known = sources.get(basis.manifest.digest)
        approvals = {item.uri: item for item in (*(known.approvals if known else ()), *basis.approvals)}
        sources[basis.manifest.digest] = ApprovedList(basis.manifest, list(approvals.values()))
    return Selection(manifest, list(sources.values()))
