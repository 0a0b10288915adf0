"""A disposal that is killed at each of its requests, and at many random steps one after another."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path

import pytest

from tests.operators.crash_points import REQUEST, Death, crash_run
from tests.operators.test_crash import any_death, each_vendor, survive


@each_vendor
@pytest.mark.parametrize("concurrency", [1, 4])
def test_killed_before_and_after_every_request(vendor: str, concurrency: int, tmp_path: Path) -> None:
    for number in count(1):
        for after in (False, True):
            with crash_run(vendor, tmp_path / f"{number}-{after}", concurrency=concurrency) as made:
                if not survive(made, [Death(REQUEST, number, after)]):
                    assert number > 5, "it should have been killed"
                    return


@each_vendor
@pytest.mark.parametrize("seed", range(40))
def test_killed_at_random(vendor: str, seed: int, tmp_path: Path) -> None:
    dice = random.Random(f"chaos-{vendor}-{seed}")
    deaths = [any_death(dice, 12) for _ in range(8)]
    with crash_run(vendor, tmp_path, blind=3, concurrency=dice.randint(1, 4)) as made:
        survive(made, deaths, unknown=3 if vendor == "unifier" else 0)
