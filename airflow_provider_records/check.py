"""What can be found out before the first night: connections, evidence store, signing key, approvers, pools and clocks.

It reads and signs in. All that it writes is one file in the evidence store, which it removes.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import uuid4

import urllib3
from airflow.sdk.definitions.mappedoperator import MappedOperator

from airflow_provider_records.airflow_version import AirflowException, conf, dag_bag_class, explained
from airflow_provider_records.client.hook import Request, VendorHook
from airflow_provider_records.evidence import names, names_key
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ConfigurationError, EvidenceError, RecordsError
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.operators.approval import DisposalApprovalOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.task.context import (
    configured_naming,
    configured_path,
    opened_store,
    reading_language,
    signing_key,
)
from airflow_provider_records.task.marking import never_after_failure

with explained("airflow-records check"):
    from airflow.api_fastapi.app import get_auth_manager_cls
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.models.pool import Pool
    from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

_HOOKS: tuple[type[Any], ...] = (OpusHook, EnaioHook, UnifierHook)
_FindUser = Callable[[Any, str], tuple[Any, str]]
_FAB = "airflow.providers.fab."
_PACKAGE = __name__.partition(".")[0]
_SECONDS_APART = 60
_LOCAL_EXECUTORS = frozenset({"LocalExecutor", "SequentialExecutor"})
_REFERENCES = 20
"""Number of the newest references of a DAG's tasks whose files are looked for."""


