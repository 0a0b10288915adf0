"""What the files of a run's disposals say together: read again, held against each other, summed up.

Writing a certificate and verifying one years later are the same look at the same files, so both take it from
here. Nothing is believed that a file says about another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.authorization import Authorization, Authorizer, Claim, journal_key
from airflow_provider_records.evidence.journal import INTENTS, OPEN, OUTCOMES, Segment, load
from airflow_provider_records.evidence.outcome import OutcomeKind, Proof
from airflow_provider_records.evidence.reader import Evidence, List, _list_name, _read_list, each_block
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, task_folder
from airflow_provider_records.exceptions import ApprovalError, EvidenceError, JournalError, RecordsError

_FINAL = frozenset(str(result) for result in OutcomeKind if result.final)


@dataclass
class Account:
    """The part of a certificate that follows from the files.

    :param facts: its fields.
    :param names: every file that it rests on.
    """

    facts: dict[str, Any]
    names: list[str]


def take(evidence: Evidence, disposals: Mapping[str, Disposal]) -> Account:
    """Read everything that these disposals rest on and sum it up.

    :param disposals: by the name of their file.
    :raises EvidenceError: a file is missing, was changed, or does not fit the others.
    :raises JournalError: the same, of a journal.
    :raises ApprovalError: the same, of an approval; or an approval is missing.
    """
    try:
        return _take(evidence, disposals)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, RecordsError):
            raise
        raise EvidenceError(f"A file of the evidence is not of its form ({type(error).__name__}: {error}).") from error


def _take(evidence: Evidence, disposals: Mapping[str, Disposal]) -> Account:
    files = _Files(evidence)
    authorizer = Authorizer(files)
    names: set[str] = set()
    parts = Parts()
    entries = []
    counts: dict[str, dict[str, int]] = {}
    for file, disposal in disposals.items():
        try:
            authorization = authorizer.authorize(Claim.from_disposal(disposal, files))
        except ApprovalError as error:
            raise ApprovalError(f"{file}: {error}") from error
        parts.take(disposal, authorization)
        allowed = {key for digest in disposal.approved for key in files.manifest(digest).keys}
        entry, used = _examine(evidence, file, disposal, files.manifest(disposal.digest).keys, allowed)
        entries.append(entry)
        names |= used
        total = counts.setdefault(disposal.system, dict.fromkeys(map(str, OutcomeKind), 0))
        for result, number in disposal.counts.items():
            total[result] += number
    missing, journals = omitted(evidence.store, evidence.listed, disposals)
    uncovered = parts.uncovered(lambda digest: files.manifest(digest).each_line())
    lists, approvals = files.lists, files.approvals
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
        "counts": counts,
        "manifests": [
            {"file": _list_name(digest), "digest": digest, "count": len(lists[digest].keys)} for digest in sorted(lists)
        ],
        "approvals": [{"file": name, **approvals[name].to_dict()} for name in sorted(approvals)],
        "disposals": entries,
        "omitted": missing,
        "uncovered": uncovered,
        "complete": not missing
        and not uncovered
        and all(disposal.complete and not disposal.dry_run for disposal in disposals.values()),
    }
    return Account(facts, sorted({*names, *journals, *approvals, *map(_list_name, lists)}))


class _Files:
    """The lists and approvals of the evidence, each read once."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self.lists: dict[str, List] = {}
        self.approvals: dict[str, Approval] = {}

    def manifest(self, digest: str) -> List:
        if digest not in self.lists:
            self.lists[digest] = _read_list(self._evidence, digest)
        return self.lists[digest]

    def approval(self, uri: str) -> Approval:
        name = self._evidence.name(uri)
        if name not in self.approvals:
            store = self._evidence.store
            self.approvals[name] = Approval.read(store, store.uri(name))
        return self.approvals[name]


