"""Reads disposal runs (DAG runs that disposed of records) from the evidence store for the page "Disposals".

Nothing here writes. Most files are named after the digest of their bytes or are written once, so their content is
cached. Only the list of a run's files is requested again.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ParamSpec, TypeVar
from urllib.parse import unquote

from airflow_provider_records.evidence import certificate, formats, reader
from airflow_provider_records.evidence.approval import Approval, Rejection
from airflow_provider_records.evidence.folders import DISPOSALS, TaskFolder, dag_folder, run_folder
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, known_kind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.run import try_order
from airflow_provider_records.evidence.segment import OPEN, JournalState, parse_segment, segment_name
from airflow_provider_records.evidence.set_aside import OddRow, SetAside
from airflow_provider_records.evidence.slip import Slip
from airflow_provider_records.evidence.store import Store, safe_name
from airflow_provider_records.evidence.summary import Disposal, SystemDescription
from airflow_provider_records.exceptions import EvidenceError, RecordsError
from airflow_provider_records.plugin.status import DisposalRun, InstanceStatus, Progress, ReasonGroup, TaskStatus
from airflow_provider_records.reporting.language import ENGLISH, Language
from airflow_provider_records.reporting.verdict import RunStatus

_KEPT_JOURNALS = 32
_PLACES = (DISPOSALS, "asked", "rejections")
"""The folders that name runs of DAGs which dispose of records: carried out, asked for, rejected."""
_LOG = logging.getLogger(__name__)
_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


@dataclass
class _LiveState:
    """State of one journal; only segments that are not applied yet are read the next time."""

    applied: set[str] = field(default_factory=set)
    journal: JournalState[OutcomeKind] = field(
        default_factory=lambda: JournalState(lambda line: known_kind(line["outcome"]))
    )
    lock: threading.Lock = field(default_factory=threading.Lock)


class RunReader:
    """Reads the disposal runs of an evidence store. Thread-safe.

    :param store: the evidence store.
    :param language: the language of what people read of it.
    """

    def __init__(self, store: Store, language: Language = ENGLISH) -> None:
        self.store, self.language = store, language
        self._cached_tasks = lru_cache(4096)(self._tasks)
        self._cached_certificate = lru_cache(4096)(self._certificate)
        self._cached_decisions = lru_cache(4096)(self._decisions)
        self._warn = lru_cache(4096)(_warn)
        self._disposal = lru_cache(8192)(lambda name: Disposal.read(store, store.uri(name)))
        self._approval = lru_cache(8192)(lambda uri: Approval.read(store, uri))
        self._header = lru_cache(1024)(self._read_header)
        self._groups = lru_cache(2048)(self._read_groups)
        self._journal_state = lru_cache(_KEPT_JOURNALS)(lambda _: _LiveState())

    def dags(self) -> dict[str, str]:
        """Return the DAGs that have runs here: folder name to DAG id, without DAGs whose id is not known."""
        found: dict[str, str] = {}
        for place in _PLACES:
            for name in set(self.store.children(place)) - found.keys():
                if text := self.try_read(name, "", self._original_id, place, name, "dag_id")[0]:
                    found[name] = text
        return found

    def runs(self, dag_id: str) -> set[str]:
        """Return the folder names of a DAG's disposal runs."""
        return set(self.store.children(dag_folder(dag_id)))

    def decided(self, dag_id: str) -> set[str]:
        """Return the folder names of a DAG's runs in which people or vendors were asked, or rejected a list."""
        return {name for place in _PLACES[1:] for name in self.store.children(f"{place}/{safe_name(dag_id)}")}

    def run_id(self, dag_id: str, folder: str) -> str:
        """Return the run id that a folder is named after; empty if it is not known.

        :raises EvidenceError: only a file of the run can contain it, and none can be read.
        """
        found = (self._original_id(f"{place}/{safe_name(dag_id)}", folder, "run_id") for place in _PLACES)
        return next(filter(None, found), "")

    def certified(self, dag_id: str) -> set[str]:
        """Return the folder names of a DAG's disposal runs that have a certificate."""
        found = self.store.children(f"certificates/{safe_name(dag_id)}")
        return {name.removesuffix(".json") for name in found if name.endswith(".json")}

    def read(
        self, dag_id: str, run_id: str, version: str = "", *, certified: bool = False, decided: bool = False
    ) -> DisposalRun:
        """Read a run; it has no tasks if the store has no disposals of it.

        :param version: changes whenever the run changes; a run is read once for each version. Empty: the run is active
            and is not cached.
        :param certified: whether to read its certificate, too.
        :param decided: whether to read what was asked and rejected, too.
        """
        read_tasks = self._cached_tasks if version else self._tasks
        tasks, problem = self.try_read(dag_id, run_id, read_tasks, dag_id, run_id, version)
        status = None
        if certified and not problem:
            read_certificate = self._cached_certificate if version else self._certificate
            status, problem = self.try_read(dag_id, run_id, read_certificate, dag_id, run_id, version)
        orders: Sequence[Order] = ()
        rejections: Sequence[Rejection] = ()
        if decided:
            read_decisions = self._cached_decisions if version else self._decisions
            found, why = self.try_read(dag_id, run_id, read_decisions, dag_id, run_id, version)
            orders, rejections = found or ((), ())
            problem = problem or why
        return DisposalRun(dag_id, run_id, tasks or (), problem, status, orders, rejections)

    def try_read(
        self,
        dag_id: str,
        run_id: str,
        read: Callable[_Params, _Result],
        *args: _Params.args,
        **kwargs: _Params.kwargs,
    ) -> tuple[_Result | None, str]:
        """Read something of one run. An error is returned, not raised, so that it does not hide the other runs.

        :param dag_id: its DAG.
        :param run_id: its id; empty: the call concerns the whole DAG.
        :param read: called with the arguments that follow.
        :return: its result, None if it failed; and the error message, empty if it did not fail. The message contains
            nothing that a reader of the run may not see.
        """
        try:
            return read(*args, **kwargs), ""
        except Exception as error:  # noqa: BLE001 - a bug in this package must not hide the other runs either
            known = isinstance(error, RecordsError)
            self._warn(dag_id, run_id, f"{type(error).__name__}: {error}", known)
            fault = f"Its evidence could not be read ({type(error).__name__}); the API server's log says more."
            return None, self.store.conceal(str(error)) if known else fault

    def approvals(self, disposals: Iterable[Disposal]) -> list[Approval]:
        """Return the approvals of these disposals, each approver once for each list, in the order of time.

        :raises EvidenceError: an approval is missing or was changed.
        """
        found = {
            (approval.approver, approval.part_of or approval.digest): approval
            for uri in dict.fromkeys(uri for disposal in disposals for uri in disposal.approvals)
            for approval in [self._approval(uri)]
        }
        return sorted(found.values(), key=lambda approval: approval.approved_at)

    def given(self, run: DisposalRun, uris: Iterable[str]) -> list[Approval]:
        """Return those of these approvals that are for an order of a run.

        :param uris: what a task returned; anybody who writes a DAG can return any.
        :raises EvidenceError: an approval is missing or was changed.
        """
        orders = {order.id for order in run.orders}
        found = [self._approval(uri) for uri in uris] if orders else []
        return [approval for approval in found if approval.order in orders and not approval.part_of]

    def set_aside(self, dag_id: str, run_id: str) -> list[OddRow]:
        """Return the rows that the tasks of a run set aside, in their order.

        :raises EvidenceError: a file is missing or was changed.
        """
        return [row for each in SetAside.of_run(self.store, dag_id, run_id) for row in each.rows(self.store)]

    def slips(self, dag_id: str, run_id: str) -> list[Slip]:
        """Return the answers of reviewers in a run that could not be followed, the newest first.

        :raises EvidenceError: a file was changed.
        """
        return Slip.of_run(self.store, dag_id, run_id)

    def groups(self, disposals: Iterable[Disposal]) -> list[ReasonGroup]:
        """ReasonGroup the records that were not destroyed by outcome and reason, the most frequent first.

        :raises EvidenceError: the outcomes are missing or are not a file of outcomes.
        """
        found: Counter[tuple[OutcomeKind, str]] = Counter()
        for disposal in disposals:
            if sum(disposal.counts.values()) != disposal.counts[OutcomeKind.DESTROYED]:
                found.update(self._groups(self.store.name(disposal.outcomes)))
        return [ReasonGroup(kind, reason, count) for (kind, reason), count in found.most_common()]

    def records(
        self, disposals: Iterable[Disposal], kind: OutcomeKind | None, reason: str | None, first: int, last: int
    ) -> tuple[list[tuple[Record, Outcome]], int]:
        """Return some of the records of disposals with their outcomes, and how many there are.

        :param kind: only records with this outcome.
        :param reason: only records with this reason.
        :param first: index of the first one to return.
        :param last: index of the first one to leave out.
        :raises EvidenceError: a list or its outcomes are missing or were changed.
        """
        found, count = [], 0
        for disposal in disposals:
            outcomes = reader.outcomes(self.store, self.store.name(disposal.outcomes))
            for record, outcome in zip(Manifest.open(self.store, disposal.digest), outcomes, strict=True):
                if kind not in (None, outcome.kind) or reason not in (None, outcome.reason or ""):
                    continue
                if first <= count < last:
                    found.append((record, outcome))
                count += 1
        return found, count

    def further_parts(self, dag_id: str, run_id: str) -> range:
        """Return the numbers of the pages that a run's certificate has besides the first one.

        :raises EvidenceError: the store cannot be listed.
        """
        found = self.store.children(certificate.parts_folder(certificate.file_name(dag_id, run_id)))
        return range(2, 2 + sum(name.endswith(".html") for name in found))

    def _certificate(self, dag_id: str, run_id: str, _version: str) -> RunStatus:
        document = certificate.read(self.store, certificate.file_name(dag_id, run_id))
        return RunStatus.from_document(document, self.language)

    def _decisions(self, dag_id: str, run_id: str, _version: str) -> tuple[list[Order], list[Rejection]]:
        orders = sorted(Order.asked_in(self.store, dag_id, run_id), key=lambda order: order.asked_at)
        return orders, Rejection.of_run(self.store, dag_id, run_id)

    def _original_id(self, folder: str, name: str, member: str) -> str:
        """Return the id that a folder is named after; an id that is too long for a name is read from a file in it.

        :param member: the member of a summary's provenance, an order or a rejection that holds the id.
        """
        if not name.isascii():
            return ""  # this package writes ASCII names only
        text = unquote(name.partition("~")[0])
        if safe_name(text) == name:
            return text
        problem: EvidenceError | None = None
        for file in self.store.names(f"{folder}/{name}"):
            try:
                if not folder.startswith(DISPOSALS):
                    form = formats.ORDER if folder.startswith(_PLACES[1]) else formats.REJECTION
                    text = str(reader.document(self.store, file, form).get(member))
                elif file.endswith("/disposal.json"):
                    text = str(getattr(self._disposal(file).provenance, member))
                else:
                    continue
            except EvidenceError as error:
                problem = error
                continue
            return text if safe_name(text) == name else ""
        if problem is not None:
            raise problem
        return ""

    def _tasks(self, dag_id: str, run_id: str, _version: str) -> list[TaskStatus]:
        folder = run_folder(dag_id, run_id)
        files: dict[tuple[str, str], tuple[list[str], list[str]]] = {}
        for name in self.store.names(folder):
            task, index, *rest = [*name.removeprefix(f"{folder}/").split("/"), ""]
            summaries, segments = files.setdefault((task, index), ([], []))
            if len(rest) == 3 and rest[1] == "disposal.json":
                summaries.append(name)
            elif len(rest) == 4 and rest[0] == "journal":
                segments.append(name)
        tasks: dict[str, list[InstanceStatus]] = {}
        for (task, index), (summaries, segments) in files.items():
            instance = self._instance(TaskFolder(f"{folder}/{task}/{index}"), task, index, summaries, segments)
            if instance.disposal or instance.progress:
                tasks.setdefault(instance.task_id, []).append(instance)
        found = [
            TaskStatus(
                task_id,
                next((each.system for each in instances if each.system), ""),
                sorted(instances, key=lambda each: (each.iteration, each.map_index)),
            )
            for task_id, instances in tasks.items()
        ]
        # A task without a summary started last.
        return sorted(found, key=lambda task: min((each.started_at for each in task.disposals), default="~"))

    def _instance(
        self, folder: TaskFolder, task: str, index: str, summaries: Sequence[str], segments: Sequence[str]
    ) -> InstanceStatus:
        newest = max((self._disposal(name) for name in summaries), key=try_order, default=None)
        progress = None
        sessions = sorted({name.split("/")[-2] for name in segments}, reverse=True)
        if sessions and not _is_summarized(sessions, summaries):
            opened = next(
                filter(None, (self._session_header(f"{folder.journal}/{session}") for session in sessions)), None
            )
            if opened and (newest is None or (opened["started"], opened["try"]) > try_order(newest)[:2]):
                progress = self._progress(folder.journal, segments, opened)
        task_id = newest.provenance.task_id if newest else unquote(task)
        map_index, _, iteration = index.partition(".")
        which = [int(each) if each.lstrip("-").isdigit() else -1 for each in (map_index, iteration)]
        return InstanceStatus(task_id, which[0], which[1], newest, progress)

    def _session_header(self, session: str) -> Mapping[str, Any]:
        """Return the header of a session's first segment; empty if that segment is missing or incomplete."""
        try:
            return self._header(f"{session}/{segment_name(0, OPEN)}")
        except LookupError:
            return {}

    def _read_header(self, name: str) -> Mapping[str, Any]:
        if not self.store.exists(name) or (segment := parse_segment(name, self.store.read(name))) is None:
            raise LookupError(name)  # an exception is not cached: the segment may be written later
        return segment.header

    def _progress(self, journal: str, segments: Iterable[str], opened: Mapping[str, Any]) -> Progress:
        state: _LiveState = self._journal_state(journal)
        with state.lock:
            for name in sorted(set(segments) - state.applied):
                if (segment := parse_segment(name, self.store.read(name))) is not None:
                    state.journal.add(segment)
                    state.applied.add(name)
            counts = Counter(state.journal.outcomes.values())
            system = str(opened.get("system", ""))
            return Progress(
                system,
                SystemDescription.from_dict(opened.get("description") or {"title": system}),
                {str(kind): counts[kind] for kind in OutcomeKind},
                len(state.journal.in_doubt),
                int(opened.get("records", 0)),
            )

    def _read_groups(self, name: str) -> Counter[tuple[OutcomeKind, str]]:
        outcomes = reader.outcomes(self.store, name, without=OutcomeKind.DESTROYED)
        return Counter((outcome.kind, outcome.reason or "") for outcome in outcomes)


def _warn(dag_id: str, run_id: str, problem: str, known: bool) -> None:
    what = f"The run {run_id!r} of the" if run_id else "The"
    _LOG.warning("%s DAG %r cannot be read: %s", what, dag_id, problem, exc_info=not known)


def _is_summarized(sessions: Sequence[str], summaries: Sequence[str]) -> bool:
    """Return whether file names alone show that the newest session's try has written its summary.

    :param sessions: newest first; each name consists of a sequence number, the try number and a random part.
    """
    newest = sessions[0].split("-")[1:2]
    opened = sum(session.split("-")[1:2] == newest for session in sessions)
    return sum(name.split("/")[-2].split("-")[1:2] == newest for name in summaries) >= opened
