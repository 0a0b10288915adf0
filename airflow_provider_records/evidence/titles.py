"""Titles of a run that reviewers need before they decide, where the evidence holds hashes only. They are no evidence.

They lie beside it, one file a list, and are removed when the run's certificate is written.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Set
from dataclasses import replace
from datetime import datetime
from itertools import islice

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.folders import titles_folder
from airflow_provider_records.evidence.names import is_hash
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError

log = logging.getLogger(__name__)

_AT_ONCE = 10_000
_MALFORMED = (EvidenceError, ValueError, TypeError, KeyError)


def line(named: Record, plain: Record) -> bytes:
    """Return the line of a record; empty if its title stands as it is.

    :param named: the record as it stands on the list.
    :param plain: the record with its title.
    """
    if not named.title or named.title == plain.title:
        return b""
    return canonical({"name": named.title, "title": plain.title}) + b"\n"


def write(store: Store, dag_id: str, run_id: str, digest: str, lines: Iterable[bytes]) -> None:
    """Keep the titles of a list, if they are not kept yet.

    :param digest: digest of the list.
    :param lines: see :func:`line`, in the order of the list.
    :raises EvidenceError: the store cannot be written.
    """
    name = f"{titles_folder(dag_id, run_id)}/{digest.removeprefix('sha256:')}.jsonl"
    left = filter(None, lines)
    first = next(left, None)
    if first is None or store.exists(name):
        return

    def pieces() -> Iterator[bytes]:
        yield canonical({"digest": digest, "written_at": now(), **formats.TITLES.members}) + b"\n"
        yield first
        yield from left

    store.write_pieces(name, pieces(), lambda _: None)


def remove(store: Store, dag_id: str, run_id: str) -> None:
    """Remove the titles of a run; what cannot be removed is logged, and :func:`remove_older` tries again."""
    try:
        for name in store.names(titles_folder(dag_id, run_id)):
            store.remove(name)
    except EvidenceError as error:
        log.warning("The titles of run %s are left, though it has its certificate: %s", run_id, error)


def remove_older(store: Store, dag_id: str, before: datetime) -> None:
    """Remove the titles of a DAG's runs that were written before a moment; what cannot be removed is logged.

    :raises EvidenceError: they cannot be listed.
    """
    for name in store.names(titles_folder(dag_id)):
        try:
            with store.open(name) as file:
                header = formats.TITLES.check_line(file.readline(), store.uri(name))
            if datetime.fromisoformat(header["written_at"]) < before:
                store.remove(name)
        except _MALFORMED as error:
            log.warning("The titles in %s are left, and may be of a run that is over: %s", store.uri(name), error)


def shown(store: Store, dag_id: str, run_id: str, records: Iterable[Record]) -> Iterator[Record]:
    """Yield records with their titles while these are kept, else as they stand; memory does not grow with the list.

    Titles and records are in the same order, so that the titles are read once.
    """
    left = iter(records)
    files: list[str] | None = None
    lines: Iterator[bytes] = iter(())
    while batch := list(islice(left, _AT_ONCE)):
        wanted = {record.title for record in batch if record.title and is_hash(record.title)}
        found: dict[str, str] = {}
        try:
            if wanted and files is None:
                files = store.names(titles_folder(dag_id, run_id))
            if wanted and files:
                _find(lines, wanted, found)
                if wanted - found.keys():
                    lines = _lines(store, files)
                    _find(lines, wanted, found)
        except _MALFORMED as error:
            log.info("Titles are not shown: %s", error)
            files = []
        for each in batch:
            yield replace(each, title=found[each.title]) if each.title in found else each


def _find(lines: Iterator[bytes], wanted: Set[str], found: dict[str, str]) -> None:
    """Read on until all wanted titles are found."""
    left = wanted - found.keys()
    for each in lines if left else ():
        members = json.loads(each)
        if members["name"] in left:
            found[members["name"]] = members["title"]
            left.remove(members["name"])
            if not left:
                return


def _lines(store: Store, names: Iterable[str]) -> Iterator[bytes]:
    for name in names:
        with store.open(name) as file:
            formats.TITLES.check_line(file.readline(), store.uri(name))
            yield from file
