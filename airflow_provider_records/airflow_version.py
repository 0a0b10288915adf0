"""What differs between Airflow's minors; nothing else in this package asks for versions.

Importing this module refuses an Airflow that is too old, where a resolver was told to install the provider on it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode
from uuid import UUID

from packaging.version import Version

FLOOR = "3.1.8"


def airflow_version() -> str:
    """Return the version of the installed Airflow; empty if there is none."""
    for name in ("apache-airflow-core", "apache-airflow"):  # the first since Airflow 3
        with suppress(PackageNotFoundError):
            return version(name)
    return ""


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Explain a failed import of a part of Airflow that is no public interface and may move.

    :param what: what cannot work without it.
    :raises ImportError: the import failed; the message says what to do.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"{what}: airflow-provider-records does not fit Airflow {airflow_version()} here ({error}). Update "
            "airflow-provider-records, or install an Airflow that its documentation names.",
            name=error.name,
        ) from error


def require_airflow() -> None:
    """Refuse an Airflow on which the guards of this provider do not hold; the page "Compatibility" says which.

    :raises RuntimeError: it is older than the floor.
    """
    found = airflow_version()
    if found and Version(found).release < Version(FLOOR).release:  # a pre-release counts as its release
        raise RuntimeError(
            f"airflow-provider-records needs Airflow {FLOOR} or newer; {found} is installed. Upgrade Airflow: people "
            "cannot approve a list in an older one, and a trigger cannot mask a secret."
        )


require_airflow()

__all__ = [
    "FLOOR",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AsyncCallback",
    "DeadlineAlert",
    "DeadlineReference",
    "ParamsDict",
    "RetryDecision",
    "RetryPolicy",
    "TaskState",
    "airflow_version",
    "amask_secret",
    "asks_again",
    "conf",
    "dag_bag_class",
    "deadlines_work",
    "explained",
    "incr",
    "instance_columns",
    "loop_iteration",
    "own_params",
    "region_began",
    "region_query",
    "task_state",
]

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, RetryDecision, RetryPolicy, conf
    from airflow.sdk.definitions.callback import AsyncCallback
    from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference
    from airflow.sdk.definitions.param import ParamsDict
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
    )
    from airflow.sdk.log import amask_secret
    from airflow.sdk.observability.stats import incr
else:
    from airflow.sdk import ParamsDict

    try:
        from airflow.sdk import conf
        from airflow.sdk.exceptions import (
            AirflowException,
            AirflowFailException,
            AirflowNotFoundException,
            AirflowSensorTimeout,
        )
    except ImportError:  # before 3.2
        from airflow.configuration import conf
        from airflow.exceptions import (
            AirflowException,
            AirflowFailException,
            AirflowNotFoundException,
            AirflowSensorTimeout,
        )

    try:
        from airflow.sdk import RetryDecision, RetryPolicy
    except ImportError:  # before 3.3 Airflow asks no policy

        class RetryPolicy:
            """Stands in, so that a module with a policy can be imported."""

        RetryDecision = None

    try:
        from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference
    except ImportError:  # before 3.2
        AsyncCallback = DeadlineAlert = DeadlineReference = None

    try:
        from airflow.sdk.observability.stats import incr
    except ImportError:
        try:
            from airflow.sdk.observability.stats import Stats  # 3.2
        except ImportError:
            from airflow.stats import Stats  # 3.1

        def incr(name: str, count: int, *, tags: Mapping[str, str]) -> None:
            """Add to one of Airflow's counters."""
            Stats.incr(name, count, tags=dict(tags))

    try:
        from airflow.sdk.log import amask_secret
    except ImportError:  # before 3.3

        async def amask_secret(secret: object) -> None:
            """Mask a secret here and in the triggerer's supervisor. The sync function would block all triggers."""
            from airflow.sdk._shared.secrets_masker import _secrets_masker
            from airflow.sdk.execution_time import task_runner
            from airflow.sdk.execution_time.comms import MaskSecret

            _secrets_masker().add_mask(secret)
            if comms := getattr(task_runner, "SUPERVISOR_COMMS", None):
                with suppress(Exception):  # as Airflow's own
                    await comms.asend(MaskSecret(value=secret))


