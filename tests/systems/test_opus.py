"""How Opus marks records: its refusals, lost responses, and what its due list proves later; over HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence, Set
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import DisposalIncompleteError, VendorError
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.systems.finding import Finding, GoneRecord, Whereabouts
from airflow_provider_records.systems.opus import OpusSystem
from tests.conftest import Serve
from tests.hooks.opus_factory import CONNECTOR, KEYS, ServedOpus
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import run
from tests.operators.opus_night import approved, due, free, mark, outcomes

A, B, C, ELSEWHERE = KEYS[0], KEYS[1], KEYS[2], "no-such-key"


@pytest.fixture
def opus(serve: Serve) -> ServedOpus:
    return ServedOpus(serve)


def records(*keys: str, **attributes: Any) -> list[Record]:
    return [Record.from_item({"key": key, "attributes": attributes}) for key in keys]


def told(found: Sequence[Outcome | None]) -> list[tuple[str, str | None] | None]:
    return [(str(each.kind), str(each.proof) if each.proof else None) if each else None for each in found]


def leave(opus: ServedOpus, *keys: str) -> None:
    """Let records leave the due list."""
    for key in keys:
        for record in opus.part.records(key):
            record.status = "Destroyed"


def look_back(opus: ServedOpus, *listed: Record) -> list[Finding]:
    done = Outcome("", OutcomeKind.DESTROYED, Proof.RESPONSE)
    claims = [GoneRecord("opus", "Opus", "opus_default", record, done) for record in listed]
    return [finding for probe in OpusSystem(opus.hook).look_back(claims) for finding in probe.send()]


def test_it_says_that_a_status_is_set_and_no_content_deleted(opus: ServedOpus) -> None:
    described = OpusSystem(opus.hook).describe()
    assert not described.deletes_content
    assert described.meanings["destroyed"] == "the status Destroyed is set"
    assert "deletes no content" in described.method
    assert not opus.sandbox.log


@pytest.mark.parametrize(
    ("attributes", "extra", "expected"),
    [
        ({"connector_id": "own", "due_before": "2020-01-01T00:00:00"}, {}, ("own", "2020-01-01T00:00:00")),
        ({"due_before": "2020-01-01T00:00:00"}, {}, (CONNECTOR, "2020-01-01T00:00:00")),
        ({"connector_id": "own"}, {"connector_id": None}, ("own", None)),
        ({"due_before": 5}, {}, (CONNECTOR, None)),
        ({"due_before": "2020-01-01T00:00:00"}, {"connector_id": None}, None),
        ({"connector_id": 5}, {}, None),
    ],
    ids=[
        "the record's",
        "the connection's",
        "no bound",
        "a bound of another type",
        "no connector",
        "a wrong connector",
    ],
)
def test_a_record_is_looked_for_on_its_own_due_list_or_the_connections(
    opus: ServedOpus, attributes: dict[str, Any], extra: dict[str, Any], expected: tuple[str, str | None] | None
) -> None:
    given = {name: value for name, value in {"connector_id": CONNECTOR, **extra}.items() if value}
    hook = opus.hook if given else opus.another(connector_id="")
    found = OpusSystem(hook).due_list(*records(A, **attributes))
    if expected is None or expected[1]:
        assert found == expected
    else:
        assert found is not None
        assert found[0] == expected[0]
        assert len(found[1]) == len("2020-01-01T00:00:00"), "without a bound: what is due now"


def test_what_is_listed_before_the_first_mark_was_observed(opus: ServedOpus) -> None:
    assert OpusSystem(opus.hook).prepare(records(A, ELSEWHERE), frozenset()) == {A}


def test_each_due_list_is_read_once_before_the_first_mark(opus: ServedOpus) -> None:
    OpusSystem(opus.hook).prepare(
        [
            *records(A, B, due_before="2020-01-01T00:00:00"),
            *records(C, due_before="2019-01-01T00:00:00"),
        ],
        frozenset(),
    )
    asked = [parse_qs(urlsplit(entry.path).query)["disposalDueDate"] for entry in opus.entries("due_records")]
    assert asked == [["2019-01-01T00:00:00"], ["2020-01-01T00:00:00"]]


def test_a_due_list_that_cannot_be_read_stops_before_the_first_mark(opus: ServedOpus) -> None:
    opus.answer("due_records", 500, times=None)
    with pytest.raises(VendorError):
        OpusSystem(opus.hook).prepare(records(A), frozenset())


def test_without_a_connector_nothing_is_read_before_the_first_mark(opus: ServedOpus) -> None:
    assert OpusSystem(opus.another(connector_id="")).prepare(records(A), frozenset()) == frozenset()
    assert not opus.sandbox.log


@pytest.mark.parametrize("shape", ["strings", "objects"])
def test_a_refused_record_is_blocked_and_the_others_of_its_call_are_marked(opus: ServedOpus, shape: str) -> None:
    opus.part.turn({"failed_items": shape})
    opus.part.decide(B, "hold")
    system = OpusSystem(opus.hook)
    system.prepare(records(A, B), frozenset())
    found = system.dispose(records(A, B), frozenset())
    assert told(found) == [("destroyed", "response"), ("blocked", "response")]
    assert found[0] is not None
    assert found[0].request_id
    assert opus.marked == [A]


def test_a_response_that_does_not_say_which_were_refused_settles_none(opus: ServedOpus) -> None:
    opus.part.turn({"failed_items": "unreadable"})
    opus.part.decide(B, "hold")
    system = OpusSystem(opus.hook)
    system.prepare(records(A, B), frozenset())
    assert system.dispose(records(A, B), frozenset()) == [None, None]
    assert told(system.resolve_unanswered(records(A, B))) == [("destroyed", "inferred"), None]


def test_of_records_with_an_outcome_nothing_is_kept(opus: ServedOpus) -> None:
    system = OpusSystem(opus.hook)
    batch = [Record(key, key) for key in ("a", "b")]
    system.dispose(batch, frozenset())
    assert system._ended.keys() == {"a", "b"}
    system.forget(batch[:1])
    assert system._ended.keys() == {"b"}


def test_a_refusal_after_an_unanswered_call_is_unknown_unless_the_record_is_still_listed(opus: ServedOpus) -> None:
    opus.part.turn({"second_delete": "refused"})
    opus.part.decide(B, "hold")
    system = OpusSystem(opus.hook)
    system.prepare(records(A, B, C), frozenset())
    system.dispose(records(C), frozenset())
    leave(opus, A)
    assert told(system.dispose(records(A, B), frozenset({A, B}))) == [("unknown", None), ("blocked", "response")]


@pytest.mark.parametrize("kept", [True, False])
def test_a_refused_second_mark_of_what_may_be_marked_is_unknown(opus: ServedOpus, kept: bool) -> None:
    opus.part.turn({"second_delete": "refused", "list_destroyed": kept})
    system = OpusSystem(opus.hook)
    system.prepare(records(A, B, C), frozenset())
    system.dispose(records(C), frozenset())
    leave(opus, A)  # our call marked it, and its response was lost
    assert told(system.dispose(records(A), frozenset({A}))) == [("unknown", None)]


@pytest.mark.parametrize(("kept", "result"), [(True, ("unknown", None)), (False, ("blocked", "response"))])
def test_what_an_earlier_try_marked_shows_what_the_due_list_tells(
    opus: ServedOpus, kept: bool, result: tuple[str, str | None]
) -> None:
    opus.part.turn({"second_delete": "refused", "list_destroyed": kept})
    leave(opus, A)
    opus.part.decide(B, "hold")
    system = OpusSystem(opus.hook)
    system.marked_before = {A}
    assert system.prepare(records(B), frozenset({B})) == {B}
    assert told(system.dispose(records(B), frozenset({B}))) == [result]


def test_a_refusal_after_an_unanswered_call_is_unknown_while_the_due_list_cannot_be_read(opus: ServedOpus) -> None:
    opus.part.decide(B, "hold")
    system = OpusSystem(opus.hook)
    system.prepare(records(B), frozenset())
    opus.answer("due_records", 500, times=None)
    assert told(system.dispose(records(B), frozenset({B}))) == [("unknown", None)]


@pytest.mark.parametrize(
    ("key", "gone", "observed_before", "expected"),
    [
        (A, False, set(), None),
        (A, True, set(), ("destroyed", "inferred")),
        (ELSEWHERE, True, {ELSEWHERE}, ("destroyed", "inferred")),
        (ELSEWHERE, True, set(), ("unknown", None)),
    ],
    ids=["still listed", "listed before", "listed before an earlier try", "never listed"],
)
def test_a_record_whose_mark_went_unanswered_is_judged_by_the_due_list(
    opus: ServedOpus, key: str, gone: bool, observed_before: set[str], expected: tuple[str, str | None] | None
) -> None:
    system = OpusSystem(opus.hook)
    system.prepare(records(key), frozenset(observed_before))
    opus.answer("destroy_records", 500)
    with pytest.raises(VendorError):
        system.dispose(records(key), frozenset())
    if gone:
        leave(opus, key)
    assert told(system.resolve_unanswered(records(key))) == [expected]


def test_a_record_whose_mark_went_unanswered_is_unknown_without_a_connector(opus: ServedOpus) -> None:
    system = OpusSystem(opus.another(connector_id=""))
    system.prepare(records(A), frozenset({A}))
    (found,) = system.resolve_unanswered(records(A))
    assert found is not None
    assert found.kind is OutcomeKind.UNKNOWN
    assert "without a connector id" in str(found.reason)


def test_a_marked_record_cannot_be_verified(opus: ServedOpus) -> None:
    (record,) = records(A)
    outcome = Outcome(A, OutcomeKind.DESTROYED, Proof.RESPONSE)
    assert OpusSystem(opus.hook).verify([(record, outcome)]) == [outcome]
    assert not opus.sandbox.log


def test_looking_back_a_marked_record_is_gone_and_a_listed_one_back(opus: ServedOpus) -> None:
    leave(opus, A)
    found = look_back(opus, *records(A, B))
    assert [(each.claim.record.key, each.whereabouts) for each in found] == [
        (A, Whereabouts.GONE),
        (B, Whereabouts.BACK),
    ]
    assert found[1].detail == "on the due list again"


def test_looking_back_a_record_without_a_connector_cannot_be_looked_up(opus: ServedOpus) -> None:
    opus.hook = opus.another(connector_id="")
    found = look_back(opus, *records(A), *records(B, connector_id=CONNECTOR))
    assert [each.whereabouts for each in found] == [Whereabouts.UNSEEN, Whereabouts.BACK]
    assert "without a connector id" in found[0].detail


# A whole disposal


def test_batches_of_fifteen_each_once(served: ServedSandbox) -> None:
    reference = approved(served, due())
    manifest = free(served, reference)
    result = mark(reference)
    assert result["complete"]
    assert result["counts"]["destroyed"] == 60
    assert served.calls("opus", "destroy_records") == 4
    assert sorted(served.sandbox.effects("opus", "marked")) == sorted(record.key for record in manifest)


def test_what_opus_refuses_is_blocked_and_the_others_are_marked(served: ServedSandbox) -> None:
    reference = approved(served, due())
    result = mark(reference)
    blocked = {key for key, item in outcomes(served, result).items() if item["outcome"] == "blocked"}
    assert result["complete"]
    assert blocked
    marked = set(served.sandbox.effects("opus", "marked"))
    assert len(marked) == result["counts"]["destroyed"] == 60 - len(blocked)
    assert not marked & blocked


@pytest.mark.parametrize("act", [True, False])
def test_a_lost_answer_is_settled_by_the_due_list(served: ServedSandbox, act: bool) -> None:
    reference = approved(served, due())
    free(served, reference)
    served.fault(vendor="opus", call="destroy_records", skip=1, drop=True, act=act)
    result = mark(reference, concurrency=1)
    assert result["counts"]["destroyed"] == 60
    proofs = [item["proof"] for item in outcomes(served, result).values()]
    assert proofs.count("inferred") == (15 if act else 0)
    assert len(served.sandbox.effects("opus", "marked")) == 60
    assert not served.sandbox.effects("opus", "marked_again")


def test_a_due_list_that_keeps_what_is_marked_makes_a_lost_mark_unknown_never_blocked(served: ServedSandbox) -> None:
    reference = approved(served, due())
    free(served, reference)
    served.sandbox.vendors["opus"].turn({"list_destroyed": True, "second_delete": "refused"})
    served.fault(vendor="opus", call="destroy_records", skip=1, drop=True)
    for try_number in (1, 2):
        with pytest.raises(DisposalIncompleteError, match="15 unknown of 60 records"):
            run(OpusDestroyRecordsOperator(task_id="mark", records=reference, concurrency=1), try_number)
    assert len(served.sandbox.effects("opus", "marked")) == 60


def test_a_mark_that_is_only_inferred_does_not_show_what_the_due_list_tells(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost call marked 15; one of them leaves the list since somebody extends it, and Opus refuses the others."""
    reference = approved(served, due())
    first, *others = [record.key for record in free(served, reference)]
    for key in others[14:]:
        served.sandbox.decisions["opus"]({"keys": [key], "decision": "hold"})
    served.sandbox.vendors["opus"].turn({"list_destroyed": True, "second_delete": "refused"})
    served.fault(vendor="opus", call="destroy_records", drop=True)
    resolve = OpusSystem.resolve_unanswered

    def extend(system: OpusSystem, batch: Sequence[Record]) -> list[Outcome | None]:
        served.sandbox.decisions["opus"]({"keys": [first], "decision": "extend"})
        return resolve(system, batch)

    monkeypatch.setattr(OpusSystem, "resolve_unanswered", extend)
    for try_number in (1, 2):
        with pytest.raises(DisposalIncompleteError, match="14 unknown"):
            run(OpusDestroyRecordsOperator(task_id="mark", records=reference, concurrency=1), try_number)
    assert served.sandbox.effects("opus", "marked") == [first, *others[:14]]


