"""Signatures and checksums beside a file: what is written, what is accepted, which keys are taken."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records.evidence.signature import VerificationKey, check, public_key, sign, signing_key
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ConfigurationError, EvidenceError

KEY, OTHER_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
PUBLIC, OTHER_PUBLIC = (VerificationKey.from_key(key.public_key()) for key in (KEY, OTHER_KEY))
RSA = rsa.generate_private_key(65537, 2048)
PKCS8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
SPKI = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
NAME, CONTENT = "certificates/night/run.json", b'{"complete":true}\n'


def test_a_signature_is_the_raw_64_bytes_over_exactly_the_file() -> None:
    name, signature = sign(NAME, CONTENT, KEY)
    assert (name, len(signature)) == (f"{NAME}.sig", 64)
    KEY.public_key().verify(signature, CONTENT)


def test_a_checksum_is_the_line_that_sha256sum_writes_in_the_files_own_folder() -> None:
    line = f"{hashlib.sha256(CONTENT).hexdigest()}  run.json\n".encode()
    assert sign(NAME, CONTENT, None) == (f"{NAME}.sha256", line)


@pytest.mark.parametrize("key", [KEY, None], ids=["signed", "checksum"])
def test_what_was_signed_is_accepted(store: Store, key: Ed25519PrivateKey | None) -> None:
    store.write(*sign(NAME, CONTENT, key))
    check(store, NAME, CONTENT, PUBLIC if key else None)


@pytest.mark.parametrize("key", [KEY, None], ids=["signed", "checksum"])
@pytest.mark.parametrize("content", [CONTENT + b" ", CONTENT[:-1], b"", CONTENT.replace(b"true", b"null")], ids=str)
def test_other_bytes_are_refused(store: Store, key: Ed25519PrivateKey | None, content: bytes) -> None:
    store.write(*sign(NAME, CONTENT, key))
    with pytest.raises(EvidenceError, match="does not belong to" if key else "do not match the checksum"):
        check(store, NAME, content, PUBLIC if key else None)


@pytest.mark.parametrize("key", [KEY, None], ids=["signed", "checksum"])
@pytest.mark.parametrize("edit", [lambda stated: b"", lambda stated: stated[:-1], lambda stated: stated + b"\n"])
def test_what_lies_beside_must_be_exactly_what_was_written(
    store: Store, key: Ed25519PrivateKey | None, edit: Any
) -> None:
    name, stated = sign(NAME, CONTENT, key)
    store.write(name, edit(stated))
    with pytest.raises(EvidenceError, match="does not belong to" if key else "do not match the checksum"):
        check(store, NAME, CONTENT, PUBLIC if key else None)


def test_a_signature_by_another_key_is_refused(store: Store) -> None:
    store.write(*sign(NAME, CONTENT, OTHER_KEY))
    with pytest.raises(EvidenceError, match="does not belong to"):
        check(store, NAME, CONTENT, PUBLIC)


def test_a_checksum_is_no_signature_and_a_missing_file_is_named(store: Store) -> None:
    """Whoever takes a signature away and leaves a checksum has not signed anything."""
    store.write(*sign(NAME, CONTENT, None))
    with pytest.raises(EvidenceError, match=r"run\.json\.sig"):
        check(store, NAME, CONTENT, PUBLIC)


def test_a_checksum_of_another_files_name_is_refused(store: Store) -> None:
    _, line = sign("certificates/night/other.json", CONTENT, None)
    store.write(f"{NAME}.sha256", line)
    with pytest.raises(EvidenceError, match="do not match the checksum"):
        check(store, NAME, CONTENT, None)


def test_a_key_is_described_by_its_bytes_and_their_hash() -> None:
    raw = KEY.public_key().public_bytes_raw()
    assert PUBLIC.to_dict() == {
        "algorithm": "Ed25519",
        "key_id": f"sha256:{hashlib.sha256(raw).hexdigest()}",
        "public_key": base64.b64encode(raw).decode(),
    }


def test_members_of_a_later_release_are_kept_and_do_not_change_the_key() -> None:
    described = PUBLIC.to_dict() | {"later": 1}
    found = VerificationKey.from_dict(described)
    assert found.to_dict() == described
    assert found.named == PUBLIC.named


@pytest.mark.parametrize(
    "change",
    [
        {"algorithm": "RSA"},
        {"algorithm": None},
        {"key_id": OTHER_PUBLIC.key_id},
        {"key_id": PUBLIC.key_id.upper()},
        {"public_key": OTHER_PUBLIC.public_key},
        {"public_key": f"{PUBLIC.public_key} "},
        {"public_key": "AAAA"},
        {"public_key": 7},
    ],
    # The keys are random; xdist needs the same names in all workers.
    ids=["algorithm", "no algorithm", "other id", "upper case", "other key", "not Base64", "short key", "a number"],
)
def test_a_description_whose_parts_do_not_fit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(EvidenceError, match="do not fit each other"):
        VerificationKey.from_dict(PUBLIC.to_dict() | change)


@pytest.mark.parametrize("name", ["algorithm", "key_id", "public_key"])
def test_a_description_without_one_of_its_parts_is_refused(name: str) -> None:
    with pytest.raises(EvidenceError, match="do not fit each other"):
        VerificationKey.from_dict({key: value for key, value in PUBLIC.to_dict().items() if key != name})


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        (b"", "no unencrypted private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no unencrypted private key"),
        (KEY.private_bytes(*PKCS8, serialization.BestAvailableEncryption(b"p")), "no unencrypted private key"),
        (KEY.public_key().public_bytes(*SPKI), "no unencrypted private key"),
        (RSA.private_bytes(*PKCS8, serialization.NoEncryption()), "no Ed25519 key"),
    ],
    ids=["nothing", "no key inside", "encrypted", "public", "RSA"],
)
def test_what_is_no_signing_key_is_refused(pem: bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        signing_key(pem)


def test_a_signing_key_is_read() -> None:
    key = signing_key(KEY.private_bytes(*PKCS8, serialization.NoEncryption()))
    assert key.public_key() == KEY.public_key()


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        (b"", "key.pem is no public key in PEM"),
        (KEY.private_bytes(*PKCS8, serialization.NoEncryption()), "key.pem is no public key in PEM"),
        (RSA.public_key().public_bytes(*SPKI), "key.pem is no Ed25519 key"),
    ],
    ids=["nothing", "private", "RSA"],
)
def test_what_is_no_public_key_is_refused_with_its_source(pem: bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        public_key(pem, "key.pem")


def test_a_public_key_is_read() -> None:
    assert public_key(KEY.public_key().public_bytes(*SPKI), "key.pem") == PUBLIC
