"""The files that an authorization rests on: lists, approvals, orders and rejections."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.approval import Approval, Rejection
from airflow_provider_records.evidence.manifest import Manifest, key_of
from airflow_provider_records.evidence.order import Order, spent_by
from airflow_provider_records.evidence.signature import VerificationKey
from airflow_provider_records.evidence.store import Store


class Lines(Protocol):
    """The records of one list, as far as an authorization needs them."""

    def __len__(self) -> int:
        """Return the number of records."""
        ...

    def each_line(self) -> Iterator[withheld.Line]:
        """Return the key and the hash of the line of each record, in the order of the list."""
        ...

    def missing(self, hashes: Set[bytes]) -> Set[bytes]:
        """Return those of these hashes that no line of this list has."""
        ...


class Files(Protocol):
    """The files that a claim rests on. Each is verified against its digest when it is read."""

    def manifest(self, digest: str) -> Lines:
        """Return a list by its digest."""
        ...

    def approval(self, uri: str) -> Approval:
        """Return an approval by the URI that a reference, a summary or another approval states."""
        ...

    def order(self, digest: str) -> Order:
        """Return an order by the digest that an approval states."""
        ...

    def spent_by(self, digest: str) -> Collection[tuple[str, str]]:
        """Return DAG and run of the runs of other DAGs that have begun under an order."""
        ...

    def rejections(self, dag_id: str, run_id: str) -> Sequence[Rejection]:
        """Return all rejections of a run."""
        ...

    def check_signed(self, approval: Approval, key: VerificationKey) -> None:
        """Check that an approval was signed with a key; see :meth:`Approval.check_signed`."""
        ...


class StoredFiles:
    """The files of an evidence store; lists are streamed, so that memory does not grow with the approved lists.

    :param store: the evidence store.
    :param manifests: lists that are open already and need not be verified a second time.
    """

    def __init__(self, store: Store, manifests: Iterable[Manifest] = ()) -> None:
        self._store = store
        self._manifests = {manifest.digest: manifest for manifest in manifests}
        self._orders: dict[str, Order] = {}

    def manifest(self, digest: str) -> Lines:
        """Open a list.

        :raises EvidenceError: the list is missing or was changed.
        """
        if digest not in self._manifests:
            self._manifests[digest] = Manifest.open(self._store, digest)
        return _StoredLines(self._manifests[digest])

    def approval(self, uri: str) -> Approval:
        """Read an approval.

        :raises EvidenceError: the approval is missing or was changed, or the file is no approval.
        """
        return Approval.read(self._store, uri)

    def order(self, digest: str) -> Order:
        """Read an order.

        :raises EvidenceError: the order is missing or was changed, or the file is no order.
        """
        if digest not in self._orders:
            self._orders[digest] = Order.read(self._store, digest)
        return self._orders[digest]

    def spent_by(self, digest: str) -> Collection[tuple[str, str]]:
        """Read which runs of other DAGs have begun under an order.

        :raises EvidenceError: that cannot be read.
        """
        return spent_by(self._store, digest).values()

    def rejections(self, dag_id: str, run_id: str) -> Sequence[Rejection]:
        """Read the rejections of a run.

        :raises EvidenceError: one was changed, or is no rejection.
        """
        return Rejection.of_run(self._store, dag_id, run_id)

    def check_signed(self, approval: Approval, key: VerificationKey) -> None:
        """Check that an approval was signed with a key.

        :raises ApprovalError: it was not.
        """
        approval.check_signed(self._store, self._store.name(approval.uri), key)


@dataclass(frozen=True)
class _StoredLines:
    source: Manifest

    def __len__(self) -> int:
        return self.source.count

    def each_line(self) -> Iterator[withheld.Line]:
        return ((key_of(line), _hash(line)) for line in self.source.lines())

    def missing(self, hashes: Set[bytes]) -> Set[bytes]:
        left = set(hashes)
        left.difference_update(map(_hash, self.source.lines()))
        return left


def _hash(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()
