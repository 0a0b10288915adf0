"""The same claims, good and forged, asked by the gate and by the audit: both must give the same answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.approval import Approval, Rejection
from airflow_provider_records.evidence.audit import audit
from airflow_provider_records.evidence.authorization import Execution, for_part, journal_key
from airflow_provider_records.evidence.binding import Place
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Covered, order_name, spend, spent_by
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.reader import EvidenceReader
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ApprovalError, ApprovalLapsedError, EvidenceError, RecordsError
from airflow_provider_records.task.records import Selection
from tests.evidence import evidence_factory

BEGUN = "2026-11-22T08:00:00.000Z"
TASK = "delete_enaio"
PLACE = evidence_factory.place_of("enaio", evidence_factory.describe("enaio"))
COVERED: dict[str, Any] = {"task_id": TASK, **vars(PLACE)}
ORDERED = ("dag_id", "run_id", "valid_until", "tasks")
NOBODY = "sha256:" + "0" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


@dataclass
class Asked:
    """One claim.

    :param listed: the list that is carried out.
    :param approved: the lists that it is said to come from.
    :param approvals: URIs of the approvals.
    :param place: where and how it is carried out.
    """

    listed: Manifest
    approved: Sequence[Manifest]
    approvals: Sequence[str] = ()
    min_approvals: int = 1
    approval_required: bool = True
    dry_run: bool = False
    accept_approvals_from: Sequence[str] = ()
    min_wait: timedelta = timedelta()
    place: Place = PLACE
    spends: bool = False


class Setup:
    """Writes lists and approvals to a store.

    :param store: the evidence store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.whole = self.list(*"abcde")

    def list(self, *keys: Any) -> Manifest:
        return Manifest.write(self.store, keys)

    def approve(self, manifest: Manifest, person: str = "anna", **fields: Any) -> str:
        asked = {name: fields.pop(name) for name in ORDERED if name in fields}
        shown = str(fields.get("shown", manifest.digest))
        known = evidence_factory.given(self.store, shown, **asked)
        at = fields.pop("approved_at", "2026-11-22T07:00:00Z")
        given = {**known, "source": {"kind": "airflow"}, "name": person.title(), **fields}
        return Approval(manifest.digest, person, at, **given).write(self.store)

    def withhold(self, *keys: str, shown: Manifest | None = None, person: str = "anna") -> tuple[Manifest, str]:
        """Approve a list without these records; return what is left and the approval."""
        shown, reasons = shown or self.whole, dict.fromkeys(keys, "court hold")
        left = withheld.without(shown, reasons)
        return left, self.approve(left, person, shown=shown.digest, withheld=reasons)

    def part(self, part: Manifest, original: str, **changes: Any) -> str:
        """Derive the approval of a part, or forge one."""
        return replace(for_part(Approval.read(self.store, original), part.digest), **changes).write(self.store)

    def remove(self, uri: str) -> None:
        Path(uri.removeprefix("file://")).unlink()

    def change(self, uri: str) -> None:
        name = self.store.name(uri)
        self.store.write(name, self.store.read(name).replace(b"a", b"e", 1))


Case = Callable[[Setup], Asked]
GOOD: dict[str, Case] = {}
REFUSED: dict[str, tuple[Case, type[RecordsError], str]] = {}


def good(case: Case) -> Case:
    GOOD[case.__name__] = case
    return case


def refused(words: str, kind: type[RecordsError] = ApprovalError) -> Callable[[Case], Case]:
    def keep(case: Case) -> Case:
        REFUSED[case.__name__] = (case, kind, words)
        return case

    return keep


def gate(store: Store, asked: Asked) -> None:
    """Ask as a disposing task does before its first call."""
    approvals = [Approval.read(store, uri) for uri in asked.approvals]
    execution = Execution(
        evidence_factory.DAG, evidence_factory.RUN, TASK, asked.place, BEGUN, asked.accept_approvals_from
    )
    Selection(asked.listed, [listed.digest for listed in asked.approved], approvals).authorize(
        approval_required=asked.approval_required,
        min_approvals=asked.min_approvals,
        dry_run=asked.dry_run,
        execution=execution,
        min_wait=asked.min_wait,
    )


def from_files(store: Store, asked: Asked) -> None:
    """Ask as a certificate does afterwards: the list was carried out, whatever the gate would have said."""
    if asked.spends:
        for uri in asked.approvals:
            spend(store, Approval.read(store, uri).order, evidence_factory.DAG, evidence_factory.RUN)
    done = evidence_factory.carry_out(
        store,
        asked.listed,
        asked.approvals,
        approved=asked.approved,
        dry_run=asked.dry_run,
        options={
            "min_approvals": asked.min_approvals,
            "accept_approvals_from": list(asked.accept_approvals_from),
            "min_wait_seconds": asked.min_wait.total_seconds(),
        },
        begun=BEGUN,
    )
    place = {name: getattr(asked.place, name) for name in ("system", "target", "method")}
    done = replace(done, approval_required=asked.approval_required, **(place if asked.dry_run else {}))
    audit(EvidenceReader(store, store.root), {store.name(done.uri): done})


