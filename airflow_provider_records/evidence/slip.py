"""Answers of reviewers that could not be followed: kept, so that whoever is asked again can read why."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_records.evidence import formats, reader
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.folders import slips_folder
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError

_TEXTS = ("digest", "dag_id", "run_id", "task_id", "who", "at", "reason")


@dataclass(frozen=True)
class Slip:
    """An answer that could not be followed; nothing was approved or held by it.

    :param digest: digest of the list that was shown; empty if the answer does not name it.
    :param dag_id: the DAG that asked.
    :param run_id: its run.
    :param task_id: the approving task.
    :param who: who answered.
    :param at: when, ISO 8601 in UTC.
    :param reason: why it could not be followed, in sentences.
    :param map_index: map index of the task; -1: not mapped.
    :param iteration: that of the loop around it, from 0; -1: there is none.
    :param unrecognized: members of the file that this release does not know.
    """

    digest: str
    dag_id: str
    run_id: str
    task_id: str
    who: str
    at: str
    reason: str
    map_index: int = -1
    iteration: int = -1
    unrecognized: Mapping[str, Any] = field(default_factory=dict)

    def write(self, store: Store) -> str:
        """Write it into the folder of its run; return its URI.

        :raises EvidenceError: the store cannot be written.
        """
        members = {name: getattr(self, name) for name in (*_TEXTS, "map_index")}
        if self.iteration >= 0:
            members["iteration"] = self.iteration
        content = canonical({**self.unrecognized, **members, **formats.SLIP.members}) + b"\n"
        name = f"{slips_folder(self.dag_id, self.run_id)}/{hashlib.sha256(content).hexdigest()}.json"
        return store.write(name, content)

    @classmethod
    def of_run(cls, store: Store, dag_id: str, run_id: str) -> list[Slip]:
        """Read those of a run, the newest first.

        :raises NewerFormatError: a file was written by a newer release.
        :raises EvidenceError: a file was changed, or is none.
        """
        found = [cls._read(store, name) for name in store.names(slips_folder(dag_id, run_id))]
        return sorted(found, key=lambda slip: slip.at, reverse=True)

    @classmethod
    def _read(cls, store: Store, name: str) -> Slip:
        left = reader.document(store, name, formats.SLIP, named_by_digest=True)
        map_index, iteration = left.pop("map_index", None), left.pop("iteration", -1)
        numbers = {type(map_index), type(iteration)}
        texts = {each: left.pop(each, None) for each in _TEXTS}
        if numbers != {int} or not all(isinstance(text, str) for text in texts.values()):
            raise EvidenceError(f"{store.uri(name)} does not say which answer could not be followed.")
        return cls(**texts, map_index=map_index, iteration=iteration, unrecognized=left)