def _examine(
    evidence: Evidence, file: str, disposal: Disposal, keys: Sequence[str], allowed: Set[str]
) -> tuple[dict[str, Any], set[str]]:
    """Hold the outcomes of one disposal against its list and its journal."""
    folder = task_folder(file)
    own = {name for name in evidence.store.names(folder) if evidence.listed is None or name in evidence.listed}
    segments = [segment for segment in load(evidence.store, f"{folder}/journal") if segment.name in own]
    stood, late = _view(file, disposal, segments)
    answers, intended = _replay(stood)
    if outside := (intended | answers.keys()) - allowed:
        raise JournalError(f"The journal of {file} holds {min(outside)!r}, which is on no approved list.")
    results: dict[str, str] = {}
    counts = dict.fromkeys(map(str, OutcomeKind), 0)
    proofs = dict.fromkeys(map(str, Proof), 0)
    groups: dict[tuple[str, str], list[str]] = {}
    for line in _each_outcome(evidence, disposal, folder, keys):
        key, result, proof = line["key"], line["outcome"], line.get("proof")
        if stood:
            _check_journal(file, line, answers.get(key), key in intended)
        elif result != OutcomeKind.NOT_ATTEMPTED:
            raise JournalError(f"{file} says that {key!r} is {result}, but there is no journal of it.")
        counts[result] += 1
        if proof is not None:
            proofs[proof] += 1
        if result != OutcomeKind.DESTROYED:
            groups.setdefault((result, line.get("reason", "")), []).append(key)
        results[key] = result
    if counts != dict(disposal.counts):
        raise EvidenceError(f"The outcomes of {file} do not add up to the counts that it states.")
    severity = {str(result): place for place, result in enumerate(reversed(OutcomeKind))}
    entry = {
        "file": file,
        "record": disposal.to_dict(),
        "complete": disposal.complete and not disposal.dry_run,
        "proofs": proofs,
        "not_destroyed": [
            {"outcome": result, "reason": reason, "count": len(keys), "keys": keys}
            for (result, reason), keys in sorted(groups.items(), key=lambda item: (severity[item[0][0]], item[0][1]))
        ],
        "journal": _sessions(segments),
        "uncounted": [
            {"key": line["key"], "outcome": line["outcome"]}
            for line in (*(answers[key] for key in answers if key not in results), *_replay(late)[0].values())
            if line["outcome"] != results.get(line["key"])
        ],
    }
    return entry, {file, *own}


