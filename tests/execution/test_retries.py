"""One batch, brought to its outcomes: when a delete is sent again, when it is probed, and what is said otherwise.

What whole tries and their journals make of this is tested in test_runner_unanswered.py and its neighbours.
"""

from __future__ import annotations

import time
from collections.abc import Sequence, Set

import pytest

from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.outcome import PROCESS_DIED, Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import (
    AuthenticationError,
    NoAnswerError,
    NotFoundError,
    NotSentError,
    RefusedError,
    ServerError,
    UnavailableError,
    VendorError,
)
from airflow_provider_records.execution.retries import ROUNDS, Attempts, StopState
from tests.evidence.failing_store import in_memory
from tests.execution.archive import DIGEST, FOLDER, STARTED

RECORD = Record("a", "t")
GONE = Outcome("a", OutcomeKind.DESTROYED, Proof.RESPONSE)
INFERRED = Outcome("a", OutcomeKind.DESTROYED, Proof.INFERRED)
BLOCKED = Outcome("a", OutcomeKind.BLOCKED, Proof.RESPONSE, "locked")
LOST = NoAnswerError("no response")
ANSWERED_500 = ServerError("broken", status=500)
Answer = Outcome | VendorError | None


class Scripted:
    """A system that answers one record as it was told, call by call, and notes what it was asked."""

    name = "archive"
    batch_size = 1

    def __init__(self, *calls: Answer, probes: Sequence[Answer] = (), verified: Answer = None) -> None:
        self.calls, self.probes, self.verified = list(calls), list(probes), verified
        self.asked: list[str] = []
        self.unanswered: list[Set[str]] = []

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        return set()

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
        self.asked.append("call")
        self.unanswered.append(unanswered)
        return [given(self.calls.pop(0))]

    def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
        self.asked.append("probe")
        return [given(self.probes.pop(0))]

    def verify(self, batch: Sequence[tuple[Record, Outcome]]) -> list[Outcome]:
        self.asked.append("verify")
        return [given(self.verified) or outcome for _, outcome in batch]


def given(answer: Answer) -> Outcome | None:
    if isinstance(answer, VendorError):
        raise answer
    return answer


def journal(store: Store | None = None, number: int = 1, *, observed: bool = True) -> Journal:
    """Open the journal of a try that has seen the record and intends to send it."""
    opened = Journal(store or in_memory(), FOLDER, DIGEST, started=STARTED, try_number=number, call_seconds=0)
    if observed:
        opened.record_observed({"a"})
    opened.intend(["a"])
    return opened


def attempts(system: Scripted, opened: Journal | None = None, *, verify: bool = False) -> Attempts:
    return Attempts(system, opened or journal(), StopState(), lambda _: {}, verify=verify)


def made(
    system: Scripted, round_: int = 0, doubtful: Set[str] = frozenset(), *, verify: bool = False
) -> Outcome | None:
    trying = attempts(system, verify=verify)
    found = trying.make([RECORD], doubtful, round_).get("a")
    return trying.verify([(RECORD, found)])[0] if found and verify else found


@pytest.mark.parametrize("answer", [GONE, BLOCKED, Outcome("a", OutcomeKind.FAILED, reason="busy")], ids=str)
def test_what_the_system_says_is_taken_after_one_call(answer: Outcome) -> None:
    system = Scripted(answer)
    assert made(system) == answer
    assert system.asked == ["call"]


def test_a_call_that_may_still_take_effect_has_no_outcome_in_this_round_and_is_not_probed_yet() -> None:
    system, opened = Scripted(LOST), journal()
    assert attempts(system, opened).make([RECORD], set(), 0) == {}
    assert system.asked == ["call"]


@pytest.mark.parametrize("open_", [ANSWERED_500, None], ids=["error of the system", "answer that says nothing"])
def test_a_call_that_is_over_is_probed_at_once_and_sent_again_if_the_record_is_there(open_: Answer) -> None:
    system = Scripted(open_, GONE, probes=[None])
    assert made(system) == GONE
    assert system.asked == ["call", "probe", "call"]
    assert system.unanswered == [set(), {"a"}]


def test_a_call_that_is_over_and_took_effect_is_not_sent_again() -> None:
    system = Scripted(ANSWERED_500, probes=[INFERRED])
    assert made(system) == INFERRED
    assert system.asked == ["call", "probe"]


def test_a_record_that_is_there_after_two_calls_is_failed_with_the_last_cause() -> None:
    system = Scripted(ANSWERED_500, ANSWERED_500, probes=[None, None])
    outcome = made(system)
    assert outcome == Outcome(
        "a",
        OutcomeKind.FAILED,
        reason="two calls did not do it, and it is still there; the last one: broken",
        unanswered=True,
        stayed=True,
    )
    assert system.asked == ["call", "probe", "call", "probe"]


def test_a_lost_call_is_probed_in_a_later_round_before_it_is_sent_again() -> None:
    system = Scripted(LOST, GONE, probes=[None])
    trying = attempts(system)
    assert trying.make([RECORD], set(), 0) == {}
    assert trying.make([RECORD], {"a"}, 1) == {"a": GONE}
    assert system.asked == ["call", "probe", "call"]


