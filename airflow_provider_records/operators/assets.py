"""The assets that change when records are disposed of, for DAGs that follow a disposal.

Events go through one alias, :data:`DISPOSALS`, so that a task that destroyed nothing emits none. A DAG follows all
disposals with ``schedule=[DISPOSALS]``, or those of one system with ``schedule=[disposed(<its short name>)]``.
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

    :param system: the short name of the system, as the disposal reference has it.
    :param kind: ``destroyed``; or ``recycled``, which is never called destroyed. Where a system deletes no content,
        ``destroyed`` means: marked.
    """
    return Asset(name=f"records_{kind}_{system}", uri=f"x-records://{system}/{kind}")


def events(disposal: Disposal) -> Iterator[tuple[Asset, dict[str, Any]]]:
    """Return the assets that a disposal has changed, each with the extra fields of its event.

    Records of earlier tries are counted too, because only the try that completes the list emits events.
    """
    for kind in (OutcomeKind.DESTROYED, OutcomeKind.RECYCLED):
        if disposal.counts[kind]:
            extra = {**disposal.reference(), "records": disposal.counts[kind], "outcomes": disposal.outcomes}
            yield disposed(disposal.system, kind), extra