BOTH = pytest.mark.parametrize("ask", [gate, from_files], ids=["gate", "audit"])


# Allowed


@good
def one_approval(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole)])


@good
def two_people(setup: Setup) -> Asked:
    people = [setup.approve(setup.whole, person) for person in ("anna", "ben", "carl")]
    return Asked(setup.whole, [setup.whole], people, min_approvals=3)


@good
def one_approval_of_a_process(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, approver_type="process")])


@good
def one_choice_of_the_dag(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, approver_type="dag")])


@good
def no_approval_is_required(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], approval_required=False)


@good
def a_rehearsal_without_approval(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], dry_run=True)


@good
def an_empty_list_without_approval(setup: Setup) -> Asked:
    return Asked(setup.list(), [setup.list()], min_approvals=2)


@good
def some_records_of_an_approved_list(setup: Setup) -> Asked:
    return Asked(setup.list("b", "d"), [setup.whole], [setup.approve(setup.whole)])


@good
def records_of_two_approved_lists(setup: Setup) -> Asked:
    more = setup.list("f", "g")
    approvals = [setup.approve(setup.whole), setup.approve(more, "ben")]
    return Asked(setup.list("b", "g"), [setup.whole, more], approvals)


@good
def a_part_under_the_approvals_of_the_whole(setup: Setup) -> Asked:
    part = setup.list("c", "d")
    people = [setup.part(part, setup.approve(setup.whole, person)) for person in ("anna", "ben")]
    return Asked(part, [part], people, min_approvals=2)


@good
def what_a_reviewer_left(setup: Setup) -> Asked:
    left, approval = setup.withhold("b", "d")
    return Asked(left, [left], [approval])


@good
def a_part_of_what_a_reviewer_left(setup: Setup) -> Asked:
    _, approval = setup.withhold("b", "d")
    part = setup.list("c", "e")
    return Asked(part, [part], [setup.part(part, approval)])


@good
def two_reviewers_each_withhold_one(setup: Setup) -> Asked:
    first, by_anna = setup.withhold("a")
    second, by_ben = setup.withhold("b", shown=first, person="ben")
    return Asked(second, [second], [setup.part(second, by_anna), by_ben], min_approvals=2)


@good
def an_approval_of_a_dag_that_counts_here(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole, dag_id="other", run_id="r1")
    accepted = ["another", "other"]
    return Asked(setup.whole, [setup.whole], [approval], accept_approvals_from=accepted, spends=True)


@good
def an_approval_that_is_valid_for_a_moment_more(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, valid_until="2026-11-22T08:00:00.001Z")])


@good
def an_approval_that_has_waited_just_long_enough(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole)], min_wait=timedelta(hours=1))


@good
def a_rehearsal_within_the_waiting_period(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole)], min_wait=timedelta(days=1), dry_run=True)


@good
def no_waiting_period_without_an_approval(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], approval_required=False, min_wait=timedelta(days=1))


@good
def an_empty_list_with_an_expired_approval_of_another_run(setup: Setup) -> Asked:
    approval = setup.approve(setup.list(), run_id="r0", valid_until=BEGUN)
    return Asked(setup.list(), [setup.list()], [approval])


# Refused: approvals


@refused(r"at 2026-11-22T07:00:00Z.*1:00:01 after it .*before 2026-11-22T08:00:01Z", ApprovalLapsedError)
def an_approval_that_has_not_waited_long_enough(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole)], min_wait=timedelta(seconds=3601))


@refused(r"at 2026-11-22T07:30:00Z.*before 2026-11-22T08:30:00Z", ApprovalLapsedError)
def the_last_of_two_approvals_has_not_waited_long_enough(setup: Setup) -> Asked:
    given = [setup.approve(setup.whole), setup.approve(setup.whole, "ben", approved_at="2026-11-22T08:30:00+01:00")]
    return Asked(setup.whole, [setup.whole], given, min_wait=timedelta(hours=1))


@refused("before 2026-11-22T09:00:00Z", ApprovalLapsedError)
def a_part_waits_as_long_as_the_whole(setup: Setup) -> Asked:
    part = setup.list("c")
    return Asked(part, [part], [setup.part(part, setup.approve(setup.whole))], min_wait=timedelta(hours=2))


@refused("does not fit the one that it rests on")
def a_part_that_says_an_earlier_time(setup: Setup) -> Asked:
    part = setup.list("c")
    forged = setup.part(part, setup.approve(setup.whole), approved_at="2026-11-01T07:00:00Z")
    return Asked(part, [part], [forged])


@refused("does not fit the one that it rests on")
def a_part_that_says_another_name(setup: Setup) -> Asked:
    part = setup.list("c")
    return Asked(part, [part], [setup.part(part, setup.approve(setup.whole), name="Somebody else")])


