"""One manifest carried out against one system: the summary that a reference in XCom points to.

Each try writes a summary of its own, under the digest of its bytes: one that was given up and lives on can never
overwrite what its successor found.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from typing import Any

from airflow_provider_records.evidence import formats, reader
from airflow_provider_records.evidence.binding import Place
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, known_kind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, NewerFormatError


@dataclass(frozen=True)
class Provenance:
    """Who carried something out.

    :param try_number: number of the try, from 1.
    :param map_index: -1 unless the task is mapped.
    :param iteration: that of the loop around the task, from 0; -1: there is none.
    :param loop_began_at: when Airflow began the loop, or a clear began the rest of it anew, so that tries count from 1
        again, ISO 8601. Empty: the run started later, or there is no loop.
    :param run_started_at: when the DAG run started, ISO 8601.
    :param unrecognized: members of a file that this release does not know; they are written back as they are.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    run_started_at: str = ""
    dag_version_id: str = ""
    hostname: str = ""
    provider_version: str = ""
    airflow_version: str = ""
    python_version: str = ""
    iteration: int = -1
    loop_began_at: str = ""
    unrecognized: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Provenance:
        """Read what :meth:`to_dict` wrote.

        :raises TypeError: a member is missing.
        :raises ValueError: a member has another type than it must have.
        """
        known, unrecognized = _split(members, cls)
        numbers = ("map_index", "try_number", "iteration")
        if any(type(value) is not (int if name in numbers else str) for name, value in known.items()):
            raise ValueError("a member of a provenance has a wrong type")
        return cls(**known, unrecognized=unrecognized)

    def to_dict(self) -> dict[str, Any]:
        """Return the members as JSON has them, without what is not known."""
        members = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "unrecognized"}
        if self.iteration < 0:
            del members["iteration"]
        return {**self.unrecognized, **{name: value for name, value in members.items() if value != ""}}

    @property
    def part(self) -> str:
        """Which instance of its task this is, counted from 1: by map index, iteration or both; empty: the only one."""
        return ".".join(str(number + 1) for number in (self.map_index, self.iteration) if number >= 0)

    @property
    def asking(self) -> dict[str, Any]:
        """What the source of an approval says of the task in a loop that asked for it; empty outside of one.

        Without it nothing tells an iteration that was approved and never disposed of from one that was asked again.
        """
        names = ("task_id", "map_index", "iteration") if self.iteration >= 0 else ()
        return {name.removesuffix("_id"): getattr(self, name) for name in names}

    @property
    def started(self) -> str:
        """The moment from which its tries count from 1, ISO 8601."""
        return self.loop_began_at or self.run_started_at

    @property
    def folder(self) -> TaskFolder:
        """The folder of the task instance in the evidence store."""
        return TaskFolder.of(self.dag_id, self.run_id, self.task_id, self.map_index, self.iteration)


