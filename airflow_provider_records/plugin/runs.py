"""What the evidence store says about nights (the DAG runs that disposed of records), read for the page.

Nothing here writes. Most files lie under the digest of their bytes or are published once, so that what was read of
them is kept; what is asked of the store again and again is only which files a night has.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar
from urllib.parse import unquote

from airflow_provider_records.evidence import certificate
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.journal import INTENTS, OUTCOMES, Segment, parse
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.record import canonical
from airflow_provider_records.evidence.store import Store, safe_name
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import EvidenceError, RecordsError
from airflow_provider_records.reporting.verdict import RunStatus

_ROOT = "disposals"
_DESTROYED = canonical({"outcome": OutcomeKind.DESTROYED})[1:-1]
_KEPT_JOURNALS = 32
_LOG = logging.getLogger(__name__)
_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Progress:
    """How far a try is that has not summed up yet.

    :param system: the system; empty if the journal does not say.
    :param counts: what is known of the list so far, by all tries.
    :param in_air: records that were about to be called and have no answer yet.
    :param total: records on the list; 0 if the journal does not say.
    """

    system: str
    counts: Mapping[str, int]
    in_air: int
    total: int

    @property
    def known(self) -> int:
        """Records with an outcome."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Part:
    """One task instance of a night.

    :param task_id: its task.
    :param map_index: -1 unless it is mapped.
    :param disposal: the summary of its newest try that wrote one.
    :param progress: set if a newer try has not summed up yet.
    """

    task_id: str
    map_index: int
    disposal: Disposal | None
    progress: Progress | None

    @property
    def system(self) -> str:
        """The system, empty if it is not known yet."""
        return self.disposal.system if self.disposal else self.progress.system if self.progress else ""

    @property
    def counts(self) -> Mapping[str, int]:
        """What became of its records, as far as known."""
        return self.progress.counts if self.progress else self.disposal.counts if self.disposal else {}


@dataclass(frozen=True)
class Task:
    """What one task of a night did; all its mapped parts together.

    :param task_id: the task.
    :param system: the system.
    :param parts: its task instances.
    """

    task_id: str
    system: str
    parts: Sequence[Part]

    @property
    def disposals(self) -> list[Disposal]:
        """The summaries that there are."""
        return [part.disposal for part in self.parts if part.disposal]

    @property
    def progress(self) -> Progress | None:
        """How far it is, all parts together that have begun; None if each has summed up."""
        going = [part.progress for part in self.parts if part.progress]
        if not going:
            return None
        done = sum(sum(part.counts.values()) for part in self.parts if not part.progress)
        total = done + sum(each.total for each in going) if all(each.total for each in going) else 0
        return Progress(self.system, self.counts, sum(each.in_air for each in going), total)

    @property
    def counts(self) -> dict[str, int]:
        """Number of records by result."""
        return added(part.counts for part in self.parts)


@dataclass(frozen=True)
class Night:
    """One DAG run that disposed of records.

    :param dag_id: its DAG.
    :param run_id: its id.
    :param tasks: its disposing tasks, in the order of their start.
    :param problem: why something of its evidence cannot be read; empty if nothing is wrong.
    :param certificate: what its certificate says; None if there is none or it was not read.
    """

    dag_id: str
    run_id: str
    tasks: Sequence[Task] = ()
    problem: str = ""
    certificate: RunStatus | None = None

    @property
    def disposals(self) -> list[Disposal]:
        """All summaries."""
        return [disposal for task in self.tasks for disposal in task.disposals]

    @property
    def going(self) -> bool:
        """Whether a try has not summed up: it is at it, or was interrupted."""
        return any(task.progress for task in self.tasks)

    @property
    def systems(self) -> dict[str, dict[str, int]]:
        """Number of records by system and result."""
        found: dict[str, list[Mapping[str, int]]] = {}
        for task in self.tasks:
            found.setdefault(task.system, []).append(task.counts)
        return {system: added(counts) for system, counts in found.items()}

    @property
    def digests(self) -> set[str]:
        """Digests of all lists that it carried out, or that were approved for it."""
        return {digest for each in self.disposals for digest in (each.digest, *each.approved)}


@dataclass(frozen=True)
class Group:
    """Records that were not destroyed for the same reason."""

    kind: OutcomeKind
    reason: str
    count: int


@dataclass
class _Watch:
    """What was read of one journal; only its new segments are read the next time."""

    seen: set[str] = field(default_factory=set)
    results: dict[str, OutcomeKind] = field(default_factory=dict)
    in_air: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def apply(self, segment: Segment) -> None:
        self.seen.add(segment.name)
        if segment.header["kind"] == INTENTS:
            self.in_air |= {line["key"] for line in segment.lines}
        elif segment.header["kind"] == OUTCOMES:
            for line in segment.lines:
                key, kind = line["key"], OutcomeKind(line["outcome"])
                self.in_air.discard(key)
                if kind.final or key not in self.results or not self.results[key].final:
                    self.results[key] = kind


