"""What Airflow knows of runs, and which runs its auth manager lets a user read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.models.team import Team
from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
from sqlalchemy import Text, cast, select, tuple_
from sqlalchemy.orm import Session

from airflow_provider_records.airflow_version import instance_columns, region_query
from airflow_provider_records.evidence.store import safe_name

_ACTIVE = {"queued", "running"}
_WAITING = ("awaiting_input", "deferred")
_COUNT = re.compile(r"\d[\d.,]*")
"""How the subject of a request begins, see ``reporting.approval_request``."""


@dataclass(frozen=True)
class AirflowRun:
    """What Airflow knows of a DAG run.

    :param state: its state.
    :param due: when it was to run.
    :param version: changes whenever the run changes; empty while it is active.
    """

    run_id: str
    state: str
    due: datetime
    version: str

    @property
    def active(self) -> bool:
        """Whether tasks of it run or will run."""
        return self.state in _ACTIVE


@dataclass(frozen=True)
class PendingApproval:
    """A task that waits for people to approve a list.

    :param map_index: -1 unless the task is mapped.
    :param region: what the address of its page needs besides; empty: nothing.
    :param digest: digest of the list.
    :param records: number of records as the request's subject states it; empty if it does not.
    :param since: when the request was made, ISO 8601 in UTC.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    region: str
    digest: str
    records: str
    since: str


@dataclass(frozen=True)
class Trace:
    """What Airflow knows of the tasks of a run.

    :param failed: ids of those that failed.
    :param approvals: URIs of the approvals that they returned; whether they belong to the run is not checked.
    """

    failed: Sequence[str] = ()
    approvals: Sequence[str] = ()


def readable(user: BaseUser, dag_ids: Iterable[str], session: Session) -> set[str]:
    """Return the DAGs whose runs a user may read.

    A DAG that Airflow does not know (any more) may have belonged to any team: the user must be allowed to read it as
    a DAG of no team and of every team. The auth manager is asked with the id of the DAG. Without an id, FAB's answers
    only whether the user may read at least one DAG.
    """
    wanted = sorted(set(dag_ids))
    owned = (
        select(DagModel.dag_id, Team.name)
        .join(DagBundleModel.teams)
        .join(DagModel, DagModel.bundle_name == DagBundleModel.name)
        .where(DagModel.dag_id.in_(wanted))
    )
    teams = {row.dag_id: row.name for row in session.execute(owned)}
    known = set(session.scalars(select(DagModel.dag_id).where(DagModel.dag_id.in_(wanted))))
    all_teams = sorted(session.scalars(select(Team.name))) if known != set(wanted) else []

    def may_read(dag_id: str) -> bool:
        owners = [teams.get(dag_id)] if dag_id in known else [None, *all_teams]
        return all(
            get_auth_manager().is_authorized_dag(
                method="GET",
                access_entity=DagAccessEntity.RUN,
                details=DagDetails(id=dag_id, team_name=owner),
                user=user,
            )
            for owner in owners
        )

    return {dag_id for dag_id in wanted if may_read(dag_id)}


def runs(dag_ids: Iterable[str], session: Session, run_id: str | None = None) -> dict[tuple[str, str], AirflowRun]:
    """Return what Airflow knows of the runs of DAGs, by DAG id and the name of the run's folder.

    :param run_id: only this run.
    """
    columns = (DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_after, DagRun.updated_at)
    query = select(*columns).where(DagRun.dag_id.in_(sorted(dag_ids)))
    rows = session.execute(query if run_id is None else query.where(DagRun.run_id == run_id))
    return {
        (dag_id, safe_name(run_id)): AirflowRun(run_id, state, due, "" if state in _ACTIVE else f"{state} {changed}")
        for dag_id, run_id, state, due, changed in rows
    }


def version(run: AirflowRun | None) -> str:
    """Return a value that changes whenever a run changes; empty while it is active.

    A run that Airflow does not know may belong to another Airflow with the same evidence store. Its version changes
    every hour.
    """
    return run.version if run else f"gone {time() // 3600:.0f}"


def traces(wanted: Iterable[tuple[str, str]], session: Session) -> dict[tuple[str, str], Trace]:
    """Return what Airflow knows of the tasks of runs, by DAG id and run id.

    :param wanted: DAG id and run id of each.
    """
    keys = list(wanted)
    failed: dict[tuple[str, str], list[str]] = {key: [] for key in keys}
    approvals: dict[tuple[str, str], list[str]] = {key: [] for key in keys}
    ended = (
        select(TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id)
        .where(tuple_(TaskInstance.dag_id, TaskInstance.run_id).in_(keys), TaskInstance.state == "failed")
        .distinct()
        .order_by(TaskInstance.task_id)
    )
    for dag_id, run_id, task_id in session.execute(ended):
        failed[dag_id, run_id].append(task_id)
    returned = select(XComModel.dag_id, XComModel.run_id, XComModel.value).where(
        tuple_(XComModel.dag_id, XComModel.run_id).in_(keys),
        XComModel.key == XCOM_RETURN_KEY,
        cast(XComModel.value, Text).contains("manifest"),
    )
    for dag_id, run_id, value in session.execute(returned):
        approvals[dag_id, run_id] += _approvals(value)
    return {key: Trace(failed[key], list(dict.fromkeys(approvals[key]))) for key in keys}


def _approvals(returned: object) -> Iterator[str]:
    """Return the URIs of approvals in what a task returned."""
    try:
        value = json.loads(returned) if isinstance(returned, str) else returned
    except ValueError:
        return
    for item in value if isinstance(value, list) else [value]:
        listed = item.get("approvals") if isinstance(item, Mapping) else None
        yield from (uri for uri in (listed if isinstance(listed, list) else ()) if isinstance(uri, str))


def pending_approvals(session: Session) -> list[PendingApproval]:
    """Return the unanswered requests to approve a list, of all DAGs, the oldest first."""
    map_index_column, *region_columns = instance_columns(TaskInstance)
    unanswered = (
        select(
            TaskInstance.dag_id,
            TaskInstance.run_id,
            TaskInstance.task_id,
            map_index_column,
            *region_columns,
            HITLDetail.params,
            HITLDetail.subject,
            HITLDetail.created_at,
        )
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(HITLDetail.responded_at.is_(None), TaskInstance.state.in_(_WAITING))
        .order_by(HITLDetail.created_at)
    )
    return [
        PendingApproval(
            dag_id,
            run_id,
            task_id,
            map_index,
            region_query(region_id, region_index),
            digest,
            found.group() if found else "",
            since.astimezone(UTC).isoformat(),
        )
        for dag_id, run_id, task_id, map_index, region_id, region_index, params, subject, since in session.execute(
            unanswered
        )
        if (digest := form_digest(params)).startswith("sha256:")
        for found in [_COUNT.match(subject)]
    ]


def form_digest(params: object) -> str:
    """Return the digest in a form of the approval operator; empty if it is another form."""
    value = params.get("manifest") if isinstance(params, Mapping) else None
    value = value.get("value") if isinstance(value, Mapping) else value
    return value if isinstance(value, str) else ""
