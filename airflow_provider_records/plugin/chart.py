"""Outcomes over time as columns, one strip a system; laid out here, drawn by the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.reporting.bar import ORDER

WIDTH, HEIGHT = 1000.0, 120.0
_LEAST, _FEWEST = 2.5, 30


class Box(NamedTuple):
    """One outcome of one night."""

    kind: OutcomeKind
    top: float
    height: float


class Column(NamedTuple):
    """One night.

    :param night: its place among the nights of the chart.
    """

    night: int
    left: float
    width: float
    boxes: Sequence[Box]


class Strip(NamedTuple):
    """One system.

    :param most: what the full height stands for.
    """

    system: str
    most: int
    columns: Sequence[Column]


def strips(nights: Sequence[Mapping[str, Mapping[str, int]]]) -> list[Strip]:
    """Lay out nights from left to right.

    :param nights: number of records by system and result; the oldest night first.
    """
    slot = WIDTH / max(len(nights), _FEWEST)
    found = []
    for system in dict.fromkeys(system for night in nights for system in sorted(night)):
        most = max(sum(night[system].values()) for night in nights if system in night)
        columns = [
            Column(place, round(slot * (place + 0.14), 2), round(slot * 0.72, 2), _boxes(night[system], most))
            for place, night in enumerate(nights)
            if sum(night.get(system, {}).values())
        ]
        if columns:
            found.append(Strip(system, most, columns))
    return found


def _boxes(counts: Mapping[str, int], most: int) -> list[Box]:
    """Stack the outcomes, what went well at the bottom; what is few stays visible, at the cost of what is most."""
    shown = [kind for kind in reversed(ORDER) if counts[kind]]
    heights = {kind: max(_LEAST, HEIGHT * counts[kind] / most) for kind in shown}
    largest = max(shown, key=lambda kind: heights[kind])
    heights[largest] -= max(0.0, sum(heights.values()) - HEIGHT)
    boxes, bottom = [], HEIGHT
    for kind in shown:
        bottom -= heights[kind]
        boxes.append(Box(kind, round(bottom, 2), round(heights[kind], 2)))
    return boxes
