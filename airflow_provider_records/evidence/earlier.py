"""What reviewers decided in earlier runs about records that are listed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_records.evidence.approval import Rejection
from airflow_provider_records.evidence.folders import rejections_folder
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.exceptions import EvidenceError, StoreUnavailableError

_RUNS = 20
"""Number of the newest runs with a rejection that are looked at, so that a request stays cheap after years."""


@dataclass(frozen=True)
class EarlierRejection:
    """A rejection in an earlier run of a list that shares records with this one.

    :param rejection: the rejection.
    :param shared: number of records of this list that were on that one, by their keys.
    """

    rejection: Rejection
    shared: int


@dataclass(frozen=True)
class EarlierRejections:
    """What is known of earlier rejections.

    :param found: the newest first.
    :param unreadable: number of rejections that were changed, that name a list which is missing, or that a newer
        release wrote.
    """

    found: Sequence[EarlierRejection] = ()
    unreadable: int = 0


def earlier_rejections(manifest: Manifest, dag_id: str, run_id: str) -> EarlierRejections:
    """Find rejections in earlier runs of a DAG; in the run itself, a rejection stops the list.

    :param manifest: the list.
    :param dag_id: the DAG.
    :param run_id: the run that asks now.
    :raises StoreUnavailableError: the store cannot be read now.
    """
    store, own = manifest.store, rejections_folder(dag_id, run_id)
    by_run: dict[str, list[str]] = {}
    for name in store.names(own.rpartition("/")[0]):
        by_run.setdefault(name.rpartition("/")[0], []).append(name)
    by_run.pop(own, None)
    newest = sorted(by_run, key=lambda run: run.rpartition("__")[2], reverse=True)[:_RUNS]
    keys = set(manifest.keys()) if newest else set()
    found, unreadable = [], 0
    for name in (name for run in newest for name in by_run[run]):
        try:
            rejection = Rejection.read(store, name)
            rejected = Manifest.open(store, rejection.digest)
            shared = sum(key in keys for key in rejected.keys())  # noqa: SIM118 - it is no mapping
        except StoreUnavailableError:
            raise
        except EvidenceError:
            unreadable += 1
            continue
        if shared:
            found.append(EarlierRejection(rejection, shared))
    return EarlierRejections(sorted(found, key=lambda each: each.rejection.rejected_at, reverse=True), unreadable)