@refused(r"by 'anna' expires before that, at 2026-11-22T10:00:00Z.* longer than min_wait", ApprovalLapsedError)
def an_approval_that_expires_within_the_waiting_period(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole, valid_until="2026-11-22T10:00:00Z")
    return Asked(setup.whole, [setup.whole], [approval], min_wait=timedelta(hours=3))


@refused("has 0 distinct approvers and needs 1")
def no_approval(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole])


@refused("has 1 distinct approvers and needs 2")
def one_person_twice(setup: Setup) -> Asked:
    approvals = [setup.approve(setup.whole), setup.approve(setup.whole, comment="again")]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=2)


@refused("has 1 distinct approvers and needs 2")
def one_person_in_different_writing(setup: Setup) -> Asked:
    approvals = [
        setup.approve(setup.whole, "airflow:DR-7", name=""),
        setup.approve(setup.whole, "unifier: dr-7 ", name=""),
    ]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=2)


@refused("has 1 distinct approvers and needs 2")
def one_person_in_airflow_and_in_a_vendors_field(setup: Setup) -> Asked:
    approvals = [
        setup.approve(setup.whole, "airflow:7", name="Jane Doe"),
        setup.approve(setup.whole, "unifier:JANE  DOE", name="JANE  DOE"),
    ]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=2)


@refused("has 1 distinct approvers and needs 2")
def one_name_with_two_ids(setup: Setup) -> Asked:
    approvals = [
        setup.approve(setup.whole, f"airflow:{id_}", name=name) for id_, name in (("7", "ANNA"), ("8", "Anna "))
    ]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=2)


@refused("has 1 distinct approvers and needs 3")
def three_that_a_common_name_makes_one(setup: Setup) -> Asked:
    named = (("7", "A"), ("8", "B"), ("7", "b"))
    approvals = [setup.approve(setup.whole, f"airflow:{id_}", name=name) for id_, name in named]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=3)


@refused("has 1 distinct approvers and needs 2")
def a_process_and_a_person(setup: Setup) -> Asked:
    approvals = [setup.approve(setup.whole, "enaio:Disposal", approver_type="process"), setup.approve(setup.whole)]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=2)


@refused("has 0 distinct approvers and needs 2")
def the_dag_and_a_process(setup: Setup) -> Asked:
    types = ("dag", "process")
    approvals = [setup.approve(setup.whole, type_, approver_type=type_) for type_ in types]
    return Asked(setup.whole, [setup.whole], approvals, min_approvals=2)


@refused("does not fit the one that it rests on")
def a_part_that_makes_a_person_of_a_process(setup: Setup) -> Asked:
    part = setup.list("c")
    original = setup.approve(setup.whole, approver_type="process")
    return Asked(part, [part], [setup.part(part, original, approver_type="person")])


@refused("has 1 distinct approvers and needs 2")
def one_person_for_the_whole_and_for_the_part(setup: Setup) -> Asked:
    part = setup.list("c", "d")
    approvals = [setup.part(part, setup.approve(setup.whole)), setup.approve(part)]
    return Asked(part, [part], approvals, min_approvals=2)


@refused("has 0 distinct approvers and needs 1")
def only_one_of_two_lists_was_approved(setup: Setup) -> Asked:
    more = setup.list("f", "g")
    return Asked(setup.list("a", "f"), [setup.whole, more], [setup.approve(setup.whole)])


@refused("by 'anna' is for another list")
def an_approval_of_another_list(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.list("x"))])


@refused("by 'ben' is for another list")
def one_approval_of_another_list_spoils_all(setup: Setup) -> Asked:
    approvals = [setup.approve(setup.whole), setup.approve(setup.list("x"), "ben")]
    return Asked(setup.whole, [setup.whole], approvals)


@refused("is for another list")
def an_approval_of_another_list_where_none_is_required(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.list("x"))], approval_required=False)


@refused("was changed", EvidenceError)
def a_changed_approval(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole)
    setup.change(approval)
    return Asked(setup.whole, [setup.whole], [approval])


@refused("is missing", EvidenceError)
def a_missing_approval(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole)
    setup.remove(approval)
    return Asked(setup.whole, [setup.whole], [approval])


# Refused: approvals that were given elsewhere, or that have expired


@refused("was given in the run scheduled__2026-10-22, not in this one")
def an_approval_of_another_run(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, run_id="scheduled__2026-10-22")])


@refused("was given in the DAG other, not in this one .* accept_approvals_from")
def an_approval_of_another_dag(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, dag_id="other")])


@refused("was given in the DAG other, not in this one")
def an_approval_of_a_dag_that_is_not_the_accepted_one(setup: Setup) -> Asked:
    asked = an_approval_of_another_dag(setup)
    return replace(asked, accept_approvals_from=["another"])


