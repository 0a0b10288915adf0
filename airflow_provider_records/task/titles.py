"""Keeps the titles that reviewers need, where the evidence holds hashes of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from airflow_provider_records.evidence import titles
from airflow_provider_records.evidence.names import PLAIN
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.task.validity import approval_validity


def keep_titles(store: Store, origin: Provenance, digest: str, lines: Iterable[bytes]) -> None:
    """Keep the titles of a list until its run has a certificate; remove those of runs that will never have one.

    Approvals of such a run are not valid any more.

    :param store: the evidence store; where titles stand as they are, nothing is kept.
    :param origin: the task that writes the list, or shows it.
    :param digest: digest of the list.
    :param lines: see :func:`~airflow_provider_records.evidence.titles.line`, in the order of the list.
    :raises ConfigurationError: ``[records] approval_valid_days`` is less than 1.
    :raises EvidenceError: the store cannot be written.
    """
    if store.naming is PLAIN:
        return
    titles.remove_older(store, origin.dag_id, datetime.now(UTC) - approval_validity(None))
    titles.write(store, origin.dag_id, origin.run_id, digest, lines)
