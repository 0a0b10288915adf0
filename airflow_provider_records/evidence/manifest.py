"""An immutable, ordered list of records without duplicates, under its digest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from airflow_provider_records.evidence import formats, reader
from airflow_provider_records.evidence.distinct import Distinct, Seen
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, InvalidRecordsError

_NO_RECORD = "A list holds a line that is no record."


@dataclass(frozen=True)
class Manifest:
    """A list of records in the evidence store.

    :param store: the evidence store.
    :param uri: where it lies.
    :param digest: ``sha256:`` + hex over its bytes, the line that names the format included.
    :param count: number of records.
    """

    store: Store
    uri: str
    digest: str
    count: int

    @classmethod
    def write(cls, store: Store, items: Iterable[object]) -> Manifest:
        """Write a list to the store; identical duplicates are dropped.

        :param items: records, mappings of their fields, or ids.
        :raises InvalidRecordsError: an item names no record, a key comes twice with different fields, or two
            records name the same content.
        :raises EvidenceError: the store cannot be written.
        """
        return cls(store, *store.write_lines(reader.MANIFESTS, formats.MANIFEST.line, _distinct(items)))

    @classmethod
    def cut(cls, store: Store, lines: Iterable[bytes]) -> Manifest:
        """Write a list of lines of another one, as they are.

        :raises EvidenceError: the store cannot be written.
        """
        return cls(store, *store.write_lines(reader.MANIFESTS, formats.MANIFEST.line, lines))

    @classmethod
    def open(cls, store: Store, digest: str, uri: str | None = None) -> Manifest:
        """Find a manifest by its digest and recompute it.

        :param uri: where the reference says that it lies; must agree.
        :raises NewerFormatError: it was written by a newer release.
        :raises EvidenceError: it is missing, or its bytes are not those of the digest.
        """
        kind, _, value = digest.partition(":")
        if kind != "sha256" or len(value) != 64 or set(value) - set("0123456789abcdef"):
            raise EvidenceError(f"{digest!r} is no digest; it is 'sha256:' and 64 hex digits.")
        name = reader.manifest_name(digest)
        if uri is not None and store.name(uri) != name:
            raise EvidenceError(f"The manifest at {uri} does not bear the name of its digest {digest}.")
        count = sum(map(len, reader.blocks(store, name, formats.MANIFEST)))
        return cls(store, store.uri(name), digest, count)

    def lines(self) -> Iterator[bytes]:
        """Read the records' lines as they are; whoever uses them before the end has to expect an error there.

        :raises EvidenceError: the list was changed since it was opened.
        """
        return reader.lines(self.store, self.store.name(self.uri), formats.MANIFEST)

    def keys(self) -> Iterator[str]:
        """Read the records' keys, without checking the rest of them; as :meth:`lines`.

        :raises EvidenceError: the list was changed since it was opened, or a line has no key.
        """
        for _, block in reader.parsed(self.store, self.store.name(self.uri), formats.MANIFEST):
            yield from map(_key_in, block)

    def __iter__(self) -> Iterator[Record]:
        """Read the records; whoever uses them before the end has to expect an error there.

        :raises EvidenceError: the list was changed since it was opened, or is none.
        """
        return (record for _, record in self.checked())

    def checked(self) -> Iterator[tuple[bytes, Record]]:
        """Read the records with their lines; see :meth:`__iter__`."""
        for line in self.lines():
            try:
                yield line, Record.parse(line)
            except InvalidRecordsError:
                problem = "was changed, or is no list of records in canonical form"
                raise EvidenceError(f"The manifest at {self.uri} {problem}.") from None

    def __len__(self) -> int:
        return self.count


def key_of(line: bytes) -> str:
    """Return the key of a line, without checking the rest of it.

    :raises EvidenceError: it has none.
    """
    try:
        return _key_in(json.loads(line.decode()))
    except (ValueError, RecursionError):
        raise EvidenceError(_NO_RECORD) from None


def _key_in(value: object) -> str:
    if isinstance(value, dict) and isinstance(key := value.get("key"), str):
        return key
    raise EvidenceError(_NO_RECORD)


def _distinct(items: Iterable[object]) -> Iterator[bytes]:
    distinct = Distinct()
    for item in items:
        record = Record.from_item(item)
        match distinct.put(record):
            case Seen.NEW:
                yield record.line()
            case Seen.DIFFERS:
                raise InvalidRecordsError(f"Record {record.key!r} comes twice, with different fields.")
            case Seen.TWO_KEYS:
                raise InvalidRecordsError(
                    f"Record {record.key!r}: its target_id {record.target_id!r} is already that of another record."
                )
