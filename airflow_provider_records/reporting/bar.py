"""Layout of the bar that shows the outcomes of a disposal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from airflow_provider_records.evidence.outcome import OutcomeKind

ORDER = (
    OutcomeKind.FAILED,
    OutcomeKind.UNKNOWN,
    OutcomeKind.NOT_ATTEMPTED,
    OutcomeKind.BLOCKED,
    OutcomeKind.ABSENT,
    OutcomeKind.RECYCLED,
    OutcomeKind.DESTROYED,
)
"""Outcomes by importance, the most urgent first."""

_WIDTH, _GAP, _MIN_WIDTH = 1000.0, 3.0, 8.0


class BarSegment(NamedTuple):
    """One segment of a bar.

    :param start: distance of its left edge from that of the bar, which is 1000 wide.
    """

    kind: OutcomeKind
    records: int
    start: float
    width: float


def bar(counts: Mapping[str, int]) -> list[BarSegment]:
    """Lay out the outcomes of a disposal along a bar that is 1000 wide. Small numbers stay visible.

    :param counts: number of records by outcome.
    """
    shown = [kind for kind in reversed(ORDER) if counts.get(kind)]
    total = sum(counts.values())
    room = _WIDTH - _GAP * (len(shown) - 1)
    widths = {kind: max(_MIN_WIDTH, room * counts[kind] / total) for kind in shown}
    # Segments of the minimum width take more than their share; the others give it up in proportion to their width.
    spare = sum(width for width in widths.values() if width > _MIN_WIDTH)
    excess = sum(widths.values()) - room
    found, start = [], 0.0
    for kind in shown:
        width = widths[kind] - (excess * widths[kind] / spare if widths[kind] > _MIN_WIDTH else 0.0)
        found.append(BarSegment(kind, counts[kind], round(start, 1), round(width, 1)))
        start += width + _GAP
    return found