class Nights:
    """Reads the nights of an evidence store; may be used by several threads.

    :param store: the evidence store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._settled = lru_cache(4096)(self._tasks)
        self._sealed = lru_cache(4096)(self._certificate)
        self._warn = lru_cache(4096)(_warn)
        self._disposal = lru_cache(8192)(lambda name: Disposal.read(store, store.uri(name)))
        self._approval = lru_cache(8192)(lambda uri: Approval.read(store, uri))
        self._header = lru_cache(1024)(self._read_header)
        self._groups = lru_cache(2048)(self._read_groups)
        self._watch = lru_cache(_KEPT_JOURNALS)(lambda _: _Watch())

    def dags(self) -> dict[str, str]:
        """Return the DAGs that have nights: id by name of their folder, if the id is known."""
        folders = self.store.children(_ROOT)
        found = {name: self.guarded(name, "", self._text, _ROOT, name, "dag_id")[0] for name in folders}
        return {name: text for name, text in found.items() if text}

    def runs(self, dag_id: str) -> list[str]:
        """Return the names of the folders of a DAG's nights."""
        return self.store.children(f"{_ROOT}/{safe_name(dag_id)}")

    def run_id(self, dag_id: str, folder: str) -> str:
        """Return the run id that a folder is named after; empty if nothing says it.

        :raises EvidenceError: only a summary could say it, and none can be read.
        """
        return self._text(f"{_ROOT}/{safe_name(dag_id)}", folder, "run_id")

    def certified(self, dag_id: str) -> set[str]:
        """Return the names of the folders of a DAG's nights that have a certificate."""
        found = self.store.children(f"certificates/{safe_name(dag_id)}")
        return {name.removesuffix(".json") for name in found if name.endswith(".json")}

    def read(self, dag_id: str, run_id: str, version: str = "", *, certified: bool = False) -> Night:
        """Read a night; it has no tasks if there is nothing of it.

        :param version: changes whenever the run goes on; a night is read once a version. Empty: it may go on now.
        :param certified: whether it has a certificate that is to be read as well.
        """
        look = self._settled if version else self._tasks
        tasks, problem = self.guarded(dag_id, run_id, look, dag_id, run_id, version)
        status = None
        if certified and not problem:
            sealed = self._sealed if version else self._certificate
            status, problem = self.guarded(dag_id, run_id, sealed, dag_id, run_id, version)
        return Night(dag_id, run_id, tasks or (), problem, status)

    def guarded(
        self,
        dag_id: str,
        run_id: str,
        look: Callable[_Given, _Found],
        *args: _Given.args,
        **kwargs: _Given.kwargs,
    ) -> tuple[_Found | None, str]:
        """Look at something of one night; whatever fails there is told, so that it hides no other night.

        :param dag_id: its DAG.
        :param run_id: its id; empty: it is about the whole DAG.
        :param look: what to call with the arguments that follow.
        :return: what it returned, None if it failed; and why it failed, in words that people who may see the night may
            read, empty if it did not.
        """
        try:
            return look(*args, **kwargs), ""
        except Exception as error:  # noqa: BLE001 - a fault of this program must not hide other nights either
            known = isinstance(error, RecordsError)
            self._warn(dag_id, run_id, f"{type(error).__name__}: {error}", known)
            fault = f"Its evidence could not be read ({type(error).__name__}); the API server's log says more."
            return None, self.store.conceal(str(error)) if known else fault

    def approvals(self, disposals: Iterable[Disposal]) -> list[Approval]:
        """Return who approved what these disposals carried out, each person once a list, in the order of time.

        :raises EvidenceError: an approval is missing or was changed.
        """
        found = {
            (approval.approver, approval.part_of or approval.digest): approval
            for uri in dict.fromkeys(uri for disposal in disposals for uri in disposal.approvals)
            for approval in [self._approval(uri)]
        }
        return sorted(found.values(), key=lambda approval: approval.approved_at)

    def groups(self, disposals: Iterable[Disposal]) -> list[Group]:
        """Group what was not destroyed by its reason, the most frequent first.

        :raises EvidenceError: the outcomes are missing or are none.
        """
        found: Counter[tuple[OutcomeKind, str]] = Counter()
        for disposal in disposals:
            if sum(disposal.counts.values()) != disposal.counts[OutcomeKind.DESTROYED]:
                found.update(self._groups(self.store.name(disposal.outcomes)))
        return [Group(kind, reason, count) for (kind, reason), count in found.most_common()]

    def certificate(self, dag_id: str, run_id: str, suffix: str) -> str:
        """Return the name of a run's certificate.

        :param suffix: ``.json`` or ``.html``.
        """
        return certificate.file_name(dag_id, run_id).removesuffix(".json") + suffix

    def _certificate(self, dag_id: str, run_id: str, _version: str) -> RunStatus:
        return RunStatus.from_document(certificate.read(self.store, certificate.file_name(dag_id, run_id)))

    def _text(self, folder: str, name: str, fact: str) -> str:
        """Return the text that a folder's name was made of; names that had to be cut are found in the summaries."""
        if not name.isascii():
            return ""  # no folder of ours
        text = unquote(name)
        if safe_name(text) == name:
            return text
        problem: EvidenceError | None = None
        for file in self.store.names(f"{folder}/{name}"):
            if not file.endswith("/disposal.json"):
                continue
            try:
                text = str(self._disposal(file).made[fact])
            except EvidenceError as error:
                problem = error
                continue
            return text if safe_name(text) == name else ""
        if problem is not None:
            raise problem
        return ""

    def _tasks(self, dag_id: str, run_id: str, _version: str) -> list[Task]:
        folder = f"{_ROOT}/{safe_name(dag_id)}/{safe_name(run_id)}"
        parts: dict[tuple[str, str], tuple[list[str], list[str]]] = {}
        for name in self.store.names(folder):
            task, index, *rest = [*name.removeprefix(f"{folder}/").split("/"), ""]
            summaries, segments = parts.setdefault((task, index), ([], []))
            if len(rest) == 3 and rest[1] == "disposal.json":
                summaries.append(name)
            elif len(rest) == 4 and rest[0] == "journal":
                segments.append(name)
        tasks: dict[str, list[Part]] = {}
        for (task, index), (summaries, segments) in parts.items():
            part = self._part(f"{folder}/{task}/{index}", task, index, summaries, segments)
            if part.disposal or part.progress:
                tasks.setdefault(part.task_id, []).append(part)
        found = [
            Task(
                task_id,
                next((part.system for part in group if part.system), ""),
                sorted(group, key=lambda part: part.map_index),
            )
            for task_id, group in tasks.items()
        ]
        # One that has no summary yet has begun last.
        return sorted(found, key=lambda task: min((each.started_at for each in task.disposals), default="~"))

    def _part(self, folder: str, task: str, index: str, summaries: Sequence[str], segments: Sequence[str]) -> Part:
        newest = max((self._disposal(name) for name in summaries), key=_tries, default=None)
        progress = None
        sessions = sorted({name.split("/")[-2] for name in segments}, reverse=True)
        if sessions and not _summed_up(sessions, summaries):
            opened = next(filter(None, (self._opened(f"{folder}/journal/{session}") for session in sessions)), None)
            if opened and (newest is None or (opened["started"], opened["try"]) > _tries(newest)[:2]):
                progress = self._progress(f"{folder}/journal", segments, opened)
        task_id = str(newest.made.get("task_id", "")) if newest else unquote(task)
        return Part(task_id, int(index) if index.lstrip("-").isdigit() else -1, newest, progress)

    def _opened(self, session: str) -> Mapping[str, Any]:
        """Return what a session said when it began; empty if its beginning was not published whole."""
        try:
            return self._header(f"{session}/000000-open.jsonl")
        except LookupError:
            return {}

    def _read_header(self, name: str) -> Mapping[str, Any]:
        if not self.store.exists(name) or (segment := parse(name, self.store.read(name))) is None:
            raise LookupError(name)  # not to be remembered: it may come
        return segment.header

    def _progress(self, journal: str, segments: Iterable[str], opened: Mapping[str, Any]) -> Progress:
        watch: _Watch = self._watch(journal)
        with watch.lock:
            for name in sorted(set(segments) - watch.seen):
                if (segment := parse(name, self.store.read(name))) is not None:
                    watch.apply(segment)
            counts = Counter(watch.results.values())
            return Progress(
                str(opened.get("system", "")),
                {str(kind): counts[kind] for kind in OutcomeKind},
                len(watch.in_air),
                int(opened.get("records", 0)),
            )

    def _read_groups(self, name: str) -> Counter[tuple[OutcomeKind, str]]:
        found: Counter[tuple[OutcomeKind, str]] = Counter()
        with self.store.open(name) as file:
            for line in file:
                # An unescaped quote cannot lie within a JSON text, so this tells the lines apart unparsed.
                if _DESTROYED in line:
                    continue
                try:
                    fields = json.loads(line)
                    found[OutcomeKind(fields["outcome"]), str(fields.get("reason", ""))] += 1
                except (ValueError, TypeError, KeyError, AttributeError):
                    raise EvidenceError(f"The outcomes at {name} were changed, or are none.") from None
        return found


def added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add up counts by result."""
    found = dict.fromkeys(map(str, OutcomeKind), 0)
    for each in counts:
        for kind, number in each.items():
            found[kind] += number
    return found


def _warn(dag_id: str, run_id: str, problem: str, known: bool) -> None:
    what = f"The run {run_id!r} of the" if run_id else "The"
    _LOG.warning("%s DAG %r cannot be read: %s", what, dag_id, problem, exc_info=not known)


def _summed_up(sessions: Sequence[str], summaries: Sequence[str]) -> bool:
    """Tell by the names alone that the newest session's try has summed up; if they do not say it, it is looked up.

    :param sessions: newest first; each is named after its place, its try, and at random.
    """
    newest = sessions[0].split("-")[1:2]
    opened = sum(session.split("-")[1:2] == newest for session in sessions)
    return sum(name.split("/")[-2].split("-")[1:2] == newest for name in summaries) >= opened


def _tries(disposal: Disposal) -> tuple[str, int, str]:
    """What orders the summaries of a task instance; a run that was created anew under its id starts over with 1."""
    return str(disposal.made.get("run_started_at", "")), int(disposal.made.get("try_number", 0)), disposal.ended_at