@refused("was given in the run r0, not in this one")
def an_approval_of_another_run_where_the_own_dag_is_accepted(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole, run_id="r0")
    return Asked(setup.whole, [setup.whole], [approval], accept_approvals_from=[evidence_factory.DAG])


@refused("was given in the run r0, not in this one")
def an_approval_of_another_run_beside_one_of_this(setup: Setup) -> Asked:
    approvals = [setup.approve(setup.whole), setup.approve(setup.whole, "ben", run_id="r0")]
    return Asked(setup.whole, [setup.whole], approvals)


@refused("was given in the run r0, not in this one")
def an_approval_of_another_run_where_none_is_required(setup: Setup) -> Asked:
    return replace(an_approval_of_another_run_beside_one_of_this(setup), approval_required=False)


@refused("was given in the run r0, not in this one")
def an_approval_of_another_run_in_a_rehearsal(setup: Setup) -> Asked:
    return replace(an_approval_of_another_run_beside_one_of_this(setup), dry_run=True)


@refused("was given in the run r0, not in this one")
def a_part_of_a_list_that_was_approved_in_another_run(setup: Setup) -> Asked:
    part = setup.list("c", "d")
    return Asked(part, [part], [setup.part(part, setup.approve(setup.whole, run_id="r0"))])


@refused("does not fit the one that it rests on")
def a_part_that_hides_the_run_of_its_approval(setup: Setup) -> Asked:
    part = setup.list("c", "d")
    original = setup.approve(setup.whole, run_id="r0")
    return Asked(part, [part], [setup.part(part, original, order=evidence_factory.order(setup.store, part.digest))])


@refused("does not fit the one that it rests on")
def a_part_that_holds_longer_than_its_approval(setup: Setup) -> Asked:
    part = setup.list("c", "d")
    original = setup.approve(setup.whole, valid_until=BEGUN)
    longer = evidence_factory.order(setup.store, setup.whole.digest)
    return Asked(part, [part], [setup.part(part, original, order=longer)])


# Refused: orders for something else


def covering(setup: Setup, **change: str) -> Asked:
    """An order for one task, which differs in one thing from what is carried out."""
    known: dict[str, Any] = COVERED
    approval = setup.approve(setup.whole, tasks=[Covered(**{**known, **change})])
    return Asked(setup.whole, [setup.whole], [approval])


@good
def an_order_for_exactly_this_task(setup: Setup) -> Asked:
    return covering(setup)


@good
def an_order_for_another_connection_to_the_same_target(setup: Setup) -> Asked:
    return covering(setup, conn_id="enaio_by_another_name")


@refused("covers 'delete_elsewhere', not task 'delete_enaio'")
def an_order_for_another_task(setup: Setup) -> Asked:
    return covering(setup, task_id="delete_elsewhere")


@refused("covers tasks of another DAG, not task 'delete_enaio'")
def an_order_for_another_dag(setup: Setup) -> Asked:
    return covering(setup, task_id="")


@refused("set up for enaio at https://enaio.example.org, method destroy: another target")
def an_order_for_another_target(setup: Setup) -> Asked:
    return covering(setup, target="https://test.example.org")


@refused("is for enaio at https://enaio.example.org, method recycle. .*: another method")
def an_order_for_another_method(setup: Setup) -> Asked:
    return covering(setup, method="recycle")


@refused("is for unifier at .*: another system")
def an_order_for_another_system(setup: Setup) -> Asked:
    return covering(setup, system="unifier")


@refused("covers 'delete_elsewhere', not task")
def an_order_for_another_task_beside_one_for_this(setup: Setup) -> Asked:
    asked = an_order_for_another_task(setup)
    return replace(asked, approvals=[setup.approve(setup.whole, "ben"), *asked.approvals])


@refused("covers 'delete_elsewhere', not task")
def a_part_under_an_order_for_another_task(setup: Setup) -> Asked:
    (approval,) = an_order_for_another_task(setup).approvals
    part = setup.list("c", "d")
    return Asked(part, [part], [setup.part(part, approval)])


@refused("its order for another one")
def an_order_for_another_list(setup: Setup) -> Asked:
    order = evidence_factory.order(setup.store, setup.list("a").digest)
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, order=order)])


@refused("its order for another one")
def an_order_for_what_was_left_and_not_for_what_was_shown(setup: Setup) -> Asked:
    left, approval = setup.withhold("a")
    order = evidence_factory.order(setup.store, left.digest)
    forged = replace(Approval.read(setup.store, approval), order=order).write(setup.store)
    return Asked(left, [left], [forged])


@refused("the order .* is missing|is missing", EvidenceError)
def an_order_that_is_gone(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole, order=NOBODY)
    return Asked(setup.whole, [setup.whole], [approval])


@refused("was changed", EvidenceError)
def an_order_that_was_changed(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole)
    setup.change(setup.store.uri(order_name(Approval.read(setup.store, approval).order)))
    return Asked(setup.whole, [setup.whole], [approval])


# Refused: orders of other DAGs


