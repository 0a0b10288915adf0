"""A whole list of records, page by page: read once to check its digest, then only where it is looked at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from airflow_provider_records.evidence.manifest import FOLDER
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError

PAGE = 200


@dataclass(frozen=True)
class Index:
    """Where the pages of a list begin.

    :param starts: place of each page's first byte.
    :param count: number of records.
    """

    starts: Sequence[int]
    count: int


class Lists:
    """Reads the lists of an evidence store; may be used by several threads.

    :param store: the evidence store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.index = lru_cache(64)(self._read_index)

    def name(self, digest: str) -> str:
        """Return the name of a list in the store.

        :param digest: 64 hex digits.
        """
        return f"{FOLDER}/{digest}.jsonl"

    def page(self, digest: str, number: int) -> list[Record]:
        """Read one page.

        :param number: from 1.
        :raises EvidenceError: the list is missing, was changed, or has no such page.
        """
        index = self.index(digest)
        if not 1 <= number <= len(index.starts):
            raise EvidenceError(f"The list has {len(index.starts)} pages.")
        with self.store.open(self.name(digest)) as file:
            file.seek(index.starts[number - 1])
            lines = [line for _ in range(PAGE) if (line := file.readline())]
        try:
            return [Record.from_item(json.loads(line)) for line in lines]
        except (ValueError, TypeError):
            raise EvidenceError(f"{self.store.uri(self.name(digest))} is no list of records.") from None

    def _read_index(self, digest: str) -> Index:
        """Read a list through.

        :raises EvidenceError: it is missing or was changed.
        """
        hashed, place, count, starts = hashlib.sha256(), 0, 0, [0]
        with self.store.open(self.name(digest)) as file:
            for line in file:
                hashed.update(line)
                place += len(line)
                count += 1
                if count % PAGE == 0:
                    starts.append(place)
        if hashed.hexdigest() != digest:
            raise EvidenceError(f"The list {self.store.uri(self.name(digest))} was changed: its digest does not fit.")
        return Index(starts[:-1] if count and count % PAGE == 0 else starts, count)
