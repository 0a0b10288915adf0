"""Check a certificate and everything that it rests on: offline, without Airflow, from the evidence folder alone."""

from __future__ import annotations

import base64
import binascii
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from airflow_provider_records.evidence import audit, certificate, reader
from airflow_provider_records.evidence.journal import OPEN, Segment, load
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, task_folder
from airflow_provider_records.exceptions import ConfigurationError, EvidenceError, RecordsError, StoreUnavailableError
from airflow_provider_records.reporting import wording
from airflow_provider_records.reporting.verdict import RunStatus

_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)


@dataclass
class Report:
    """What a verification found.

    :param path: the certificate.
    :param problem: the first thing that does not fit, in words; None if everything fits.
    :param checked: what was found to fit, in the order it was looked at.
    :param notes: what fits but must be known: no signature, a key that was not checked, later tries.
    :param document: the certificate, once its bytes are known to be unchanged.
    """

    path: Path
    problem: str | None = None
    checked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    document: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether everything fits."""
        return self.problem is None


def verify(path: str | Path, public_key: str | Path | None = None) -> Report:
    """Verify a certificate where it lies, in its evidence folder, wherever that was moved to.

    :param path: ``…/certificates/<dag>/<run>.json``.
    :param public_key: PEM file of the key that must have signed it; None: the key that it names itself.
    :raises ConfigurationError: the key file is no Ed25519 public key.
    :raises StoreUnavailableError: a file is there and cannot be read, so that nobody knows whether all fits.
    """
    key = None if public_key is None else _public_key(Path(public_key))
    report = Report(Path(path).absolute())
    try:
        _verify(report, key)
    except (ConfigurationError, StoreUnavailableError):
        raise
    except RecordsError as error:
        report.problem = str(error)
    except _MALFORMED as error:
        report.problem = (
            f"The certificate is not of the form that this version reads ({type(error).__name__}: {error})."
        )
    return report


def _verify(report: Report, key: Ed25519PublicKey | None) -> None:
    folders = report.path.parents
    if len(folders) < 3 or folders[1].name != "certificates":
        raise EvidenceError(
            f"{report.path} does not lie in certificates/<DAG>/ of an evidence folder. A certificate is verified "
            "where it lies, together with the files that it names."
        )
    store = Store(str(folders[2]))
    name = report.path.relative_to(folders[2]).as_posix()
    document = certificate.read(store, name)
    report.checked.append(f"the certificate is unchanged: {document['digest']}")
    _check_signature(document, key, report)
    report.document = document
    _check_name(folders[2], name, document, report)
    listed = _check_files(folders[2], store, document, report)
    _check_account(store, document, listed, report)
    for entry in document["disposals"]:
        report.notes += _later(store, name, document, entry, listed)
    report.notes += _later_tasks(store, name, document, listed)
    if not document["complete"]:
        report.notes.append(f"The certificate says that it is not complete: {RunStatus.from_document(document).left}.")


def _check_signature(document: Mapping[str, Any], key: Ed25519PublicKey | None, report: Report) -> None:
    signature = document.get("signature")
    if signature is None:
        if key is not None:
            raise EvidenceError("The certificate is not signed, though a public key was given to check it with.")
        report.notes.append(
            "It is not signed: its digests show that nothing was changed by accident; whoever can write to the "
            "evidence folder could still have written all of it anew."
        )
        return
    try:
        raw, value = (base64.b64decode(signature[name], validate=True) for name in ("public_key", "value"))
        own = Ed25519PublicKey.from_public_bytes(raw)
        whole = {
            "algorithm": "Ed25519",
            "key_id": certificate.key_id(own),
            "public_key": base64.b64encode(raw).decode(),
            "value": base64.b64encode(value).decode(),
        }
        if signature != whole:
            raise ValueError
    except (*_MALFORMED, binascii.Error):
        raise EvidenceError("The signature was changed: it does not describe itself correctly any more.") from None
    if key is not None and certificate.key_id(key) != whole["key_id"]:
        raise EvidenceError(
            f"The certificate was signed with the key {whole['key_id']}, not with the one given "
            f"({certificate.key_id(key)})."
        )
    try:
        own.verify(value, certificate.body_bytes(document))
    except InvalidSignature:
        raise EvidenceError("The signature does not belong to this certificate: one of the two was changed.") from None
    report.checked.append(f"signed with the key {whole['key_id']}")
    if key is None:
        report.notes.append(
            f"The signature was checked with the key that the certificate names itself, {whole['key_id']}. Compare "
            "it with the one that your organisation published, or give that one with --public-key."
        )


def _check_name(root: Path, name: str, document: Mapping[str, Any], report: Report) -> None:
    run = document["run"]
    own = certificate.file_name(run["dag_id"], run["run_id"])
    if name == certificate.superseded_name(own, document["digest"]):
        report.notes.append(_newer(root, own, name))
    elif name != own:
        raise EvidenceError(
            f"The certificate is about DAG {run['dag_id']!r}, run {run['run_id']!r}, and belongs at {own}; "
            f"it was found at {name}."
        )
    for entry in document["disposals"]:
        made = entry["record"]["made"]
        if (made["dag_id"], made["run_id"]) != (run["dag_id"], run["run_id"]):
            raise EvidenceError(f"{entry['file']} belongs to another run than the certificate.")
    if older := document.get("supersedes"):
        report.notes.append(f"It replaces an earlier certificate of this run, {older['digest']} at {older['file']}.")


def _newer(root: Path, own: str, name: str) -> str:
    """Say what lies where the certificate lay before it was superseded."""
    if not (root / own).is_file():
        return f"It was superseded, but the newer certificate of this run does not lie at {own}: it was taken away."
    if (root / own).read_bytes() == (root / name).read_bytes():
        return f"It is a copy of the certificate at {own}; a newer one was begun and not written."
    return f"It was superseded: a newer certificate of this run lies at {own}."


def _check_files(root: Path, store: Store, document: Mapping[str, Any], report: Report) -> set[str]:
    """Hold every file against its hash."""
    listed: set[str] = set()
    for stated in document["files"]:
        name = stated["name"]
        if name in listed or not reader.inside(name):
            raise EvidenceError(f"The certificate lists {name} twice, or it lies outside of the evidence folder.")
        listed.add(name)
        _check_plain(root, name)
        if reader.fingerprint(store, name) != stated:
            raise EvidenceError(f"{name} was changed: its bytes are not those that the certificate was made from.")
    for entry in document["disposals"]:
        if entry["file"] not in listed:
            raise EvidenceError(f"{entry['file']} is not in the certificate's list of files, though it rests on it.")
        # Journals are read with what came after the certificate.
        for name in store.names(task_folder(entry["file"])):
            _check_plain(root, name)
    report.checked.append(
        f"{len(listed)} files are unchanged, {sum(each['size'] for each in document['files']):,} bytes"
    )
    return listed


def _check_plain(root: Path, name: str) -> None:
    """Look at a file before it is opened: a link leads elsewhere, and a pipe or device may never end."""
    try:
        mode = (root / name).lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise EvidenceError(f"{name} is missing: the certificate rests on it.") from None
    except OSError as error:
        raise StoreUnavailableError(f"{root / name} cannot be read: {error.strerror or error}.") from error
    if not stat.S_ISREG(mode):
        raise EvidenceError(f"{name} is no plain file; the evidence store holds no others, and no links.")


def _check_account(store: Store, document: Mapping[str, Any], listed: set[str], report: Report) -> None:
    """Sum up the files again and hold that against the certificate."""
    evidence = reader.Evidence(store, document["store"], frozenset(listed))
    disposals = {entry["file"]: Disposal.read(store, store.uri(entry["file"])) for entry in document["disposals"]}
    found = audit.take(evidence, disposals)
    expected = {*found.names, *([document["supersedes"]["file"]] if "supersedes" in document else [])}
    if odd := sorted(listed ^ expected):
        raise EvidenceError(f"The certificate's list of files does not fit what it rests on: {odd[0]}.")
    for entry, again in zip(document["disposals"], found.facts["disposals"], strict=True):
        again["method"] = entry["method"]
        for part, value in again.items():
            if entry[part] != value:
                raise EvidenceError(
                    f"What the certificate says of {entry['file']} ({part}) does not follow from the files."
                )
    for part, value in found.facts.items():
        if document[part] != value:
            raise EvidenceError(f"What the certificate says about {part} does not follow from the files.")
    report.checked += _accounts(document)


def _accounts(document: Mapping[str, Any]) -> Iterator[str]:
    approvers = {approval["approver"] for approval in document["approvals"]}
    number = len(document["approvals"])
    people = "1 person" if len(approvers) == 1 else f"{len(approvers)} persons"
    yield f"{number} approval{'s' * (number != 1)} by {people}, each for the list that it names"
    if text := wording.withheld(RunStatus.from_document(document).withheld):
        yield f"{text}; none of them is on an approved list"
    for entry in document["disposals"]:
        record = entry["record"]
        counts = record["counts"]
        parts = [f"{counts[result]:,} {wording.RESULTS[result]}" for result in OutcomeKind if counts[result]]
        yield (
            f"{record['description']['title']}: {sum(counts.values()):,} records on the list, as many "
            f"outcomes, in its order, as the journal has them ({', '.join(parts) or 'nothing to do'})"
        )


def _later(
    store: Store, name: str, document: Mapping[str, Any], entry: Mapping[str, Any], listed: set[str]
) -> Iterator[str]:
    """Account for files that are there and not in the certificate: a later try may have added them, nobody else."""
    folder = task_folder(entry["file"])
    if not (added := [each for each in store.names(folder) if each not in listed]):
        return
    segments = load(store, f"{folder}/journal")
    chained = {segment.name for segment in segments}
    _check_later_sessions(segments, entry, listed)
    tries = {(each.header["started"], each.header["try"]) for each in segments}
    summaries = [Disposal.read(store, store.uri(each)) for each in added if each.endswith("/disposal.json")]
    # An older try that lives on may have added its own, which nothing rests on.
    accounted = {
        name
        for each in summaries
        if each.idle or (each.made["run_started_at"], each.made["try_number"]) in tries
        for name in (store.name(each.uri), each.outcomes.removeprefix(f"{document['store']}/"))
    }
    later = bool(chained - listed)
    for each in added:
        hashed = f"{folder}/outcomes/{reader.fingerprint(store, each)['sha256']}.jsonl"
        # A try that ended early left outcomes without a summary.
        if each in chained or each in accounted or (later and each == hashed):
            continue
        if each.startswith(f"{folder}/journal/") and each.count("/") == folder.count("/") + 3:
            yield f"{each} is cut off: a later try ended while it wrote."
            continue
        raise EvidenceError(f"{each} is not in the certificate, and no later try accounts for it.")
    yield (
        f"{len(added)} files were added to {folder} after {name.rpartition('/')[2]} was written, by later tries; "
        "the certificate does not cover them."
    )


def _later_tasks(store: Store, name: str, document: Mapping[str, Any], listed: set[str]) -> Iterator[str]:
    """Name the task instances that wrote a journal after the certificate and have no disposal on it."""
    given = {task_folder(entry["file"]) for entry in document["disposals"]}
    for run in {folder.rsplit("/", 2)[0] for folder in given}:
        added = {audit.journal_of(run, each) for each in store.names(run) if each not in listed}
        for folder in sorted(added - given - {""}):
            yield (
                f"{folder} has a journal that {name.rpartition('/')[2]} does not name: it was written later, or the "
                "certificate was made without it. The certificate does not cover it."
            )


def _check_later_sessions(segments: Sequence[Segment], entry: Mapping[str, Any], listed: set[str]) -> None:
    """Check that each session that came after the certificate has read all before it."""
    known = {session["session"] for session in entry["journal"]}
    for header in (each.header for each in segments if each.header["kind"] == OPEN and each.name not in listed):
        if header["session"] in known or not known <= header["read"].keys():
            raise EvidenceError(
                f"Session {header['session']} was added to the journal of {entry['file']} without having read the "
                "sessions that the certificate names: no try does that."
            )


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"The public key {path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(f"{path} is no public key in PEM.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"{path} is no Ed25519 key.")
    return key
