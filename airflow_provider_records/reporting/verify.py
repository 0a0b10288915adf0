"""Check a certificate, its page and everything that it rests on: offline, without Airflow, from the store alone."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn

from airflow_provider_records.evidence import certificate as documents
from airflow_provider_records.evidence import reader, signature
from airflow_provider_records.evidence.approval import DAG, PERSON, PROCESS
from airflow_provider_records.evidence.audit import audit
from airflow_provider_records.evidence.certificate import Certificate
from airflow_provider_records.evidence.outcome import OutcomeKind, Proof
from airflow_provider_records.evidence.signature import VerificationKey
from airflow_provider_records.evidence.store import Store, is_inside, remote_store
from airflow_provider_records.evidence.summary import Disposal, SystemDescription
from airflow_provider_records.exceptions import (
    CertificateUnfinishedError,
    ConfigurationError,
    EvidenceError,
    NewerFormatError,
    RecordsError,
    StoreUnavailableError,
)
from airflow_provider_records.reporting import pages, wording
from airflow_provider_records.reporting.later import later_tries
from airflow_provider_records.reporting.verdict import RunStatus

_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)
_UNDECIDED = (ConfigurationError, StoreUnavailableError, NewerFormatError, CertificateUnfinishedError)
_APPROVERS = {PERSON: ("person", "persons"), PROCESS: ("process", "processes"), DAG: ("DAG", "DAGs")}


@dataclass
class Report:
    """What a verification found.

    :param store: where it lies.
    :param name: the certificate's name there.
    :param problem: the first thing that does not fit, in words; None if everything fits.
    :param checked: what was found to fit, in the order it was looked at.
    :param notes: what fits but must be known: no signature, a key that was not checked, later tries.
    :param certificate: what it says, once its bytes and its page are known to be unchanged.
    """

    store: Store
    name: str
    problem: str | None = None
    checked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    certificate: Certificate | None = None

    @property
    def ok(self) -> bool:
        """Whether everything fits."""
        return self.problem is None


def verify(
    certificate: str | Path,
    public_key: str | Path | None = None,
    open_store: Callable[[str], Store] = remote_store,
) -> Report:
    """Verify a certificate where it lies, in its evidence folder, wherever that was moved to.

    :param certificate: path or URL of ``…/certificates/<dag>/<run>.json``.
    :param public_key: PEM file of the key that must have signed it; None: the key that it names itself.
    :param open_store: opens the evidence folder at a URL that is not local.
    :raises ConfigurationError: there is no such file, the URL is none of a certificate, or the key file is no Ed25519
        public key.
    :raises StoreUnavailableError: a file is there and cannot be read, so that it cannot be decided.
    :raises NewerFormatError: a file was written by a newer release.
    :raises CertificateUnfinishedError: the certificate is being written, or its writing ended early.
    """
    key = None if public_key is None else _public_key(Path(public_key))
    where, is_local = str(certificate).removeprefix("file://"), True
    if "://" in where:
        is_local = False
    else:
        where = str(Path(where).absolute())
    root, *parts = where.rsplit("/", 3)
    name = "/".join(parts)
    if len(parts) < 3 or parts[0] != "certificates" or root.endswith(":/"):
        problem = (
            f"{where} does not lie in certificates/<DAG>/ of an evidence folder. A certificate is verified "
            "where it lies, together with the files that it names."
        )
        if not is_local:
            raise ConfigurationError(problem)
        _check_present(Path(where))
        return Report(PlainFiles(str(Path(where).parent)), Path(where).name, problem)
    store = PlainFiles(root or "/") if is_local else open_store(root)
    report = Report(store, name)
    if is_local:
        _check_present(Path(where))
    elif not store.exists(name):
        _refuse_missing(where, is_begun=store.exists(documents.page_name(name)))
    try:
        Verifier(store, name, key, report).run()
    except _UNDECIDED:
        raise
    except RecordsError as error:
        report.problem = str(error)
    except _MALFORMED as error:
        report.problem = f"The certificate does not have the expected form ({type(error).__name__}: {error})."
    return report


class PlainFiles(Store):
    """An evidence folder of which only plain files are opened: a link leads elsewhere, a pipe or device never ends."""

    def _open_local(self, path: Path) -> IO[bytes]:
        name = path.relative_to(self._local).as_posix()
        try:
            self._refuse_linked_folders(path)
            self._refuse_others(name, path.lstat().st_mode)
            # The file may be exchanged at this moment; so what was opened is looked at as well.
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        except (FileNotFoundError, NotADirectoryError):
            raise EvidenceError(f"{name} is missing; without it the certificate cannot be verified.") from None
        file = os.fdopen(handle, "rb")
        try:
            self._refuse_others(name, os.fstat(handle).st_mode)
        except EvidenceError:
            file.close()
            raise
        return file

    def _refuse_linked_folders(self, path: Path) -> None:
        """Refuse a file below a folder that is a link, which may lead out of the evidence folder."""
        for folder in list(path.relative_to(self._local).parents)[:-1]:
            if (self._local / folder).is_symlink():
                raise EvidenceError(f"{folder} is a link; the evidence store holds plain files and folders only.")

    @staticmethod
    def _refuse_others(name: str, mode: int) -> None:
        if not stat.S_ISREG(mode):
            raise EvidenceError(f"{name} is no plain file; the evidence store holds no others, and no links.")


class Verifier:
    """Verifies one certificate, step by step; the first step that fails raises.

    :param store: the evidence store.
    :param name: the certificate's name there.
    :param public_key: the key that must have signed it; None: the key that it names itself.
    :param report: takes what was found.
    """

    def __init__(self, store: Store, name: str, public_key: VerificationKey | None, report: Report) -> None:
        self._store, self._name, self._public_key, self._report = store, name, public_key, report

    def run(self) -> None:
        """Take all steps.

        :raises EvidenceError: something is missing, was changed or does not fit.
        :raises JournalError: the same, of a journal.
        :raises ApprovalError: the same, of an approval.
        """
        content = self._store.read(self._name)
        certificate = documents.parse(content)
        self._verify_key(certificate)
        try:
            self._verify_signature(certificate, content)
            self._verify_page(certificate)
        except EvidenceError as error:
            if not isinstance(error, StoreUnavailableError):
                self._refuse_unfinished(certificate, content)
            raise
        self._verify_place(certificate, content)
        self._report.certificate = certificate
        self._verify_files(certificate)
        self._verify_contents(certificate)
        self._report.notes += later_tries(self._store, certificate)
        if not certificate.complete:
            left = RunStatus.from_document(certificate).left
            self._report.notes.append(f"The certificate says that it is not complete: {left}.")

    def _verify_key(self, certificate: Certificate) -> None:
        if self._public_key is None:
            return
        if certificate.key is None:
            raise EvidenceError("The certificate is not signed, though a public key was given to check it with.")
        if certificate.key.key_id != self._public_key.key_id:
            raise EvidenceError(
                f"The certificate says that it was signed with the key {certificate.key.key_id}, not with the one "
                f"given ({self._public_key.key_id})."
            )

    def _verify_signature(self, certificate: Certificate, content: bytes) -> None:
        key = certificate.key
        signature.check(self._store, self._name, content, key)
        self._report.checked.append(f"the certificate is unchanged: {certificate.digest}")
        if key is None:
            self._report.notes.append(
                "It is not signed: its checksums show that nothing was changed by accident; whoever can write to the "
                "evidence folder could still have written all of it anew."
            )
            return
        self._report.checked.append(f"signed with the key {key.key_id}")
        if self._public_key is None:
            self._report.notes.append(
                f"The signature was checked with the key that the certificate names itself, {key.key_id}. Compare "
                "it with the one that your organisation published, or give that one with --public-key."
            )

    def _verify_page(self, certificate: Certificate) -> None:
        """Check the bytes of the page, and of each further page of a long certificate."""
        name = documents.page_name(self._name)
        parts = pages.check(self._store, self._name, certificate)
        self._report.checked.append(
            "its page is unchanged and names this certificate"
            if parts == 1
            else f"its {parts} pages are unchanged and name this certificate"
        )
        other = signature.SIGNATURE if certificate.key is None else signature.CHECKSUM
        for beside in (self._name + other, name + other):
            if self._store.exists(beside):
                state = "is not signed" if certificate.key is None else "is signed"
                self._report.notes.append(
                    f"{beside} does not belong to this certificate, which {state}; nothing rests on it. An earlier "
                    "certificate of this run may have left it."
                )

    def _refuse_unfinished(self, certificate: Certificate, content: bytes) -> None:
        """Tell a newer certificate that was begun and not finished from a page or a signature that was changed.

        The older certificate stands at both names then, and under the second one it verifies.
        """
        kept = documents.superseded_name(self._name, certificate.digest)
        if self._store.exists(kept) and self._store.read(kept) == content:
            Verifier(self._store, kept, self._public_key, Report(self._store, kept)).run()
            raise CertificateUnfinishedError(
                f"A newer certificate of this run was begun and not finished, so that what lies beside {self._name} "
                f"is not of this certificate any more. Run the certifying task again. The older certificate verifies "
                f"at {kept}."
            )

    def _verify_place(self, certificate: Certificate, content: bytes) -> None:
        run = certificate.run
        own = documents.file_name(run.dag_id, run.run_id)
        if self._name == documents.superseded_name(own, certificate.digest):
            self._report.notes.append(self._superseded_by(own, content))
        elif self._name != own:
            raise EvidenceError(
                f"The certificate is about DAG {run.dag_id!r}, run {run.run_id!r}, and belongs at {own}; "
                f"it was found at {self._name}."
            )
        for entry in certificate.disposals:
            origin = entry["disposal"]["provenance"]
            if (origin["dag_id"], origin["run_id"]) != (run.dag_id, run.run_id):
                raise EvidenceError(f"{entry['file']} belongs to another run than the certificate.")
        if older := certificate.supersedes:
            self._report.notes.append(
                f"It replaces an earlier certificate of this run, {older.digest} at {older.file}."
            )

    def _superseded_by(self, own: str, content: bytes) -> str:
        """Say what lies where the certificate lay before it was superseded."""
        if not self._store.exists(own):
            return f"It was superseded, but the newer certificate of this run does not lie at {own}: it was taken away."
        if self._store.read(own) == content:
            return f"It is a copy of the certificate at {own}; a newer one was begun and not written."
        return f"It was superseded: a newer certificate of this run lies at {own}."

    def _verify_files(self, certificate: Certificate) -> None:
        listed: set[str] = set()
        for stated in certificate.files:
            if stated.name in listed or not is_inside(stated.name):
                raise EvidenceError(
                    f"The certificate lists {stated.name} twice, or it lies outside of the evidence folder."
                )
            listed.add(stated.name)
        again = reader.fingerprints(self._store, [each.name for each in certificate.files])
        for stated, found in zip(certificate.files, again, strict=True):
            if (found["sha256"], found["size"]) != (stated.sha256, stated.size):
                raise EvidenceError(
                    f"{stated.name} was changed: its bytes are not those that the certificate was made from."
                )
        for entry in certificate.disposals:
            if entry["file"] not in listed:
                raise EvidenceError(
                    f"{entry['file']} is not in the certificate's list of files, though it rests on it."
                )
        size = sum(each.size for each in certificate.files)
        self._report.checked.append(f"{len(listed)} files are unchanged, {size:,} bytes")

    def _verify_contents(self, certificate: Certificate) -> None:
        """Audit the files again and compare the result with what the certificate says."""
        listed, document = {each.name for each in certificate.files}, certificate.to_dict()
        evidence = reader.EvidenceReader(self._store, certificate.store, frozenset(listed))
        disposals = {
            entry["file"]: Disposal.read(self._store, self._store.uri(entry["file"])) for entry in certificate.disposals
        }
        found = audit(evidence, disposals)
        expected = {*found.names, *([certificate.supersedes.file] if certificate.supersedes else [])}
        if odd := sorted(listed ^ expected):
            raise EvidenceError(f"The certificate's list of files does not fit what it rests on: {odd[0]}.")
        for entry, again in zip(certificate.disposals, found.facts["disposals"], strict=True):
            again["method"] = entry["method"]
            for part, value in again.items():
                if entry.get(part, 0) != value:  # a number that an older release did not know is 0
                    raise EvidenceError(
                        f"What the certificate says of {entry['file']} ({part}) does not follow from the files."
                    )
        for part, value in found.facts.items():
            if part != "disposals" and document[part] != value:
                raise EvidenceError(f"What the certificate says about {part} does not follow from the files.")
        self._report.checked += _contents(certificate)
        if certificate.key is not None:
            for entry in certificate.disposals:
                self._report.notes += wording.otherwise_signed(entry, certificate.key.key_id)


def _approvers(approver_type: str, number: int) -> str:
    one, more = _APPROVERS[approver_type]
    return f"1 {one}" if number == 1 else f"{number} {more}"


def _contents(certificate: Certificate) -> Iterator[str]:
    approvers = {(approval["approver_type"], approval["approver"]) for approval in certificate.approvals}
    types = Counter(approver_type for approver_type, _ in approvers)
    number = len(certificate.approvals)
    by = ", ".join(_approvers(each, types[each]) for each in (PERSON, PROCESS, DAG) if types[each]) or "nobody"
    yield f"{number} approval{'s' * (number != 1)} by {by}, each for the list that it names"
    if signed := sum("signed_by" in approval for approval in certificate.approvals):
        yield f"{signed} approval{'s' * (signed != 1)} signed with the key that the deleting task demanded"
    if text := wording.withheld(RunStatus.from_document(certificate).withheld):
        yield f"{text}; none of them is on an approved list"
    for entry in certificate.disposals:
        record = entry["disposal"]
        counts = record["counts"]
        said = SystemDescription.from_dict(record["description"])
        parts = [f"{counts[result]:,} {wording.label(said, result)}" for result in OutcomeKind if counts.get(result)]
        proofs = ", ".join(f"{number:,} by {proof}" for proof in Proof if (number := entry["proofs"].get(proof)))
        yield (
            f"{record['description']['title']}: {sum(counts.values()):,} records on the list, as many "
            f"outcomes, in its order, as the journal has them ({', '.join(parts) or 'nothing to do'}"
            f"{'; proofs: ' if proofs else ''}{proofs})"
        )


def _check_present(path: Path) -> None:
    try:
        if not stat.S_ISDIR(path.lstat().st_mode):
            return
        problem = os.strerror(errno.EISDIR)
    except FileNotFoundError:
        _refuse_missing(str(path), is_begun=Path(documents.page_name(str(path))).exists())
    except OSError as error:
        problem = error.strerror or str(error)
    raise ConfigurationError(f"{path} cannot be read: {problem}.")


def _refuse_missing(where: str, *, is_begun: bool) -> NoReturn:
    if is_begun:
        raise CertificateUnfinishedError(
            f"{where} is not there, but its page is: the certificate was begun and not finished, or it was taken "
            "away. Run the certifying task again."
        )
    raise ConfigurationError(f"{where} cannot be read: {os.strerror(errno.ENOENT)}.")


def _public_key(path: Path) -> VerificationKey:
    try:
        with PlainFiles(str(path.absolute().parent)).open(path.name) as file:
            pem = file.read()
    except StoreUnavailableError as error:
        raise ConfigurationError(f"The public key cannot be read: {error}") from None
    except EvidenceError:
        problem = "it is a link or a pipe; name the file itself" if os.path.lexists(path) else os.strerror(errno.ENOENT)
        raise ConfigurationError(f"The public key {path} cannot be read: {problem}.") from None
    return signature.public_key(pem, str(path))
