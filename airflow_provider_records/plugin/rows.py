"""What is said of a night in one line, and of many nights together."""

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
from airflow_provider_records.plugin.access import Run
from airflow_provider_records.plugin.runs import Group, Night, Nights, added
from airflow_provider_records.reporting.verdict import RunStatus, Verdict, verdict

_LARGEST = 5_000
"""Records of a disposal whose reasons are counted over many nights; longer ones have it on their night's page."""
_WHY = (OutcomeKind.BLOCKED, OutcomeKind.FAILED, OutcomeKind.UNKNOWN, OutcomeKind.NOT_ATTEMPTED)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


@dataclass(frozen=True)
class Row:
    """One night as it is shown.

    :param night: what the evidence says; its run id is empty if it cannot be read.
    :param run: what Airflow knows of the run; None: nothing any more.
    :param when: when it was due, ISO 8601 in UTC; empty if nothing says it.
    :param verdict: how it ended.
    :param approvers: names of those who approved.
    :param certified: whether there is a certificate.
    """

    night: Night
    run: Run | None
    when: str
    verdict: Verdict
    approvers: Sequence[str]
    certified: bool

    @property
    def live(self) -> bool:
        """Whether it goes on now."""
        return self.run is not None and self.run.going


@dataclass(frozen=True)
class Refusal:
    """Records that were left for one reason, over several nights."""

    system: str
    group: Group
    nights: int


def moment(folder: str, run: Run | None) -> str:
    """Return when a run was due, ISO 8601 in UTC; by its id if Airflow does not know it, empty if that says nothing."""
    if run is not None:
        return run.due.astimezone(UTC).isoformat()[:19]
    found = _MOMENT.search(unquote(folder))
    return found.group() if found else ""


def row(nights: Nights, dag_id: str, run_id: str, run: Run | None, *, when: str, certified: bool) -> Row | None:
    """Read a night and say what stands in its line.

    :param run: what Airflow knows of it; None: nothing.
    :param when: see :class:`Row`.
    :param certified: whether it has a certificate.
    :return: None if neither the evidence store nor Airflow has anything of it.
    """
    ended = run is None or not run.going
    night = nights.read(dag_id, run_id, access.version(run), certified=certified and ended)
    if run is None and not night.tasks and not night.problem:
        return None
    when = when or min((each.started_at for each in night.disposals), default="")
    # Mapped parts have approvals of their own, which rest on those of the whole list: the first part names them all.
    first = [task.disposals[0] for task in night.tasks if task.disposals]
    approvals, problem = nights.guarded(dag_id, run_id, nights.approvals, first)
    night = replace(night, problem=night.problem or problem)
    people = dict.fromkeys(approval.name or approval.approver for approval in approvals or ())
    said, problem = nights.guarded(dag_id, run_id, judge, night, run, approvals or ())
    return Row(night, run, when, said or _unreadable(problem), list(people), certified)


def nameless(dag_id: str, when: str, problem: str) -> Row:
    """Return the row of a night of which not even the run id can be read.

    :param when: see :class:`Row`.
    :param problem: why.
    """
    return Row(Night(dag_id, "", problem=problem), None, when, _unreadable(problem), [], False)


def judge(night: Night, run: Run | None, approvals: Iterable[Approval]) -> Verdict:
    """Say in a line how a night ended, or how far it is."""
    if night.problem:
        return _unreadable(night.problem)
    if run is not None and run.going:
        return Verdict("going", "Running", "The run goes on; this page follows it.")
    if night.going:
        text = "A try ended without summing up; clear the task, so that its next try carries on."
        return Verdict("open", "Interrupted", text)
    if night.certificate is not None and night.certificate.covers(night.disposals):
        return verdict(night.certificate)
    return verdict(RunStatus(night.disposals, withheld=sum(len(approval.withheld) for approval in approvals)))


def _unreadable(problem: str) -> Verdict:
    return Verdict("open", "Unreadable", problem)


def totals(rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    """Add up nights: number of records by system and result."""
    found: dict[str, list[Mapping[str, int]]] = {}
    for each in rows:
        for system, counts in each.night.systems.items():
            found.setdefault(system, []).append(counts)
    return {system: added(counts) for system, counts in sorted(found.items())}


def refusals(nights: Nights, rows: Sequence[Row], pool: Executor) -> tuple[list[Refusal], int]:
    """Group what was left over several nights by its reason.

    :return: the groups, the largest first, and the number of nights that are not counted since they are too large or
        cannot be read.
    """
    found: dict[tuple[str, OutcomeKind, str], list[int]] = {}
    left_out = 0
    for groups in pool.map(lambda each: _reasons(nights, each.night), rows):
        if groups is None:
            left_out += 1
            continue
        for key, count in groups.items():
            counted = found.setdefault(key, [0, 0])
            counted[0] += count
            counted[1] += 1
    most = sorted(found.items(), key=lambda item: -item[1][0])
    return [
        Refusal(system, Group(kind, reason, count), number) for (system, kind, reason), (count, number) in most
    ], left_out


def _reasons(nights: Nights, night: Night) -> dict[tuple[str, OutcomeKind, str], int] | None:
    """Count what one night left by system, outcome and reason; None if it is too large or cannot be read."""
    wanted = [each for each in night.disposals if not each.dry_run and any(each.counts[kind] for kind in _WHY)]
    if any(_records(each) > _LARGEST for each in wanted):
        return None
    found: dict[tuple[str, OutcomeKind, str], int] = {}
    for disposal in wanted:
        groups, problem = nights.guarded(night.dag_id, night.run_id, nights.groups, [disposal])
        if problem:
            return None
        for group in groups or ():
            if group.kind in _WHY:
                key = (disposal.system, group.kind, group.reason)
                found[key] = found.get(key, 0) + group.count
    return found


def _records(disposal: Disposal) -> int:
    return sum(disposal.counts.values())
