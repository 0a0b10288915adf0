"""A disposal whose process is killed: at every file it writes, at any request, beside its own retry.

The processes are real, and so are the signals; the sandbox's own log is the truth.
"""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence.outcome import OutcomeKind
from tests.operators.crash_points import CALL, REQUEST, SEARCHED, SUMMARY, VENDORS, WRITE, CrashRun, Death, crash_run

pytestmark = pytest.mark.durability
each_vendor = pytest.mark.parametrize("vendor", list(VENDORS))
MIDST = {
    "enaio": Death(REQUEST, 20, after=True),
    SEARCHED: Death(REQUEST, 19, after=True),
    "unifier": Death(REQUEST, 12, after=True),
    "opus": Death(REQUEST, 4, after=True),
}
"""Right after an answer, while no outcome of its chunk is written."""


def survive(made: CrashRun, deaths: list[Death], unknown: int = 0) -> int:
    """Let one try after another die, and others go on to the end; return how many did die."""
    try:
        died = sum(made.die(death) for death in deaths)
        made.check_log()
        said = made.finish()
        assert isinstance(said, dict) or unknown, said
        made.check(unknown)
    except BaseException as error:
        error.add_note(f"killed: {', '.join(map(str, deaths))}")
        raise
    return died


@each_vendor
@pytest.mark.parametrize("earlier", [False, True], ids=["first try", "while it settles"])
def test_killed_before_and_after_every_file_it_writes(vendor: str, earlier: bool, tmp_path: Path) -> None:
    before = [MIDST[vendor]] if earlier else []
    for number in count(1):
        for after in (False, True):
            with crash_run(vendor, tmp_path / f"{number}-{after}") as made:
                if survive(made, [*before, Death(WRITE, number, after)]) == len(before):
                    assert number > 6, "it should have been killed"
                    return


