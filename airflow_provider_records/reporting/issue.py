"""Issue the certificate of a DAG run: compose, sign, publish.

A certificate is four files: page, what lies beside the page, what lies beside the certificate, and the certificate
itself. They are published in this order; a long certificate has further pages, which come after the first one. So a
run that has no certificate yet has all of it from the moment when the certificate is there. An older certificate is
first kept under another name with everything of it, itself last: it verifies there whatever happens afterwards. A
process that dies in between leaves the older certificate at its first name too, beside parts of the newer one;
verification tells that state from tampering by the copy that was kept.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records.evidence import certificate as documents
from airflow_provider_records.evidence import reader, signature
from airflow_provider_records.evidence.audit import AuditResult, audit
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.certificate import Certificate, ListedFile, Run, Superseded
from airflow_provider_records.evidence.folders import TaskFolder
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.evidence.signature import VerificationKey
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, Provenance
from airflow_provider_records.exceptions import (
    ConfigurationError,
    EvidenceError,
    NewerFormatError,
    StoreUnavailableError,
)
from airflow_provider_records.reporting import pages, wording
from airflow_provider_records.reporting.language import ENGLISH, Language
from airflow_provider_records.reporting.verdict import RunStatus


@dataclass(frozen=True)
class IssuedCertificate:
    """A certificate in the store.

    :param uri: URI of the certificate.
    :param html: URI of its page.
    :param certificate: what it says.
    """

    uri: str
    html: str
    certificate: Certificate

    @property
    def complete(self) -> bool:
        """Whether nothing that it covers is left for another try, and nothing was a dry run."""
        return self.certificate.complete

    @property
    def left(self) -> str:
        """What is left, by system and outcome, and what has no disposal, in words."""
        return RunStatus.from_document(self.certificate).left

    def reference(self) -> dict[str, Any]:
        """Return what goes into XCom."""
        return {
            "certificate": self.uri,
            "html": self.html,
            "digest": self.certificate.digest,
            "complete": self.complete,
        }


def write(
    store: Store,
    disposals: Sequence[Disposal],
    provenance: Provenance,
    key: Ed25519PrivateKey | None = None,
    language: Language = ENGLISH,
) -> IssuedCertificate:
    """Read all the evidence again and write the certificate of a DAG run, with its page.

    An older certificate of the run is kept beside the new one, which names it; one that says the same stays.

    :param store: the evidence store.
    :param disposals: all of this run.
    :param provenance: who writes it.
    :param key: signs certificate and page; None: they get checksums.
    :param language: the language of the page.
    :raises ConfigurationError: another task has written the run's certificate; it stays as it is.
    :raises NewerFormatError: a newer release wrote a file, such as the run's certificate; it stays as it is.
    :raises EvidenceError: a file is missing, was changed or does not fit the others, or the older certificate says
        more; no certificate is written.
    :raises JournalError: the same, of a journal.
    :raises ApprovalError: the same, of an approval.
    """
    from airflow_provider_records.reporting import (
        certificate_page,  # needs Jinja, without which a certificate can be verified
    )

    name = documents.file_name(provenance.dag_id, provenance.run_id)
    _check_alone(store, name, provenance)
    found = audit(reader.EvidenceReader(store, store.root), {store.name(each.uri): each for each in disposals})
    older = _read_older(store, name)
    if older is not None:
        _refuse_less(older, found)
    verification_key = VerificationKey.from_key(key.public_key()) if key else None
    certificate = _compose(store, disposals, provenance, found, key=verification_key, language=language, older=None)
    if older is not None and _says_the_same(older, certificate):
        return IssuedCertificate(store.uri(name), store.uri(documents.page_name(name)), older)
    if kept := _keep_older(store, name):
        certificate = _compose(store, disposals, provenance, found, key=verification_key, language=language, older=kept)
    uri = _publish(store, name, certificate, key, certificate_page.pages(store, certificate, disposals))
    return IssuedCertificate(uri, store.uri(documents.page_name(name)), certificate)


def _compose(
    store: Store,
    disposals: Sequence[Disposal],
    provenance: Provenance,
    found: AuditResult,
    *,
    key: VerificationKey | None,
    language: Language,
    older: Superseded | None,
) -> Certificate:
    for entry, disposal in zip(found.facts["disposals"], disposals, strict=True):
        records = sum(disposal.counts.values())
        entry["method"] = wording.method(disposal.description, dry_run=disposal.dry_run, records=records)
    names = [*found.names, *([older.file] if older else [])]
    return Certificate(
        id=str(uuid.uuid4()),
        written_at=now(),
        language=language.code,
        store=store.root,
        run=Run(
            dag_id=provenance.dag_id,
            run_id=provenance.run_id,
            started_at=provenance.run_started_at,
            disposals_started_at=min(disposal.started_at for disposal in disposals),
            disposals_ended_at=max(disposal.ended_at for disposal in disposals),
        ),
        provenance=provenance,
        key=key,
        **found.facts,
        statements=wording.statements(found.facts["disposals"], key.key_id if key else None),
        files=[ListedFile(**found) for found in reader.fingerprints(store, sorted(names))],
        supersedes=older,
    )


def _publish(
    store: Store,
    name: str,
    certificate: Certificate,
    key: Ed25519PrivateKey | None,
    rendered: Iterable[Iterable[bytes]],
) -> str:
    """Publish the certificate after everything that belongs to it; return its URI."""
    page_name, content, part = documents.page_name(name), certificate.to_bytes(), 0
    for part, page in enumerate(rendered, 1):
        part_name = documents.part_name(name, part)
        store.write(*store.write_pieces(part_name, page, partial(_signed, part_name, key)))
    for each in pages.unexpected(store, name, certificate, part):  # what an earlier, longer certificate had
        store.remove(each)
    store.write(*signature.sign(name, content, key))
    uri = store.write(name, content)
    # What an earlier certificate had, which was signed where this one is not, or the other way round.
    other = signature.CHECKSUM if key else signature.SIGNATURE
    for each in (page_name, name):
        store.remove(each + other)
    return uri


def _signed(name: str, key: Ed25519PrivateKey | None, content: memoryview) -> tuple[str, bytes]:
    return signature.sign(name, content, key)


def _check_alone(store: Store, name: str, provenance: Provenance) -> None:
    """Refuse to supersede what is no older version: another task's certificate covers other disposals."""
    if not store.exists(name):
        return
    try:
        writer = documents.parse(store.read(name)).provenance
        other = (writer.task_id, writer.map_index)
    except NewerFormatError:
        raise
    except EvidenceError:
        return
    if other != (provenance.task_id, provenance.map_index):
        raise ConfigurationError(
            f"{store.uri(name)} was written by task {other[0]!r}, map index {other[1]}, not by this one. A run has one "
            "certificate: name all of its disposals in disposals= of one task that is not mapped. If that task was "
            "renamed, move its certificate out of the way."
        )