class TaskState(Protocol):
    """What Airflow keeps of a task instance through its tries."""

    def get(self, key: str) -> object:
        """Return a value; None if there is none."""

    def set(self, key: str, value: str) -> None:
        """Keep a value."""


def task_state(context: Mapping[str, Any]) -> TaskState | None:
    """Return what Airflow keeps of a task instance through its tries: at most a hint.

    From 3.3 on it survives the death of a process, and until 3.3 a clear; anybody with the right may edit it.

    :return: None before 3.3.
    """
    state: TaskState | None = context.get("task_state_store")
    return state


def deadlines_work() -> bool:
    """Return whether a DAG may have deadlines here: from Airflow 3.3 on, and not in ``airflow dags test``.

    There a run that has succeeded fails at its end if it has a deadline (apache/airflow#73428), which never counts:
    such a run is not queued.
    """
    return _since(3, 3) and sys.argv[1:3] != ["dags", "test"]


def _since(*minor: int) -> bool:
    return Version(airflow_version()).release >= minor


def asks_again() -> bool:
    """Return whether a task that was answered can wait for another answer to the same request: from 3.3 on."""
    return _since(3, 3)


def loop_iteration(context: Mapping[str, Any]) -> int:
    """Return the iteration of the loop around a task: another task instance of the run for each, with one map index.

    Airflow has no nested loops, and a clear gives an iteration another region, so that no region names it for good.

    :return: from 0; -1: the task is in no loop, as always before 3.4.
    """
    loop = context.get("loop")
    return -1 if loop is None else int(loop.index)


def region_began(ti: Any) -> datetime | None:  # noqa: ANN401 - of the task's process or of the database
    """Return when the region of a task instance was made: a clear that makes later iterations anew makes one.

    :return: None: it has no region, as always before 3.4.
    """
    region = getattr(ti, "region_id", None)
    if region is None or region.version != 7:
        return None
    return datetime.fromtimestamp((region.int >> 80) / 1000, UTC)  # a UUID of version 7 begins with its time


def region_query(region_id: UUID | None, region_index: int | None) -> str:
    """Return the query by which Airflow's pages and API tell iterations of a loop apart; empty: there is no region."""
    if region_id is None or not region_id.int:
        return ""
    return urlencode({"region_id": region_id, "region_index": region_index})


def instance_columns(model: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401 - Airflow's TaskInstance
    """Return the columns of a task instance's map index, region, and index in the region.

    From 3.4 on the column ``map_index`` is the index in the region; in a loop that is the iteration.
    """
    try:
        from airflow.models.task_coordinates import (  # type: ignore[import-not-found]
            public_map_index_expression,
        )
    except ImportError:  # before 3.4
        from sqlalchemy import null

        return model.map_index, null(), null()
    return public_map_index_expression(model), model.region_id, model.region_index


def own_params(operator: BaseOperator) -> set[str]:
    """Return the names of an operator's own params.

    Airflow 3.1 merges those of the DAG into them and keeps no note of it.
    """
    dag = operator.get_dag()
    of_the_dag = dag.params if dag else ()
    params = ParamsDict(operator.params)
    return {
        name for name in params if name not in of_the_dag or getattr(params.get_param(name), "source", None) == "task"
    }


def dag_bag_class() -> Any:  # noqa: ANN401 - Airflow does not type it
    """Return what reads DAG files.

    :raises ImportError: it has moved; the message says what to do.
    """
    with explained("Reading DAG files"):
        try:
            from airflow.dag_processing.dagbag import DagBag
        except ImportError:  # before 3.2
            from airflow.models.dagbag import DagBag  # type: ignore[no-redef]
        return DagBag
