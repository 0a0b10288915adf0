"""Reads a list of records page by page: once as a whole to check its digest, then only the pages that are shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from airflow_provider_records.evidence import formats, reader
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError

PAGE = 200


@dataclass(frozen=True)
class Index:
    """The pages of a list whose bytes match its digest.

    :param pages: where each begins, and the hash of its bytes.
    :param count: number of records.
    """

    pages: Sequence[reader.PageOfLines]
    count: int


class Lists:
    """Reads the lists of an evidence store. Thread-safe.

    :param store: the evidence store.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.index = lru_cache(64)(self._read_index)

    def name(self, digest: str) -> str:
        """Return the name of a list in the store.

        :param digest: 64 hex digits.
        """
        return reader.manifest_name(digest)

    def page(self, digest: str, number: int) -> list[Record]:
        """Read one page.

        :param number: from 1.
        :raises EvidenceError: the list is missing, was changed, or has no such page.
        """
        index = self.index(digest)
        if not 1 <= number <= len(index.pages):
            raise EvidenceError(f"The list has {len(index.pages)} pages.")
        page = index.pages[number - 1]
        with self.store.open(self.name(digest)) as file:
            file.seek(page.start)
            lines = [line for _ in range(PAGE) if (line := file.readline())]
        if hashlib.sha256(b"".join(lines)).digest() != page.sha256:
            raise EvidenceError(f"{self.store.uri(self.name(digest))} was changed: its bytes do not match its digest.")
        try:
            return [Record.from_dict(json.loads(line)) for line in lines]
        except (ValueError, TypeError, AttributeError):
            raise EvidenceError(f"{self.store.uri(self.name(digest))} is not a list of records.") from None

    def _read_index(self, digest: str) -> Index:
        """Read a whole list, check its digest and index its pages.

        :raises EvidenceError: it is missing or was changed.
        """
        return Index(*reader.pages(self.store, self.name(digest), formats.MANIFEST, PAGE))