def _each_outcome(evidence: Evidence, disposal: Disposal, folder: str, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Read the outcomes, which must be one for each record of the list, in its order."""
    name, hashed, number = evidence.name(disposal.outcomes), hashlib.sha256(), 0
    if not name.startswith(f"{folder}/outcomes/"):
        raise EvidenceError(f"The outcomes {name} do not lie in the folder of their task, {folder}.")
    with evidence.store.open(name) as file:
        for lines, outcomes in each_block(file):
            hashed.update(b"".join(lines))
            for outcome in outcomes:
                number += 1
                if number > len(keys) or outcome["key"] != keys[number - 1]:
                    expected = repr(keys[number - 1]) if number <= len(keys) else "no more records"
                    raise EvidenceError(
                        f"The outcomes {name} do not follow the list: line {number} is about {outcome['key']!r}, "
                        f"the list has {expected} there."
                    )
                yield outcome
    if number != len(keys):
        raise EvidenceError(f"{name} holds {number} outcomes for {len(keys)} records.")
    if name.rpartition("/")[2] != f"{hashed.hexdigest()}.jsonl":
        raise EvidenceError(f"The outcomes {name} were changed: their bytes do not match their name.")


def _view(file: str, disposal: Disposal, segments: Sequence[Segment]) -> tuple[list[Segment], list[Segment]]:
    """Part a journal into what the try that wrote the summary knew, and what an older one added behind its back."""
    if not segments or disposal.idle:
        return [], list(segments)
    opened = {segment.header["session"]: segment.header for segment in segments if segment.header["kind"] == OPEN}
    own = journal_key(disposal.approved)
    if foreign := [session for session, header in opened.items() if header["manifest"] != own]:
        raise JournalError(f"Session {foreign[0]} of the journal of {file} belongs to another list.")
    newest, header = list(opened.items())[-1]
    if (header["started"], header["try"]) != (disposal.made["run_started_at"], disposal.made["try_number"]):
        raise JournalError(
            f"The journal of {file} ends with session {newest} (try {header['try']}), but the summary is "
            f"of try {disposal.made['try_number']}. Let the task end, or clear it, so that its newest try sums up all."
        )
    stood: list[Segment] = []
    late: list[Segment] = []
    passed: set[str] = set()
    for segment in segments:
        session = segment.header["session"]
        if session == newest or (session in header["read"] and session not in passed):
            stood.append(segment)
        else:
            late.append(segment)
        if segment.digest == header["read"].get(session):
            passed.add(session)
    return stood, late


def _replay(segments: Sequence[Segment]) -> tuple[dict[str, Mapping[str, Any]], set[str]]:
    """Return the outcome of each key (the last final one stands) and the keys that were about to be called."""
    answers: dict[str, Mapping[str, Any]] = {}
    for line in _outcome_lines(segments):
        known = answers.get(line["key"])
        if known is None or line["outcome"] in _FINAL or known["outcome"] not in _FINAL:
            answers[line["key"]] = line
    return answers, {line["key"] for segment in segments if segment.header["kind"] == INTENTS for line in segment.lines}


def _outcome_lines(segments: Iterable[Segment]) -> Iterator[Mapping[str, Any]]:
    return (line for segment in segments if segment.header["kind"] == OUTCOMES for line in segment.lines)


def _check_journal(file: str, line: Mapping[str, Any], answer: Mapping[str, Any] | None, intended: bool) -> None:
    key, result = line["key"], line["outcome"]
    if answer is None and result == OutcomeKind.NOT_ATTEMPTED and not line.get("proof"):
        return
    if answer is None:
        raise JournalError(f"{file} says that {key!r} is {result}; its journal does not know that.")
    if answer != line:
        raise JournalError(
            f"{file} says that {key!r} is {result}; its journal says {answer['outcome']}, "
            "or says it with another proof, reason or time."
        )
    if not intended:
        raise JournalError(f"The journal of {file} holds an outcome of {key!r} without the intent before it.")


def _sessions(segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """Return the head of every session."""
    heads: dict[str, dict[str, Any]] = {}
    for segment in segments:
        session = segment.header["session"]
        entry = heads.setdefault(session, {"session": session, "try": segment.header["try"], "segments": 0})
        if lost := segment.header.get("missing_session"):
            entry["missing_session"] = lost
        entry["segments"] += 1
        entry["head"] = segment.digest
    return list(heads.values())


def omitted(store: Store, listed: Set[str] | None, disposals: Iterable[str]) -> tuple[list[dict[str, Any]], set[str]]:
    """Find the task instances of the run that have a journal and no disposal here, and their journals.

    A mapped task that dies before it pushed its reference leaves a gap that no list of references shows.

    :param listed: the files that count; None: all.
    :param disposals: the names of those that are given.
    """
    given = {task_folder(file) for file in disposals}
    found: dict[str, int] = {}
    journals: set[str] = set()
    for run in {folder.rsplit("/", 2)[0] for folder in given}:
        for name in store.names(run):
            folder = journal_of(run, name)
            if folder and folder not in given and (listed is None or name in listed):
                found[folder] = found.get(folder, 0) + 1
                journals.add(name)
    return [{"task": folder, "journal_files": found[folder]} for folder in sorted(found)], journals


def journal_of(run: str, name: str) -> str:
    """Return the folder of the task instance to whose journal a file of a run belongs; empty if to none."""
    parts = name.removeprefix(f"{run}/").split("/")
    return "/".join([run, *parts[:2]]) if len(parts) > 3 and parts[2] == "journal" else ""


class Parts:
    """What each system was given of each approved list that was cut into parts."""

    def __init__(self) -> None:
        self._approved: dict[str, set[str]] = {}
        self._withheld: dict[tuple[str, str], set[str]] = {}

    def take(self, disposal: Disposal, authorization: Authorization) -> None:
        """Take in one disposal, which may be of a part."""
        self._approved.setdefault(disposal.system, set()).update(disposal.approved)
        for approval in authorization.approvals:
            if approval.part_of:
                self._withheld.setdefault((disposal.system, approval.part_of), set()).update(authorization.withheld)

    def uncovered(self, lines: Callable[[str], Iterable[withheld.Line]]) -> list[dict[str, Any]]:
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