def test_the_last_round_probes_and_sends_nothing() -> None:
    system = Scripted(LOST, LOST, probes=[None, None])
    trying = attempts(system)
    for round_ in range(ROUNDS):
        found = trying.make([RECORD], {"a"} if round_ else set(), round_)
    assert found["a"].kind is OutcomeKind.FAILED
    assert found["a"].unanswered
    assert system.asked == ["call", "probe", "call", "probe"]


@pytest.mark.parametrize("error", [NotSentError("refused"), NotFoundError("no"), RefusedError("no")], ids=str)
def test_a_call_that_certainly_changed_nothing_is_failed_without_a_probe(error: VendorError) -> None:
    system = Scripted(error)
    trying = attempts(system)
    (outcome,) = trying.make([RECORD], set(), 0).values()
    assert (outcome.kind, outcome.proof, outcome.unanswered) == (OutcomeKind.FAILED, None, False)
    assert (system.asked, trying.stop_state.reason) == (["call"], "")


def test_a_system_that_is_down_leaves_the_record_not_attempted_and_stops_the_sending() -> None:
    trying = attempts(Scripted(UnavailableError("down")))
    (outcome,) = trying.make([RECORD], set(), 0).values()
    assert (outcome.kind, outcome.reason) == (OutcomeKind.NOT_ATTEMPTED, "not sent: down")
    assert (trying.stop_state.reason, trying.stop_state.no_retry) == ("down", False)


def test_credentials_that_are_refused_stop_the_sending_for_good() -> None:
    trying = attempts(Scripted(AuthenticationError("refused")))
    (outcome,) = trying.make([RECORD], set(), 0).values()
    assert outcome.kind is OutcomeKind.FAILED
    assert (trying.stop_state.reason, trying.stop_state.no_retry) == ("refused", True)


def test_nothing_is_sent_once_the_sending_has_stopped() -> None:
    system = Scripted()
    trying = attempts(system)
    trying.stop_state.stop_because("told to")
    (outcome,) = trying.make([RECORD], set(), 0).values()
    assert (outcome.kind, outcome.reason, system.asked) == (OutcomeKind.NOT_ATTEMPTED, "not sent: told to", [])


def test_a_record_that_is_there_after_a_call_is_failed_if_the_sending_stops_before_the_second() -> None:
    class Stopping(Scripted):
        def resolve_unanswered(self, batch: Sequence[Record]) -> list[Outcome | None]:
            trying.stop_state.stop_because("told to")
            return super().resolve_unanswered(batch)

    trying = attempts(Stopping(ANSWERED_500, probes=[None]))
    (outcome,) = trying.make([RECORD], set(), 0).values()
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.reason == "it is still there after a call (broken); not sent again: told to"


@pytest.mark.parametrize("error", [ServerError("blind"), AuthenticationError("refused")], ids=str)
def test_what_cannot_be_probed_is_unknown_and_not_sent_again(error: VendorError) -> None:
    system = Scripted(ANSWERED_500, probes=[error])
    trying = attempts(system)
    (outcome,) = trying.make([RECORD], set(), 0).values()
    assert (outcome.kind, outcome.unanswered, system.asked) == (OutcomeKind.UNKNOWN, True, ["call", "probe"])
    assert outcome.reason == f"its call went unanswered and it could not be looked up: {error}"
    assert trying.stop_state.reason == ("refused" if isinstance(error, AuthenticationError) else "")


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (GONE, ["call", "verify"]),
        (BLOCKED, ["call"]),
        (INFERRED, ["call"]),
        (Outcome("a", OutcomeKind.DESTROYED, Proof.PROBE), ["call"]),
    ],
    ids=["gone by its answer", "blocked", "inferred", "probed already"],
)
def test_only_what_is_gone_by_the_answer_alone_is_verified(answer: Outcome, asked: list[str]) -> None:
    system = Scripted(answer)
    made(system, verify=True)
    assert system.asked == asked


def test_a_verification_corrects_the_answer_and_one_that_fails_leaves_it() -> None:
    wrong = Outcome("a", OutcomeKind.FAILED, Proof.PROBE, "still there")
    assert made(Scripted(GONE, verified=wrong), verify=True) == wrong
    assert made(Scripted(GONE, verified=ServerError("blind")), verify=True) == GONE


def test_a_verification_that_answers_for_another_record_is_a_fault() -> None:
    with pytest.raises(ValueError, match="archive answered for another record than 'a'"):
        made(Scripted(GONE, verified=Outcome("b", OutcomeKind.DESTROYED, Proof.PROBE)), verify=True)


def test_nothing_is_verified_when_nothing_may_be_probed_any_more() -> None:
    system = Scripted()
    trying = attempts(system, verify=True)
    trying.stop_state.skip_probes = True
    assert trying.verify([(RECORD, GONE)]) == [GONE]
    assert system.asked == []


def test_an_inferred_outcome_needs_a_look_before_the_call() -> None:
    found = attempts(Scripted(ANSWERED_500, probes=[INFERRED]), journal(observed=False)).make([RECORD], set(), 0)["a"]
    assert (found.kind, found.proof) == (OutcomeKind.ABSENT, Proof.PROBE)


