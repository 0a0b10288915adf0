"""The overview's rows, one for each disposal run, and the figures over several runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC
from urllib.parse import unquote

from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.plugin import access
from airflow_provider_records.plugin.access import AirflowRun, Trace
from airflow_provider_records.plugin.runs import RunReader
from airflow_provider_records.plugin.status import DisposalRun, ReasonGroup, add_counts
from airflow_provider_records.reporting.language import ENGLISH, Language
from airflow_provider_records.reporting.verdict import RunStatus, Verdict, verdict

_LARGEST = 5_000
"""Records of the largest disposal whose reasons the overview counts; a larger one has its reasons on its run's page."""
_WITH_REASON = (OutcomeKind.BLOCKED, OutcomeKind.FAILED, OutcomeKind.UNKNOWN, OutcomeKind.NOT_ATTEMPTED)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


@dataclass(frozen=True)
class Row:
    """One disposal run as the page shows it.

    :param run: what the evidence says; its run id is empty if it cannot be read.
    :param airflow_run: what Airflow knows of the run; None if it does not know the run (any more).
    :param due_at: when it was due, ISO 8601 in UTC; empty if it is not known.
    :param verdict: how it ended.
    :param approvers: names of those who approved.
    :param certified: whether there is a certificate.
    :param language: the language of what it says.
    """

    run: DisposalRun
    airflow_run: AirflowRun | None
    due_at: str
    verdict: Verdict
    approvers: Sequence[str]
    certified: bool
    language: Language = ENGLISH

    @property
    def live(self) -> bool:
        """Whether the run is active, so that the page updates itself."""
        return self.airflow_run is not None and self.airflow_run.active

    @property
    def alarms(self) -> list[str]:
        """What somebody must look at although every outcome is final, one sentence each."""
        return RunStatus(self.run.disposals, language=self.language).alarms


@dataclass(frozen=True)
class ReasonTotal:
    """Records of one system that were not disposed of for the same reason, over several runs.

    :param runs: number of runs that have such records.
    """

    system: str
    group: ReasonGroup
    runs: int


def due_at(folder: str, airflow_run: AirflowRun | None) -> str:
    """Return when a run was due, ISO 8601 in UTC.

    :param folder: name of the run's folder; its run id may contain the time if Airflow does not know the run.
    :return: empty if it is not known.
    """
    if airflow_run is not None:
        return airflow_run.due.astimezone(UTC).isoformat()[:19]
    found = _DATE_TIME.search(unquote(folder))
    return found.group() if found else ""


def run_row(
    reader: RunReader,
    dag_id: str,
    run_id: str,
    airflow_run: AirflowRun | None,
    *,
    due: str,
    certified: bool,
    decided: bool = True,
    trace: Trace | None = None,
    waiting: bool = False,
) -> Row | None:
    """Read a run and return its row.

    :param airflow_run: what Airflow knows of it; None if it does not know the run.
    :param due: when it was due; see :class:`Row`.
    :param certified: whether it has a certificate.
    :param decided: whether there may be something that was asked or rejected.
    :param trace: what Airflow knows of its tasks; None: nothing.
    :param waiting: whether a request of it is unanswered.
    :return: None if neither the evidence store nor Airflow knows the run.
    """
    ended = airflow_run is None or not airflow_run.active
    version = access.version(airflow_run)
    run = reader.read(dag_id, run_id, version, certified=certified and ended, decided=decided)
    if airflow_run is None and not any((run.tasks, run.problem, run.orders, run.rejections)):
        return None
    started = (each.started_at for each in run.disposals)
    due = due or min((*started, *(each.asked_at for each in run.orders)), default="")
    trace = trace or Trace()
    approved = [each for task in run.tasks for each in _with_approvals_of_its_own(task.disposals)]
    if approved:
        approvals, problem = reader.try_read(dag_id, run_id, reader.approvals, approved)
    else:
        approvals, problem = reader.try_read(dag_id, run_id, reader.given, run, trace.approvals)
    run = replace(run, problem=run.problem or problem)
    people = dict.fromkeys(approval.name or approval.approver for approval in approvals or ())
    language = reader.language
    found, problem = reader.try_read(
        dag_id, run_id, run_verdict, run, airflow_run, approvals or (), trace.failed, waiting=waiting, language=language
    )
    return Row(
        run, airflow_run, due, found or _unreadable_verdict(problem, language), list(people), certified, language
    )


def _with_approvals_of_its_own(disposals: Sequence[Disposal]) -> Iterable[Disposal]:
    """Return one disposal for each iteration: approvals of mapped instances rest on those of the whole list."""
    found: dict[int, Disposal] = {}
    for each in disposals:
        found.setdefault(each.provenance.iteration, each)
    return found.values()


def unreadable_row(dag_id: str, due: str, problem: str, language: Language = ENGLISH) -> Row:
    """Return the row of a run whose id cannot be read.

    :param due: when it was due; see :class:`Row`.
    :param problem: the error message.
    """
    return Row(DisposalRun(dag_id, "", problem=problem), None, due, _unreadable_verdict(problem, language), [], False)