def foreign(setup: Setup, **change: str) -> Asked:
    known: dict[str, Any] = {**COVERED, "task_id": "", "conn_id": "theirs"}
    approval = setup.approve(setup.whole, dag_id="other", run_id="r1", tasks=[Covered(**{**known, **change})])
    return Asked(setup.whole, [setup.whole], [approval], accept_approvals_from=["other"], spends=True)


@good
def an_order_of_another_dag_for_this_place(setup: Setup) -> Asked:
    return foreign(setup)


@good
def an_order_of_another_dag_for_a_task_of_its_own(setup: Setup) -> Asked:
    return foreign(setup, task_id="delete_there")


@refused("another target")
def an_order_of_another_dag_for_another_target(setup: Setup) -> Asked:
    return foreign(setup, target="https://test.example.org")


@refused("was carried out by the run r2 of elsewhere already")
def an_order_that_another_run_has_spent(setup: Setup) -> Asked:
    asked = foreign(setup)
    spend(setup.store, Approval.read(setup.store, asked.approvals[0]).order, "elsewhere", "r2")
    return replace(asked, spends=False)


def test_a_run_that_took_no_order_of_another_dag_is_found_afterwards(store: Store) -> None:
    asked = foreign(Setup(store))
    with pytest.raises(ApprovalError, match="did not state that it carries its order out"):
        from_files(store, replace(asked, spends=False))


def test_of_two_runs_one_takes_the_order(store: Store) -> None:
    order = evidence_factory.order(store, Setup(store).whole.digest)
    for _ in range(2):
        spend(store, order, "night", "r1")
    before = store.names("spent")
    with pytest.raises(ApprovalError, match="was carried out by the run r1 of night already"):
        spend(store, order, "night", "r2")
    assert store.names("spent") == before


def test_two_runs_that_take_an_order_at_once_do_not_both_have_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    order = evidence_factory.order(store, Setup(store).whole.digest)
    write = Store.write

    def late(self: Store, name: str, content: bytes) -> str:
        monkeypatch.undo()
        spend(store, order, "night", "r2")
        return write(self, name, content)

    monkeypatch.setattr(Store, "write", late)
    with pytest.raises(ApprovalError, match="by the run r2 of night already"):
        spend(store, order, "night", "r1")
    assert list(spent_by(store, order).values()) == [("night", "r2")]


@refused("by 'anna' expired at 2026-11-22T08:00:00.000Z", ApprovalLapsedError)
def an_expired_approval(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, valid_until=BEGUN)])


@refused("by 'anna' expired at 2026-11-22T08:30:00", ApprovalLapsedError)
def an_approval_that_expired_in_another_time_zone(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole, valid_until="2026-11-22T08:30:00+01:00")])


@refused("by 'ben' expired", ApprovalLapsedError)
def an_expired_approval_beside_a_valid_one(setup: Setup) -> Asked:
    approvals = [setup.approve(setup.whole), setup.approve(setup.whole, "ben", valid_until=BEGUN)]
    return Asked(setup.whole, [setup.whole], approvals)


@refused("by 'anna' expired", ApprovalLapsedError)
def a_part_of_a_list_whose_approval_has_expired(setup: Setup) -> Asked:
    part = setup.list("c", "d")
    return Asked(part, [part], [setup.part(part, setup.approve(setup.whole, valid_until=BEGUN))])


# Refused: lists that were rejected in this run


def rejected(setup: Setup, listed: Manifest, **change: Any) -> None:
    given: dict[str, Any] = {"rejected_at": "2026-11-22T07:30:00.000Z", "name": "Ben", "comment": "still needed"}
    run = {"dag_id": evidence_factory.DAG, "run_id": evidence_factory.RUN}
    Rejection(listed.digest, "ben", source={"kind": "airflow"}, **{**given, **run, **change}).write(setup.store)


@refused("Ben rejected this list, .* at 2026-11-22T07:30:00.000Z: still needed. A rejection", ApprovalLapsedError)
def a_list_that_somebody_else_rejected(setup: Setup) -> Asked:
    rejected(setup, setup.whole)
    return one_approval(setup)


@refused("Ben rejected this list", ApprovalLapsedError)
def a_rejected_list_where_no_approval_is_required(setup: Setup) -> Asked:
    return replace(a_list_that_somebody_else_rejected(setup), approvals=(), approval_required=False)


@refused("Ben rejected this list", ApprovalLapsedError)
def a_part_of_a_rejected_list(setup: Setup) -> Asked:
    rejected(setup, setup.whole)
    return a_part_under_the_approvals_of_the_whole(setup)


@refused("Ben rejected this list", ApprovalLapsedError)
def a_list_of_which_a_part_was_rejected(setup: Setup) -> Asked:
    rejected(setup, setup.list("e"))
    return one_approval(setup)


@refused("Ben rejected this list", ApprovalLapsedError)
def a_list_that_was_rejected_in_the_accepted_run_of_another_dag(setup: Setup) -> Asked:
    rejected(setup, setup.whole, dag_id="other", run_id="r1")
    return an_approval_of_a_dag_that_counts_here(setup)


