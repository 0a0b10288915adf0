"""What tests need to know of Airflow's minors."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from airflow_provider_records.airflow_version import airflow_version

if TYPE_CHECKING:
    from airflow.sdk.exceptions import (
        AirflowRescheduleException,
        DownstreamTasksSkipped,
        TaskAwaitingInput,
        TaskDeferralTimeout,
        TaskDeferred,
    )
    from airflow.sdk.serde import deserialize, serialize
else:
    try:
        from airflow.sdk.exceptions import (
            AirflowRescheduleException,
            DownstreamTasksSkipped,
            TaskDeferralTimeout,
            TaskDeferred,
        )
    except ImportError:  # before 3.2
        from airflow.exceptions import (
            AirflowRescheduleException,
            DownstreamTasksSkipped,
            TaskDeferralTimeout,
            TaskDeferred,
        )
    try:
        from airflow.sdk.serde import deserialize, serialize
    except ImportError:  # before 3.2
        from airflow.serialization.serde import deserialize, serialize
    try:
        from airflow.sdk.exceptions import TaskAwaitingInput
    except ImportError:  # before 3.3 an approval waits in the triggerer
        TaskAwaitingInput = TaskDeferred

__all__ = [
    "AirflowRescheduleException",
    "DownstreamTasksSkipped",
    "TaskAwaitingInput",
    "TaskDeferralTimeout",
    "TaskDeferred",
    "before",
    "count_by_settings",
    "deserialize",
    "forget_bundles",
    "has",
    "serialize",
    "since",
]


def has(minor: str) -> bool:
    """Return whether the installed Airflow is this minor or a later one."""
    return Version(airflow_version()).release >= Version(minor).release


def count_by_settings(*, on: bool) -> None:
    """Let Airflow's counters go where its settings say, or nowhere, as a task's process does when it begins."""
    load: Any = importlib.import_module
    if not has("3.2"):
        stats = load("airflow.stats").Stats
        log = load("airflow.metrics.statsd_logger")
        stats.instance = (
            log.get_statsd_logger(stats) if on else load("airflow.metrics.base_stats_logger").NoStatsLogger()
        )
        stats._instance_pid = os.getpid()
        return
    nowhere = load("airflow.sdk._shared.observability.metrics.base_stats_logger").NoStatsLogger
    stats, utils = load("airflow.sdk.observability.stats"), load("airflow.sdk.observability.metrics.stats_utils")
    if has("3.3"):
        stats.initialize(factory=utils.get_stats_factory() if on else nowhere, export_legacy_names=True)
    else:
        stats.Stats.initialize(factory=utils.get_stats_factory(stats.Stats) if on else nowhere)


def forget_bundles() -> None:
    """Let Airflow read anew where DAGs lie; from 3.4 on it does that once in a process."""
    manager: Any = importlib.import_module("airflow.dag_processing.bundles.manager")
    if has("3.4"):
        manager._load_bundle_config_snapshot.cache_clear()


def before(minor: str) -> pytest.MarkDecorator:
    """Mark tests of what is otherwise before a minor; on that one and later they are left out."""
    return pytest.mark.before(minor)


def since(minor: str) -> pytest.MarkDecorator:
    """Mark tests of what Airflow offers from a minor on; on an older one they are left out."""
    return pytest.mark.since(minor)
