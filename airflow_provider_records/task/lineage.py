"""What OpenLineage is told of a disposal: the content that is gone, each object as a dataset that was dropped."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

log = logging.getLogger(__name__)

_MOST = 1_000
"""Datasets in one event; a longer list is not cut, it is left to the evidence."""


def lineage(disposal: Disposal, store: Store, address: str) -> OperatorLineage[Any, Any] | None:
    """Return the datasets that a disposal dropped: what was destroyed, not what lies in a recycle bin.

    :param disposal: what the task has done.
    :param store: the evidence store.
    :param address: base URL of the system; its host names the datasets.
    :return: None if there are none: Opus holds no content, it only has its records marked.
    :raises EvidenceError: the list or its outcomes cannot be read.
    """
    from airflow.providers.common.compat.openlineage.facet import (
        Dataset,
        LifecycleStateChange,
        LifecycleStateChangeDatasetFacet,
        PreviousIdentifier,
    )
    from airflow.providers.openlineage.extractors import OperatorLineage

    number = disposal.counts[OutcomeKind.DESTROYED]
    if not number or disposal.system == "opus":
        return None
    if number > _MOST:
        log.info("%s destroyed objects are too many for one OpenLineage event; they stand in the evidence", number)
        return None
    namespace = f"{disposal.system}://{urlsplit(address).netloc}"
    records = Manifest.open(store, disposal.digest, disposal.manifest)
    gone = [
        record.target_id
        for record, outcome in zip(records, disposal.each_outcome(store), strict=True)
        if outcome.kind is OutcomeKind.DESTROYED
    ]
    return OperatorLineage(
        inputs=[
            Dataset(
                namespace=namespace,
                name=name,
                facets={
                    "lifecycleStateChange": LifecycleStateChangeDatasetFacet(
                        lifecycleStateChange=LifecycleStateChange.DROP,
                        previousIdentifier=PreviousIdentifier(namespace=namespace, name=name),
                    )
                },
            )
            for name in gone
        ]
    )
