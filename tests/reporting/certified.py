"""Certificates to look at: what tests of issuing and of verifying begin with."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records.evidence import certificate
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.authorization import for_part
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.signature import sign
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.reporting import issue
from airflow_provider_records.reporting.language import ENGLISH, Language
from airflow_provider_records.reporting.verdict import RunStatus
from airflow_provider_records.reporting.verify import Report, verify
from tests.evidence import evidence_factory
from tests.evidence.schemas import assert_store_valid

KEY = Ed25519PrivateKey.generate()
PKCS8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
NAME = certificate.file_name(evidence_factory.DAG, evidence_factory.RUN)
Edit = Callable[[dict[str, Any]], Any]


def keys(manifest: Manifest) -> list[str]:
    return [record.key for record in manifest]


def certify(
    store: Store, *disposals: Disposal, key: Ed25519PrivateKey | None = None, language: Language = ENGLISH
) -> dict[str, Any]:
    """Write the certificate and read back what lies in the store."""
    written = issue.write(store, disposals, evidence_factory.provenance("certificate"), key, language)
    content: dict[str, Any] = json.loads(store.read(store.name(written.uri)))
    assert_store_valid(store)
    assert content == written.certificate.to_dict()
    return content


def status(document: dict[str, Any]) -> RunStatus:
    """Return what a verdict is computed from."""
    return RunStatus.from_document(certificate.Certificate.from_dict(document))


def html(store: Store) -> str:
    """Return the page of the run."""
    return store.read(certificate.page_name(NAME)).decode()


def digest(store: Store) -> str:
    """Return the digest of the run's certificate."""
    return certificate.digest(store.read(NAME))


def night(store: Store, listed: Manifest) -> list[Disposal]:
    """A delete with refusals, then the mark of what went."""
    approvals = evidence_factory.approve(
        store, listed, "j.weber@example.org", "u.groessmann@example.org", comment="checked"
    )
    told = {keys(listed)[3]: OutcomeKind.BLOCKED, keys(listed)[7]: OutcomeKind.ABSENT}
    deleted = evidence_factory.carry_out(store, listed, approvals, system=evidence_factory.ObedientSystem(told))
    gone = Manifest.write(store, (record for record in listed if record.key not in told))
    marked = evidence_factory.carry_out(
        store, gone, approvals, name="opus", approved=listed, by=evidence_factory.provenance("mark")
    )
    return [deleted, marked]


def in_parts(store: Store, listed: Manifest, told: evidence_factory.ObedientSystem | None = None) -> list[Disposal]:
    """An approved list in two parts, of 15 and 25 records; each is deleted, then what went of it is marked."""
    approvals = [Approval.read(store, uri) for uri in evidence_factory.approve(store, listed, "a", "b")]
    found = []
    for place, some in enumerate((list(listed)[:15], list(listed)[15:])):
        part = Manifest.write(store, some)
        given_ = [for_part(approval, part.digest).write(store) for approval in approvals]
        origin = evidence_factory.provenance("part.delete", map_index=place)
        deleted = evidence_factory.carry_out(store, part, given_, system=told, by=origin)
        gone = [record for record in some if not told or record.key not in told.results]
        origin = evidence_factory.provenance("part.mark", map_index=place)
        marked = evidence_factory.carry_out(
            store, Manifest.write(store, gone), given_, name="opus", approved=part, by=origin
        )
        found += [deleted, marked]
    return found


def forget(store: Store, disposal: Disposal) -> str:
    """Take away what a task instance wrote, as if it had never begun; return its folder."""
    folder = disposal.provenance.folder.path
    shutil.rmtree(store.uri(folder).removeprefix("file://"))
    return folder


