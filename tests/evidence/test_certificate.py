"""The certificate as a document: one form, its names, and what is read as one."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records.evidence import certificate
from airflow_provider_records.evidence.certificate import Certificate, ListedFile, Run, Superseded
from airflow_provider_records.evidence.signature import VerificationKey, sign
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.exceptions import EvidenceError, NewerFormatError

KEY = Ed25519PrivateKey.generate()
NAME = certificate.file_name("night", "run")


def made(key: Ed25519PrivateKey | None = None) -> Certificate:
    return Certificate(
        id="1b4e28ba-2fa1-4d2b-883f-0016d3cca427",
        written_at="2026-11-22T09:00:00.000Z",
        language="de",
        store="file:///evidence",
        run=Run("night", "run", "2026-11-22T02:00:00+00:00", "2026-11-22T08:00:00Z", "2026-11-22T08:30:00Z"),
        provenance=Provenance("night", "run", "certificate", -1, 1),
        key=VerificationKey.from_key(key.public_key()) if key else None,
        scope={"systems": ["enaio"], "selection": [], "time_zone": "UTC"},
        counts={"enaio": {"destroyed": 38}},
        manifests=[],
        approvals=[],
        orders=[],
        disposals=[{"file": "disposals/night/run/delete/-1/d.json"}],
        missing_disposals=[],
        undisposed_records=[],
        complete=True,
        statements=["Backups are not covered."],
        files=[ListedFile("manifests/1.jsonl", "ab" * 32, 7)],
        supersedes=Superseded("certificates/night/run.superseded-1.json", "sha256:1"),
    )


DOCUMENT = made().to_dict()


def test_a_certificate_is_read_as_it_was_written() -> None:
    assert certificate.parse(made(KEY).to_bytes()) == made(KEY)
    assert Certificate.from_dict(DOCUMENT) == made()


def test_its_digest_is_over_the_exact_bytes_of_its_file() -> None:
    content = made().to_bytes()
    assert made().digest == certificate.digest(content) == f"sha256:{hashlib.sha256(content).hexdigest()}"
    form: dict[str, Any] = {"ensure_ascii": False, "sort_keys": True, "separators": (",", ":")}
    assert json.dumps(json.loads(content), **form).encode() + b"\n" == content


def test_a_certificate_that_replaces_none_does_not_say_so() -> None:
    document = {name: value for name, value in DOCUMENT.items() if name != "supersedes"}
    assert Certificate.from_dict(document).supersedes is None
    assert Certificate.from_dict(document).to_dict() == document


def test_unknown_members_are_kept() -> None:
    """A later release may add some without a new version."""
    document = made(KEY).to_dict()
    for part in (document, document["run"], document["key"], document["files"][0], document["supersedes"]):
        part["later"] = {"deep": [1, "x"]}
    document["provenance"]["later"] = document["disposals"][0]["later"] = 1
    assert Certificate.from_dict(document).to_dict() == document


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"version": 2}, NewerFormatError, "newer release .format version 2; this release reads up to 1.; read it"),
        ({"version": 0}, EvidenceError, "no format version"),
        ({"version": "1"}, EvidenceError, "no format version"),
        ({"version": True}, EvidenceError, "no format version"),
        ({"format": "airflow-records/disposal"}, EvidenceError, "does not name the format airflow-records/certificate"),
        ({"format": None}, EvidenceError, "does not name the format airflow-records/certificate"),
        ({"complete": 1}, EvidenceError, "not have the expected form"),
        ({"id": None}, EvidenceError, "not have the expected form"),
        ({"counts": []}, EvidenceError, "not have the expected form"),
        ({"statements": "x"}, EvidenceError, "not have the expected form"),
        ({"run": {"dag_id": "a"}}, EvidenceError, "not have the expected form"),
        ({"run": DOCUMENT["run"] | {"run_id": 7}}, EvidenceError, "not have the expected form"),
        ({"provenance": {}}, EvidenceError, "not have the expected form"),
        ({"files": [{"name": "a", "sha256": "b", "size": "1"}]}, EvidenceError, "not have the expected form"),
        ({"files": [{"name": "a", "sha256": "b", "size": True}]}, EvidenceError, "not have the expected form"),
        ({"files": [{"name": "a", "sha256": "b"}]}, EvidenceError, "not have the expected form"),
        ({"files": [7]}, EvidenceError, "not have the expected form"),
        ({"supersedes": "x"}, EvidenceError, "not have the expected form"),
        ({"key": {}}, EvidenceError, "do not fit each other"),
        ({"key": "x"}, EvidenceError, "do not fit each other"),
    ],
    ids=str,
)
def test_what_is_no_certificate_of_this_version(change: dict[str, Any], error: type[EvidenceError], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        Certificate.from_dict(DOCUMENT | change)
    assert "changed" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(DOCUMENT.keys() - {"format", "version", "supersedes"}))
def test_a_certificate_lacks_none_of_its_members(name: str) -> None:
    with pytest.raises(EvidenceError, match="not have the expected form"):
        Certificate.from_dict({member: value for member, value in DOCUMENT.items() if member != name})


@pytest.mark.parametrize("content", [b"", b"nonsense", b"null\n", b"[]\n", b"\xff", b"[" * 100_000], ids=len)
def test_what_is_no_json_document_was_changed_or_cut_off(content: bytes) -> None:
    with pytest.raises(EvidenceError, match="changed or cut off: it is no JSON document any more"):
        certificate.parse(content)


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content[:-1],
        lambda content: content + b"\n",
        lambda content: b" " + content,
        lambda content: content.replace(b'"complete":true', b'"complete":false,"complete":true'),
        lambda content: content.replace(b'"size":7', b'"size": 7'),
        lambda content: content.replace(b"Backups", b"\\u0042ackups"),
    ],
    ids=["no line end", "two line ends", "blank before", "member twice", "blank within", "escaped letter"],
)
def test_bytes_in_another_form_were_changed_though_they_say_the_same(edit: Any) -> None:
    with pytest.raises(EvidenceError, match="its bytes are not in the one form that it is written in"):
        certificate.parse(edit(made().to_bytes()))


def test_the_files_of_a_certificate_lie_beside_each_other() -> None:
    assert NAME == "certificates/night/run.json"
    assert certificate.page_name(NAME) == "certificates/night/run.html"
    kept = certificate.superseded_name(NAME, "sha256:" + "0123456789abcdef" * 4)
    assert kept == "certificates/night/run.superseded-0123456789ab.json"
    assert certificate.page_name(kept) == "certificates/night/run.superseded-0123456789ab.html"


@pytest.mark.parametrize(("dag_id", "run_id"), [("a/b", "c"), ("a", "b/c"), ("..", "."), ("ü", "02:00+00:00")])
def test_ids_of_any_text_stay_one_part_of_the_name(dag_id: str, run_id: str) -> None:
    parts = certificate.file_name(dag_id, run_id).split("/")
    assert (len(parts), parts[0]) == (3, "certificates")
    assert {"", ".", "..", ".json"}.isdisjoint(parts)


@pytest.mark.parametrize(
    ("key", "words"), [(KEY, "does not belong to"), (None, "do not match the checksum")], ids=["signed", "unsigned"]
)
def test_who_reads_a_changed_certificate_is_told(store: Store, key: Ed25519PrivateKey | None, words: str) -> None:
    content = made(key).to_bytes()
    store.write(NAME, content)
    store.write(*sign(NAME, content, key))
    assert certificate.read(store, NAME) == made(key)
    store.write(NAME, content.replace(b'"destroyed":38', b'"destroyed":39'))
    with pytest.raises(EvidenceError, match=words):
        certificate.read(store, NAME)


def test_a_certificate_that_names_a_key_is_not_believed_on_a_checksum(store: Store) -> None:
    content = made(KEY).to_bytes()
    store.write(NAME, content)
    store.write(*sign(NAME, content, None))
    with pytest.raises(EvidenceError, match=r"run\.json\.sig"):
        certificate.read(store, NAME)


def test_a_certificate_that_is_missing_is_named(store: Store) -> None:
    with pytest.raises(EvidenceError, match=r"certificates/night/run\.json"):
        certificate.read(store, NAME)


def test_a_later_version_is_called_newer_before_its_signature_is_read(store: Store) -> None:
    store.write(NAME, made().to_bytes().replace(b'"version":1', b'"version":2'))
    with pytest.raises(NewerFormatError):
        certificate.read(store, NAME)
