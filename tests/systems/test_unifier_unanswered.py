"""What becomes of Unifier's documents after a call whose answer was lost or does not tell; over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.execution.limits import Limits
from airflow_provider_records.execution.progress import Progress
from airflow_provider_records.execution.runner import Runner
from tests.conftest import Connect, Serve
from tests.systems.unifier_factory import BY_ID, IN_PROJECT, PLACES, Office, record, told


@pytest.fixture
def office(serve: Serve, connect: Connect, tmp_path: Path) -> Iterator[Office]:
    office = Office(serve, connect, tmp_path)
    yield office
    assert office.calls("delete_folder") == 0
    assert set(office.recycled) <= {"555"}, "something was deleted that is not on any list"


DOUBTS: list[dict[str, Any]] = [
    {"drop": True},
    {"cut": 15},
    {"status": 200, "body": "<html>sign in</html>"},
    {"status": 200, "body": {"data": [], "message": []}},
    {"status": 200, "body": {"data": [], "status": "done"}},
    {"status": 400, "body": {"data": [], "status": 200}},
    {"status": 500, "body": ""},
    {"status": 502, "body": "<html>bad gateway</html>"},
]


@pytest.mark.parametrize("doubt", DOUBTS)
@PLACES
def test_in_doubt_and_not_listed_is_inferred(office: Office, doubt: dict[str, Any], place: dict[str, Any]) -> None:
    office.fault(**doubt)
    assert told(office.try_(record(555, place))) == [("recycled", "inferred")]
    assert office.calls() == 1


@pytest.mark.parametrize("doubt", DOUBTS)
def test_in_doubt_and_listed_is_sent_again_once(office: Office, doubt: dict[str, Any]) -> None:
    office.fault(act=False, **doubt)
    assert told(office.try_(record(555, BY_ID))) == [("recycled", "probe")]
    assert (office.calls(), office.recycled) == (2, ["555"])


def test_in_doubt_twice_and_still_listed_is_failed(office: Office) -> None:
    office.fault(act=False, drop=True, times=None)
    assert told(office.try_(record(555, BY_ID))) == [("failed", None)]
    assert office.calls() == 2


@pytest.mark.parametrize("acted", [False, True])
def test_in_doubt_without_a_folder_is_unknown(office: Office, acted: bool) -> None:
    office.fault(drop=True, act=acted)
    outcomes = office.try_(record(555))
    assert told(outcomes) == [("unknown", None)]
    assert "parent_id" in str(outcomes[0].reason)
    assert office.calls() == 1


def test_in_doubt_while_the_folder_cannot_be_listed_is_unknown_until_it_can(office: Office) -> None:
    office.fault(drop=True)
    office.fault("list_nodes", skip=1, times=None, status=503)  # not what the try sees at its start
    assert told(office.try_(record(555, BY_ID))) == [("unknown", None)]
    office.sandbox.faults.clear()
    assert told(office.try_(record(555, BY_ID))) == [("recycled", "inferred")]
    assert office.calls() == 1


def test_killed_before_the_call_of_what_was_gone_claims_nothing(office: Office) -> None:
    office.part.documents[555].binned = True
    office.die_after_the_call(record(555, BY_ID), send=False)
    assert told(office.try_(record(555, BY_ID))) == [("blocked", "probe")]
    assert office.calls() == 0


def test_killed_before_the_call_of_what_is_there_is_carried_out(office: Office) -> None:
    office.die_after_the_call(record(555, BY_ID), send=False)
    assert told(office.try_(record(555, BY_ID))) == [("recycled", "probe")]
    assert office.recycled == ["555"]


class _Timeout(BaseException):
    """What Airflow raises in the main thread when a task has run for too long."""


@pytest.mark.parametrize("how", ["aborted", "stopped"])
def test_a_try_that_ends_early_calls_nothing_absent(office: Office, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    records = [record(node, IN_PROJECT) for node in (555, *range(2000, 2030))]
    runner = Runner(office.system(), office.journal(), Limits(), concurrency=1)
    office.fault(act=True, times=None, latency_ms=20)

    def end(_: Progress) -> None:
        if office.calls() < 5 or runner.stop_state.reason:
            return
        if how == "aborted":
            raise _Timeout
        runner.stop("the task was stopped")

    monkeypatch.setattr(Progress, "say", end)
    if how == "aborted":
        with pytest.raises(_Timeout):
            runner.run(records)
    else:
        runner.run(records)
    known = list(office.journal().state.outcomes.values())
    assert {str(each.kind) for each in known} <= {"recycled", "failed", "not_attempted"}
    early = [each for each in known if each.kind is OutcomeKind.FAILED]
    assert 4 <= len(early) < 20
    assert all("ended too early" in str(each.reason) and not each.unanswered for each in early)
    whole = office.try_(*records)
    assert {str(each.kind) for each in whole} == {"recycled", "failed"}
    assert "are not there: is this the right archive" in str(whole[1].reason)


def test_what_others_removed_is_not_claimed_by_a_try_that_follows_one_that_could_not_look(office: Office) -> None:
    known = record(555, BY_ID)
    office.fault("list_nodes", skip=1, times=None, status=403)  # not what the try sees at its start
    office.fault(times=1, act=False, body={"data": [], "message": [], "status": 12764})
    (outcome,) = office.try_(known)
    assert (outcome.kind, outcome.unanswered) == (OutcomeKind.FAILED, False)
    office.sandbox.faults.clear()
    office.part.documents[555].binned = True
    assert told(office.try_(known)) == [("blocked", "probe")]
