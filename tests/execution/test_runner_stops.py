"""What stops the sending, what does not, and what is said of the records that are left."""

from __future__ import annotations

from collections.abc import Sequence, Set

import pytest

from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import AuthenticationError
from airflow_provider_records.execution import runner as runner_module
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.runner import Runner
from tests.evidence.failing_store import in_memory
from tests.execution.archive import (
    NO_LIMITS,
    Archive,
    LookingSystem,
    ObedientSystem,
    check,
    counts,
    listed,
    names,
    one_try,
    opened,
)


def test_too_many_failures_stop_the_sending() -> None:
    archive, store = Archive(names(200)), in_memory()
    plan = {key: ["failed"] for key in names(200)}
    runner = Runner(ObedientSystem(archive, plan), opened(store, 1), Limits(200, 0.1), concurrency=2)
    outcomes = runner.run(listed(200))
    found = counts(outcomes)
    assert 20 <= found["failed"] <= 22
    assert found["failed"] + found["not_attempted"] == 200
    assert runner.stop_state.reason.startswith("more than 10% of the calls failed")
    assert not runner.stop_state.no_retry
    check(archive, listed(200), one_try(store, ObedientSystem(archive), listed(200), 2), set(names(200)))


def test_refusals_for_business_reasons_do_not_stop_the_sending() -> None:
    archive = Archive(names(100))
    outcomes = one_try(
        in_memory(),
        ObedientSystem(archive, {key: ["blocked"] for key in names(100)}),
        listed(100),
        1,
        limits=Limits(100, 0.0),
    )
    assert counts(outcomes)["blocked"] == 100


def test_a_refused_login_stops_the_sending_for_good() -> None:
    archive = Archive(names(100))
    plan = {key: ["refused_login"] for key in names(100)}
    runner = Runner(ObedientSystem(archive, plan), opened(in_memory(), 1), NO_LIMITS, concurrency=2)
    outcomes = runner.run(listed(100))
    assert runner.stop_state.no_retry
    assert len(archive.sent) <= 2
    assert counts(outcomes)["failed"] == len(archive.sent)
    assert counts(outcomes)["not_attempted"] == 100 - len(archive.sent)


def test_a_refusal_before_the_first_call_leaves_every_outcome_of_earlier_tries() -> None:
    class Locked(ObedientSystem):
        def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
            raise AuthenticationError("the password was changed")

    archive, store = Archive(names(10)), in_memory()
    one_try(store, ObedientSystem(archive, {"r001": ["failed"]}), listed(10), 1)
    runner = Runner(Locked(archive), opened(store, 2), NO_LIMITS, concurrency=2)
    found = counts(runner.run(listed(10)))
    assert (found["destroyed"], found["failed"]) == (9, 1)
    assert runner.stop_state.no_retry
    assert runner.stop_state.reason == "the password was changed"


@pytest.mark.parametrize("error", [AuthenticationError("the password was changed"), ValueError("a defect")])
def test_a_look_that_fails_stops_the_sending_and_keeps_the_outcomes_of_earlier_calls(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "_BATCHES_PER_THREAD", 1)

    class Blinded(LookingSystem):
        def observe(self, records: Sequence[Record]) -> Set[str]:
            if records[0].key >= "r004":
                raise error
            return super().observe(records)

    archive, store = Archive(names(10)), in_memory()
    runner = Runner(Blinded(archive), opened(store, 1), NO_LIMITS, concurrency=2)
    if isinstance(error, ValueError):
        with pytest.raises(ValueError, match="a defect"):
            runner.run(listed(10))
    else:
        assert counts(runner.run(listed(10)))["not_attempted"] >= 6
        assert runner.stop_state.no_retry
    assert set(archive.sent) <= set(names(4))
    looking = LookingSystem(archive)
    check(archive, listed(10), one_try(store, looking, listed(10), 2), set(names(10)))
    assert sorted(archive.sent) == names(10)


def test_what_failed_in_an_earlier_try_stays_failed_when_it_is_not_sent_again() -> None:
    archive, store = Archive(names(2)), in_memory()
    _, failed = one_try(store, ObedientSystem(archive, {"r000": ["failed"], "r001": ["failed"]}), listed(2), 1)

    def stop(_: str) -> None:
        runner.stop_state.stop_because("the task was stopped")

    runner = Runner(ObedientSystem(archive, at_call=stop), opened(store, 2), NO_LIMITS, concurrency=1)
    outcomes = runner.run(listed(2))
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.DESTROYED, OutcomeKind.FAILED]
    assert outcomes[1] == failed
