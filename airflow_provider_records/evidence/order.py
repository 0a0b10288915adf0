"""What an approval allows: these records, by these tasks, in these systems, in one DAG run, until a time.

An order is written before anybody is asked, so that whoever approves has read exactly what the gate compares later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_records.evidence import formats, reader
from airflow_provider_records.evidence.binding import Place
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.folders import asked_folder, asked_name, spent_folder, spent_name
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ApprovalError, EvidenceError, NewerFormatError

METHODS = {
    "destroy": "permanently delete from",
    "recycle": "move to the recycle bin of",
    "mark": "mark as destroyed in",
}
"""What an order may allow, and its words for people."""
_RUNS = 20
"""Number of the newest runs in which an earlier order is looked for, so that a request stays cheap after years."""
_TEXTS = ("digest", "dag_id", "run_id", "asked_at", "valid_until")


@dataclass(frozen=True)
class Covered:
    """One disposing task that an order covers, and what it may do.

    :param task_id: the task; empty where a task of another DAG carries the order out.
    :param system: the short name of its system, such as ``enaio``.
    :param method: ``destroy``, ``recycle`` or ``mark``.
    :param target: where its client acts, see ``VendorHook.target``.
    :param conn_id: its Airflow connection.
    :param title: what people call the system.
    :param unrecognized: members of the file that this release does not know.
    """

    task_id: str
    system: str
    method: str
    target: str
    conn_id: str
    title: str = ""
    unrecognized: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Covered:
        """Read what :meth:`to_dict` wrote.

        :raises KeyError: a member is missing.
        :raises ValueError: a member has another type than it must have, or is empty.
        :raises NewerFormatError: it names a method that this release does not know.
        """
        left = dict(members)
        texts = {name: left.pop(name) for name in ("system", "method", "target", "conn_id")}
        texts |= {name: left.pop(name) for name in ("task_id", "title") if name in left}
        if not all(isinstance(text, str) and text for text in texts.values()):
            raise ValueError("a member of what an order covers is no text, or is empty")
        if texts["method"] not in METHODS:
            raise formats.newer_member(f"A method of an order is {texts['method'][:40]!r}")
        return cls(**{"task_id": "", **texts}, unrecognized=left)

    def to_dict(self) -> dict[str, Any]:
        """Return the members as JSON has them, without what is empty."""
        known = {name: value for name, value in vars(self).items() if name != "unrecognized" and value}
        return {**self.unrecognized, **known}

    @property
    def action(self) -> str:
        """What it does to records, in words, such as ``permanently delete from enaio``."""
        return f"{METHODS[self.method]} {self.title or self.system}"

    @property
    def place(self) -> Place:
        """Where and how it may be carried out."""
        return Place(self.system, self.target, self.method, self.conn_id)


@dataclass(frozen=True)
class Order:
    """What one approving step asks for.

    :param digest: digest of the list that is shown.
    :param tasks: what it covers, in the order in which it is carried out.
    :param dag_id: the DAG that asks; the order counts there, and in DAGs that name it in ``accept_approvals_from``.
    :param run_id: the run that asks; within its DAG the order counts for no other run.
    :param asked_at: when the step asked first, ISO 8601 in UTC.
    :param valid_until: from then on it allows no new delete, ISO 8601 in UTC.
    :param due_list: the due list that the records came from; None: they were given otherwise.
    :param unrecognized: members of the file that this release does not know.
    """

    digest: str
    tasks: Sequence[Covered]
    dag_id: str
    run_id: str
    asked_at: str
    valid_until: str
    due_list: DueList | None = None
    unrecognized: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Digest of the order itself, ``sha256:`` + hex over the bytes of its file."""
        return f"sha256:{hashlib.sha256(self._content).hexdigest()}"

    @property
    def summary(self) -> str:
        """What it allows, in words, such as ``permanently delete from enaio at https://…, then mark in Opus at …``."""
        return ", then ".join(dict.fromkeys(f"{each.action} at {each.target}" for each in self.tasks))

    @property
    def _content(self) -> bytes:
        return canonical({**self.to_dict(), **formats.ORDER.members}) + b"\n"

    def to_dict(self) -> dict[str, Any]:
        """Return the order as plain JSON."""
        members: dict[str, Any] = {**self.unrecognized, **{name: getattr(self, name) for name in _TEXTS}}
        members["tasks"] = [each.to_dict() for each in self.tasks]
        return members | ({} if self.due_list is None else {"due_list": self.due_list.to_dict()})

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Order:
        """Read what :meth:`to_dict` wrote.

        :raises KeyError: a member is missing.
        :raises ValueError: a member has another type than it must have.
        """
        left = dict(members)
        texts = {name: left.pop(name) for name in _TEXTS}
        tasks, due_list = left.pop("tasks"), left.pop("due_list", None)
        if not all(isinstance(text, str) and text for text in texts.values()):
            raise ValueError("an order names no list, no DAG run or no time")
        if not isinstance(tasks, list) or not tasks:
            raise ValueError("an order covers nothing")
        if any(datetime.fromisoformat(texts[name]).tzinfo is None for name in ("asked_at", "valid_until")):
            raise ValueError("a time of an order has no time zone")
        return cls(
            **texts,
            tasks=[Covered.from_dict(each) for each in tasks],
            due_list=None if due_list is None else DueList.from_dict(due_list),
            unrecognized=left,
        )

    def write(self, store: Store) -> str:
        """Write the order under its digest; return its URI."""
        return store.write(order_name(self.id), self._content)

    def keep_as_asked(
        self, store: Store, *, task_id: str, map_index: int, try_number: int | None, iteration: int = -1
    ) -> None:
        """Keep it under the name of the step that asks, so that this step asks for nothing else later.

        :param try_number: None: for all tries of the task instance, which show one page.
        """
        store.write(
            asked_name(self.dag_id, self.run_id, task_id, map_index, try_number, iteration=iteration), self._content
        )

    @classmethod
    def read(cls, store: Store, digest: str) -> Order:
        """Read an order by its digest.

        :raises NewerFormatError: it was written by a newer release.
        :raises EvidenceError: the file is missing, was changed, or is no order.
        """
        return cls._read(store, order_name(digest), named_by_digest=True)

    @classmethod
    def asked_before(
        cls,
        store: Store,
        dag_id: str,
        run_id: str,
        *,
        task_id: str,
        map_index: int,
        try_number: int | None,
        iteration: int = -1,
    ) -> Order | None:
        """Return what a step has asked for; None: nothing yet.

        :param try_number: see :meth:`keep_as_asked`.
        :raises EvidenceError: the file cannot be read, or is no order.
        """
        name = asked_name(dag_id, run_id, task_id, map_index, try_number, iteration=iteration)
        return cls._read(store, name, named_by_digest=False) if store.exists(name) else None

    @classmethod
    def asked_in(cls, store: Store, dag_id: str, run_id: str) -> Iterator[Order]:
        """Return what the approving steps of a DAG run have asked for.

        :raises EvidenceError: a file cannot be read, or is no order.
        """
        for name in store.names(asked_folder(dag_id, run_id)):
            yield cls._read(store, name, named_by_digest=False)

    @classmethod
    def asked_last(
        cls, store: Store, order: Order, *, task_id: str, map_index: int, iteration: int = -1
    ) -> Order | None:
        """Return what a step asked for last in an earlier run of its DAG; None: nothing in the newest runs.

        :param order: what it asks for now, for all tries.
        :raises EvidenceError: a file cannot be read, or is no order.
        """
        now = asked_name(order.dag_id, order.run_id, task_id, map_index, None, iteration=iteration)
        folder, own = asked_folder(order.dag_id, order.run_id).rsplit("/", 1)
        step = now.removeprefix(f"{folder}/{own}/")
        runs = sorted(store.children(folder), key=lambda run: run.rpartition("__")[2], reverse=True)
        names = (f"{folder}/{run}/{step}" for run in runs[:_RUNS] if run != own)
        asked = [cls._read(store, name, named_by_digest=False) for name in names if store.exists(name)]
        earlier = [each for each in asked if each.asked_at < order.asked_at]
        return max(earlier, key=lambda each: each.asked_at, default=None)

    @classmethod
    def _read(cls, store: Store, name: str, *, named_by_digest: bool) -> Order:
        members = reader.document(store, name, formats.ORDER, named_by_digest=named_by_digest)
        try:
            return cls.from_dict(members)
        except NewerFormatError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError):
            raise EvidenceError(f"{store.uri(name)} is no order.") from None

    def differences(self, now: Order) -> Iterator[str]:
        """Say in what an order that is computed again differs from this one, which people or a vendor were asked for.

        :param now: the order as it would be asked for now.
        """
        if now.digest != self.digest:
            yield f"the list is {now.digest} now, it was {self.digest}"
        known = {each.task_id: each for each in self.tasks}
        for each in now.tasks:
            before = known.pop(each.task_id, None)
            if before is None:
                yield f"task {each.task_id!r} is new ({each.place})"
            elif (each.place, each.conn_id) != (before.place, before.conn_id):
                yield (
                    f"task {each.task_id!r} is set up for {each.place}, connection {each.conn_id!r} now; it was "
                    f"{before.place}, connection {before.conn_id!r}"
                )
        yield from (f"task {task_id!r} is not covered any more" for task_id in known)
        if now.valid_until != self.valid_until:
            yield f"it would end at {now.valid_until} now, it was {self.valid_until}"
        if now.due_list != self.due_list:
            yield "the records come from another due list"