@good
def a_list_that_was_rejected_in_another_run(setup: Setup) -> Asked:
    rejected(setup, setup.whole, run_id="r0")
    rejected(setup, setup.whole, dag_id="other")
    return one_approval(setup)


@good
def a_part_beside_the_rejected_one(setup: Setup) -> Asked:
    rejected(setup, setup.list("a", "b"))
    return a_part_under_the_approvals_of_the_whole(setup)


# Refused: records that are on no approved list


@refused("'x' of the list .* is not on the list that was approved")
def a_record_that_nobody_approved(setup: Setup) -> Asked:
    return Asked(setup.list("a", "x"), [setup.whole], [setup.approve(setup.whole)])


@refused("'a' of the list .* is not on the list that was approved")
def an_approved_record_with_another_field(setup: Setup) -> Asked:
    return Asked(setup.list({"key": "a", "target_id": "9"}), [setup.whole], [setup.approve(setup.whole)])


@refused("'a' of the list .* is not on the list that was approved")
def a_list_that_comes_from_nowhere(setup: Setup) -> Asked:
    return Asked(setup.whole, [])


@refused("'x' of the list .* is not on the list that was approved")
def a_stranger_where_no_approval_is_required(setup: Setup) -> Asked:
    return Asked(setup.list("a", "x"), [setup.whole], approval_required=False)


@refused("'x' of the list .* is not on the list that was approved")
def a_stranger_in_a_rehearsal(setup: Setup) -> Asked:
    return Asked(setup.list("a", "x"), [setup.whole], dry_run=True)


@refused("is missing", EvidenceError)
def the_approved_list_is_missing(setup: Setup) -> Asked:
    part = setup.list("a")
    approval = setup.approve(setup.whole)
    setup.remove(setup.whole.uri)
    return Asked(part, [part], [setup.part(part, approval)])


@refused("was changed", EvidenceError)
def the_approved_list_was_changed(setup: Setup) -> Asked:
    part = setup.list("a")
    approval = setup.approve(setup.whole)
    setup.change(setup.whole.uri)
    return Asked(part, [part], [setup.part(part, approval)])


# Refused: derived approvals


def forged_part(setup: Setup, **changes: Any) -> Asked:
    part = setup.list("c", "d")
    return Asked(part, [part], [setup.part(part, setup.approve(setup.whole), **changes)])


@refused("does not fit the one that it rests on")
def a_part_approved_by_somebody_else(setup: Setup) -> Asked:
    return forged_part(setup, approver="mallory")


@refused("does not fit the one that it rests on")
def a_part_of_another_list(setup: Setup) -> Asked:
    return forged_part(setup, part_of=NOBODY)


@refused("is no approval", EvidenceError)
def a_part_that_rests_on_nothing(setup: Setup) -> Asked:
    return forged_part(setup, source={})


@refused("does not lie in", EvidenceError)
def a_part_that_rests_on_something_else(setup: Setup) -> Asked:
    return forged_part(setup, source={"approval": 7})


@refused("does not lie in", EvidenceError)
def a_part_that_rests_on_a_file_outside_of_the_store(setup: Setup) -> Asked:
    return forged_part(setup, source={"approval": "file:///x"})


@refused("does not fit the one that it rests on")
def a_part_of_a_part(setup: Setup) -> Asked:
    part, smaller = setup.list("c", "d"), setup.list("c")
    of_the_part = setup.part(part, setup.approve(setup.whole))
    return Asked(smaller, [smaller], [setup.part(smaller, of_the_part)])


@refused("'x' of the list .* is not on the list that was approved")
def a_part_with_a_record_that_the_whole_does_not_have(setup: Setup) -> Asked:
    part = setup.list("c", "x")
    return Asked(part, [part], [setup.part(part, setup.approve(setup.whole))])


@refused("'x' of the list .* is not on the list that was approved")
def a_forged_part_where_no_approval_is_required(setup: Setup) -> Asked:
    return replace(a_part_with_a_record_that_the_whole_does_not_have(setup), approval_required=False)


@refused("is missing", EvidenceError)
def a_part_whose_original_approval_is_missing(setup: Setup) -> Asked:
    part, original = setup.list("c"), setup.approve(setup.whole)
    derived = setup.part(part, original)
    setup.remove(original)
    return Asked(part, [part], [derived])


# Refused: withheld records


@refused("'b' is on the list, but was withheld by Anna: court hold")
def a_withheld_record_that_somebody_else_approved(setup: Setup) -> Asked:
    left, approval = setup.withhold("b")
    return Asked(setup.whole, [left, setup.whole], [approval, setup.approve(setup.whole, "ben")])


@refused("'b' is on the list, but was withheld by Anna: court hold")
def a_withheld_record_where_no_approval_is_required(setup: Setup) -> Asked:
    return replace(a_withheld_record_that_somebody_else_approved(setup), approval_required=False)