@dataclass(frozen=True)
class SystemDescription:
    """What a system says of itself, in words for people.

    It is written down when a list is carried out, so that a certificate keeps its sentences under every later release.

    :param title: what people call the system.
    :param method: how its records are disposed of, as a sentence without a full stop.
    :param meanings: what an outcome means in this system, by outcome; only where that differs from the usual meaning.
    :param caveats: what an outcome of this system does not prove, one sentence each.
    :param action: what its calls do: ``destroy`` content permanently, ``recycle`` it, or ``mark`` a record whose
        content lies elsewhere. Orders, journals and summaries call it the method.
    :param unrecognized: members of a file that this release does not know; they are written back as they are.
    """

    title: str
    method: str = ""
    meanings: Mapping[str, str] = field(default_factory=dict)
    caveats: Sequence[str] = ()
    action: str = "destroy"
    unrecognized: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the members as JSON has them."""
        return {
            **self.unrecognized,
            "title": self.title,
            "method": self.method,
            "meanings": dict(self.meanings),
            "caveats": list(self.caveats),
            "action": self.action,
        }

    @property
    def deletes_content(self) -> bool:
        """Whether the system holds content; else ``destroyed`` is a status that is set."""
        return self.action != "mark"

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> SystemDescription:
        """Read what :meth:`to_dict` wrote.

        :raises TypeError: the title is missing.
        :raises ValueError: a member has another type than it must have.
        """
        known, unrecognized = _split(members, cls)
        found = cls(**known, unrecognized=unrecognized)
        well_formed = (
            isinstance(found.title, str)
            and isinstance(found.method, str)
            and isinstance(found.meanings, dict)
            and all(isinstance(text, str) for text in found.meanings.values())
            and isinstance(found.caveats, list | tuple)
            and all(isinstance(text, str) for text in found.caveats)
            and isinstance(found.action, str)
        )
        if not well_formed:
            raise ValueError("a member of a system's description has a wrong type")
        return found


@dataclass(frozen=True)
class Disposal:
    """One manifest carried out against one system.

    :param system: the short name of the system, such as ``enaio``.
    :param description: what the system says of itself.
    :param manifest: URI of the list that was carried out.
    :param digest: its digest.
    :param approved: digest of the list that people approved; the list itself, or the longer one that the
        disposal before was made from.
    :param approvals: URIs of the approvals.
    :param approval_required: False if the DAG says ``require_approval=False``.
    :param dry_run: True if nothing was sent.
    :param counts: number of records by outcome; 0 for those that a file does not name.
    :param outcomes: URI of the outcomes, one line a record in the order of the manifest.
    :param provenance: who carried it out.
    :param options: what the DAG asked for, such as limits and concurrency.
    :param target: where it was carried out, see ``VendorHook.target``; empty for an empty list.
    :param method: ``destroy``, ``recycle`` or ``mark``.
    :param conn_id: the Airflow connection; empty for an empty list.
    :param stopped: why the sending ended early, if it did.
    :param destroyed_earlier: number of the absent records that an earlier run of the DAG destroyed or recycled, and
        that nobody has marked since.
    :param follows: URIs of the disposals whose outcomes chose the records, if any did.
    :param unrecognized: members of a file that this release does not know; they are written back as they are.
    """

    system: str
    description: SystemDescription
    manifest: str
    digest: str
    approved: Sequence[str]
    approvals: Sequence[str]
    approval_required: bool
    dry_run: bool
    counts: Mapping[str, int]
    outcomes: str
    started_at: str
    ended_at: str
    provenance: Provenance
    options: Mapping[str, Any] = field(default_factory=dict)
    stopped: str | None = None
    target: str = ""
    method: str = ""
    conn_id: str = ""
    follows: Sequence[str] | None = None
    destroyed_earlier: int = 0
    unrecognized: Mapping[str, Any] = field(default_factory=dict)
    uri: str = field(default="", compare=False)

    @property
    def complete(self) -> bool:
        """Whether no record is left for another try."""
        return not any(self.counts[kind] for kind in OutcomeKind if not kind.final)

    @property
    def idle(self) -> bool:
        """Whether nothing was to be sent, so that it has no journal."""
        return self.dry_run or not any(self.counts.values())

    @property
    def place(self) -> Place:
        """Where and how it was carried out."""
        return Place(self.system, self.target, self.method, self.conn_id)

    @property
    def left(self) -> str:
        """What is left for another try, in words."""
        left = (f"{self.counts[kind]} {kind}" for kind in OutcomeKind if not kind.final and self.counts[kind])
        return ", ".join(left)

    def reference(self) -> dict[str, Any]:
        """Return what goes into XCom."""
        return {
            "disposal": self.uri,
            "manifest": self.manifest,
            "digest": self.digest,
            "system": self.system,
            "complete": self.complete,
            "counts": {str(kind): self.counts[kind] for kind in OutcomeKind},
        }

    def write(self, store: Store) -> Disposal:
        """Write ``disposal.json`` into a folder of this try, below the task's; return the disposal with its URI."""
        content = canonical({**self.to_dict(), **formats.DISPOSAL.members}) + b"\n"
        digest = hashlib.sha256(content).hexdigest()
        name = self.provenance.folder.summary(self.provenance.try_number, digest)
        return replace(self, uri=store.write(name, content))

    @classmethod
    def read(cls, store: Store, uri: str) -> Disposal:
        """Read a disposal.

        :raises NewerFormatError: it was written by a newer release.
        :raises EvidenceError: it is missing, was changed, or is no disposal.
        """
        content = store.read(store.name(uri))
        try:
            members = formats.DISPOSAL.check(json.loads(content), uri)
            if uri.endswith(f"-{hashlib.sha256(content).hexdigest()}/disposal.json"):
                return cls.from_dict(members, uri)
        except NewerFormatError:
            raise
        except (EvidenceError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        raise EvidenceError(f"{uri} is no disposal, or was changed.")

    @classmethod
    def from_dict(cls, members: Mapping[str, Any], uri: str = "") -> Disposal:
        """Read what :meth:`to_dict` wrote.

        :param uri: where its file lies.
        :raises NewerFormatError: it counts an outcome that this release does not know.
        :raises KeyError: it has no counts, no description or no provenance.
        :raises TypeError: another member is missing.
        :raises ValueError: a member has another type than it must have.
        """
        known, unrecognized = _split(members, cls)
        known["description"] = SystemDescription.from_dict(members["description"])
        known["provenance"] = Provenance.from_dict(members["provenance"])
        known["counts"] = _read_counts(members["counts"])
        disposal = cls(**known, unrecognized=unrecognized, uri=uri)
        if not disposal._well_formed():
            raise ValueError("a member of a disposal has a wrong type")
        return disposal

    def to_dict(self) -> dict[str, Any]:
        """Return the members as JSON has them, without what is empty."""
        members = {name: getattr(self, name) for name in self.__dataclass_fields__}
        del members["unrecognized"], members["uri"]
        members |= {"description": self.description.to_dict(), "provenance": self.provenance.to_dict()}
        members["counts"] = dict(self.counts)
        members["destroyed_earlier"] = self.destroyed_earlier or None
        known = {name: value for name, value in members.items() if value not in (None, "")}
        return {**self.unrecognized, **known}

    def _well_formed(self) -> bool:
        texts = [self.system, self.manifest, self.digest, self.outcomes, self.started_at, self.ended_at]
        texts += [self.target, self.method, self.conn_id]
        lists = [self.approved, self.approvals, [] if self.follows is None else self.follows]
        return (
            all(isinstance(each, list) for each in lists)
            and all(isinstance(text, str) for text in (*texts, *chain.from_iterable(lists)))
            and isinstance(self.approval_required, bool)
            and isinstance(self.dry_run, bool)
            and isinstance(self.stopped, str | None)
            and type(self.destroyed_earlier) is int
            and isinstance(self.options, dict)
        )

    def each_outcome(self, store: Store) -> Iterator[Outcome]:
        """Read the outcomes one by one.

        :raises EvidenceError: they are missing, changed, or do not add up to the counts; said at the end at the latest.
        """
        found: Counter[str] = Counter()
        for outcome in reader.outcomes(store, store.name(self.outcomes)):
            found[outcome.kind] += 1
            yield outcome
        if found != Counter(self.counts):
            raise EvidenceError(f"The outcomes at {self.outcomes} do not add up to the counts of {self.uri}.")


def _split(
    members: Mapping[str, Any], cls: type[Disposal | Provenance | SystemDescription]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the members of a file into those that a class knows and the others."""
    names = cls.__dataclass_fields__.keys() - {"unrecognized", "uri"}
    known = {name: value for name, value in members.items() if name in names}
    return known, {name: value for name, value in members.items() if name not in names}


def _read_counts(counts: Mapping[str, int]) -> Counter[str]:
    """Read numbers of records by outcome: as a file names them, and 0 for every other outcome."""
    if not isinstance(counts, dict) or any(type(number) is not int or number < 0 for number in counts.values()):
        raise ValueError("counts must be whole numbers from 0")
    for kind in counts:
        known_kind(kind)
    return Counter(counts)


def write_outcomes(
    store: Store, manifest: Manifest, outcomes: Sequence[Outcome], folder: TaskFolder
) -> tuple[str, dict[str, int]]:
    """Write the outcomes of a list into the folder of their task instance, under their digest.

    :return: URI and counts.
    :raises EvidenceError: they are not exactly one for each record, in the list's order.
    """

    found = Counter[OutcomeKind]()

    def lines() -> Iterator[bytes]:
        for outcome, key in zip_longest(outcomes, manifest.keys()):
            if outcome is None or outcome.key != key:
                raise EvidenceError(
                    f"{len(outcomes)} outcomes for {manifest.count} records: they must add up, in order."
                )
            found[outcome.kind] += 1
            yield canonical(store.naming.said_by_vendor(outcome).to_dict()) + b"\n"

    uri, _, _ = store.write_lines(folder.outcomes, formats.OUTCOMES.line, lines())
    return uri, {str(kind): found[kind] for kind in OutcomeKind}