def _read_older(store: Store, name: str) -> Certificate | None:
    """Read the run's certificate as it stands; None if there is none, or if it or its page is not whole."""
    if not store.exists(name):
        return None
    try:
        older = documents.read(store, name)
        pages.check(store, name, older)
    except (NewerFormatError, StoreUnavailableError):
        raise
    except EvidenceError:
        return None
    return older


def _refuse_less(older: Certificate, found: AuditResult) -> None:
    """Refuse to replace a certificate by one that leaves out a journal of it: the store has lost evidence."""
    held = {session["session"]: entry["file"] for entry in older.disposals for session in entry["journal"]}
    kept = {session["session"] for entry in found.facts["disposals"] for session in entry["journal"]}
    missing = {each["task"] for each in found.facts["missing_disposals"]}
    for session, file in held.items():
        if session not in kept and TaskFolder.containing(file).path not in missing:
            raise EvidenceError(
                f"The certificate of this run covers {file} with session {session} of its journal, and the evidence "
                "store does not hold that any more. The certificate stays as it is; restore the evidence."
            )


def _says_the_same(older: Certificate, newer: Certificate) -> bool:
    """Compare two certificates but for when, by which try, and in place of what they were written."""

    def said(certificate: Certificate) -> dict[str, Any]:
        document = certificate.to_dict()
        replaced = document.pop("supersedes", None) or {"file": ""}
        document["files"] = [each for each in document["files"] if each["name"] != replaced["file"]]
        return {name: value for name, value in document.items() if name not in {"id", "written_at", "provenance"}}

    return canonical(said(older)) == canonical(said(newer))


def _keep_older(store: Store, name: str) -> Superseded | None:
    """Keep a certificate that is to be replaced, with everything of it, itself last."""
    if not store.exists(name):
        return None
    content = store.read(name)
    digest = documents.digest(content)
    kept = documents.superseded_name(name, digest)
    if store.exists(kept):
        # A try that died afterwards has kept it; what lies beside its first name may be of the newer one by now.
        if store.read(kept) != content:
            raise EvidenceError(f"{store.uri(kept)} was changed: it is not the certificate {digest} any more.")
        return Superseded(kept, digest)
    for each in store.names(documents.parts_folder(name)):  # what lies beside a part names it without its folder
        _copy(store, each, documents.parts_folder(kept) + each.removeprefix(documents.parts_folder(name)))
    page, kept_page = documents.page_name(name), documents.page_name(kept)
    _copy(store, page, kept_page)
    for old, new in ((page, kept_page), (name, kept)):
        _copy(store, old + signature.SIGNATURE, new + signature.SIGNATURE)
        if store.exists(old + signature.CHECKSUM):
            # The line names the file. Its digits stay: to compute them again would confirm a changed file.
            stated = store.read(old + signature.CHECKSUM).decode("ascii", "replace").partition(" ")[0]
            store.write(new + signature.CHECKSUM, signature.checksum_line(new, stated))
    store.write(kept, content)
    return Superseded(kept, digest)


def _copy(store: Store, name: str, to: str) -> None:
    if store.exists(name):
        store.write(to, store.read(name))