def test_an_outcome_of_a_process_that_died_says_so() -> None:
    store = in_memory()
    journal(store)
    later = journal(store, 2, observed=False)
    found = attempts(Scripted(probes=[INFERRED]), later).make([RECORD], {"a"}, 0)["a"]
    assert (found.kind, found.proof, found.reason) == (OutcomeKind.DESTROYED, Proof.INFERRED, PROCESS_DIED)


@pytest.mark.parametrize(
    ("found", "kind", "proof"),
    [
        (INFERRED, OutcomeKind.ABSENT, Proof.PROBE),
        (Outcome("a", OutcomeKind.ABSENT, Proof.PROBE), OutcomeKind.ABSENT, Proof.PROBE),
        (BLOCKED, OutcomeKind.UNKNOWN, None),
        (None, OutcomeKind.DESTROYED, Proof.RESPONSE),
    ],
    ids=["gone", "absent", "blocked", "still there"],
)
def test_without_the_journal_every_record_is_probed_first_and_nothing_is_claimed(
    found: Outcome | None, kind: OutcomeKind, proof: Proof | None
) -> None:
    opened = journal()
    opened.state.missing_session = "lost"
    system = Scripted(GONE, probes=[found])
    outcome = attempts(system, opened).make([RECORD], set(), 0)["a"]
    assert (outcome.kind, outcome.proof, system.asked[0]) == (kind, proof, "probe")


def test_an_answer_for_another_record_is_a_fault() -> None:
    with pytest.raises(ValueError, match="archive answered for another record than 'a'"):
        made(Scripted(Outcome("b", OutcomeKind.DESTROYED, Proof.RESPONSE)))


def test_a_client_may_always_read_and_asks_only_while_a_delete_is_in_flight() -> None:
    asked: list[bool] = []

    class Asking(Scripted):
        def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
            trying.stop_state.stop_because("told to")
            asked.append(trying.may_send())
            return super().dispose(batch, unanswered)

    trying = attempts(Asking(GONE))
    trying.make([RECORD], set(), 0)
    assert asked == [False]
    assert trying.may_send()


def test_a_call_waits_for_the_right_to_it_and_is_given_up_when_the_sending_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system, opened = Scripted(), journal()
    opened.release_lease()
    trying = attempts(system, opened)
    monkeypatch.setattr(time, "sleep", lambda _: trying.stop_state.stop_because("told to"))
    assert trying.make([RECORD], set(), 0)["a"].kind is OutcomeKind.NOT_ATTEMPTED
    assert system.asked == []


@pytest.mark.parametrize(("skip", "naps"), [(False, 3), (True, 1)], ids=["to its end", "stopped"])
def test_a_probe_waits_until_calls_in_flight_are_over_or_no_probe_is_wanted(
    skip: bool, naps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [0.25]
    slept: list[float] = []
    trying = attempts(Scripted())

    def nap(seconds: float) -> None:
        slept.append(seconds)
        left[0] -= seconds
        trying.stop_state.skip_probes = skip

    monkeypatch.setattr(Journal, "seconds_until_settled", lambda _: left[0] if left[0] > 1e-9 else 0.0)
    monkeypatch.setattr(time, "sleep", nap)
    trying.wait_for_in_flight()
    assert len(slept) == naps
    assert max(slept) <= 0.1


def test_the_first_reason_to_stop_stays_and_a_stop_for_good_is_not_taken_back() -> None:
    state, asks = StopState(), UnavailableError("down")
    asks.retry_after = 60.0
    state.stop(AuthenticationError("refused"))
    state.stop(asks)
    assert state == StopState("refused", no_retry=True, retry_after=60.0)


@pytest.mark.parametrize(
    ("error", "stops"),
    [
        (AuthenticationError("x"), True),
        (UnavailableError("x"), True),
        (NotSentError("x"), False),
        (LOST, False),
        (RefusedError("x"), False),
        (ANSWERED_500, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_no_other_request_can_escape_stops_the_sending(error: VendorError, stops: bool) -> None:
    state = StopState()
    state.stop_on(error)
    assert bool(state.reason) is stops


def test_what_was_intended_and_not_resolved_is_unknown_only_if_a_call_may_have_left() -> None:
    trying = attempts(Scripted(LOST))
    assert trying.unresolved(RECORD, "told to").kind is OutcomeKind.NOT_ATTEMPTED
    trying.make([RECORD], set(), 0)
    left = trying.unresolved(RECORD, "told to")
    assert (left.kind, left.unanswered) == (OutcomeKind.UNKNOWN, True)
    assert left.reason == "its call went unanswered, and it was not looked up: told to"


def test_an_intent_of_a_process_that_died_stays_unknown_until_it_is_looked_up() -> None:
    store = in_memory()
    journal(store)
    left = attempts(Scripted(), journal(store, 2, observed=False)).unresolved(RECORD, "told to")
    assert (left.kind, left.reason) == (OutcomeKind.UNKNOWN, f"{PROCESS_DIED}; it was not looked up: told to")
