"""Reads the files of the evidence store, each in one way, for all who need them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any

from airflow_provider_records.evidence import withheld
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Evidence:
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
        if name == uri or not inside(name):
            raise EvidenceError(f"{uri} does not lie in the evidence store {self.root}.")
        if self.listed is not None and name not in self.listed:
            raise EvidenceError(f"{name} is not in the certificate's list of files, though it rests on it.")
        return name


@dataclass
class List:
    """What is needed of a manifest: its keys in order, and its lines to find others among."""

    keys: list[str] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    selection: set[tuple[str, str]] = field(default_factory=set)

    @cached_property
    def known(self) -> Set[bytes]:
        """The lines to look one up among; made once, however many parts are held against the list."""
        return frozenset(self.lines)

    def __len__(self) -> int:
        return len(self.keys)

    def missing(self, hashes: Set[bytes]) -> Set[bytes]:
        """Return those of these hashes that no line of this list has."""
        return hashes - self.known

    def each_line(self) -> Iterator[withheld.Line]:
        """Return each record's key and line."""
        return zip(self.keys, self.lines, strict=True)


def inside(name: str) -> bool:
    """Tell whether a name cannot lead out of the folder that it is put behind."""
    return "\0" not in name and {"", ".", ".."}.isdisjoint(name.split("/"))


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


def each_block(file: IO[bytes]) -> Iterator[tuple[list[bytes], list[Any]]]:
    """Read JSON lines a block at a time, which takes half the time that line by line does.

    :return: lines and their values.
    :raises ValueError: a line is not one JSON value.
    """
    while lines := file.readlines(_BLOCK):
        values = json.loads(b"[%b]" % b",".join(lines))
        if len(values) != len(lines):
            raise ValueError("a line holds more or less than one value")
        yield lines, values


def _list_name(digest: str) -> str:
    return f"manifests/{digest.removeprefix('sha256:')}.jsonl"


def _read_list(evidence: Evidence, digest: str) -> List:
    name = evidence.name(f"{evidence.root}/{_list_name(digest)}")
    found, hashed = List(), hashlib.sha256()
    with evidence.store.open(name) as file:
        for lines, records in each_block(file):
            hashed.update(b"".join(lines))
            found.keys += [record["key"] for record in records]
            found.lines += [hashlib.blake2b(line, digest_size=16).digest() for line in lines]
            origins = [record["attributes"] for record in records if "attributes" in record]
            found.selection |= {(origin.get("connector_id"), origin.get("due_before")) for origin in origins}
    if f"sha256:{hashed.hexdigest()}" != digest:
        raise EvidenceError(f"The list {name} was changed: its bytes do not match its digest.")
    if len(set(found.keys)) != len(found.keys):
        raise EvidenceError(f"The list {name} names a record twice.")
    return found
