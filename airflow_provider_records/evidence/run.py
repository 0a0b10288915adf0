"""What the evidence store holds of a DAG run, whatever references still point to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.folders import TaskFolder, run_folder
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.reader import EvidenceReader
from airflow_provider_records.evidence.segment import INTENTS, each_segment
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal


def all_disposals(store: Store, dag_id: str, run_id: str, given: Iterable[Disposal] = ()) -> list[Disposal]:
    """Return what a certificate of a run has to cover: the newest disposal of each task instance that sent.

    Airflow forgets references: a clear removes them, a mapped task shrinks, a task that dies pushes none. The journals
    stay.

    :param given: disposals that references name. One of a task instance that intended nothing is kept as it is; for
        another the newest one counts.
    :return: those that are given first, in their order.
    :raises NewerFormatError: a newer release wrote a file.
    :raises EvidenceError: a summary was changed.
    :raises JournalError: a journal was changed.
    """
    found: dict[TaskFolder, Disposal] = {TaskFolder.containing(store.name(each.uri)): each for each in given}
    for folder, summaries in _summaries(store, run_folder(dag_id, run_id)).items():
        if INTENTS not in {segment.header["kind"] for segment in each_segment(store, folder.journal)}:
            continue
        begun = [each for each in summaries if not each.idle]
        if begun:
            found[folder] = max(begun, key=try_order)
        else:
            found.pop(folder, None)  # it says that nothing was sent, and its journal says otherwise
    return list(found.values())


def _summaries(store: Store, run: str) -> dict[TaskFolder, list[Disposal]]:
    """Return the summaries of each task instance of a run that has a journal."""
    names = store.names(run)
    folders = {folder for name in names if (folder := TaskFolder.containing(name)).is_journal(name)}
    found: dict[TaskFolder, list[Disposal]] = {folder: [] for folder in sorted(folders, key=lambda each: each.path)}
    for name in names:
        if name.endswith("/disposal.json") and (folder := TaskFolder.containing(name)) in found:
            found[folder].append(Disposal.read(store, store.uri(name)))
    return found


def try_order(disposal: Disposal) -> tuple[str, int, str]:
    """Return the sort key of a task instance's summaries; a run that is recreated under its id restarts at try 1."""
    return disposal.provenance.started, disposal.provenance.try_number, disposal.ended_at


def approvals_of(evidence: EvidenceReader, runs: Set[tuple[str, str]]) -> Iterator[Approval]:
    """Read the approvals that were given in these runs; of a task that was asked again, the newest one.

    :param evidence: the store, and which of its files count.
    :param runs: DAG id and run id of each.
    """
    newest: dict[tuple[object, ...], Approval] = {}
    for name in evidence.store.names("approvals"):
        if not name.endswith(".json") or (evidence.listed is not None and name not in evidence.listed):
            continue
        approval = Approval.read(evidence.store, evidence.store.uri(name))
        # A vendor's decision outside of a loop names no task: one asked again looks like two that were asked.
        if "task" not in approval.source:
            continue
        order = Order.read(evidence.store, approval.order)
        if (order.dag_id, order.run_id) not in runs:
            continue
        instance = (approval.source.get(name) for name in ("task", "map_index", "iteration"))
        asked = (order.dag_id, order.run_id, *instance)
        if asked not in newest or newest[asked].approved_at < approval.approved_at:
            newest[asked] = approval
    yield from newest.values()
