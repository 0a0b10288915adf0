"""What the files of a run's disposals say together: read again, compared with each other, summed up.

Writing a certificate and verifying one years later are the same look at the same files, so both take it from
here. Nothing is believed that a file says about another one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from airflow_provider_records.evidence import formats, withheld
from airflow_provider_records.evidence.approval import Approval, Rejection
from airflow_provider_records.evidence.authorization import (
    MARKED,
    Authorization,
    Authorizer,
    Claim,
    called_at,
    journal_key,
    only_marks,
)
from airflow_provider_records.evidence.binding import intended
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.order import Order, order_name, spent_by
from airflow_provider_records.evidence.outcome import PROCESS_DIED, OutcomeKind, Proof, known_kind
from airflow_provider_records.evidence.reader import EvidenceReader, ListIndex, manifest_name, parsed
from airflow_provider_records.evidence.run import approvals_of
from airflow_provider_records.evidence.segment import INTENTS, OPEN, JournalState, Segment, load_segments
from airflow_provider_records.evidence.signature import SIGNATURE, VerificationKey
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import (
    ApprovalError,
    ApprovalLapsedError,
    EvidenceError,
    JournalError,
    RecordsError,
)

_CALLED = (OutcomeKind.DESTROYED, OutcomeKind.RECYCLED, OutcomeKind.UNKNOWN)
"""Outcomes of a call of ours, which an intent comes before; the others may rest on a look alone."""


@dataclass
class AuditResult:
    """The part of a certificate that follows from the files.

    :param facts: its members.
    :param names: every file that it rests on.
    """

    facts: dict[str, Any]
    names: list[str]


def audit(evidence: EvidenceReader, disposals: Mapping[str, Disposal]) -> AuditResult:
    """Read everything that these disposals rest on and sum it up.

    :param disposals: by the name of their file.
    :raises NewerFormatError: a newer release wrote a file.
    :raises EvidenceError: a file is missing, was changed, or does not fit the others.
    :raises JournalError: the same, of a journal.
    :raises ApprovalError: the same, of an approval; or an approval is missing.
    """
    try:
        return _audit(evidence, disposals)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, RecordsError):
            raise
        raise EvidenceError(f"A file of the evidence is not of its form ({type(error).__name__}: {error}).") from error


def _audit(evidence: EvidenceReader, disposals: Mapping[str, Disposal]) -> AuditResult:
    files = _Files(evidence)
    authorizer = Authorizer(files)
    names = {evidence.name(uri) for disposal in disposals.values() for uri in disposal.follows or ()}
    parts = Parts()
    entries = []
    counts: dict[str, Counter[str]] = {}
    for disposal in disposals.values():
        files.manifest(disposal.digest)  # one of a newer release is called so before a journal is compared with it
    journals_read = {file: _read_journal(evidence, file, disposal) for file, disposal in disposals.items()}
    followed = _followed(evidence, disposals)
    ours: dict[str, set[str]] = {}
    for file, disposal in disposals.items():
        begun = max(called_at(disposals[name], journals_read[name].known) for name in followed.get(file, [file]))
        try:
            claim = Claim.from_disposal(disposal, files, begun)
            if file in followed:  # what was destroyed may be marked without a waiting period of its own
                claim = replace(claim, min_wait=timedelta())
            authorization = authorizer.authorize(claim)
        except ApprovalError as error:
            kind = ApprovalLapsedError if error.retry else type(error)  # what was carried out cannot wait any more
            raise kind(f"{file}: {error}") from error
        parts.take(disposal, authorization)
        allowed = {key for digest in disposal.approved for key in files.manifest(digest).keys}
        keys = files.manifest(disposal.digest).keys
        entry, used, ours[file] = _examine(evidence, file, disposal, journals_read[file], keys=keys, allowed=allowed)
        entries.append(entry)
        names |= used
        # Only the outcomes that the summaries name: another release may know more of them.
        counts.setdefault(disposal.system, Counter()).update(disposal.counts)
    for file, names_followed in followed.items():
        marked = set(files.manifest(disposals[file].digest).keys)
        if others := marked - set[str]().union(*(ours[name] for name in names_followed)):
            raise EvidenceError(f"{file} has {min(others)!r}, which the disposals that it follows did not destroy.")
    missing, journals = missing_disposals(evidence.store, evidence.listed, disposals)
    undisposed = parts.undisposed_records(lambda digest: files.manifest(digest).each_line())
    runs = {(each.provenance.dag_id, each.provenance.run_id) for each in disposals.values()}
    for approval in approvals_of(evidence, runs):
        if not parts.covers(approval.digest):
            files.approvals[evidence.store.name(approval.uri)] = approval
            whole = {"digest": approval.digest, "count": len(files.manifest(approval.digest))}
            undisposed += [whole] if whole not in undisposed else []
    for approval in files.approvals.values():
        files.order(approval.order)
    lists, approvals, orders = files.lists, files.approvals, files.orders
    facts = {
        "scope": {
            "systems": sorted(counts),
            "selection": [
                {"connector_id": connector, "due_before": due}
                for connector, due in sorted({pair for listed in lists.values() for pair in listed.selection})
                if connector and due
            ],
            "time_zone": "UTC",
        },
        "counts": {system: dict(total) for system, total in counts.items()},
        "manifests": [
            {"file": manifest_name(digest), "digest": digest, "count": len(lists[digest])} for digest in sorted(lists)
        ],
        "approvals": [
            {"file": name, **approvals[name].to_dict(), **_signed_by(files.signatures.get(name + SIGNATURE))}
            for name in sorted(approvals)
        ],
        "orders": [{"file": name, **orders[name].to_dict()} for name in sorted(orders)],
        "disposals": entries,
        "missing_disposals": missing,
        "undisposed_records": undisposed,
        "complete": not missing
        and not undisposed
        and all(disposal.complete and not disposal.dry_run for disposal in disposals.values()),
    }
    rests_on = {*names, *journals, *approvals, *files.signatures, *orders, *files.spent, *map(manifest_name, lists)}
    return AuditResult(facts, sorted(rests_on))


def _signed_by(key_id: str | None) -> dict[str, str]:
    return {} if key_id is None else {"signed_by": key_id}


class _Files:
    """The lists, approvals and orders of the evidence, each read once."""

    def __init__(self, evidence: EvidenceReader) -> None:
        self._evidence = evidence
        self.lists: dict[str, ListIndex] = {}
        self.approvals: dict[str, Approval] = {}
        self.orders: dict[str, Order] = {}
        self.spent: dict[str, tuple[str, str]] = {}
        self.signatures: dict[str, str] = {}

    def manifest(self, digest: str) -> ListIndex:
        if digest not in self.lists:
            self.lists[digest] = self._evidence.list_index(digest)
        return self.lists[digest]

    def approval(self, uri: str) -> Approval:
        name = self._evidence.name(uri)
        if name not in self.approvals:
            store = self._evidence.store
            self.approvals[name] = Approval.read(store, store.uri(name))
        return self.approvals[name]

    def order(self, digest: str) -> Order:
        name = self._evidence.name(f"{self._evidence.root}/{order_name(digest)}")
        if name not in self.orders:
            self.orders[name] = Order.read(self._evidence.store, digest)
        return self.orders[name]

    def spent_by(self, digest: str) -> Collection[tuple[str, str]]:
        found = spent_by(self._evidence.store, digest, self._evidence.listed)
        self.spent |= found
        return found.values()

    def rejections(self, dag_id: str, run_id: str) -> Sequence[Rejection]:
        return Rejection.of_run(self._evidence.store, dag_id, run_id)

    def check_signed(self, approval: Approval, key: VerificationKey) -> None:
        store = self._evidence.store
        approval.check_signed(store, store.name(approval.uri), key)
        self.signatures[self._evidence.name(self._evidence.root + "/" + store.name(approval.uri) + SIGNATURE)] = (
            key.key_id
        )


def _followed(evidence: EvidenceReader, disposals: Mapping[str, Disposal]) -> dict[str, list[str]]:
    """Return, by the name of each disposal that only marks what earlier ones here destroyed, the names of those."""
    found = {}
    for file, disposal in disposals.items():
        names = [evidence.name(uri) for uri in disposal.follows or ()]
        given = [disposals[name] for name in names if name in disposals]
        accepted = set(disposal.options.get("accept", [OutcomeKind.ABSENT]))
        if len(given) == len(names) and accepted <= MARKED:
            deletes = disposal.description.deletes_content
            if only_marks(disposal.provenance, deletes_content=deletes, followed=given):
                found[file] = names
    return found


@dataclass(frozen=True)
class _Journal:
    """The journal of a disposal.

    :param segments: all of it.
    :param known: what the try that wrote the summary had read or written.
    :param late: what an older try added after that.
    """

    segments: Sequence[Segment]
    known: Sequence[Segment]
    late: Sequence[Segment]


def _read_journal(evidence: EvidenceReader, file: str, disposal: Disposal) -> _Journal:
    segments = load_segments(evidence.store, TaskFolder.containing(file).journal)
    listed = [segment for segment in segments if evidence.listed is None or segment.name in evidence.listed]
    return _Journal(listed, *_split_by_try(file, disposal, listed))


def _examine(
    evidence: EvidenceReader,
    file: str,
    disposal: Disposal,
    journal: _Journal,
    *,
    keys: Sequence[str],
    allowed: Set[str],
) -> tuple[dict[str, Any], set[str], set[str]]:
    """Compare the outcomes of one disposal with its list and its journal.

    :return: what the certificate says of it, the files that it rests on, and the keys that calls of its DAG removed.
    """
    folder = TaskFolder.containing(file)
    own = {name for name in evidence.store.names(folder.path) if evidence.listed is None or name in evidence.listed}
    known, late = journal.known, journal.late
    answers = _fold(known)
    intended = {line["key"] for segment in known if segment.header["kind"] == INTENTS for line in segment.lines}
    if outside := (intended | answers.keys()) - allowed:
        raise JournalError(f"The journal of {file} holds {min(outside)!r}, which is on no approved list.")
    found: dict[str, str] = {}
    counts: Counter[str] = Counter()
    proofs: Counter[str] = Counter()
    process_died = 0
    earlier: set[str] = set()
    groups: dict[tuple[str, str], list[str]] = {}
    for line in _each_outcome(evidence, disposal, folder, keys):
        key, kind, proof = line["key"], line["outcome"], line.get("proof")
        if known:
            _check_journal(file, line, answers.get(key), key in intended)
        elif kind != OutcomeKind.NOT_ATTEMPTED:
            raise JournalError(f"{file} says that {key!r} is {kind}, but there is no journal of it.")
        counts[kind] += 1
        if proof is not None:
            proofs[proof] += 1
        process_died += int((proof, line.get("reason")) == (Proof.INFERRED, PROCESS_DIED))
        if kind == OutcomeKind.ABSENT and line.get("earlier") is not None:
            earlier.add(key)
        if kind != OutcomeKind.DESTROYED:
            groups.setdefault((kind, line.get("reason", "")), []).append(key)
        found[key] = kind
    if counts != Counter(disposal.counts):
        raise EvidenceError(f"The outcomes of {file} do not add up to the counts that it states.")
    if len(earlier) != disposal.destroyed_earlier:
        raise EvidenceError(f"{file} states another number of records than its outcomes that earlier runs destroyed.")
    severity = {str(kind): place for place, kind in enumerate(reversed(OutcomeKind))}
    entry = {
        "file": file,
        "disposal": disposal.to_dict(),
        "complete": disposal.complete and not disposal.dry_run,
        "proofs": dict(proofs),
        "process_died": process_died,
        "not_destroyed": [
            {"outcome": kind, "reason": reason, "count": len(keys), "keys": keys}
            for (kind, reason), keys in sorted(groups.items(), key=lambda item: (severity[item[0][0]], item[0][1]))
        ],
        "journal": _sessions(journal.segments),
        "uncounted": [
            {"key": line["key"], "outcome": line["outcome"]}
            for line in (*(answers[key] for key in answers if key not in found), *_fold(late).values())
            if line["outcome"] != found.get(line["key"])
        ],
    }
    return entry, {file, *own}, {key for key, kind in found.items() if kind in MARKED} | earlier


def _each_outcome(
    evidence: EvidenceReader, disposal: Disposal, folder: TaskFolder, keys: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Read the outcomes, which must be one for each record of the list, in its order."""
    name, number = evidence.name(disposal.outcomes), 0
    if not name.startswith(f"{folder.outcomes}/"):
        raise EvidenceError(f"The outcomes {name} do not lie in the folder of their task, {folder.path}.")
    for _, outcomes in parsed(evidence.store, name, formats.OUTCOMES):
        for outcome in outcomes:
            number += 1
            if number > len(keys) or outcome["key"] != keys[number - 1]:
                expected = repr(keys[number - 1]) if number <= len(keys) else "no more records"
                raise EvidenceError(
                    f"The outcomes {name} do not follow the list: number {number} is about {outcome['key']!r}, "
                    f"the list has {expected} there."
                )
            known_kind(outcome["outcome"])
            yield outcome
    if number != len(keys):
        raise EvidenceError(f"{name} holds {number} outcomes for {len(keys)} records.")


