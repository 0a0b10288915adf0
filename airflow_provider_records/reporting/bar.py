"""The bar that shows the outcomes of a disposal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from airflow_provider_records.evidence.outcome import Result

ORDER = (
    Result.FAILED,
    Result.UNKNOWN,
    Result.NOT_ATTEMPTED,
    Result.BLOCKED,
    Result.ABSENT,
    Result.RECYCLED,
    Result.DESTROYED,
)
"""What a reader must see first comes first."""

_BAR, _GAP, _LEAST = 1000.0, 3.0, 8.0


class Piece(NamedTuple):
    """One piece of a bar: where it lies and what it stands for."""

    result: Result
    records: int
    start: float
    width: float


def bar(counts: Mapping[str, int]) -> list[Piece]:
    """Lay out the outcomes of a disposal along a bar 1000 wide; what is few stays visible."""
    shown = [result for result in reversed(ORDER) if counts[result]]
    total = sum(counts.values())
    room = _BAR - _GAP * (len(shown) - 1)
    least = {result: max(_LEAST, room * counts[result] / total) for result in shown}
    # What the small ones take beyond their share, the large ones give, each by its share.
    spare = sum(width for width in least.values() if width > _LEAST)
    excess = sum(least.values()) - room
    found, start = [], 0.0
    for result in shown:
        width = least[result] - (excess * least[result] / spare if least[result] > _LEAST else 0.0)
        found.append(Piece(result, counts[result], round(start, 1), round(width, 1)))
        start += width + _GAP
    return found
