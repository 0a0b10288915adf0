"""The bar of a disposal shows every outcome, in a width that tells its number."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.reporting import bar


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**7), min_size=7, max_size=7).filter(any))
def test_a_bar_shows_every_outcome_within_its_width(numbers: list[int]) -> None:
    counts = dict(zip(map(str, OutcomeKind), numbers, strict=True))
    pieces = bar.bar(counts)
    assert [piece.kind for piece in pieces] == [each for each in reversed(bar.ORDER) if counts[each]]
    assert all(piece.width >= 7.5 for piece in pieces)
    assert all(here.start + here.width < there.start for here, there in pairwise(pieces))
    assert abs(pieces[-1].start + pieces[-1].width - 1000) < 0.5
    widths = [piece.width for piece in sorted(pieces, key=lambda piece: piece.records)]
    assert all(less <= more + 0.5 for less, more in pairwise(widths))


def test_the_order_names_every_outcome_once_and_what_needs_attention_first() -> None:
    assert len(bar.ORDER) == len(set(bar.ORDER))
    assert set(bar.ORDER) == set(OutcomeKind)
    final = [kind.final for kind in bar.ORDER]
    assert final == sorted(final)
    assert bar.ORDER[-1] is OutcomeKind.DESTROYED


def test_one_outcome_alone_takes_the_whole_bar() -> None:
    assert bar.bar({"destroyed": 5, "failed": 0}) == [bar.BarSegment(OutcomeKind.DESTROYED, 5, 0.0, 1000.0)]


def test_widths_are_in_proportion_beside_a_gap() -> None:
    assert bar.bar({"blocked": 1, "destroyed": 3}) == [
        bar.BarSegment(OutcomeKind.DESTROYED, 3, 0.0, 747.8),
        bar.BarSegment(OutcomeKind.BLOCKED, 1, 750.8, 249.2),
    ]


def test_one_of_a_million_is_seen_and_takes_its_width_from_the_others() -> None:
    many, one = bar.bar({"destroyed": 10**6, "unknown": 1})
    assert (one.records, one.width) == (1, 8.0)
    assert one.start + one.width == pytest.approx(1000, abs=0.1)
    assert many.width == pytest.approx(1000 - 8 - 3, abs=0.1)


@pytest.mark.parametrize("counts", [{}, {"destroyed": 0}], ids=str)
def test_no_records_make_no_segment(counts: dict[str, int]) -> None:
    assert bar.bar(counts) == []
