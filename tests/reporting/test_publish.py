"""How a certificate is signed and published, and how older ones are kept."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records.evidence import certificate
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import (
    CertificateUnfinishedError,
    ConfigurationError,
    EvidenceError,
    NewerFormatError,
)
from airflow_provider_records.reporting import issue
from airflow_provider_records.reporting.verify import verify
from tests.evidence import evidence_factory
from tests.reporting.certified import KEY, NAME, Evidence, certify, digest, html, night, pem, problem

OTHER_KEY = Ed25519PrivateKey.generate()


def tool(name: str, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool that the evidence format promises to be enough."""
    assert shutil.which(name), f"{name} is not installed; auditors check certificates with it, so it is tested with it"
    command = [name, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def openssl(path: Path, key: Path, signature: Path) -> subprocess.CompletedProcess[str]:
    words = ("-verify", "-pubin", "-inkey", str(key), "-rawin", "-in", path.name, "-sigfile", signature.name)
    return tool("openssl", "pkeyutl", *words, folder=path.parent)


@pytest.mark.usefixtures("always_anew")
def test_openssl_alone_checks_certificate_and_page(evidence: Evidence, tmp_path: Path) -> None:
    key = pem(tmp_path / "key.pem", KEY)
    evidence.certify()
    paths = sorted(path for path in evidence.path.parent.iterdir() if path.suffix in {".json", ".html"})
    assert len(paths) == 4
    signatures = [path.with_name(f"{path.name}.sig") for path in paths]
    for path, signature in zip(paths, signatures, strict=True):
        assert len(signature.read_bytes()) == 64
        done = openssl(path, key, signature)
        assert (done.returncode, done.stdout) == (0, "Signature Verified Successfully\n"), done.stderr
    assert openssl(paths[0], key, signatures[1]).returncode == 1
    assert openssl(paths[0], pem(tmp_path / "other.pem", OTHER_KEY), signatures[0]).returncode == 1
    paths[0].write_bytes(paths[0].read_bytes() + b" ")
    assert openssl(paths[0], key, signatures[0]).returncode == 1


@pytest.mark.usefixtures("always_anew")
def test_sha256sum_alone_checks_what_is_not_signed(tmp_path: Path) -> None:
    unsigned = Evidence(tmp_path / "evidence", key=None)
    unsigned.certify()
    folder = unsigned.path.parent
    checksums = sorted(path.name for path in folder.glob("*.sha256"))
    assert len(checksums) == 4
    done = tool("sha256sum", "-c", *checksums, folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "".join(f"{name.removesuffix('.sha256')}: OK\n" for name in checksums)
    unsigned.page.write_bytes(unsigned.page.read_bytes() + b" ")
    assert tool("sha256sum", "-c", *checksums, folder=folder).returncode == 1


def test_the_digest_is_over_the_bytes_of_the_file(store: Store, listed: Manifest) -> None:
    """Also with nothing of ours: sorted keys, no blanks, UTF-8, one line end."""
    document = certify(store, *night(store, listed), key=KEY)
    content = store.read(NAME)
    form: dict[str, Any] = {"ensure_ascii": False, "sort_keys": True, "separators": (",", ":")}
    assert json.dumps(document, **form).encode() + b"\n" == content
    assert {"digest", "signature"}.isdisjoint(document)
    raw = KEY.public_key().public_bytes_raw()
    assert document["key"] == {
        "algorithm": "Ed25519",
        "key_id": f"sha256:{hashlib.sha256(raw).hexdigest()}",
        "public_key": base64.b64encode(raw).decode(),
    }
    assert f'<dd class="mono">sha256:{hashlib.sha256(content).hexdigest()}</dd>' in html(store)


def test_without_a_key_there_is_no_signature(store: Store, listed: Manifest) -> None:
    assert certify(store, *night(store, listed))["key"] is None
    assert "Neither of the two files carries an electronic signature" in html(store)


@pytest.mark.usefixtures("always_anew")
@pytest.mark.parametrize("key", [KEY, None], ids=["signed", "unsigned"])
def test_an_older_certificate_is_kept_and_named(store: Store, listed: Manifest, key: Ed25519PrivateKey | None) -> None:
    disposals = night(store, listed)
    certify(store, *disposals, key=key)
    first, content, page = digest(store), store.read(NAME), html(store)
    second = certify(store, *disposals, key=key)
    kept = NAME.replace(".json", f".superseded-{first[7:19]}.json")
    assert second["supersedes"] == {"file": kept, "digest": first}
    assert store.read(kept) == content
    assert store.read(kept.replace(".json", ".html")).decode() == page
    assert kept in {each["name"] for each in second["files"]}
    assert first in html(store)
    second_digest = digest(store)
    assert certify(store, *disposals, key=key)["supersedes"]["digest"] == second_digest
    assert len(store.names("certificates")) == 3 * 4


def test_a_broken_older_certificate_is_kept_too(store: Store, listed: Manifest) -> None:
    disposals = night(store, listed)
    store.write(NAME, b'{"digest": "sha256:')
    older = issue.write(store, disposals, evidence_factory.provenance("certificate")).certificate.supersedes
    assert older is not None
    assert store.read(older.file) == b'{"digest": "sha256:'


def test_a_certificate_of_a_newer_release_is_not_replaced(store: Store, listed: Manifest) -> None:
    disposals = night(store, listed)
    content = canonical(certify(store, *disposals) | {"version": 2})
    store.write(NAME, content)
    with pytest.raises(NewerFormatError, match="was written by a newer release"):
        issue.write(store, disposals, evidence_factory.provenance("certificate"))
    assert store.read(NAME) == content


@pytest.mark.usefixtures("always_anew")
def test_what_was_kept_and_changed_is_not_replaced(store: Store, listed: Manifest) -> None:
    disposals = night(store, listed)
    certify(store, *disposals)
    store.write(certificate.superseded_name(NAME, digest(store)), b"changed")
    with pytest.raises(EvidenceError, match="was changed: it is not the certificate"):
        certify(store, *disposals)


@pytest.mark.parametrize("other", [{"task": "another"}, {"task": "certificate", "map_index": 3}])
def test_another_tasks_certificate_is_not_superseded(store: Store, listed: Manifest, other: dict[str, Any]) -> None:
    disposals = night(store, listed)
    issue.write(store, disposals, evidence_factory.provenance(**other))
    before = {name: store.read(name) for name in store.names("certificates")}
    with pytest.raises(ConfigurationError, match=r"was written by task .*: name all of its disposals in disposals="):
        certify(store, *disposals)
    assert {name: store.read(name) for name in store.names("certificates")} == before


class Died(BaseException):
    """The process ended."""


@pytest.fixture
def die_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Let the process end before a file is written or removed: the one after so many."""
    left: list[int | None] = [None]

    def counted(name: str) -> None:
        real = getattr(Store, name)

        def step(self: Store, *args: Any) -> Any:
            if left[0] == 0:
                raise Died
            if left[0] is not None:
                left[0] -= 1
            return real(self, *args)

        monkeypatch.setattr(Store, name, step)

    for name in ("write", "write_pieces", "remove"):
        counted(name)

    def set_left(steps: int | None) -> None:
        left[0] = steps

    return set_left


@pytest.mark.usefixtures("always_anew")
@pytest.mark.parametrize("before", [False, None, KEY, OTHER_KEY], ids=["none", "unsigned", "signed", "other key"])
@pytest.mark.parametrize("after", [None, KEY], ids=["to unsigned", "to signed"])
def test_a_death_between_any_two_files_accuses_nobody(
    tmp_path: Path, die_after: Callable[[int | None], None], before: Any, after: Ed25519PrivateKey | None
) -> None:
    """Afterwards the older certificate verifies, or is said to be half replaced; the next try puts all in order."""
    evidence = Evidence(tmp_path / "evidence", key=before or None)
    older = evidence.digest
    if before is False:
        shutil.rmtree(evidence.path.parent)
    shutil.copytree(evidence.root, tmp_path / "begin")
    half = steps = 0
    while True:
        shutil.rmtree(evidence.root)
        shutil.copytree(tmp_path / "begin", evidence.root)
        evidence.key = after
        die_after(steps)
        try:
            evidence.certify()
            break
        except Died:
            pass
        finally:
            die_after(None)
        kept = evidence.root / certificate.superseded_name(NAME, older)
        if kept.exists():
            report = verify(kept)
            assert report.ok, report.problem
        try:
            report = evidence.verify()
        except (CertificateUnfinishedError, ConfigurationError):
            half, replaced = half + 1, False
        else:
            assert report.ok, report.problem
            replaced = evidence.digest != older
        evidence.certify()
        report = evidence.verify()
        assert report.ok, report.problem
        assert not [note for note in report.notes if "does not belong" in note]
        if not replaced:
            assert evidence.document.get("supersedes", {"digest": older})["digest"] == older
            assert ("supersedes" in evidence.document) == (before is not False)
            assert before is False or verify(kept).ok
        steps += 1
    assert steps == (6 if before is False else 10)
    assert half == (4 if before is False else 3)


def test_a_half_replaced_certificate_does_not_hide_a_changed_page(evidence: Evidence) -> None:
    """Whoever copies a certificate, so that it looks as if a newer one was begun, is not told that everything fits."""
    content = evidence.page.read_bytes()
    evidence.page.write_bytes(content.replace(b"Complete", b"Nothing to destroy", 1))
    kept = evidence.root / certificate.superseded_name(NAME, evidence.digest)
    kept.write_bytes(evidence.path.read_bytes())
    assert "superseded" in problem(evidence.verify())
    for path in evidence.own:
        name = path.name.replace(evidence.path.stem, kept.stem, 1)
        path.with_name(name).write_bytes(content if path == evidence.page else path.read_bytes())
    with pytest.raises(CertificateUnfinishedError, match="begun and not finished"):
        evidence.verify()
    kept.with_suffix(".html").write_bytes(evidence.page.read_bytes())
    assert "does not belong to" in problem(evidence.verify())
