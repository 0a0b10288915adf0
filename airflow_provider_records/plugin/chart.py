"""Layout of the chart "Outcomes over time": one strip for each system, one column for each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.reporting.bar import ORDER

WIDTH, HEIGHT = 1000.0, 120.0
_MIN_HEIGHT, _MIN_COLUMNS = 2.5, 30


class Box(NamedTuple):
    """One outcome of one run."""

    kind: OutcomeKind
    top: float
    height: float


class Column(NamedTuple):
    """One run.

    :param run: its index among the runs of the chart.
    """

    run: int
    left: float
    width: float
    boxes: Sequence[Box]


class Strip(NamedTuple):
    """One system.

    :param maximum: number of records that the full height stands for.
    """

    system: str
    maximum: int
    columns: Sequence[Column]


def strips(runs: Sequence[Mapping[str, Mapping[str, int]]]) -> list[Strip]:
    """Lay out runs from left to right.

    :param runs: number of records by system and outcome; the oldest run first.
    """
    slot = WIDTH / max(len(runs), _MIN_COLUMNS)
    found = []
    for system in dict.fromkeys(system for run in runs for system in sorted(run)):
        maximum = max(sum(run[system].values()) for run in runs if system in run)
        columns = [
            Column(place, round(slot * (place + 0.14), 2), round(slot * 0.72, 2), _boxes(run[system], maximum))
            for place, run in enumerate(runs)
            if sum(run.get(system, {}).values())
        ]
        if columns:
            found.append(Strip(system, maximum, columns))
    return found


def _boxes(counts: Mapping[str, int], maximum: int) -> list[Box]:
    """Stack the outcomes, the good ones at the bottom. Small numbers stay visible at the cost of the largest box."""
    shown = [kind for kind in reversed(ORDER) if counts[kind]]
    heights = {kind: max(_MIN_HEIGHT, HEIGHT * counts[kind] / maximum) for kind in shown}
    largest = max(shown, key=lambda kind: heights[kind])
    heights[largest] -= max(0.0, sum(heights.values()) - HEIGHT)
    boxes, bottom = [], HEIGHT
    for kind in shown:
        bottom -= heights[kind]
        boxes.append(Box(kind, round(bottom, 2), round(heights[kind], 2)))
    return boxes