@refused("'b' is on the list, but was withheld by Anna: court hold")
def a_withheld_record_in_a_rehearsal(setup: Setup) -> Asked:
    return replace(a_withheld_record_that_somebody_else_approved(setup), dry_run=True)


@refused("'b' is on the list, but was withheld by Anna: court hold")
def a_record_that_was_withheld_from_another_part(setup: Setup) -> Asked:
    _, by_anna = setup.withhold("b")
    one, two = setup.list("a"), setup.list("b", "c")
    by_ben = setup.approve(setup.whole, "ben")
    return Asked(setup.list("a", "b", "c"), [one, two], [setup.part(one, by_anna), setup.part(two, by_ben)])


def approval_that_states(setup: Setup, left: Sequence[str], *keys: str, shown: Manifest | None = None) -> Asked:
    """An approval whose withheld records do not explain the difference between the shown and the approved list."""
    approved = setup.list(*left)
    reasons = dict.fromkeys(keys, "court hold")
    approval = setup.approve(approved, shown=(shown or setup.whole).digest, withheld=reasons)
    return Asked(approved, [approved], [approval])


@refused("is on the approved list, but was withheld by Anna")
def a_withheld_record_on_the_approved_list(setup: Setup) -> Asked:
    return approval_that_states(setup, "abcde", "b")


@refused("it has 'e' where 'd' should be")
def fewer_withheld_records_than_are_gone(setup: Setup) -> Asked:
    return approval_that_states(setup, "ace", "b")


@refused("'x' was not on the list that was shown")
def a_withheld_record_that_was_never_shown(setup: Setup) -> Asked:
    return approval_that_states(setup, "acde", "b", "x")


@refused("it has 'x' where its end should be")
def a_record_more_than_was_shown(setup: Setup) -> Asked:
    return approval_that_states(setup, "acdex", "b")


@refused("it has 'e' where 'd' should be")
def a_part_of_an_approval_that_states_fewer_withheld_records(setup: Setup) -> Asked:
    whole = approval_that_states(setup, "ace", "b")
    part = setup.list("a")
    return Asked(part, [part], [setup.part(part, whole.approvals[0])])


# Both


@BOTH
@pytest.mark.parametrize("case", GOOD.values(), ids=GOOD)
def test_allowed(store: Store, case: Case, ask: Callable[[Store, Asked], None]) -> None:
    ask(store, case(Setup(store)))


