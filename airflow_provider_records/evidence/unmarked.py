"""What runs of a DAG destroyed or recycled, and whether it is marked since: a small index, so that no run reads others.

Each disposal that deletes writes one file with the keys that are gone by it, each one that marks a file with the keys
that it marked; no file is written again. While a disposal deletes, and if it dies, a file names its journal instead.
The index proves nothing: the journal and the summary of its run do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.binding import Place
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.claims import called_for
from airflow_provider_records.evidence.folders import TaskFolder, unmarked_folder
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof, known_kind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.spool import sorted_lines
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, Provenance
from airflow_provider_records.exceptions import EvidenceError, JournalError

NOT_MARKED = "and not marked since"
"""How the reason of every record ends that an earlier run destroyed or recycled."""
_GONE = frozenset({OutcomeKind.DESTROYED, OutcomeKind.RECYCLED})
_MARK = "mark"
_NO_RECORDS = b'"records":{}'


@dataclass(frozen=True)
class Earlier:
    """What an earlier run did to a record.

    :param kind: ``destroyed`` or ``recycled``; None: it died before it knew what became of its call.
    :param run_id: that run.
    :param target_id: the id that the record had in the content system.
    """

    kind: OutcomeKind | None
    run_id: str
    target_id: str

    def outcome(self, key: str) -> Outcome:
        """Return the outcome of a record that is not there any more.

        :param key: the record's key.
        """
        if self.kind is None:
            reason = f"a call of run {self.run_id} may have deleted it; that run ended before it knew"
            return Outcome(key, OutcomeKind.ABSENT, Proof.PROBE, reason)
        reason = f"{self.kind} in run {self.run_id}, {NOT_MARKED}"
        return Outcome(key, OutcomeKind.ABSENT, Proof.PROBE, reason, earlier=self.kind)


def begin(store: Store, origin: Provenance, place: Place) -> None:
    """Say that a task begins to delete: if it dies, its journal says what it destroyed.

    :param store: the evidence store.
    :param origin: the task instance.
    :param place: where and how it carries its list out.
    """
    if place.method != _MARK:
        store.write_hashed(unmarked_folder(origin.dag_id), [_begun(origin, place)], ".json")


def _begun(origin: Provenance, place: Place) -> bytes:
    """Return the same for each try, so that the last one can take it back."""
    where = {"system": place.system, "target": place.target, "method": place.method}
    when = {"run_id": origin.run_id, "at": origin.run_started_at, "journal": origin.folder.path}
    return canonical({**formats.UNMARKED.members, **when, **where, "records": {}}) + b"\n"


def note(store: Store, disposal: Disposal, records: Iterable[Record], outcomes: Iterable[Outcome]) -> None:
    """Keep what a disposal destroyed, recycled or marked; without such a record nothing is written.

    One that is complete takes back what :func:`begin` has said.

    :param store: the evidence store.
    :param disposal: the summary.
    :param records: the list.
    :param outcomes: one outcome a record, in the order of the list.
    """
    if any(disposal.counts[kind] for kind in _GONE):
        _write(store, disposal, records, outcomes)
    if disposal.complete and disposal.method != _MARK:
        begun = hashlib.sha256(_begun(disposal.provenance, disposal.place)).hexdigest()
        with suppress(EvidenceError):  # if it stays, a later run reads one journal more
            store.remove(f"{unmarked_folder(disposal.provenance.dag_id)}/{begun}.json")


def _write(store: Store, disposal: Disposal, records: Iterable[Record], outcomes: Iterable[Outcome]) -> None:
    where = {"system": disposal.system, "target": disposal.target, "method": disposal.method}
    when = {"run_id": disposal.provenance.run_id, "at": disposal.ended_at}
    head, tail = canonical({**formats.UNMARKED.members, **when, **where, "records": {}}).split(_NO_RECORDS)
    pairs = zip(records, outcomes, strict=True)
    gone = (_member(record.key, [str(each.kind), record.target_id]) for record, each in pairs if each.kind in _GONE)

    def pieces() -> Iterator[bytes]:
        yield head + _NO_RECORDS[:-1]
        for number, line in enumerate(sorted_lines(gone, _canonical_order)):
            yield (b"," if number else b"") + line[:-1]
        yield b"}" + tail + b"\n"

    store.write_hashed(unmarked_folder(disposal.provenance.dag_id), pieces(), ".json")


def _member(name: str, value: object) -> bytes:
    return canonical({name: value})[1:-1] + b"\n"


def _canonical_order(member: bytes) -> bytes:
    """Return what the canonical form sorts a member by."""
    name = member.partition(b'":')[0].decode()
    if "\\" in name:
        (name,) = json.loads(f"{{{member.decode()}}}")
        return str(name).encode("utf-16-be")
    return name[1:].encode("utf-16-be")  # what is written without escapes is the name itself: a third of the time


def read(store: Store, dag_id: str, run_id: str, place: Place) -> dict[str, Earlier]:
    """Return what other runs of a DAG destroyed or recycled at a place and nobody marked since, by key.

    :param store: the evidence store.
    :param dag_id: the DAG.
    :param run_id: the run that asks; what it did itself stands in its own journals.
    :param place: where it carries its list out.
    :raises NewerFormatError: a file was written by a newer release.
    :raises EvidenceError: a file was changed, or the store cannot be read.
    """
    found: dict[str, Earlier] = {}
    folder = unmarked_folder(dag_id)
    names = [f"{folder}/{file}" for file in store.children(folder)]
    files = [_parse(store, name, content) for name, content in zip(names, store.read_all(names), strict=True)]
    for members in sorted(files, key=lambda each: (each["at"], each["method"] == _MARK)):
        here = (members["system"], members["target"]) == (place.system, place.target)
        if here and members["run_id"] != run_id:
            found |= _unfinished(store, members, place)
        for key, (kind, target_id) in members["records"].items():
            if members["method"] == _MARK:
                found.pop(key, None)
            elif here:
                found[key] = Earlier(known_kind(kind), members["run_id"], target_id)
    return {key: each for key, each in found.items() if each.run_id != run_id}


def _unfinished(store: Store, members: Mapping[str, Any], place: Place) -> dict[str, Earlier]:
    """Return what a disposal did that has not come to its end, as its journal says."""
    if "journal" not in members:
        return {}
    folder, run_id = TaskFolder(members["journal"]), members["run_id"]
    with suppress(JournalError):  # one that was changed proves nothing
        return {key: Earlier(kind, run_id, id_) for key, id_, kind in called_for(store, folder, place)}
    return {}


def _parse(store: Store, name: str, content: bytes) -> Mapping[str, Any]:
    uri, members = store.uri(name), None
    with suppress(ValueError, RecursionError):
        members = json.loads(content)
    found = formats.UNMARKED.check(members, uri)
    texts = [found.get(member) for member in ("run_id", "at", "system", "target", "method")]
    texts.append(found.get("journal", ""))
    records = found.get("records")
    if (
        not name.endswith(f"/{hashlib.sha256(content).hexdigest()}.json")
        or not all(isinstance(text, str) for text in texts)
        or not isinstance(records, dict)
        or not all(isinstance(each, list) and len(each) == 2 for each in records.values())
    ):
        raise EvidenceError(f"{uri} does not say what a run destroyed, or was changed.")
    return found
