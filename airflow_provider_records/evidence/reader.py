"""The one reader of lists and outcomes, and of the names by which the store's files point to each other.

A list, and the outcomes of a disposal, lie under the digest of their bytes. They are read a block at a time, so that
memory does not grow with them, and hashed on the way: whoever uses lines before the end has to expect an error there.
Journals are read by :mod:`airflow_provider_records.evidence.segment`.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.formats import Format
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store, is_inside
from airflow_provider_records.exceptions import EvidenceError, NewerFormatError

MANIFESTS = "manifests"
_BLOCK = 1 << 20
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


def manifest_name(digest: str) -> str:
    """Return the name of a list in the store.

    :param digest: ``sha256:`` + hex.
    """
    return f"{MANIFESTS}/{digest.removeprefix('sha256:')}.jsonl"


def document(store: Store, name: str, file_format: Format, *, named_by_digest: bool = False) -> dict[str, Any]:
    """Read a JSON file.

    :param name: its name in the store.
    :param named_by_digest: whether its name ends with the digest of its bytes.
    :return: its members, without format and version.
    :raises NewerFormatError: it was written by a newer release.
    :raises EvidenceError: it is missing, is of another format, or was changed: its bytes do not match its name.
    """
    uri, content, members = store.uri(name), store.read(name), None
    with suppress(ValueError, RecursionError):
        members = json.loads(content)
    file_format.refuse_newer(members, uri)
    if named_by_digest and name.rpartition("/")[2] != f"{hashlib.sha256(content).hexdigest()}.json":
        raise EvidenceError(f"The {file_format.name} at {uri} was changed: its bytes no longer match its name.")
    try:
        return file_format.check(members, uri)
    except EvidenceError:
        raise EvidenceError(f"{uri} is no {file_format.name}.") from None


def blocks(store: Store, name: str, file_format: Format) -> Iterator[list[bytes]]:
    """Read the lines of a JSON-lines file, a block at a time, without the one that names the format.

    :param name: its name in the store, which ends with the digest of its bytes.
    :raises NewerFormatError: it was written by a newer release.
    :raises EvidenceError: it is missing, is of another format, or was changed: its bytes do not match its name.
    """
    hashed = hashlib.sha256()
    other_format: EvidenceError | None = None
    with store.open(name) as file:
        first = file.readline()
        hashed.update(first)
        try:
            file_format.check_line(first, store.uri(name))
        except NewerFormatError:
            raise
        except EvidenceError as error:
            other_format = error
        while lines := file.readlines(_BLOCK):
            hashed.update(b"".join(lines))
            if other_format is None:
                yield lines
    if name.rpartition("/")[2] != f"{hashed.hexdigest()}.jsonl":
        raise EvidenceError(
            f"The {file_format.name} at {store.uri(name)} was changed: its bytes no longer match its name."
        )
    if other_format is not None:
        raise other_format


def lines(store: Store, name: str, file_format: Format) -> Iterator[bytes]:
    """Read the lines one by one; see :func:`blocks`."""
    for block in blocks(store, name, file_format):
        yield from block


def parsed(store: Store, name: str, file_format: Format) -> Iterator[tuple[list[bytes], list[Any]]]:
    """Read lines and their values, a block at a time, which takes half the time that line by line does.

    :raises EvidenceError: as :func:`blocks`; or a line is not one JSON value.
    """
    rest = blocks(store, name, file_format)
    for block in rest:
        try:
            values = json.loads(b"[%b]" % b",".join(block))
            if len(values) != len(block):
                raise ValueError
        except (ValueError, RecursionError):
            deque(rest, 0)  # that it was changed explains it, if it was
            raise EvidenceError(f"{store.uri(name)} is not of its form: a line is not one JSON value.") from None
        yield block, values


def outcomes(store: Store, name: str, without: OutcomeKind | None = None) -> Iterator[Outcome]:
    """Read the outcomes of a disposal.

    :param without: leave these out, unparsed.
    :raises EvidenceError: as :func:`blocks`; or a line is no outcome.
    """
    rest = blocks(store, name, formats.OUTCOMES)
    marker = None if without is None else _marker(without)
    for block in rest:
        wanted = block if marker is None else [line for line in block if marker not in line]
        try:
            found = [Outcome.from_dict(fields) for fields in json.loads(b"[%b]" % b",".join(wanted))]
        except NewerFormatError:
            deque(rest, 0)
            raise
        except _MALFORMED:
            deque(rest, 0)
            raise EvidenceError(f"{store.uri(name)} is not of its form: a line is no outcome.") from None
        yield from found


def rows(store: Store, manifest: str, name: str, kind: OutcomeKind) -> Iterator[tuple[int, Record, Outcome]]:
    """Read the records with one kind of outcome, each with its place on the list.

    :param manifest: name of the list in the store.
    :param name: name of its outcomes.
    :raises EvidenceError: as :func:`blocks`; or a line is no record or no outcome.
    """
    marker = _marker(kind)
    pairs = zip(lines(store, manifest, formats.MANIFEST), lines(store, name, formats.OUTCOMES), strict=True)
    try:
        for place, (record, outcome) in enumerate(pairs, 1):
            if marker in outcome:
                yield place, Record.from_dict(json.loads(record)), Outcome.from_dict(json.loads(outcome))
    except _MALFORMED:
        raise EvidenceError(f"{store.uri(name)} are no outcomes of the list {store.uri(manifest)}.") from None


def records(store: Store, manifest: str, keys: Set[str]) -> Iterator[tuple[int, Record]]:
    """Read the records with these keys, each with its place on the list.

    :param manifest: name of the list in the store.
    :raises EvidenceError: as :func:`blocks`; or a line is no record.
    """
    values = (fields for _, block in parsed(store, manifest, formats.MANIFEST) for fields in block)
    for place, fields in enumerate(values, 1):
        if fields["key"] in keys:
            yield place, Record.from_dict(fields)


@dataclass(frozen=True)
class PageOfLines:
    """Some lines of a file, one after the other.

    :param start: offset of their first byte.
    :param sha256: hash of their bytes.
    """

    start: int
    sha256: bytes


def pages(store: Store, name: str, file_format: Format, size: int) -> tuple[list[PageOfLines], int]:
    """Return where every ``size``-th line begins, with the hash of the lines up to the next one, and their number.

    :return: at least one page, and the number of lines.
    :raises EvidenceError: as :func:`blocks`.
    """
    with store.open(name) as file:
        start = len(file.readline())
    found: list[PageOfLines] = []
    count, end, digest = 0, start, hashlib.sha256()
    for count, line in enumerate(lines(store, name, file_format), 1):
        end += len(line)
        digest.update(line)
        if count % size == 0:
            found.append(PageOfLines(start, digest.digest()))
            start, digest = end, hashlib.sha256()
    if start < end or not found:
        found.append(PageOfLines(start, digest.digest()))
    return found, count


def _marker(kind: OutcomeKind) -> bytes:
    """Return the bytes that tell the lines of one kind: an unescaped quote cannot lie within a JSON text."""
    return canonical({"outcome": str(kind)})[1:-1]


@dataclass(frozen=True)
class EvidenceReader:
    """The evidence store, as its own files name it.

    :param store: where the files lie now.
    :param root: URI of the store when they were written; the URIs in them begin with it.
    :param listed: the files that count; None: all. What came after a certificate does not belong to it.
    """

    store: Store
    root: str
    listed: Set[str] | None = None

    def name(self, uri: str) -> str:
        """Return the name of a URI that one of the files holds.

        :raises EvidenceError: it does not lie in the store, or is no file that counts.
        """
        name = uri.removeprefix(self.root + "/")
        if name == uri or not is_inside(name):
            raise EvidenceError(f"{uri} does not lie in the evidence store {self.root}.")
        if self.listed is not None and name not in self.listed:
            raise EvidenceError(f"{name} is not in the certificate's list of files, though it rests on it.")
        return name

    def list_index(self, digest: str) -> ListIndex:
        """Read what an audit needs of a list.

        :raises EvidenceError: it is missing, was changed, or names a record twice.
        """
        name = self.name(f"{self.root}/{manifest_name(digest)}")
        found = ListIndex()
        for block, values in parsed(self.store, name, formats.MANIFEST):
            found.keys += [record["key"] for record in values]
            found.lines += [hashlib.blake2b(line, digest_size=16).digest() for line in block]
            origins = [record["attributes"] for record in values if "attributes" in record]
            found.selection |= {(origin.get("connector_id"), origin.get("due_before")) for origin in origins}
        if len(set(found.keys)) != len(found.keys):
            raise EvidenceError(f"The list {name} names a record twice.")
        return found


@dataclass
class ListIndex:
    """What an audit needs of a list: its keys in order, and the hashes of its lines to find others among."""

    keys: list[str] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    selection: set[tuple[str, str]] = field(default_factory=set)

    @cached_property
    def known(self) -> Set[bytes]:
        """The lines to look one up among; made once, however many parts are compared with the list."""
        return frozenset(self.lines)

    def __len__(self) -> int:
        return len(self.keys)

    def missing(self, hashes: Set[bytes]) -> Set[bytes]:
        """Return those of these hashes that no line of this list has."""
        return hashes - self.known

    def each_line(self) -> Iterator[tuple[str, bytes]]:
        """Return each record's key and the hash of its line."""
        return zip(self.keys, self.lines, strict=True)


def fingerprint(store: Store, name: str) -> dict[str, Any]:
    """Return name, SHA-256 and size of a file.

    :raises EvidenceError: it is missing or cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with store.open(name) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            size += len(piece)
    return {"name": name, "sha256": digest.hexdigest(), "size": size}


def fingerprints(store: Store, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Return name, SHA-256 and size of each file, in their order.

    :raises EvidenceError: as :func:`fingerprint`, when the file's turn comes.
    """
    return store.each(lambda name: fingerprint(store, name), names)