def _split_by_try(file: str, disposal: Disposal, segments: Sequence[Segment]) -> tuple[list[Segment], list[Segment]]:
    """Part a journal into what the try that wrote the summary had read, and what an older try added after that."""
    begun = intended(segments)
    if disposal.idle:
        if begun:
            raise JournalError(f"{file} says that nothing was sent; its journal says otherwise.")
        return [], list(segments)
    if not segments:
        return [], []
    opened = {segment.header["session"]: segment.header for segment in segments if segment.header["kind"] == OPEN}
    own = journal_key(disposal.approved)
    for name, session in begun.items():
        if (session.manifest, session.place) != (own, disposal.place):
            raise JournalError(f"Session {name} of the journal of {file} belongs to another list, system or method.")
    newest, header = list(opened.items())[-1]
    if (header["started"], header["try"]) != (disposal.provenance.started, disposal.provenance.try_number):
        raise JournalError(
            f"The journal of {file} ends with session {newest} (try {header['try']}), but the summary is of try "
            f"{disposal.provenance.try_number}. Let the task end, or clear it, so that its newest try sums up all."
        )
    known: list[Segment] = []
    late: list[Segment] = []
    passed: set[str] = set()
    for segment in segments:
        session = segment.header["session"]
        if opened[session]["manifest"] != own:
            continue  # it intended nothing, so that it bound nothing
        if session == newest or (session in header["read"] and session not in passed):
            known.append(segment)
        else:
            late.append(segment)
        if segment.digest == header["read"].get(session):
            passed.add(session)
    return known, late