def run_verdict(
    run: DisposalRun,
    airflow_run: AirflowRun | None,
    approvals: Sequence[Approval],
    failed: Sequence[str] = (),
    *,
    waiting: bool = False,
    language: Language = ENGLISH,
) -> Verdict:
    """Return how a run ended, or that it has not ended.

    :param failed: ids of the tasks that failed, as far as Airflow knows.
    :param waiting: whether a request of it is unanswered.
    :param language: the language of the verdict.
    """
    gettext = language.gettext
    if run.problem:
        return _unreadable_verdict(run.problem, language)
    if airflow_run is not None and airflow_run.active:
        if waiting or (run.orders and not (run.tasks or run.rejections or approvals)):
            text = gettext("Somebody has to answer before anything is carried out; this page updates itself.")
            return Verdict("running", gettext("Waiting for approval"), text)
        return Verdict("running", gettext("Running"), gettext("The run is active; this page updates itself."))
    if run.unfinished:
        text = gettext("A try ended without writing its summary; clear the task, so that its next try continues.")
        return Verdict("open", gettext("Interrupted"), text)
    if not run.disposals:
        return _nothing_done(run, airflow_run, approvals, failed, language)
    if run.certificate is not None and run.certificate.covers(run.disposals):
        return verdict(run.certificate)
    withheld = sum(len(approval.withheld) for approval in approvals)
    return verdict(RunStatus(run.disposals, withheld=withheld, language=language))


def _nothing_done(
    run: DisposalRun,
    airflow_run: AirflowRun | None,
    approvals: Sequence[Approval],
    failed: Sequence[str],
    language: Language,
) -> Verdict:
    """Return why a run that has ended carried nothing out."""
    gettext, where = language.gettext, ""
    if failed:
        where = " " + gettext("Failed: %(tasks)s; Airflow's log of the task says why.", tasks=", ".join(failed))
    if run.rejections:
        said = "; ".join(
            f"{each.name or each.rejected_by}{f': {each.comment}' if each.comment else ''}" for each in run.rejections
        )
        text = gettext("Nothing was carried out. Rejected by %(who)s.", who=said.rstrip("."))
        return Verdict("partly", gettext("Rejected"), text)
    if approvals:
        text = gettext("A list was approved, and nothing was carried out.")
        return Verdict("open", gettext("Not carried out"), text + where)
    if run.orders:
        text = gettext(
            "A list was shown for approval, and no approval of it is known: nobody answered in time, or the asking "
            "task failed or was stopped. The order ends at %(until)s UTC. Nothing was carried out.",
            until=language.minute(max(order.valid_until for order in run.orders)),
        )
        return Verdict("open", gettext("Not approved"), text + where)
    if airflow_run is not None and airflow_run.state == "success":
        text = gettext("The run ended before anybody was asked: nothing was due, or its tasks were skipped.")
        return Verdict("done", gettext("Nothing carried out"), text)
    text = gettext("Nobody was asked, and nothing was carried out.")
    return Verdict("open", gettext("Nothing carried out"), text + where)


def _unreadable_verdict(problem: str, language: Language) -> Verdict:
    return Verdict("open", language.gettext("Unreadable"), problem)


def totals(rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    """Return the number of records by system and outcome over several runs."""
    found: dict[str, list[Mapping[str, int]]] = {}
    for each in rows:
        for system, counts in each.run.systems.items():
            found.setdefault(system, []).append(counts)
    return {system: add_counts(counts) for system, counts in sorted(found.items())}


def reason_totals(reader: RunReader, rows: Sequence[Row], pool: Executor) -> tuple[list[ReasonTotal], int]:
    """Group the records that were not disposed of by reason, over several runs.

    :return: the groups, the largest first, and the number of runs that are not counted because they are too large or
        cannot be read.
    """
    found: dict[tuple[str, OutcomeKind, str], list[int]] = {}
    left_out = 0
    for groups in pool.map(lambda each: _run_reasons(reader, each.run), rows):
        if groups is None:
            left_out += 1
            continue
        for key, count in groups.items():
            counted = found.setdefault(key, [0, 0])
            counted[0] += count
            counted[1] += 1
    largest_first = sorted(found.items(), key=lambda item: -item[1][0])
    return [
        ReasonTotal(system, ReasonGroup(kind, reason, count), runs)
        for (system, kind, reason), (count, runs) in largest_first
    ], left_out


def _run_reasons(reader: RunReader, run: DisposalRun) -> dict[tuple[str, OutcomeKind, str], int] | None:
    """Count the records of one run by system, outcome and reason; None if it is too large or cannot be read."""
    wanted = [each for each in run.disposals if not each.dry_run and any(each.counts[kind] for kind in _WITH_REASON)]
    if any(sum(each.counts.values()) > _LARGEST for each in wanted):
        return None
    found: dict[tuple[str, OutcomeKind, str], int] = {}
    for disposal in wanted:
        groups, problem = reader.try_read(run.dag_id, run.run_id, reader.groups, [disposal])
        if problem:
            return None
        for group in groups or ():
            if group.kind in _WITH_REASON:
                key = (disposal.system, group.kind, group.reason)
                found[key] = found.get(key, 0) + group.count
    return found