def order_name(digest: str) -> str:
    """Return the name of an order in the store.

    :param digest: ``sha256:`` + hex.
    :raises EvidenceError: it is no digest.
    """
    kind, _, value = digest.partition(":")
    if kind != "sha256" or len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise EvidenceError(f"An approval names the order {digest[:80]!r}, which is no digest.")
    return f"orders/{value}.json"


def spent_by(store: Store, digest: str, listed: Set[str] | None = None) -> dict[str, tuple[str, str]]:
    """Return the runs of other DAGs that opened a journal under an order: DAG and run by the name of the file.

    :param digest: digest of the order.
    :param listed: the files that count; None: all.
    :raises EvidenceError: a file cannot be read, or is not of its form.
    """
    found = {}
    for name in store.names(spent_folder(digest)):
        if listed is not None and name not in listed:
            continue
        members = reader.document(store, name, formats.SPENT)
        found[name] = (str(members.get("dag_id")), str(members.get("run_id")))
    return found


def spend(store: Store, digest: str, dag_id: str, run_id: str) -> None:
    """State that a run of another DAG carries out an order, before it opens a journal under it.

    Two runs that begin at the same time both look again after they have written: at most one of them goes on.

    :raises ApprovalError: another run has begun with it.
    """
    refuse_spent(spent_by(store, digest).values(), digest, dag_id, run_id)
    name = spent_name(digest, dag_id, run_id)
    members = {**formats.SPENT.members, "order": digest, "dag_id": dag_id, "run_id": run_id}
    store.write(name, canonical(members) + b"\n")
    try:
        refuse_spent(spent_by(store, digest).values(), digest, dag_id, run_id)
    except ApprovalError:
        store.remove(name)
        raise


def refuse_spent(runs: Iterable[tuple[str, str]], digest: str, dag_id: str, run_id: str) -> None:
    """Refuse an order under which another run has begun.

    :param runs: DAG and run of all that have.
    :raises ApprovalError: one of them is another run.
    """
    for dag, run in runs:
        if (dag, run) != (dag_id, run_id):
            raise ApprovalError(
                f"The order {digest} was carried out by the run {run} of {dag} already; an approval of another DAG "
                "counts for one run."
            )
