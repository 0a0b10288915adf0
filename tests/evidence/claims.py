"""Claims that a list may be carried out, good and forged, asked by the gate and by the audit: both answer the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.audit import audit
from airflow_provider_records.evidence.authorization import Execution, for_part
from airflow_provider_records.evidence.binding import Place
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import spend
from airflow_provider_records.evidence.reader import EvidenceReader
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ApprovalError, RecordsError
from airflow_provider_records.task.records import Selection
from tests.evidence import evidence_factory

BEGUN = "2026-11-22T08:00:00.000Z"
TASK = "delete_enaio"
PLACE = evidence_factory.place_of("enaio", evidence_factory.describe("enaio"))
ORDERED = ("dag_id", "run_id", "valid_until", "tasks")
NOBODY = "sha256:" + "0" * 64


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


def one_approval(setup: Setup) -> Asked:
    return Asked(setup.whole, [setup.whole], [setup.approve(setup.whole)])


def a_part_under_the_approvals_of_the_whole(setup: Setup) -> Asked:
    part = setup.list("c", "d")
    people = [setup.part(part, setup.approve(setup.whole, person)) for person in ("anna", "ben")]
    return Asked(part, [part], people, min_approvals=2)


def an_approval_of_a_dag_that_counts_here(setup: Setup) -> Asked:
    approval = setup.approve(setup.whole, dag_id="other", run_id="r1")
    accepted = ["another", "other"]
    return Asked(setup.whole, [setup.whole], [approval], accept_approvals_from=accepted, spends=True)


class Claims:
    """The claims of one file, each under the name of the function that makes it."""

    def __init__(self) -> None:
        self._good: dict[str, Case] = {}
        self._refused: dict[str, tuple[Case, type[RecordsError], str]] = {}

    def good(self, case: Case) -> Case:
        self._good[case.__name__] = case
        return case

    def refused(self, words: str, kind: type[RecordsError] = ApprovalError) -> Callable[[Case], Case]:
        def keep(case: Case) -> Case:
            self._refused[case.__name__] = (case, kind, words)
            return case

        return keep

    def tests(self) -> tuple[Callable[..., None], Callable[..., None], Callable[..., None]]:
        """Return the tests of all claims so far: ``test_allowed``, ``test_refused``, and that both say the same."""

        @BOTH
        @pytest.mark.parametrize("case", self._good.values(), ids=self._good)
        def test_allowed(store: Store, case: Case, ask: Callable[[Store, Asked], None]) -> None:
            ask(store, case(Setup(store)))

        @BOTH
        @pytest.mark.parametrize(("case", "kind", "words"), self._refused.values(), ids=self._refused)
        def test_refused(
            store: Store, case: Case, kind: type[RecordsError], words: str, ask: Callable[[Store, Asked], None]
        ) -> None:
            with pytest.raises(kind, match=words):
                ask(store, case(Setup(store)))

        approvals = [name for name, (_, kind, _) in self._refused.items() if issubclass(kind, ApprovalError)]

        @pytest.mark.parametrize("name", approvals)
        def test_gate_and_audit_say_the_same(store: Store, name: str) -> None:
            asked = self._refused[name][0](Setup(store))
            with pytest.raises(ApprovalError) as before:
                gate(store, asked)
            with pytest.raises(ApprovalError) as after:
                from_files(store, asked)
            file, said = str(after.value).split(": ", 1)
            assert file.startswith("disposals/")
            assert said == str(before.value)

        return test_allowed, test_refused, test_gate_and_audit_say_the_same