def any_death(dice: random.Random, most: int) -> Death:
    """Return a death at a random step; there are fewer calls than requests and files.

    :param most: highest number of the step.
    """
    step = dice.choice((CALL, REQUEST, WRITE))
    return Death(step, dice.randint(1, most // 2 if step == CALL else most), dice.random() < 0.5)


@each_vendor
def test_killed_at_random(vendor: str, tmp_path: Path) -> None:
    dice = random.Random(f"crash-{vendor}")
    for number in range(4):
        deaths = [any_death(dice, 6) for _ in range(4)]
        with crash_run(vendor, tmp_path / str(number), blind=3, concurrency=3) as made:
            assert survive(made, deaths, unknown=3 if vendor == "unifier" else 0) > 0


@each_vendor
def test_sigterm_stops_the_sending_and_leaves_nothing_undecided(vendor: str, tmp_path: Path) -> None:
    with crash_run(vendor, tmp_path, concurrency=2) as made:
        made.fault(call=VENDORS[vendor].call, latency_ms=300)
        task = made.begin()
        wait(lambda: made.sent())
        asked = time.time()
        task.signal(signal.SIGTERM)
        ended = task.end(5)  # seconds after which Airflow kills
        assert ended is not None
        assert ended[0].startswith("DisposalIncompleteError")
        sent = made.sent()
        assert max(entry.time for entry in sent) < asked + 1
        made.check_log()
        results = {key: outcome.kind for key, outcome in made.outcomes().items()}
        # Failed: what the system refused, and was not looked at any more to find out why.
        assert {result for result in results.values() if not result.final} <= {
            OutcomeKind.NOT_ATTEMPTED,
            OutcomeKind.FAILED,
        }
        called = {key for entry in sent for key in made.asked(entry)}
        assert not called & {key for key, result in results.items() if result is OutcomeKind.NOT_ATTEMPTED}
        assert isinstance(made.finish(), dict)
        made.check()


def wait(done: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


ZOMBIES = [
    *((vendor, Death(**vars(death) | {"signal": signal.SIGSTOP})) for vendor, death in MIDST.items()),
    *(
        ("enaio", Death(step, number, after, signal.SIGSTOP))
        for step, number in ((WRITE, 3), (SUMMARY, 1))
        for after in (False, True)
    ),
]


@pytest.mark.parametrize(("vendor", "stop"), ZOMBIES, ids=str)
def test_a_zombie_beside_its_retry_sends_nothing_and_overwrites_nothing(
    vendor: str, stop: Death, tmp_path: Path
) -> None:
    with crash_run(vendor, tmp_path, timeout=0.5) as made:
        made.fault(call=VENDORS[vendor].call, latency_ms=150, times=1)
        zombie = made.begin(stop, lease=0.3)
        zombie.wait_stopped()
        ended = made.begin(lease=0.3).end()
        assert ended is not None
        assert isinstance(ended[0], dict), ended
        summary, sent = made.disposal(), len(made.sent())
        zombie.signal(signal.SIGCONT)
        woken = zombie.end()
        assert woken is not None
        assert "newer try" in woken[0]
        assert len(made.sent()) == sent
        assert made.disposal() == summary
        assert summary.provenance.try_number == 2
        made.check()


def test_a_retry_waits_for_calls_of_the_dead_that_take_effect_late(tmp_path: Path) -> None:
    with crash_run("enaio", tmp_path, timeout=1.0, concurrency=3) as made:
        made.fault(call="delete_object", latency_ms=900, times=3)
        task = made.begin(lease=0.3)
        wait(lambda: len(made.sent()) == 3)
        task.signal(signal.SIGKILL)
        assert task.end() is None
        assert not made.effects
        in_flight = {key for entry in made.sent() for key in made.asked(entry)}
        ended = made.begin(lease=0.3).end()
        assert ended is not None
        assert isinstance(ended[0], dict), ended
        made.check()
        assert not {key for entry in made.sent()[3:] for key in made.asked(entry)} & in_flight


@each_vendor
@pytest.mark.parametrize(
    "again", [None, Death(CALL, 1, after=False), Death(CALL, 3, after=True)], ids=["once", "before a call", "after it"]
)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["wiped", "another path"])
def test_of_what_a_lost_journal_held_nothing_is_claimed_and_nothing_sent_again(
    vendor: str, again: Death | None, elsewhere: bool, tmp_path: Path
) -> None:
    """What a second killed try deleted is not claimed either: its calls have no outcome, and its probes are not kept.

    :param again: where the second try is killed; None: it is not.
    """
    evidence = tmp_path / "evidence"
    if again and again.after and VENDORS[vendor].system == "enaio":
        again = replace(again, number=4)  # the third is refused
    with crash_run(vendor, evidence) as made:
        assert made.die(MIDST[vendor])
        done = set(made.effects)
        assert done
        journal = next(evidence.glob("disposals/*/*/*/*/journal"))
        if elsewhere:
            shutil.copytree(evidence / "manifests", tmp_path / "other" / "manifests")
            made.move(tmp_path / "other")
        else:
            shutil.rmtree(journal)
        if again:
            assert made.die(again)
            assert (set(made.effects) > done) is again.after
        unclaimed = set(made.effects)
        made.finish()
        made.check_log()
        made.check_evidence()
        outcomes = made.outcomes()
        gone = OutcomeKind.ABSENT if VENDORS[vendor].system == "enaio" else OutcomeKind.UNKNOWN
        assert {outcomes[key].kind for key in done} == {gone}
        assert {outcomes[key].kind for key in unclaimed} <= {OutcomeKind.ABSENT, OutcomeKind.UNKNOWN}
        assert all("not there" in str(outcomes[key].reason) for key in unclaimed)
        claimed = {key for key, each in outcomes.items() if each.kind in {OutcomeKind.DESTROYED, OutcomeKind.RECYCLED}}
        assert claimed
        assert claimed == set(made.effects) - unclaimed
        assert f"file://{journal}" in {
            entry.get("missing_session", "").rpartition("/")[0] for entry in made.check_evidence()
        }


def test_a_journal_that_is_where_it_was_is_not_called_lost(tmp_path: Path) -> None:
    with crash_run("enaio", tmp_path / "evidence") as made:
        assert made.die(MIDST["enaio"])
        made.finish()
        assert not any("missing_session" in entry for entry in made.check_evidence())