class Page(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


class Evidence:
    """One certified night in a folder: an approved list in two parts, a refusal, a retry, and the marks."""

    def __init__(self, root: Path, key: Ed25519PrivateKey | None = KEY) -> None:
        self.root, self.key = root, key
        self.store = Store(str(root))
        whole = Manifest.write(self.store, evidence_factory.records(12))
        first, _ = evidence_factory.approve(self.store, whole, "j.weber@example.org", "u.groessmann@example.org")
        self.listed = Manifest.write(self.store, list(whole)[:8])
        part = for_part(Approval.read(self.store, first), self.listed.digest)
        self.keys = [record.key for record in self.listed]
        self.approvals = [part.write(self.store)]
        told = {self.keys[2]: OutcomeKind.BLOCKED}
        self.delete(1, {**told, self.keys[5]: OutcomeKind.FAILED})
        deleted = self.delete(2, told)
        gone = Manifest.write(self.store, (record for record in self.listed if record.key not in told))
        marked = evidence_factory.carry_out(
            self.store, gone, self.approvals, name="opus", approved=self.listed, by=evidence_factory.provenance("mark")
        )
        bold = evidence_factory.carry_out(
            self.store, Manifest.write(self.store, ["x", "y"]), by=evidence_factory.provenance("bold")
        )
        self.disposals = [deleted, marked, bold, *self.rest(Approval.read(self.store, first), list(whole)[8:])]
        self.certify()

    def rest(self, approval: Approval, records: list[Record]) -> list[Disposal]:
        part = Manifest.write(self.store, records)
        given = [for_part(approval, part.digest).write(self.store)]
        return [
            evidence_factory.carry_out(
                self.store, part, given, name=name, by=evidence_factory.provenance("rest", map_index=place)
            )
            for place, name in enumerate(("enaio", "opus"))
        ]

    def delete(self, try_number: int, told: dict[str, OutcomeKind]) -> Disposal:
        origin = evidence_factory.provenance("delete_enaio", try_number)
        return evidence_factory.carry_out(
            self.store, self.listed, self.approvals, system=evidence_factory.ObedientSystem(told), by=origin
        )

    def certify(self) -> None:
        issue.write(self.store, self.disposals, evidence_factory.provenance("certificate"), self.key)
        assert_store_valid(self.store)

    @property
    def path(self) -> Path:
        return self.root / NAME

    @property
    def document(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.path.read_bytes())
        return content

    @property
    def digest(self) -> str:
        return certificate.digest(self.path.read_bytes())

    @property
    def page(self) -> Path:
        return self.path.with_suffix(".html")

    @property
    def own(self) -> list[Path]:
        """The certificate, its page, and what lies beside each of them."""
        beside = ".sig" if self.key else ".sha256"
        return [each.with_name(each.name + end) for each in (self.path, self.page) for end in ("", beside)]

    @property
    def files(self) -> list[Path]:
        """The certificate and every file that it rests on."""
        return [self.path, *(self.root / each["name"] for each in self.document["files"])]

    def reseal(self, document: dict[str, Any]) -> None:
        """Forge: write another document, and page and signatures that fit it."""
        content = canonical(document) + b"\n"
        page = self.page.read_bytes().replace(self.digest.encode(), certificate.digest(content).encode())
        for path, changed in ((self.path, content), (self.page, page)):
            path.write_bytes(changed)
            self.store.write(*sign(path.relative_to(self.root).as_posix(), changed, self.key))

    def relist(self, document: dict[str, Any]) -> None:
        """Forge: let the list of files fit what lies there now."""
        for each in document["files"]:
            content = (self.root / each["name"]).read_bytes()
            each |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}

    def verify(self, public_key: Path | None = None) -> Report:
        return verify(self.path, public_key)


def pem(path: Path, key: Ed25519PrivateKey) -> Path:
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    path.write_bytes(key.public_key().public_bytes(*form))
    return path


def problem(report: Report) -> str:
    assert not report.ok
    assert report.problem is not None
    return report.problem


def segments(evidence: Evidence) -> list[Path]:
    folder = evidence.root / evidence_factory.provenance("delete_enaio").folder.path / "journal"
    return sorted(folder.glob("*/*.jsonl"))
