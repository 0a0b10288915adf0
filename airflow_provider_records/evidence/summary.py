"""One manifest carried out against one system: the summary that a reference in XCom points to.

Each try writes a summary of its own, under the digest of its bytes: one that was given up and lives on can never
overwrite what its successor found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from airflow_provider_records.evidence.manifest import Manifest, key_of
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, counts
from airflow_provider_records.evidence.record import canonical
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError


@dataclass(frozen=True)
class SystemDescription:
    """What a system says of itself, in words for people.

    It is written down when a list is carried out, so that a certificate keeps its sentences under every later release.

    :param title: what people call the system.
    :param method: how its records are disposed of, as a sentence without a full stop.
    :param meanings: what an outcome means in this system, by outcome; only where that differs from the usual meaning.
    :param caveats: what an outcome of this system does not prove, one sentence each.
    :param deletes_content: False for a system that holds no content, where ``destroyed`` is a status that is set.
    :param unrecognized: members of a file that this release does not know; they are written back as they are.
    """

    title: str
    method: str = ""
    meanings: Mapping[str, str] = field(default_factory=dict)
    caveats: Sequence[str] = ()
    deletes_content: bool = True
    unrecognized: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {
            **self.unrecognized,
            "title": self.title,
            "method": self.method,
            "meanings": dict(self.meanings),
            "caveats": list(self.caveats),
            "deletes_content": self.deletes_content,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> SystemDescription:
        """Make a description from its fields as JSON has them.

        :raises TypeError: the title is missing.
        :raises ValueError: a field has another type than it must have.
        """
        known = ("title", "method", "meanings", "caveats", "deletes_content")
        unrecognized = {name: value for name, value in fields.items() if name not in known}
        found = cls(**{name: fields[name] for name in known if name in fields}, unrecognized=unrecognized)
        well_formed = (
            isinstance(found.title, str)
            and isinstance(found.method, str)
            and isinstance(found.meanings, dict)
            and all(isinstance(text, str) for text in found.meanings.values())
            and isinstance(found.caveats, list | tuple)
            and all(isinstance(text, str) for text in found.caveats)
            and isinstance(found.deletes_content, bool)
        )
        if not well_formed:
            raise ValueError("a field of a system's description has a wrong type")
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
    :param counts: number of records by result.
    :param outcomes: URI of the outcomes, one line a record in the order of the manifest.
    :param made: who carried it out: DAG, run, task, map index, try, versions.
    :param options: what the DAG asked for: method, limits, concurrency.
    :param stopped: why the sending ended early, if it did.
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
    made: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    stopped: str | None = None
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
            "counts": dict(self.counts),
        }

    def write(self, store: Store, folder: str) -> Disposal:
        """Write ``disposal.json`` into a folder of this try, below the task's; return the disposal with its URI."""
        content = canonical({"type": "disposal", **self.to_dict()}) + b"\n"
        name = f"try-{self.made['try_number']:04}-{hashlib.sha256(content).hexdigest()}"
        return replace(self, uri=store.write(f"{folder}/{name}/disposal.json", content))

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON has them, all but ``uri``."""
        fields = {name: value for name, value in vars(self).items() if name != "uri"}
        return {**fields, "description": self.description.to_dict()}

    @classmethod
    def read(cls, store: Store, uri: str) -> Disposal:
        """Read a disposal.

        :raises EvidenceError: it is missing, was changed, or is no disposal.
        """
        content = store.read(store.name(uri))
        try:
            fields = json.loads(content)
            named = uri.endswith(f"-{hashlib.sha256(content).hexdigest()}/disposal.json")
            if fields.pop("type") == "disposal" and named:
                return cls.from_dict(fields, uri)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        raise EvidenceError(f"{uri} is no disposal, or was changed.")

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], uri: str = "") -> Disposal:
        """Make a disposal from its fields as JSON has them.

        :param fields: all fields except ``uri``.
        :param uri: where its file lies.
        :raises KeyError: it has no description.
        :raises TypeError: another field is missing or unknown.
        :raises ValueError: a field has another type than it must have.
        """
        description = SystemDescription.from_dict(fields["description"])
        disposal = cls(**{**fields, "description": description}, uri=uri)
        if not disposal._well_formed():
            raise ValueError("a field of a disposal has a wrong type")
        return disposal

    def _well_formed(self) -> bool:
        texts = [self.system, self.manifest, self.digest, self.outcomes, self.started_at, self.ended_at]
        lists = [self.approved, self.approvals]
        return (
            all(isinstance(each, list) for each in lists)
            and all(isinstance(text, str) for text in (*texts, *self.approved, *self.approvals))
            and isinstance(self.approval_required, bool)
            and isinstance(self.dry_run, bool)
            and isinstance(self.stopped, str | None)
            and isinstance(self.made, dict)
            and all(isinstance(self.made.get(name), str) for name in ("dag_id", "run_id", "task_id"))
            and all(type(self.made.get(name)) is int for name in ("map_index", "try_number"))
            and isinstance(self.options, dict)
            and isinstance(self.counts, dict)
            and set(self.counts) == set(OutcomeKind)
            and all(type(number) is int and number >= 0 for number in self.counts.values())
        )

    def each_outcome(self, store: Store) -> Iterator[Outcome]:
        """Read the outcomes one by one.

        :raises EvidenceError: they are missing, changed, or do not add up to the counts; said at the end at the latest.
        """
        found = dict.fromkeys(self.counts, 0)
        digest = hashlib.sha256()
        with store.open(store.name(self.outcomes)) as file:
            for line in file:
                digest.update(line)
                try:
                    outcome = Outcome.from_dict(json.loads(line))
                except (ValueError, TypeError, KeyError, AttributeError):
                    raise EvidenceError(f"The outcomes at {self.outcomes} were changed, or are none.") from None
                found[str(outcome.kind)] += 1
                yield outcome
        if not self.outcomes.endswith(f"/{digest.hexdigest()}.jsonl"):
            raise EvidenceError(f"The outcomes at {self.outcomes} were changed: their bytes do not match their name.")
        if found != dict(self.counts):
            raise EvidenceError(f"The outcomes at {self.outcomes} do not add up to the counts of {self.uri}.")


def task_folder(file: str) -> str:
    """Return the task's folder, in which the summary of one of its tries lies."""
    return file.rsplit("/", 2)[0]


def write_outcomes(
    store: Store, manifest: Manifest, outcomes: Sequence[Outcome], folder: str
) -> tuple[str, dict[str, int]]:
    """Write the outcomes of a list below a folder, under their digest.

    :return: URI and counts.
    :raises EvidenceError: they are not exactly one for each record, in the list's order.
    """
    for outcome, line in zip_longest(outcomes, manifest.lines()):
        if outcome is None or line is None or outcome.key != key_of(line):
            raise EvidenceError(f"{len(outcomes)} outcomes for {manifest.count} records: they must add up, in order.")
    uri, _, _ = store.write_lines(f"{folder}/outcomes", (canonical(outcome.fields()) + b"\n" for outcome in outcomes))
    return uri, counts(outcomes)
