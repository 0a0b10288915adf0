"""Make the golden store of this release: evidence of every kind, which every later release must verify.

    python -m tests.golden.make_golden

writes ``tests/golden/<release>/``: the store (``evidence/``), the key that its signed certificates must be signed with
(``public_key.pem``), and what its certificates say in short (``expected.json``). It is committed, and it is never
written again once the release is out: a store that a later release made would prove nothing.

Times, ids and keys are fixed, so that two stores made by the same code differ as little as possible. What threads do
first may differ.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import airflow_provider_records
from airflow_provider_records.evidence import certificate, outcome
from airflow_provider_records.evidence.approval import Approval, Rejection
from airflow_provider_records.evidence.authorization import for_part
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, Provenance
from airflow_provider_records.exceptions import AccessDeniedError
from airflow_provider_records.execution.runner import Runner
from airflow_provider_records.reporting import issue
from tests.evidence import evidence_factory
from tests.evidence.evidence_factory import ObedientSystem, approve, carry_out, provenance
from tests.evidence.failing_store import in_memory

FOLDER = Path(__file__).parent
ROOT = "s3://golden-records/evidence"
KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"signs nothing but the golden store").digest())
BEGIN = datetime(2026, 11, 22, 8, tzinfo=UTC).timestamp()
UNSIGNED_RUN = "manual__2026-12-01T09:00:00+00:00"
MAIN_RUN = evidence_factory.RUN


DELETE, BIN, PART = evidence_factory.covered(dict.fromkeys(("delete_enaio", "bin_enaio", "delete_part"), ("enaio",)))
(MARK,) = evidence_factory.covered({"mark_opus": ("opus",)})
DRAWINGS = evidence_factory.covered({"delete_unifier": ("unifier",)})
ALLOWED = [DELETE, replace(BIN, method="recycle"), MARK]
"""What the reviewers of the signed run allowed."""


class System(ObedientSystem):
    """Does as it is told, with each kind of proof; a key in ``denied`` ends the sending."""

    def __init__(
        self,
        results: Mapping[str, OutcomeKind] | None = None,
        usual: OutcomeKind = OutcomeKind.DESTROYED,
        *,
        proofs: Mapping[str, Proof] | None = None,
        denied: str = "",
    ) -> None:
        super().__init__(results, usual)
        self.proofs = dict(proofs or {})
        self.denied = denied

    def prepare(self, records: Sequence[Record], observed_before: Set[str]) -> Set[str]:
        return {record.key for record in records}

    def dispose(self, batch: Sequence[Record], unanswered: frozenset[str]) -> list[Outcome | None]:
        if self.denied in {record.key for record in batch}:
            raise AccessDeniedError("enaio refuses the account (HTTP 403); give it the right to delete", status=403)
        return super().dispose(batch, unanswered)

    def _outcome(self, record: Record) -> Outcome:
        found = super()._outcome(record)
        proof = self.proofs.get(record.key, found.proof)
        return Outcome(record.key, found.kind, proof, found.reason, found.request_id)


def make(folder: Path) -> None:
    """Write the golden store of this release.

    :param folder: does not exist yet.
    """
    folder.mkdir(parents=True)
    with frozen():
        store = Store(ROOT, in_memory()._fs, "/evidence")
        signed_run(store)
        unsigned_run(store)
        rejected_list(store)
    for name in store.names(""):
        path = folder / "evidence" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(store.read(name))
    public_key = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "public_key.pem").write_bytes(public_key)
    names = [name for name in store.names("certificates") if name.endswith(".json")]
    found = {name: summary(certificate.read(store, name)) for name in names}
    (folder / "expected.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def summary(found: certificate.Certificate) -> dict[str, Any]:
    """Return what a certificate says, in short."""
    counts = {system: {kind: count for kind, count in each.items() if count} for system, each in found.counts.items()}
    return {"digest": found.digest, "signed": found.key is not None, "complete": found.complete, "counts": counts}


def signed_run(store: Store) -> None:
    """A run with records withheld, a list in two parts, every outcome and proof, all vendors, and two certificates."""
    listed = Manifest.write(store, evidence_factory.records(24))
    withheld = dict.fromkeys([record.key for record in list(listed)[4:6]], "a lawsuit is pending: file 12 O 7/26")
    rest = Manifest.write(store, (record for record in listed if record.key not in withheld))
    first = Approval(
        rest.digest,
        "airflow:j.weber",
        "2026-11-22T07:10:00Z",
        {"kind": "airflow", "task": "approve", "url": "https://airflow.example.org"},
        name="J. Weber",
        comment="checked, größtenteils",
        shown=listed.digest,
        withheld=withheld,
        **evidence_factory.given(store, listed.digest, tasks=ALLOWED),
    )
    second = approve(store, rest, "u.groessmann@example.org", tasks=ALLOWED)
    given = [Approval.read(store, uri) for uri in (first.write(store), *second)]
    parts = [Manifest.write(store, records) for records in (list(rest)[:12], list(rest)[12:])]
    approvals = [[for_part(each, part.digest).write(store) for each in given] for part in parts]
    two = {"min_approvals": 2}

    keys = [record.key for record in parts[0]]
    results = {keys[1]: OutcomeKind.BLOCKED, keys[2]: OutcomeKind.ABSENT}
    proofs = {keys[2]: Proof.PROBE, keys[3]: Proof.PROBE, keys[4]: Proof.INFERRED, keys[5]: Proof.INFERRED}
    open_ = {keys[6]: OutcomeKind.FAILED, keys[7]: OutcomeKind.UNKNOWN}
    begun = System(results | open_, proofs=proofs, denied=keys[8])
    part = provenance("delete_enaio", map_index=0)
    disposals = [carry_out(store, parts[0], approvals[0], system=begun, options=two, by=part)]
    certify(store, disposals, key=KEY)

    part = provenance("delete_enaio", 2, map_index=0)
    ended = System(results, proofs=proofs)
    disposals = [carry_out(store, parts[0], approvals[0], system=ended, options=two, by=part)]
    soft = carry_out(
        store,
        parts[1],
        approvals[1],
        system=System(usual=OutcomeKind.RECYCLED),
        description=evidence_factory.describe("enaio", hard_delete=False),
        options={**two, "hard_delete": False},
        by=provenance("bin_enaio", map_index=1),
    )
    destroyed = [record for record in parts[0] if record.key not in results]
    # What is in a recycle bin is not marked, so the second part marks nothing.
    marked = [
        carry_out(
            store,
            Manifest.write(store, records),
            approvals[place],
            name="opus",
            approved=parts[place],
            options=two,
            by=provenance("mark_opus", map_index=place),
        )
        for place, records in enumerate((destroyed, []))
    ]
    documents = [
        {"key": f"unifier-{node}", "target_id": str(node), "parent_id": "71", "location": "/P-0001/Old drawings"}
        for node in range(1201, 1206)
    ]
    drawings = Manifest.write(store, documents)
    process = Approval(
        drawings.digest,
        "unifier:DR-0042",
        "2026-11-22T07:45:00Z",
        {"kind": "unifier", "project_number": "P-0001", "record_no": "DR-0042", "status": "Approved"},
        approver_type="process",
        order=evidence_factory.order(store, drawings.digest, tasks=DRAWINGS),
    )
    binned = carry_out(
        store, drawings, [process.write(store)], name="unifier", system=System(usual=OutcomeKind.RECYCLED)
    )
    certify(store, [*disposals, soft, *marked, binned], key=KEY)
    # A try that came after the certificate, which does not cover it.
    evidence_factory.journal(store, parts[0], provenance("delete_enaio", 3, map_index=0))


def unsigned_run(store: Store) -> None:
    """A run without a key: a rehearsal, an empty list, no approval, a late answer, and work that has no disposal."""

    def origin(task: str, try_number: int = 1, **more: Any) -> Provenance:
        return provenance(task, try_number, run=UNSIGNED_RUN, **more)

    listed = Manifest.write(store, (f"4711{number}" for number in range(6)))
    rehearsed = carry_out(store, listed, dry_run=True, by=origin("rehearse"))
    empty = carry_out(store, Manifest.write(store, []), by=origin("nothing_due"))
    certify(store, [rehearsed, empty], by=origin("certificate"))

    late = next(iter(listed)).key
    older = evidence_factory.journal(store, listed, origin("delete_without_approval"))
    older.intend([late])
    newer = carry_out(
        store, listed, system=System({late: OutcomeKind.BLOCKED}), by=origin("delete_without_approval", 2)
    )
    older.record([Outcome(late, OutcomeKind.DESTROYED, Proof.RESPONSE, time=outcome.now())])
    whole = Manifest.write(store, (f"0815{number}" for number in range(8)))
    given_here = approve(store, whole, "a.maier@example.org", by=origin("x"), tasks=[PART])
    approvals = [Approval.read(store, uri) for uri in given_here]
    part = Manifest.write(store, list(whole)[:5])
    given = [for_part(each, part.digest).write(store) for each in approvals]
    failing = System({record.key: OutcomeKind.FAILED for record in list(part)[:2]})
    parted = carry_out(store, part, given, system=failing, by=origin("delete_part", map_index=0))
    evidence_factory.journal(store, Manifest.write(store, list(whole)[5:]), origin("delete_part", map_index=1))
    certify(store, [rehearsed, empty, newer, parted], by=origin("certificate"))


def rejected_list(store: Store) -> None:
    """A list that somebody decided to keep."""
    listed = Manifest.write(store, ["1000001"])
    source = {"kind": "airflow", "task": "approve"}
    run: dict[str, Any] = {"dag_id": evidence_factory.DAG, "run_id": "scheduled__2026-11-23T02:00:00+00:00"}
    Rejection(listed.digest, "airflow:j.weber", "2026-11-23T07:10:00Z", source, comment="still needed", **run).write(
        store
    )


def certify(
    store: Store,
    disposals: Sequence[Disposal],
    by: Provenance | None = None,
    key: Ed25519PrivateKey | None = None,
) -> None:
    """Write the certificate of a run."""
    issue.write(store, disposals, by or provenance("certificate"), key)


@contextmanager
def frozen() -> Iterator[None]:
    """Let time pass by a millisecond with each look at a clock, and let chance choose the same each time."""
    ticks, numbers = itertools.count(), itertools.count(1)

    def one_thread(*args: Any, **options: Any) -> Runner:
        return Runner(*args, **{**options, "concurrency": 1})

    def clock() -> float:
        return BEGIN + next(ticks) / 1000

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(clock(), tz)

    defaults: Any = Journal.__init__.__kwdefaults__
    with ExitStack() as stack:
        stack.enter_context(patch.object(outcome, "datetime", Clock))
        stack.enter_context(
            patch.dict(defaults, clock=clock, steady=lambda: 1000.0, timeline="one start of one machine")
        )
        stack.enter_context(patch.object(Journal, "seconds_until_settled", lambda _: 0.0))
        stack.enter_context(patch("secrets.token_hex", lambda _: f"{next(numbers):08x}"))
        stack.enter_context(patch("uuid.uuid4", lambda: uuid.UUID(int=next(numbers))))
        stack.enter_context(patch.object(evidence_factory, "Runner", one_thread))
        yield


if __name__ == "__main__":
    release = FOLDER / airflow_provider_records.__version__
    if release.exists():
        sys.exit(
            f"{release} is there, and a golden store is not written again; only before its release may it be deleted."
        )
    make(release)
    print(f"{release}: {sum(path.is_file() for path in release.rglob('*'))} files")
