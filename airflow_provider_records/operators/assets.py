"""The assets that change when records are disposed of, for DAGs that follow a disposal.

Events go through one alias, :data:`DISPOSALS`, so that a task that destroyed nothing emits none. A DAG follows all
disposals with ``schedule=[DISPOSALS]``, or those of one system with ``schedule=[disposed("enaio")]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow.sdk import Asset, AssetAlias

from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.summary import Disposal

DISPOSALS = AssetAlias("records_disposals")


def disposed(system: str, kind: str = OutcomeKind.DESTROYED) -> Asset:
    """Return the asset that changes when records of a system are disposed of.

    :param system: ``enaio``, ``unifier`` or ``opus``.
    :param result: ``destroyed``; or ``recycled``, which is never called destroyed. In Opus it means: marked.
    """
    return Asset(name=f"records_{kind}_{system}", uri=f"x-records://{system}/{kind}")


def events(disposal: Disposal) -> Iterator[tuple[Asset, dict[str, Any]]]:
    """Return the assets that a disposal has changed, each with what its event says.

    Records of earlier tries are counted too: only the try that ends well emits.
    """
    for kind in (OutcomeKind.DESTROYED, OutcomeKind.RECYCLED):
        if disposal.counts[kind]:
            extra = {**disposal.reference(), "records": disposal.counts[kind], "outcomes": disposal.outcomes}
            yield disposed(disposal.system, kind), extra