class Level(StrEnum):
    """What a finding means."""

    FITS = "ok"
    UNKNOWN = "not known"
    WRONG = "change"


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at.

    :param level: whether it fits.
    :param subject: what was looked at.
    :param text: what was found, and what to change.
    """

    level: Level
    subject: str
    text: str


@dataclass(frozen=True)
class Task:
    """A task of a DAG that is an operator or sensor of this provider.

    :param kind: its class.
    :param operator: the operator, or what is mapped.
    """

    dag_id: str
    task_id: str
    kind: type[Any]
    operator: Any

    def argument(self, name: str, default: object = None) -> object:
        """Return an argument as the DAG says it; None where it is mapped over, and so not known yet."""
        if not isinstance(self.operator, MappedOperator):
            return getattr(self.operator, name, default)
        given = self.operator._get_specified_expand_input().value
        if not isinstance(given, Mapping) or name in given:
            return None
        return self.operator.partial_kwargs.get(name, default)


def check(dag_id: str | None = None) -> list[CheckResult]:
    """Look at everything that a DAG needs, or all DAGs that use this provider.

    :param dag_id: only this DAG.
    :raises ConfigurationError: there is no such DAG, or no DAG uses this provider; or Airflow's database does not
        respond.
    """
    tasks, findings = _tasks(dag_id)
    try:
        findings += _connections(tasks)
        findings += _evidence({task.dag_id for task in tasks})
        findings += _key()
        findings += _language()
        findings += _approvers(tasks)
        findings += _pools(tasks)
        findings += _marks(tasks)
    except SQLAlchemyError as error:
        raise ConfigurationError(f"Airflow's database does not respond ({type(error).__name__}).") from None
    return findings


def _tasks(dag_id: str | None) -> tuple[list[Task], list[CheckResult]]:
    """Parse the DAGs, and return their tasks with what cannot be parsed."""
    tasks: list[Task] = []
    broken: list[CheckResult] = []
    manager: Any = DagBundlesManager
    for bundle in manager().get_all_dag_bundles():
        bundle.initialize()
        if str(bundle.path) not in sys.path:
            sys.path.append(str(bundle.path))  # DAGs import what lies beside them
        bag = dag_bag_class()(bundle.path, bundle_path=bundle.path)
        for file, error in bag.import_errors.items():
            broken.append(CheckResult(Level.WRONG, f"DAG file {file}", error.strip().splitlines()[-1]))
        for dag in bag.dags.values():
            if dag_id is not None and dag.dag_id != dag_id:
                continue
            for each in dag.tasks:
                kind: Any = each.operator_class if isinstance(each, MappedOperator) else type(each)
                if any(base.__module__.startswith(f"{_PACKAGE}.") for base in kind.__mro__):
                    tasks.append(Task(dag.dag_id, each.task_id, kind, each))
    if tasks and dag_id is not None:
        return tasks, []
    if not tasks and (dag_id is not None or not broken):
        what = f"No DAG {dag_id!r} with a task of this provider" if dag_id else "No DAG with a task of this provider"
        seen = "".join(f"\n{each.subject}: {each.text}" for each in broken)
        raise ConfigurationError(f"{what} was found in Airflow's DAG bundles.{seen}")
    return tasks, broken


def _connections(tasks: Iterable[Task]) -> Iterator[CheckResult]:
    """Sign in with every connection that a task names, each once."""
    wanted: dict[tuple[type[Any], str], None] = {}
    for task in tasks:
        for hook in _HOOKS:
            name = hook.conn_name_attr
            if name not in task.kind.template_fields:
                continue
            conn_id = task.argument(name, hook.default_conn_name)
            if isinstance(conn_id, str) and "{{" not in conn_id:
                wanted[hook, conn_id] = None
            else:
                subject = f"{hook.vendor} connection of {task.dag_id}.{task.task_id}"
                yield CheckResult(Level.UNKNOWN, subject, f"{name} is known only when the task runs.")
        for covered in getattr(getattr(task.operator, "scope", None), "covers", ()):
            for hook in _HOOKS:
                if hook.conn_type == covered["system"]:
                    wanted[hook, covered["conn_id"]] = None
    for hook, conn_id in wanted:
        yield from _connection(hook(conn_id), f"{hook.vendor} connection {conn_id}")


def _connection(hook: VendorHook, subject: str) -> Iterator[CheckResult]:
    """Sign in, make the smallest read, and compare the clocks."""
    clock = _Clock(hook)
    try:
        worked, text = hook.test_connection()
    except AirflowException as error:
        yield CheckResult(Level.WRONG, subject, str(error))
        return
    where = f" at {hook.target}" if worked else ""
    yield CheckResult(Level.FITS if worked else Level.WRONG, subject, f"{text}{where and f' Acts{where}.'}")
    if clock.ahead is None:
        if worked:
            yield CheckResult(Level.UNKNOWN, f"Clock of {hook.vendor}", "Its answers state no time.")
    elif abs(clock.ahead) > _SECONDS_APART:
        way = "behind" if clock.ahead > 0 else "ahead of"
        text = (
            f"This machine's clock is {abs(clock.ahead):,.0f} seconds {way} it. What is due, and until when an "
            "approval holds, is judged by this machine's clock: synchronise it (NTP) where tasks run."
        )
        yield CheckResult(Level.WRONG, f"Clock of {hook.vendor}", text)
    else:
        yield CheckResult(Level.FITS, f"Clock of {hook.vendor}", "Within a minute of this machine's.")


class _Clock:
    """Notes by how many seconds a vendor's clock is ahead of this machine's, as its last answer states it."""

    def __init__(self, hook: VendorHook) -> None:
        self.ahead: float | None = None
        self._send = hook.send_once
        hook.__dict__["send_once"] = self

    def __call__(self, request: Request) -> urllib3.BaseHTTPResponse:
        """Send a request."""
        received = self._send(request)
        try:
            self.ahead = parsedate_to_datetime(received.headers["Date"]).timestamp() - time.time()
        except (KeyError, ValueError, TypeError):
            self.ahead = None
        return received


def _evidence(dag_ids: Iterable[str]) -> Iterator[CheckResult]:
    """Write to the evidence store, and look for what tasks wrote."""
    subject = "[records] evidence_path"
    try:
        store = opened_store()
        name = f"check-{uuid4().hex}"
        store.write(name, platform.node().encode())
        store.read(name)
        store.remove(name)
    except (RecordsError, AirflowException) as error:
        yield CheckResult(Level.WRONG, subject, str(error))
        return
    yield CheckResult(Level.FITS, subject, f"{store.root} can be written, read and tidied up from {platform.node()}.")
    yield _shared(store, dag_ids)
    yield from _names(store)


def _shared(store: Store, dag_ids: Iterable[str]) -> CheckResult:
    """Compare with where tasks have written their evidence."""
    subject = "Evidence of the workers"
    uris = list(_written(dag_ids))
    for uri in uris:
        try:
            there = store.exists(store.name(uri))
        except EvidenceError as error:
            return CheckResult(Level.WRONG, subject, f"A task wrote elsewhere: {error}")
        if not there:
            text = f"A task wrote {uri}, which is not there from here: give all workers the same shared folder."
            return CheckResult(Level.WRONG, subject, text)
    if uris:
        return CheckResult(Level.FITS, subject, f"The last {len(uris)} lists and results of tasks are there from here.")
    elsewhere = {
        name.strip().rpartition(":")[2].rpartition(".")[2]
        for name in conf.get("core", "executor", fallback="").split(",")
    } - _LOCAL_EXECUTORS
    if store.root.startswith("file:") and elsewhere:
        text = (
            f"{configured_path()} is a local path and {', '.join(sorted(elsewhere))} runs tasks elsewhere: mount the "
            "same folder on all workers, the triggerer and the API server, or name an object storage. No task has "
            "run yet that would show it."
        )
        return CheckResult(Level.UNKNOWN, subject, text)
    text = "No task has written any yet. All workers and the API server must have this path; check again after a run."
    return CheckResult(Level.UNKNOWN, subject, text)


def _written(dag_ids: Iterable[str]) -> Iterator[str]:
    """Return the URIs that the newest references of tasks name."""
    query = (
        select(XComModel.value)
        .where(XComModel.dag_id.in_(sorted(dag_ids)), XComModel.key == XCOM_RETURN_KEY)
        .order_by(XComModel.timestamp.desc())
        .limit(_REFERENCES)
    )
    with create_session() as session:
        values = list(session.scalars(query))
    for text in values:
        value = json.loads(text) if isinstance(text, str) else text
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Mapping) and isinstance(item.get("manifest"), str):
                yield item["manifest"]


def _language() -> Iterator[CheckResult]:
    """Tell a language that nobody speaks, which would stop a request; the usual one needs no line."""
    try:
        reading_language()
    except ConfigurationError as error:
        yield CheckResult(Level.WRONG, "[records] language", str(error))


def _key() -> Iterator[CheckResult]:
    """Read the signing key, and see who else can."""
    subject, path = "[records] signing_key_file", conf.get("records", "signing_key_file", fallback="")
    try:
        key = signing_key()
    except ConfigurationError as error:
        yield CheckResult(Level.WRONG, subject, str(error))
        return
    if key is None:
        text = (
            "Not set: approvals and certificates are not signed, so that whoever can write to the evidence store can "
            "make them. Make a key (openssl genpkey -algorithm ed25519) that only the workers' account reads."
        )
        yield CheckResult(Level.UNKNOWN, subject, text)
        return
    if problem := _group_may_use(path):
        yield CheckResult(Level.WRONG, subject, problem)
    else:
        yield CheckResult(Level.FITS, subject, f"{path} is an Ed25519 key that nobody else on this machine may use.")


def _names(store: Store) -> Iterator[CheckResult]:
    """Read the key of names, and compare it with that of the evidence store."""
    subject, path = names.OPTION, conf.get("records", "names_key_file", fallback="")
    try:
        naming = configured_naming()
        kept = names_key.kept_naming(store)
        names_key.refuse_other(store, naming, kept)
    except RecordsError as error:
        yield CheckResult(Level.WRONG, subject, str(error))
        return
    if naming is names.PLAIN:
        return
    if problem := _group_may_use(path):
        yield CheckResult(Level.WRONG, subject, problem)
    elif store.root.startswith("file:") and Path(path).resolve().is_relative_to(store.root.removeprefix("file://")):
        text = f"{path} lies in the evidence store, so that whoever has the evidence has the key; keep it elsewhere."
        yield CheckResult(Level.WRONG, subject, text)
    else:
        fits = "fits the evidence store" if kept else "will be that of the evidence store, which holds no hashes yet"
        yield CheckResult(Level.FITS, subject, f"{path} {fits}, and nobody else on this machine may use it.")


def _group_may_use(path: str) -> str:
    """Say that the group may use a file of this account; empty if it may not."""
    about = Path(path).stat()
    if about.st_mode & 0o070 and about.st_uid == os.geteuid():
        return f"The group {about.st_gid} may use {path} (mode {about.st_mode & 0o777:03o}); take that away: chmod g= ."
    return ""


def _approvers(tasks: Iterable[Task]) -> Iterator[CheckResult]:
    """Look for those who are asked to approve, and whether they may answer."""
    asking = [task for task in tasks if issubclass(task.kind, DisposalApprovalOperator)]
    if not asking:
        return
    manager = get_auth_manager_cls()
    find: _FindUser
    if any(base.__module__.startswith(_FAB) for base in manager.__mro__):
        find = _fab_user
    elif issubclass(manager, SimpleAuthManager):
        find = _simple_user
    else:
        text = (
            f"Whether they exist and may answer cannot be told from here with {manager.__name__}. Each needs the right "
            "to edit the DAG's required actions; assigned_users has the auth manager's own ids."
        )
        for task in asking:
            yield CheckResult(Level.UNKNOWN, f"Approvers of {task.dag_id}.{task.task_id}", text)
        return
    if find is _simple_user and conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False):
        text = (
            "[core] simple_auth_manager_all_admins makes all users the same one: nobody can approve. Set it to False."
        )
        yield CheckResult(Level.WRONG, "Approvers", text)
        return
    asked = manager()
    for task in asking:
        subject = f"Approvers of {task.dag_id}.{task.task_id}"
        assigned = task.argument("assigned_users")
        if not isinstance(assigned, Sequence):
            yield CheckResult(Level.UNKNOWN, subject, "assigned_users is known only when the task runs.")
            continue
        for person in assigned:
            yield _approver(asked, find, str(person["id"]), task, subject)


def _simple_user(manager: Any, user_id: str) -> tuple[Any, str]:  # noqa: ANN401
    """Return a user of the simple auth manager and the roles.

    :raises ValueError: there is no such user; the message says who there is.
    """
    # Airflow 3.1 tells them as mappings.
    listed = (SimpleAuthManagerUser(**user) if isinstance(user, dict) else user for user in manager.get_users())
    users = {user.get_id(): user for user in listed}
    if user_id not in users:
        raise ValueError(f"[core] simple_auth_manager_users has {', '.join(users) or 'nobody'}")
    return users[user_id], f"role {users[user_id].role!r}"


def _fab_user(manager: Any, user_id: str) -> tuple[Any, str]:  # noqa: ANN401
    """Return a user of FAB and the roles.

    :raises ValueError: there is no such user, or it is not active.
    """
    if not user_id.isdecimal():
        raise ValueError("FAB's ids are numbers, as 'airflow users list' shows them")
    user = manager.deserialize_user({"sub": user_id})
    return user, f"roles {', '.join(repr(role.name) for role in user.roles) or 'none'}"


def _approver(manager: Any, find: _FindUser, user_id: str, task: Task, subject: str) -> CheckResult:  # noqa: ANN401
    try:
        user, roles = find(manager, user_id)
    except ValueError as error:
        return CheckResult(Level.WRONG, subject, f"{user_id!r} is no user of this Airflow ({error}).")
    may_answer = manager.is_authorized_dag(
        method="PUT", access_entity=DagAccessEntity.HITL_DETAIL, details=DagDetails(id=task.dag_id), user=user
    )
    if not may_answer:
        text = f"{user_id!r} has the {roles} and may not answer; give the role user, op or admin."
        return CheckResult(Level.WRONG, subject, text)
    return CheckResult(Level.FITS, subject, f"{user_id!r} has the {roles} and may answer.")


def _pools(tasks: Iterable[Task]) -> Iterator[CheckResult]:
    """Look for the pools that tasks wait for."""
    pools = sorted({str(task.operator.pool) for task in tasks})
    with create_session() as session:
        known = dict(session.execute(select(Pool.pool, Pool.slots).where(Pool.pool.in_(pools))).tuples().all())
    for pool in pools:
        if pool not in known:
            text = f"There is no such pool, so its tasks would wait for ever: airflow pools set {pool} 4 records"
            yield CheckResult(Level.WRONG, f"Pool {pool}", text)
        elif known[pool] == 0:
            text = f"It has no slots, so its tasks would wait for ever: airflow pools set {pool} 4 records"
            yield CheckResult(Level.WRONG, f"Pool {pool}", text)
        else:
            yield CheckResult(Level.FITS, f"Pool {pool}", f"{known[pool]} slots." if known[pool] > 0 else "No limit.")


def _marks(tasks: Iterable[Task]) -> Iterator[CheckResult]:
    """Look for mapped tasks whose marks would be missing; others are refused when the DAG is parsed."""
    for task in tasks:
        if issubclass(task.kind, OpusDestroyRecordsOperator) and isinstance(task.operator, MappedOperator):
            given = task.operator._get_specified_expand_input().value
            if unmarked := never_after_failure(task.operator.trigger_rule, given):
                yield CheckResult(Level.WRONG, f"Trigger rule of {task.dag_id}.{task.task_id}", unmarked)