def _fold(segments: Iterable[Segment]) -> Mapping[str, Mapping[str, Any]]:
    """Return the line of the outcome that stands for each key."""
    state: JournalState[Mapping[str, Any]] = JournalState(lambda line: line)
    for segment in segments:
        state.add(segment)
    return state.outcomes


def _check_journal(file: str, line: Mapping[str, Any], answer: Mapping[str, Any] | None, intended: bool) -> None:
    key, kind = line["key"], line["outcome"]
    if answer is None and kind == OutcomeKind.NOT_ATTEMPTED and not line.get("proof"):
        return
    if answer is None:
        raise JournalError(f"{file} says that {key!r} is {kind}; its journal does not know that.")
    if answer != line:
        raise JournalError(
            f"{file} says that {key!r} is {kind}; its journal says {answer['outcome']}, "
            "or says it with another proof, reason or time."
        )
    if not intended and kind in _CALLED:
        raise JournalError(f"The journal of {file} holds an outcome of {key!r} without the intent before it.")


def _sessions(segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """Return the head of every session."""
    heads: dict[str, dict[str, Any]] = {}
    for segment in segments:
        session = segment.header["session"]
        entry = heads.setdefault(session, {"session": session, "try": segment.header["try"], "segments": 0})
        if missing := segment.header.get("missing_session"):
            entry["missing_session"] = missing
        entry["segments"] += 1
        entry["head"] = segment.digest
    return list(heads.values())


def missing_disposals(
    store: Store, listed: Set[str] | None, disposals: Iterable[str]
) -> tuple[list[dict[str, Any]], set[str]]:
    """Find the task instances of the run that have a journal and no disposal here, and their journals.

    A mapped task that dies before it pushed its reference leaves a gap that no list of references shows.

    :param listed: the files that count; None: all.
    :param disposals: the names of those that are given.
    """
    given = {TaskFolder.containing(file) for file in disposals}
    found: Counter[str] = Counter()
    journals: set[str] = set()
    for run in {folder.run for folder in given}:
        for name in store.names(run):
            folder = TaskFolder.containing(name)
            if folder.is_journal(name) and folder not in given and (listed is None or name in listed):
                found[folder.path] += 1
                journals.add(name)
    return [{"task": path, "journal_files": found[path]} for path in sorted(found)], journals


class Parts:
    """What each system was given of each approved list that was cut into parts."""

    def __init__(self) -> None:
        self._approved: dict[str, set[str]] = {}
        self._covered: set[str] = set()
        self._withheld: dict[tuple[str, str], set[str]] = {}

    def take(self, disposal: Disposal, authorization: Authorization) -> None:
        """Take in one disposal, which may be of a part."""
        self._approved.setdefault(disposal.system, set()).update(disposal.approved)
        self._covered.update(disposal.approved)
        for approval in authorization.approvals:
            if approval.part_of:
                self._covered.add(approval.part_of)
                self._withheld.setdefault((disposal.system, approval.part_of), set()).update(authorization.withheld)

    def covers(self, digest: str) -> bool:
        """Tell whether this approved list, or a part of it, was carried out by one of the disposals."""
        return digest in self._covered

    def undisposed_records(self, lines: Callable[[str], Iterable[withheld.Line]]) -> list[dict[str, Any]]:
        """Return how many records of each list stand on no part that the system was given."""
        found = []
        for system in sorted({system for system, _ in self._withheld}):
            given = {line for digest in self._approved[system] for _, line in lines(digest)}
            for digest in sorted(digest for named, digest in self._withheld if named == system):
                withheld_keys = self._withheld[system, digest]
                count = sum(line not in given and key not in withheld_keys for key, line in lines(digest))
                if count:
                    found.append({"system": system, "digest": digest, "count": count})
        return found
