"""A try that is broken off, at whatever line, or told to stop: what is known is written, and nothing is lost."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from types import FrameType
from typing import Any

import pytest

from airflow_provider_records.evidence import journal as journal_module
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.execution import retries as attempt_module
from airflow_provider_records.execution import runner as runner_module
from airflow_provider_records.execution.runner import Chunk, Runner
from tests.evidence.failing_store import failing_store, in_memory
from tests.execution.archive import NO_LIMITS, Archive, ObedientSystem, check, counts, listed, names, one_try, opened


class _Timeout(BaseException):
    """What Airflow raises in the main thread, at any line, when a task has run for too long."""


def test_a_timeout_at_every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 1)
    monkeypatch.setattr(journal_module, "LEASE", 60.0)
    records = listed(5)
    first = set(names(4))
    ours = {module.__file__ for module in (runner_module, attempt_module, journal_module)}
    for at in itertools.count(1):
        archive, store = Archive(first), in_memory()
        lines = 0

        def trace(frame: FrameType, event: str, _: object, at: int = at) -> Any:
            nonlocal lines
            if frame.f_code.co_filename not in ours:
                return None
            if event == "line":
                lines += 1
                if lines == at:
                    raise _Timeout
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            one_try(store, ObedientSystem(archive, {"r001": ["lost_after"], "r002": ["lost_before"]}), records, 1)
            ended = True
        except _Timeout:
            ended = False
        finally:
            sys.settrace(before)
        check(archive, records, one_try(store, ObedientSystem(archive), records, 2), first)
        if ended:
            break
    assert at > 200


def test_calls_in_the_air_are_interrupted_when_the_try_is_broken_off() -> None:
    interrupted: list[bool] = []

    def fail(_: Chunk) -> None:
        raise _Timeout

    runner = Runner(
        ObedientSystem(Archive(names(3))),
        opened(in_memory(), 1),
        NO_LIMITS,
        concurrency=1,
        report=fail,
        interrupt=lambda: interrupted.append(True),
    )
    with pytest.raises(_Timeout):
        runner.run(listed(3))
    assert interrupted == [True]


def test_an_interruption_loses_no_outcome_of_what_is_in_the_air(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 1)
    archive = Archive(names(12))

    def interrupt(number: int, done: bool) -> None:
        if (number, done) == (4, False):  # after the start, what was observed, and the first intents
            raise _Timeout

    store = failing_store(interrupt)
    system = ObedientSystem(archive, at_call=lambda _: time.sleep(0.02))
    with pytest.raises(_Timeout):
        one_try(store, system, listed(12), 1, concurrency=3)
    state = opened(store, 2).state
    assert state.in_doubt == set()
    assert set(archive.sent) == {
        key for key, outcome in state.outcomes.items() if outcome.kind is OutcomeKind.DESTROYED
    }
    assert {key for key, outcome in state.outcomes.items() if outcome.kind is OutcomeKind.NOT_ATTEMPTED} == {
        "r003",
        "r004",
        "r005",
    }
    assert state.doubtful == set()


def test_a_stop_is_heeded_and_what_is_known_is_written() -> None:
    archive, store = Archive(names(500)), in_memory()
    begun = threading.Event()

    def slowly(_: str) -> None:
        begun.set()
        time.sleep(0.05)

    runner = Runner(ObedientSystem(archive, at_call=slowly), opened(store, 1), NO_LIMITS, concurrency=4)
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.extend(runner.run(listed(500))))
    thread.start()
    assert begun.wait(5)
    runner.stop("the task was stopped")
    thread.join(60)
    assert len(archive.sent) == counts(found)["destroyed"] < 500
    assert counts(found)["not_attempted"] == 500 - len(archive.sent)
    assert found[-1].reason == "not sent: the task was stopped"
    check(archive, listed(500), one_try(store, ObedientSystem(archive), listed(500), 2), set(names(500)))
