"""What the page "Disposals" knows of a disposal run: its tasks, their instances, and how far they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_records.evidence.approval import Rejection
from airflow_provider_records.evidence.order import Order
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.summary import Disposal, SystemDescription
from airflow_provider_records.reporting.verdict import RunStatus


@dataclass(frozen=True)
class Progress:
    """Progress of a try that has not written its summary yet.

    :param system: the short name of the system; empty if the journal does not name it.
    :param description: what the system says of itself.
    :param counts: number of records by outcome so far, over all tries.
    :param in_flight: number of records with an intent and no outcome yet.
    :param total: number of records on the list; 0 if the journal does not name it.
    """

    system: str
    description: SystemDescription
    counts: Mapping[str, int]
    in_flight: int
    total: int

    @property
    def known(self) -> int:
        """Number of records with an outcome."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class InstanceStatus:
    """What one task instance of a disposal run did.

    :param task_id: its task.
    :param map_index: -1 unless it is mapped.
    :param iteration: that of the loop around it, from 0; -1: there is none.
    :param disposal: the newest summary of its tries; None if no try has written one.
    :param progress: set if a newer try has not written its summary yet.
    """

    task_id: str
    map_index: int
    iteration: int
    disposal: Disposal | None
    progress: Progress | None

    @property
    def system(self) -> str:
        """The system; empty if it is not known yet."""
        return self.disposal.system if self.disposal else self.progress.system if self.progress else ""

    @property
    def description(self) -> SystemDescription:
        """What the system says of itself; without a title if it is not known yet."""
        known = self.disposal or self.progress
        return known.description if known else SystemDescription("")

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of records by outcome, as far as known."""
        return self.progress.counts if self.progress else self.disposal.counts if self.disposal else {}


@dataclass(frozen=True)
class TaskStatus:
    """What one task of a disposal run did, over all its mapped instances.

    :param task_id: the task.
    :param system: the system.
    :param parts: its task instances.
    """

    task_id: str
    system: str
    instances: Sequence[InstanceStatus]

    @property
    def description(self) -> SystemDescription:
        """What the system says of itself; without a title if it is not known yet."""
        known = [each.description for each in self.instances if each.description.title]
        return known[-1] if known else SystemDescription("")

    @property
    def disposals(self) -> list[Disposal]:
        """The summaries of its instances that have one."""
        return [each.disposal for each in self.instances if each.disposal]

    @property
    def progress(self) -> Progress | None:
        """Progress over all instances that have begun; None if each of them has written its summary."""
        unfinished = [each.progress for each in self.instances if each.progress]
        if not unfinished:
            return None
        done = sum(sum(each.counts.values()) for each in self.instances if not each.progress)
        total = done + sum(each.total for each in unfinished) if all(each.total for each in unfinished) else 0
        in_flight = sum(each.in_flight for each in unfinished)
        return Progress(self.system, self.description, self.counts, in_flight, total)

    @property
    def counts(self) -> dict[str, int]:
        """Number of records by outcome."""
        return add_counts(each.counts for each in self.instances)


@dataclass(frozen=True)
class DisposalRun:
    """One DAG run that disposed of records, or was to.

    :param dag_id: its DAG.
    :param run_id: its id.
    :param tasks: its disposing tasks, in the order of their start.
    :param problem: why some of its evidence cannot be read; empty if all of it can.
    :param certificate: the status that its certificate states; None if there is none or it was not read.
    :param orders: what people or vendors were asked to approve.
    :param rejections: what they rejected.
    """

    dag_id: str
    run_id: str
    tasks: Sequence[TaskStatus] = ()
    problem: str = ""
    certificate: RunStatus | None = None
    orders: Sequence[Order] = ()
    rejections: Sequence[Rejection] = ()

    @property
    def disposals(self) -> list[Disposal]:
        """All summaries."""
        return [disposal for task in self.tasks for disposal in task.disposals]

    @property
    def unfinished(self) -> bool:
        """Whether a try has not written its summary: it is running, or it was interrupted."""
        return any(task.progress for task in self.tasks)

    @property
    def systems(self) -> dict[str, dict[str, int]]:
        """Number of records by system and outcome."""
        found: dict[str, list[Mapping[str, int]]] = {}
        for task in self.tasks:
            found.setdefault(task.system, []).append(task.counts)
        return {system: add_counts(counts) for system, counts in found.items()}

    @property
    def descriptions(self) -> dict[str, SystemDescription]:
        """What the systems say of themselves, by their short names."""
        return {task.system: task.description for task in self.tasks}

    @property
    def digests(self) -> set[str]:
        """Digests of all lists that it carried out or that were approved for it."""
        return {digest for each in self.disposals for digest in (each.digest, *each.approved)}


@dataclass(frozen=True)
class ReasonGroup:
    """Number of records with the same outcome and the same reason."""

    kind: OutcomeKind
    reason: str
    count: int


def add_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add up counts by outcome."""
    found = dict.fromkeys(map(str, OutcomeKind), 0)
    for each in counts:
        for kind, number in each.items():
            found[kind] += number
    return found
