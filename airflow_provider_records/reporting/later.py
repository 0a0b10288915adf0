"""What was added to a run after its certificate: later tries, which are told from tampering."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from airflow_provider_records.evidence import reader
from airflow_provider_records.evidence.certificate import Certificate
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.segment import OPEN, Segment, load_segments
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import EvidenceError


def later_tries(store: Store, certificate: Certificate) -> Iterator[str]:
    """Account for files that the certificate does not list: a later try of a task may have added them, nothing else.

    :param store: the evidence store.
    :param certificate: its own files are unchanged.
    :return: what was added, in words.
    :raises EvidenceError: no later try accounts for a file.
    """
    listed = {each.name for each in certificate.files}
    for entry in certificate.disposals:
        yield from _added(store, certificate, entry, listed)
    yield from _later_tasks(store, certificate, listed)


def _added(store: Store, certificate: Certificate, entry: Mapping[str, Any], listed: Set[str]) -> Iterator[str]:
    folder = TaskFolder.containing(entry["file"])
    if not (added := [each for each in store.names(folder.path) if each not in listed]):
        return
    segments = load_segments(store, folder.journal)
    chained = {segment.name for segment in segments}
    _check_later_sessions(segments, entry, listed)
    tries = {(each.header["started"], each.header["try"]) for each in segments}
    summaries = [Disposal.read(store, store.uri(each)) for each in added if each.endswith("/disposal.json")]
    # An older try that still runs may have added its own summary; nothing refers to it.
    accounted = {
        name
        for each in summaries
        if each.idle or (each.provenance.started, each.provenance.try_number) in tries
        for name in (store.name(each.uri), each.outcomes.removeprefix(f"{certificate.store}/"))
    }
    later = bool(chained - listed)
    for each in added:
        hashed = f"{folder.outcomes}/{reader.fingerprint(store, each)['sha256']}.jsonl"
        # A try that ended early left outcomes without a summary.
        if each in chained or each in accounted or (later and each == hashed):
            continue
        if folder.is_journal(each) and each.count("/") == folder.path.count("/") + 3:
            yield f"{each} is cut off: a later try ended while it wrote."
            continue
        raise EvidenceError(f"{each} is not in the certificate, and no later try accounts for it.")
    yield (
        f"{len(added)} files were added to {folder.path} after the certificate was written, by later tries; it does "
        "not cover them."
    )


def _check_later_sessions(segments: Sequence[Segment], entry: Mapping[str, Any], listed: Set[str]) -> None:
    """Check that each session that came after the certificate has read all before it."""
    known = {session["session"] for session in entry["journal"]}
    for header in (each.header for each in segments if each.header["kind"] == OPEN and each.name not in listed):
        if header["session"] in known or not known <= header["read"].keys():
            raise EvidenceError(
                f"Session {header['session']} was added to the journal of {entry['file']} without having read the "
                "sessions that the certificate names: no try does that."
            )


def _later_tasks(store: Store, certificate: Certificate, listed: Set[str]) -> Iterator[str]:
    """Name the task instances that wrote a journal after the certificate and have no disposal on it."""
    given = {TaskFolder.containing(entry["file"]) for entry in certificate.disposals}
    for run in {folder.run for folder in given}:
        files = [each for each in store.names(run) if each not in listed]
        added = {folder for each in files if (folder := TaskFolder.containing(each)).is_journal(each)}
        for path in sorted(folder.path for folder in added - given):
            yield (
                f"{path} has a journal that the certificate does not name: it was written later, or the certificate "
                "was made without it. The certificate does not cover it."
            )
