"""What OpenLineage is told of a disposal: each object whose content is gone, as a dataset that was dropped."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

log = logging.getLogger(__name__)

_LARGEST_EVENT = 1_000
"""Datasets in one event; a longer list is not cut but left out."""


def lineage(disposal: Disposal, store: Store, target: str) -> OperatorLineage[Any, Any] | None:
    """Return the datasets that a disposal dropped: destroyed objects, not those in a recycle bin.

    :param disposal: the summary of the task.
    :param store: the evidence store.
    :param target: where the disposal acted (``VendorHook.target``). It is the namespace of the datasets, since the same
        ids exist in every company and service behind a host.
    :return: None if there are none, or if the system deletes no content.
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
    if not number or not disposal.description.deletes_content:
        return None
    if number > _LARGEST_EVENT:
        log.info("%s destroyed objects are too many for one OpenLineage event; they stand in the evidence", number)
        return None
    namespace = f"{disposal.system}://{target.partition('://')[2]}"
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
