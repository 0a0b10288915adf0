"""The disposal runs that a user may read, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Executor
from dataclasses import dataclass

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from sqlalchemy.orm import Session

from airflow_provider_records.plugin import access
from airflow_provider_records.plugin.access import AirflowRun, PendingApproval, Trace
from airflow_provider_records.plugin.rows import Row, due_at, run_row, unreadable_row
from airflow_provider_records.plugin.runs import RunReader


@dataclass(frozen=True)
class FoundRuns:
    """The disposal runs that a user may read; each is read only when its row is wanted.

    :param places: of each run: when it was due, its DAG, the name of its folder; newest first.
    :param airflow_runs: what Airflow knows of them, by DAG and folder.
    :param disposed: those with a disposal.
    :param decided: those in which people or vendors were asked.
    :param certified: names of folders with a certificate, by DAG.
    :param pending: unanswered requests.
    :param dags: the DAGs that have runs.
    :param unlisted: why the runs of a DAG cannot be listed.
    """

    reader: RunReader
    places: Sequence[tuple[str, str, str]]
    airflow_runs: Mapping[tuple[str, str], AirflowRun]
    disposed: AbstractSet[tuple[str, str]]
    decided: AbstractSet[tuple[str, str]]
    certified: Mapping[str, AbstractSet[str]]
    pending: Sequence[PendingApproval]
    dags: Sequence[str]
    unlisted: Mapping[str, str]

    @property
    def total(self) -> int:
        """Number of runs."""
        return len(self.places)

    def rows(self, first: int, last: int, session: Session, pool: Executor) -> list[Row]:
        """Read some of the runs.

        :param first: index of the first one.
        :param last: index of the first one to leave out.
        """
        shown = self.places[first:last]
        without = {(dag, folder) for _, dag, folder in shown} - self.disposed
        traces = access.traces(
            [(dag, self.airflow_runs[dag, folder].run_id) for dag, folder in without & set(self.airflow_runs)], session
        )
        return [each for each in pool.map(lambda place: self._row(place, traces), shown) if each is not None]

    def _row(self, place: tuple[str, str, str], traces: Mapping[tuple[str, str], Trace]) -> Row | None:
        due, dag, folder = place
        airflow_run = self.airflow_runs.get((dag, folder))
        if airflow_run:
            run_id: str | None = airflow_run.run_id
        else:
            run_id, problem = self.reader.try_read(dag, folder, self.reader.run_id, dag, folder)
            if problem:
                return unreadable_row(dag, due, problem, self.reader.language)
        if not run_id:
            return None
        return run_row(
            self.reader,
            dag,
            run_id,
            airflow_run,
            due=due,
            certified=folder in self.certified[dag],
            decided=(dag, folder) in self.decided,
            trace=traces.get((dag, run_id)),
            waiting=any((each.dag_id, each.run_id) == (dag, run_id) for each in self.pending),
        )


def find_runs(reader: RunReader, user: BaseUser, session: Session, dag_id: str | None = None) -> FoundRuns | None:
    """Return the disposal runs that a user may read.

    :param dag_id: only those of this DAG.
    :return: None if the user may not read the runs of this DAG.
    """
    pending = access.pending_approvals(session)
    with_runs = set(reader.dags().values())
    readable = access.readable(user, {*with_runs, *(each.dag_id for each in pending)}, session)
    if dag_id is not None and dag_id not in readable:
        return None
    dags = sorted(readable & with_runs)
    chosen = [dag_id] if dag_id is not None else dags
    airflow_runs = access.runs(chosen, session)
    disposed: set[tuple[str, str]] = set()
    decided: set[tuple[str, str]] = set()
    certified: dict[str, set[str]] = {}
    unlisted: dict[str, str] = {}
    for dag in chosen:
        problems = []
        for listed, names in ((disposed, reader.runs), (decided, reader.decided)):
            found, problem = reader.try_read(dag, "", names, dag)
            listed |= {(dag, folder) for folder in found or ()}
            problems.append(problem)
        certificates, problem = reader.try_read(dag, "", reader.certified, dag)
        certified[dag] = certificates or set()
        if any((*problems, problem)):
            unlisted[dag] = next(filter(None, (*problems, problem)))
    folders = {*airflow_runs, *disposed, *decided}
    due = ((due_at(folder, airflow_runs.get((dag, folder))), dag, folder) for dag, folder in folders)
    return FoundRuns(
        reader,
        sorted(due, reverse=True),
        airflow_runs,
        disposed,
        decided,
        certified,
        [each for each in pending if each.dag_id in (readable if dag_id is None else {dag_id})],
        dags,
        unlisted,
    )