@BOTH
@pytest.mark.parametrize(("case", "kind", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(
    store: Store, case: Case, kind: type[RecordsError], words: str, ask: Callable[[Store, Asked], None]
) -> None:
    with pytest.raises(kind, match=words):
        ask(store, case(Setup(store)))


@pytest.mark.parametrize("name", [name for name, (_, kind, _) in REFUSED.items() if issubclass(kind, ApprovalError)])
def test_gate_and_audit_say_the_same(store: Store, name: str) -> None:
    asked = REFUSED[name][0](Setup(store))
    with pytest.raises(ApprovalError) as before:
        gate(store, asked)
    with pytest.raises(ApprovalError) as after:
        from_files(store, asked)
    file, said = str(after.value).split(": ", 1)
    assert file.startswith("disposals/")
    assert said == str(before.value)


@pytest.mark.parametrize("number", [0, -1, True, "2", 1.5, None])
def test_a_summary_states_a_possible_number_of_approvals(store: Store, number: Any) -> None:
    asked = replace(one_approval(Setup(store)), min_approvals=number)
    with pytest.raises(EvidenceError, match="must be a whole number of at least 1"):
        from_files(store, asked)


def test_the_audit_states_what_was_withheld(store: Store) -> None:
    setup = Setup(store)
    left, approval = setup.withhold("b")
    done = evidence_factory.carry_out(store, left, [approval])
    found = audit(EvidenceReader(store, store.root), {store.name(done.uri): done})
    (stated,) = found.facts["approvals"]
    assert stated["withheld"] == {"b": "court hold"}
    assert {each["digest"] for each in found.facts["manifests"]} == {setup.whole.digest, left.digest}
    assert store.name(setup.whole.uri) in found.names


def test_an_authorization_hands_approvals_on_to_a_shorter_list(store: Store) -> None:
    setup = Setup(store)
    left, approval = setup.withhold("b")
    original = Approval.read(store, approval)
    authorization = Selection(left, [left.digest], [original]).authorize(approval_required=True)
    assert authorization.own_approvals == authorization.own_originals == authorization.for_part(left.digest)
    assert authorization.withheld == {"b": original}
    part = setup.list("a", "c")
    (derived,) = authorization.for_part(part.digest)
    assert (derived.digest, derived.part_of, derived.approver) == (part.digest, left.digest, "anna")
    assert (derived.shown, derived.withheld, derived.source) == ("", {}, {"approval": approval})
    derived = Approval.read(store, derived.write(store))
    authorization = Selection(part, [part.digest], [derived]).authorize(approval_required=True)
    assert authorization.own_originals == [original]
    (again,) = authorization.for_part(setup.list("a").digest)
    assert (again.part_of, again.source) == (left.digest, {"approval": approval})


def test_approvals_of_longer_lists_are_not_handed_on(store: Store) -> None:
    setup = Setup(store)
    approval = Approval.read(store, setup.approve(setup.whole))
    part = setup.list("a", "c")
    authorization = Selection(part, [setup.whole.digest], [approval]).authorize(approval_required=True)
    assert authorization.approvals == [approval]
    assert authorization.own_approvals == authorization.for_part(setup.list("a").digest) == []
    assert authorization.journal_key == setup.whole.digest


def test_a_journal_belongs_to_its_lists_in_any_order() -> None:
    one, two = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    assert journal_key([one]) == journal_key([one, one]) == one
    assert journal_key([one, two]) == journal_key([two, one, two]) not in {one, two}


def test_an_approval_that_many_parts_share_is_verified_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit of a thousand parts must not read the list that was shown a thousand times."""
    setup = Setup(store)
    _, approval = setup.withhold("b")
    check = Mock(wraps=withheld.check)
    monkeypatch.setattr(withheld, "check", check)
    disposals = {}
    for place, key in enumerate("acde"):
        part = setup.list(key)
        origin = evidence_factory.provenance("delete", map_index=place)
        done = evidence_factory.carry_out(store, part, [setup.part(part, approval)], by=origin)
        disposals[store.name(done.uri)] = done
    audit(EvidenceReader(store, store.root), disposals)
    assert check.call_count == 1


EXPIRED = "2999-01-01T00:00:00.000Z"


def marked_later(store: Store, *keys: str, **change: Any) -> None:
    """Audit a mark that was made when the approval had expired, of a disposal that left "b" alone."""
    setup = Setup(store)
    approval = setup.approve(setup.whole)
    system = evidence_factory.ObedientSystem({"b": OutcomeKind.BLOCKED})
    deleted = evidence_factory.carry_out(store, setup.whole, [approval], system=system, begun=BEGUN)
    given: dict[str, Any] = {"name": "opus", "options": {"accept": ["destroyed"]}, "follows": [deleted.uri], **change}
    marked = evidence_factory.carry_out(
        store, setup.list(*keys), [approval], approved=setup.whole, begun=EXPIRED, **given
    )
    both = {store.name(disposal.uri): disposal for disposal in (marked, deleted)}
    audit(EvidenceReader(store, store.root), both)


def test_what_was_destroyed_in_time_may_be_marked_later(store: Store) -> None:
    marked_later(store, *"acde")


def test_what_was_not_destroyed_may_not_be_marked_later(store: Store) -> None:
    with pytest.raises(EvidenceError, match="has 'b', which the disposals that it follows did not destroy"):
        marked_later(store, *"abc")


def test_a_rejection_after_the_first_call_forbids_no_more_than_what_came_later(store: Store) -> None:
    setup = Setup(store)
    asked = one_approval(setup)
    rejected(setup, setup.whole, rejected_at=BEGUN)
    from_files(store, asked)
    with pytest.raises(ApprovalLapsedError, match="rejected"):
        gate(store, asked)


@pytest.mark.parametrize("change", [b"changed", b""])
def test_a_changed_rejection_is_found(store: Store, change: bytes) -> None:
    setup = Setup(store)
    rejected(setup, setup.list("x"))
    (name,) = store.names("rejections")
    store.write(name, store.read(name).replace(b"still needed", change))
    for ask in (gate, from_files):
        with pytest.raises(EvidenceError, match="was changed"):
            ask(store, one_approval(setup))


@pytest.mark.parametrize(
    "change",
    [
        {"follows": None},
        {"follows": []},
        {"options": {"accept": ["absent", "destroyed"]}},
        {"options": {}},
        {"name": "unifier"},
    ],
)
def test_no_other_disposal_is_allowed_after_the_approval_expired(store: Store, change: dict[str, Any]) -> None:
    with pytest.raises(ApprovalLapsedError, match="expired"):
        marked_later(store, *"ac", **change)


def test_a_try_that_calls_under_an_expired_approval_is_found(store: Store) -> None:
    """Its first try was in time; the second one deleted what the first had left."""
    setup = Setup(store)
    approval = setup.approve(setup.whole)
    left = evidence_factory.ObedientSystem({"b": OutcomeKind.FAILED})
    evidence_factory.carry_out(store, setup.whole, [approval], system=left, begun=BEGUN)
    by = evidence_factory.provenance("delete_enaio", 2)
    second = evidence_factory.carry_out(store, setup.whole, [approval], by=by, begun=EXPIRED)
    with pytest.raises(ApprovalLapsedError, match="expired"):
        audit(EvidenceReader(store, store.root), {store.name(second.uri): second})