def test_what_opus_refused_after_a_lost_mark_is_not_called_marked_when_it_is_not_listed_later(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call is lost before it acts; its record is still listed, then put on hold, and Opus does not list such ones."""
    reference = approved(served, due())
    first = next(iter(free(served, reference))).key
    served.sandbox.vendors["opus"].turn({"list_held": False})
    served.fault(vendor="opus", call="destroy_records", drop=True, act=False, match=f'"{first}"')
    resolve = OpusSystem.resolve_unanswered

    def hold(system: OpusSystem, batch: Sequence[Record]) -> list[Outcome | None]:
        found = resolve(system, batch)
        served.sandbox.decisions["opus"]({"keys": [first], "decision": "hold"})
        return found

    def attempt(number: int) -> Any:
        return run(OpusDestroyRecordsOperator(task_id="mark", records=reference, recheck=False), number)

    monkeypatch.setattr(OpusSystem, "resolve_unanswered", hold)
    for number in (1, 2, 3):
        with pytest.raises(DisposalIncompleteError, match="1 unknown of 60 records"):
            attempt(number)
    assert first not in served.sandbox.effects("opus", "marked")
    monkeypatch.setattr(OpusSystem, "resolve_unanswered", resolve)
    served.sandbox.decisions["opus"]({"keys": [first], "decision": "release"})
    assert outcomes(served, attempt(4))[first]["proof"] == "response"


def test_what_was_still_listed_after_a_lost_mark_is_not_called_marked_by_it_in_the_next_try(
    served: ServedSandbox,
) -> None:
    """A call is lost before it acts, and Opus forbids the next one; then somebody extends a record of it."""
    reference = approved(served, due())
    first = next(iter(free(served, reference))).key
    served.fault(vendor="opus", call="destroy_records", match=f'"{first}"', drop=True, act=False)
    served.fault(vendor="opus", call="destroy_records", match=f'"{first}"', skip=1, status=403, act=False)
    with pytest.raises(AirflowFailException, match="15 failed of 60"):
        mark(reference, concurrency=1)
    served.sandbox.decisions["opus"]({"keys": [first], "decision": "extend"})
    with pytest.raises(DisposalIncompleteError, match="1 unknown of 60"):
        run(OpusDestroyRecordsOperator(task_id="mark", records=reference, recheck=False), 2)
    assert len(served.sandbox.effects("opus", "marked")) == 59


def test_what_is_held_after_a_lost_mark_is_blocked_once_an_earlier_try_shows_what_the_due_list_tells(
    served: ServedSandbox,
) -> None:
    reference = approved(served, due())
    first = [record.key for record in free(served, reference)][:15]
    pages = served.calls("opus", "due_records")
    served.fault(vendor="opus", call="destroy_records", drop=True, act=False, match=first[0])
    served.fault(vendor="opus", call="due_records", skip=2 * pages, times=None, status=403)
    with pytest.raises(AirflowFailException, match="15 unknown of 60 records"):
        mark(reference, concurrency=1)
    served.sandbox.faults.clear()
    served.sandbox.decisions["opus"]({"keys": first, "decision": "hold"})
    result = run(OpusDestroyRecordsOperator(task_id="mark", records=reference), 2)
    assert (result["counts"]["destroyed"], result["counts"]["blocked"]) == (45, 15)


def test_a_refusal_may_mean_that_somebody_else_has_marked_the_record(served: ServedSandbox) -> None:
    reference = approved(served, due())
    first = next(iter(free(served, reference))).key
    part: Any = served.sandbox.vendors["opus"]
    part.turn({"second_delete": "refused", "list_destroyed": True})
    part.records(first)[0].status = "Destroyed"
    result = mark(reference)
    assert result["counts"]["blocked"] == 1
    assert "or Destroyed already" in outcomes(served, result)[first]["reason"]


def test_a_lost_answer_without_a_due_list_is_unknown(served: ServedSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [record.key for record in free(served, due())][:15]
    conn = json.loads(os.environ["AIRFLOW_CONN_OPUS_DEFAULT"])
    del conn["extra"]["connector_id"]
    monkeypatch.setenv("AIRFLOW_CONN_OPUS_DEFAULT", json.dumps(conn))
    served.fault(vendor="opus", call="destroy_records", drop=True)
    operator = OpusDestroyRecordsOperator(task_id="mark", records=keys, require_approval=False)
    with pytest.raises(DisposalIncompleteError, match="15 unknown"):
        run(operator)


def test_a_mark_in_doubt_after_a_crash_is_settled_by_the_next_try(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = approved(served, due())
    free(served, reference)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("airflow_provider_records.evidence.journal.Journal.record", crash)
        with pytest.raises(KeyboardInterrupt):
            mark(reference)
    assert len(served.sandbox.effects("opus", "marked")) > 0
    result = run(OpusDestroyRecordsOperator(task_id="mark", records=reference), try_number=2)
    assert result["counts"]["destroyed"] == 60
    assert not served.sandbox.effects("opus", "marked_again")


@pytest.mark.parametrize("dies_twice", [False, True])
def test_what_was_still_listed_after_a_crash_was_not_marked_by_it_whatever_becomes_of_it_then(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch, dies_twice: bool
) -> None:
    """No call has left; the next try sees all records listed, and then somebody extends one of them."""
    reference = approved(served, due())
    first = next(iter(free(served, reference))).key
    prepare = OpusSystem.prepare

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    def extend(system: OpusSystem, listed: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        found = prepare(system, listed, observed_before)
        served.sandbox.decisions["opus"]({"keys": [first], "decision": "extend"})
        return found

    def attempt(number: int, dies_in: str = "") -> None:
        with monkeypatch.context() as broken:
            if dies_in:
                broken.setattr(dies_in, crash)
                broken.setattr("airflow_provider_records.evidence.journal.Journal.record", crash)
            run(OpusDestroyRecordsOperator(task_id="mark", records=reference, recheck=False), number)

    with pytest.raises(KeyboardInterrupt):
        attempt(1, "airflow_provider_records.execution.retries.Attempts._dispose")
    monkeypatch.setattr(OpusSystem, "prepare", extend)
    if dies_twice:
        with pytest.raises(KeyboardInterrupt):
            attempt(2, "airflow_provider_records.evidence.journal.Journal.intend")
    monkeypatch.setattr(OpusSystem, "prepare", prepare if dies_twice else extend)
    with pytest.raises(DisposalIncompleteError, match="1 unknown of 60 records"):
        attempt(3)
    assert len(served.sandbox.effects("opus", "marked")) == 59
    assert first not in served.sandbox.effects("opus", "marked")


def test_after_a_kill_few_readings_settle_all_batches_in_doubt(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading takes a request for each hundred records of the connector: minutes, where it has 100,000."""
    reference = approved(served, due())
    keys = {record.key for record in free(served, reference)}
    monkeypatch.setattr(OpusSystem, "batch_size", 1)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("airflow_provider_records.evidence.journal.Journal.record", crash)
        served.fault(vendor="opus", call="destroy_records", skip=30, times=10, drop=True, act=False)
        with pytest.raises(KeyboardInterrupt):
            mark(reference, max_failure_rate=1.0)
    marked = set(served.sandbox.effects("opus", "marked"))
    assert len(marked) == 50
    before = served.calls("opus", "due_records")
    result = run(OpusDestroyRecordsOperator(task_id="mark", records=reference, concurrency=4), try_number=2)
    assert served.calls("opus", "due_records") - before == 3
    assert result["counts"]["destroyed"] == 60
    assert sorted(served.sandbox.effects("opus", "marked")) == sorted(keys)
    assert not served.sandbox.effects("opus", "marked_again")
    inferred = {key for key, item in outcomes(served, result).items() if item["proof"] == "inferred"}
    assert inferred == marked


def test_a_rehearsal_reads_the_due_list_only_until_it_knows(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = due()
    monkeypatch.setattr(OpusSystem, "batch_size", 1)
    before = served.calls("opus", "due_records")
    mark(reference, dry_run=True)
    assert served.calls("opus", "due_records") - before == 1
    assert served.calls("opus", "destroy_records") == 0


def test_a_reading_from_before_a_mark_says_nothing_about_it(served: ServedSandbox) -> None:
    """The first mark fails, so that the list is read; the second one takes effect after that, without an answer."""
    reference = approved(served, due())
    free(served, reference)
    served.fault(vendor="opus", call="destroy_records", times=1, status=500, act=False)
    served.fault(vendor="opus", call="destroy_records", skip=2, times=1, drop=True)
    before = served.calls("opus", "due_records")
    result = mark(reference, concurrency=1, max_failure_rate=1.0, recheck=False)
    assert served.calls("opus", "due_records") - before == 4
    assert result["counts"]["destroyed"] == 60
    assert len(served.sandbox.effects("opus", "marked")) == 60
    assert not served.sandbox.effects("opus", "marked_again")
    assert [item["proof"] for item in outcomes(served, result).values()].count("inferred") == 15


@pytest.mark.parametrize("skipped", [1, 2])
def test_what_one_reading_skips_is_not_taken_for_destroyed(served: ServedSandbox, skipped: int) -> None:
    reference = approved(served, due())
    free(served, reference)
    served.fault(vendor="opus", call="destroy_records", times=1, status=500, act=False)
    served.fault(vendor="opus", call="due_records", skip=skipped, times=1, put={"/queriedItems": []})
    result = mark(reference, concurrency=1)
    assert result["counts"]["destroyed"] == 60
    assert len(served.sandbox.effects("opus", "marked")) == 60
    assert {item["proof"] for item in outcomes(served, result).values()} == {"response"}


def test_no_mark_is_in_flight_while_the_due_list_is_read(
    served: ServedSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that vanish from a list while it is read make it skip others."""
    reference = approved(served, due())
    keys = [record.key for record in free(served, reference)]
    monkeypatch.setattr(OpusSystem, "batch_size", 3)
    slow = 0.1
    served.fault(vendor="opus", call="*", times=None, latency_ms=slow * 1000)
    for key in keys[9], keys[30]:
        served.fault(vendor="opus", call="destroy_records", match=f'"{key}"', times=1, status=500, act=False)
    result = mark(reference, concurrency=4, max_failure_rate=1.0)
    assert result["counts"]["destroyed"] == 60
    log = [entry for entry in served.sandbox.log if entry.vendor == "opus"]
    readings = [entry.time for entry in log if entry.call == "due_records"]
    marks = [entry.time for entry in log if entry.call == "destroy_records"]
    assert len(readings) >= 4
    assert not [(read, mark) for read in readings for mark in marks if abs(read - mark) < slow]
