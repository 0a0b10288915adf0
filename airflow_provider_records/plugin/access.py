"""Who may see which nights: what Airflow's own auth manager says about the runs of their DAG."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.models.team import Team
from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from airflow_provider_records.evidence.store import safe_name

_GOING = {"queued", "running"}
_ASKING = ("awaiting_input", "deferred")
_RECORDS = re.compile(r"Dispose of ([\d,]+) records?\?")


@dataclass(frozen=True)
class Run:
    """What Airflow knows of a DAG run.

    :param state: its state.
    :param due: when it was to run.
    :param version: changes whenever it goes on; empty while it does.
    """

    run_id: str
    state: str
    due: datetime
    version: str

    @property
    def going(self) -> bool:
        """Whether tasks of it run or will run."""
        return self.state in _GOING


@dataclass(frozen=True)
class Request:
    """A task that waits until people have answered for a list.

    :param map_index: -1 unless the task is mapped.
    :param digest: digest of the list.
    :param records: how many are on it, as the request says; empty if it does not.
    :param since: when they were asked, ISO 8601 in UTC.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    digest: str
    records: str
    since: str


def readable(user: BaseUser, dag_ids: Iterable[str], session: Session) -> set[str]:
    """Return the DAGs whose runs a user may read.

    A DAG that Airflow does not know (any more) may have been anybody's: its reader must be allowed to read it as a DAG
    of no team, and of every team. It is asked for by its id: without one, an auth manager only says whether there is
    any DAG to be listed (FAB: one will do).
    """
    wanted = sorted(set(dag_ids))
    teams = DagModel.get_dag_id_to_team_name_mapping(wanted, session=session)
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


def runs(dag_ids: Iterable[str], session: Session, run_id: str | None = None) -> dict[tuple[str, str], Run]:
    """Return what Airflow knows of the runs of DAGs, by DAG id and the name of the run's folder.

    :param run_id: only this run.
    """
    columns = (DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_after, DagRun.updated_at)
    query = select(*columns).where(DagRun.dag_id.in_(sorted(dag_ids)))
    rows = session.execute(query if run_id is None else query.where(DagRun.run_id == run_id))
    return {
        (dag_id, safe_name(run_id)): Run(run_id, state, due, "" if state in _GOING else f"{state} {changed}")
        for dag_id, run_id, state, due, changed in rows
    }


def version(run: Run | None) -> str:
    """Return what changes whenever a run goes on; empty while it does.

    One that Airflow does not know stays as it is, unless it is the run of another Airflow with the same evidence
    store: it changes every hour.
    """
    return run.version if run else f"gone {time() // 3600:.0f}"


def mentions(dag_id: str, run_id: str, digest: str, session: Session) -> bool:
    """Tell whether a run handles a list: one of its tasks returned a reference to it, or asks people about it.

    Whatever else it says is no reason: a title or comment with the digest of another team's list would open that.

    :param digest: digest of the list, ``sha256:`` + hex.
    """
    returned = select(XComModel.value).where(
        XComModel.dag_id == dag_id,
        XComModel.run_id == run_id,
        XComModel.key == XCOM_RETURN_KEY,
        cast(XComModel.value, Text).contains(digest),
    )
    asked = (
        select(HITLDetail.params)
        .join(TaskInstance, TaskInstance.id == HITLDetail.ti_id)
        .where(
            TaskInstance.dag_id == dag_id,
            TaskInstance.run_id == run_id,
            cast(HITLDetail.params, Text).contains(digest),
        )
    )
    return any(digest in _referenced(value) for value in session.scalars(returned)) or any(
        digest == asked_about(params) for params in session.scalars(asked)
    )


def waiting(session: Session) -> list[Request]:
    """Return the requests to approve a list that nobody has answered yet, of all DAGs, the oldest first."""
    open_ones = (
        select(
            TaskInstance.dag_id,
            TaskInstance.run_id,
            TaskInstance.task_id,
            TaskInstance.map_index,
            HITLDetail.params,
            HITLDetail.subject,
            HITLDetail.created_at,
        )
        .join(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
        .where(HITLDetail.responded_at.is_(None), TaskInstance.state.in_(_ASKING))
        .order_by(HITLDetail.created_at)
    )
    return [
        Request(
            dag_id,
            run_id,
            task_id,
            map_index,
            digest,
            found.group(1) if found else "",
            since.astimezone(UTC).isoformat(),
        )
        for dag_id, run_id, task_id, map_index, params, subject, since in session.execute(open_ones)
        if (digest := asked_about(params)).startswith("sha256:")
        for found in [_RECORDS.match(subject)]
    ]


def asked_about(params: object) -> str:
    """Return the digest of the list that a form of the approval operator is about; empty if it is another form."""
    value = params.get("manifest") if isinstance(params, Mapping) else None
    value = value.get("value") if isinstance(value, Mapping) else value
    return value if isinstance(value, str) else ""


def _referenced(returned: object) -> set[str]:
    """Return the digests of the lists that a task returned references to, one or several."""
    try:
        value = json.loads(returned) if isinstance(returned, str) else returned
    except ValueError:
        return set()
    items = value if isinstance(value, list) else [value]
    found = [item.get("digest") for item in items if isinstance(item, Mapping) and "manifest" in item]
    return {digest for digest in found if isinstance(digest, str)}
