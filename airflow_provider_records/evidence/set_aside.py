"""Rows that a listing task set aside: they are on no list, and a file of the run names each with the reason.

A row is odd, or its record is on hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_records.evidence import formats, reader
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.folders import set_aside_folder
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, NewerFormatError


@dataclass(frozen=True)
class OddRow:
    """A row of which no record can be made that surely is the right one.

    :param row: what it is called: its key as far as it can be written, else its number.
    :param reason: why it was set aside, as a clause without an end.
    :param hold: name of the hold's file in the store, if it is not odd but on hold.
    :param unrecognized: members of the file's line that this release does not know.
    """

    row: str
    reason: str
    hold: str = ""
    unrecognized: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain JSON."""
        hold = {"hold": self.hold} if self.hold else {}
        return {**self.unrecognized, "row": self.row, "reason": self.reason, **hold}

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> OddRow:
        """Read what :meth:`to_dict` wrote.

        :raises ValueError: a member is missing or is no text.
        """
        left = dict(members)
        row, reason, hold = left.pop("row", None), left.pop("reason", None), left.pop("hold", "")
        if not all(isinstance(text, str) for text in (row, reason, hold)):
            raise ValueError("an odd row has no name or no reason")
        return cls(row, reason, hold, left)


@dataclass(frozen=True)
class SetAside:
    """The rows that one task set aside while it wrote a list.

    :param digest: digest of the list.
    :param dag_id: the DAG of the task.
    :param run_id: its run.
    :param task_id: the task.
    :param map_index: its map index; -1: not mapped.
    :param uri: where the file lies.
    :param unrecognized: members of the file's first line that this release does not know.
    :param iteration: that of the loop around the task, from 0; -1: there is none.
    """

    digest: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    uri: str = ""
    unrecognized: Mapping[str, Any] = field(default_factory=dict)
    iteration: int = -1

    def write(self, store: Store, rows: Iterable[OddRow]) -> str:
        """Write the rows under the digest of the file's bytes into the folder of the run; return its URI.

        :raises EvidenceError: the store cannot be written.
        """
        members = {name: value for name, value in vars(self).items() if name not in {"uri", "unrecognized"}}
        if self.iteration < 0:
            del members["iteration"]
        first = canonical({**self.unrecognized, **members, **formats.SET_ASIDE.members}) + b"\n"
        lines = (canonical(row.to_dict()) + b"\n" for row in rows)
        return store.write_lines(set_aside_folder(self.dag_id, self.run_id), first, lines)[0]

    @classmethod
    def of_run(cls, store: Store, dag_id: str, run_id: str) -> list[SetAside]:
        """Read what the tasks of a run have set aside, without the rows.

        :raises NewerFormatError: a file was written by a newer release.
        :raises EvidenceError: a file is no such file.
        """
        return [cls._read(store, name) for name in store.names(set_aside_folder(dag_id, run_id))]

    @classmethod
    def _read(cls, store: Store, name: str) -> SetAside:
        uri = store.uri(name)
        with store.open(name) as file:
            left = formats.SET_ASIDE.check_line(file.readline(), uri)
        texts = {key: left.pop(key, None) for key in ("digest", "dag_id", "run_id", "task_id")}
        map_index, iteration = left.pop("map_index", None), left.pop("iteration", -1)
        numbers = {type(map_index), type(iteration)}
        if not all(isinstance(text, str) and text for text in texts.values()) or numbers != {int}:
            raise EvidenceError(f"{uri} does not say which task set its rows aside from which list.")
        return cls(**texts, map_index=map_index, iteration=iteration, uri=uri, unrecognized=left)

    def rows(self, store: Store) -> Iterator[OddRow]:
        """Read the rows; whoever uses them before the end has to expect an error there.

        :raises NewerFormatError: the file was written by a newer release.
        :raises EvidenceError: it is missing, was changed, or a line is no odd row.
        """
        name = store.name(self.uri)
        for _, block in reader.parsed(store, name, formats.SET_ASIDE):
            for members in block:
                try:
                    yield OddRow.from_dict(members)
                except NewerFormatError:
                    raise
                except (ValueError, TypeError):
                    raise EvidenceError(f"{self.uri} is not of its form: a line is no odd row.") from None


@dataclass(frozen=True)
class LeftOut:
    """What the tasks of a run left out while they wrote lists.

    :param odd: number of odd rows by reason, the most first.
    :param held: the rows whose records are on hold.
    """

    odd: Mapping[str, int] = field(default_factory=dict)
    held: Sequence[OddRow] = ()

    @classmethod
    def of(cls, store: Store, dag_id: str, run_id: str, digests: Set[str]) -> LeftOut:
        """Read what the tasks of a run left out of these lists.

        :raises NewerFormatError: a file was written by a newer release.
        :raises EvidenceError: a file was changed.
        """
        odd: Counter[str] = Counter()
        held: list[OddRow] = []
        for each in SetAside.of_run(store, dag_id, run_id):
            for row in each.rows(store) if each.digest in digests else ():
                if row.hold:
                    held.append(row)
                else:
                    odd[row.reason] += 1
        return cls(dict(odd.most_common()), held)
