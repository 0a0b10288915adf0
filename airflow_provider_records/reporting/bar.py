"""The bar that shows the outcomes of a disposal."""

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
"""What a reader must see first comes first."""

_BAR, _GAP, _LEAST = 1000.0, 3.0, 8.0


class Piece(NamedTuple):
    """One piece of a bar: where it lies and what it stands for."""

    kind: OutcomeKind
    records: int
    start: float
    width: float


def bar(counts: Mapping[str, int]) -> list[Piece]:
    """Lay out the outcomes of a disposal along a bar 1000 wide; what is few stays visible."""
    shown = [kind for kind in reversed(ORDER) if counts[kind]]
    total = sum(counts.values())
    room = _BAR - _GAP * (len(shown) - 1)
    least = {kind: max(_LEAST, room * counts[kind] / total) for kind in shown}
    # What the small ones take beyond their share, the large ones give, each by its share.
    spare = sum(width for width in least.values() if width > _LEAST)
    excess = sum(least.values()) - room
    found, start = [], 0.0
    for kind in shown:
        width = least[kind] - (excess * least[kind] / spare if least[kind] > _LEAST else 0.0)
        found.append(Piece(kind, counts[kind], round(start, 1), round(width, 1)))
        start += width + _GAP
    return found
