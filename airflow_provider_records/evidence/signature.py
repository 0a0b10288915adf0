"""Signatures and checksums, which lie beside the file that they are over, so that standard tools can check it.

A signature is the 64 raw bytes of Ed25519 over the exact bytes of the file, in ``<file>.sig``; ``openssl pkeyutl
-verify -rawin`` checks it. Where there is no key, ``<file>.sha256`` holds the line that ``sha256sum -c`` checks.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ConfigurationError, EvidenceError

SIGNATURE, CHECKSUM = ".sig", ".sha256"
_ALGORITHM = "Ed25519"
_LONGEST = 4096  # bytes; a checksum's line holds a file name


@dataclass(frozen=True)
class VerificationKey:
    """The public key that a certificate names as the one that signs it.

    :param algorithm: ``Ed25519``.
    :param key_id: ``sha256:`` + hex over the raw key.
    :param public_key: the raw 32 bytes in Base64.
    :param unrecognized: members that a later release added.
    """

    algorithm: str
    key_id: str
    public_key: str
    unrecognized: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_key(cls, key: Ed25519PublicKey) -> VerificationKey:
        """Describe a key."""
        raw = key.public_bytes_raw()
        return cls(_ALGORITHM, f"sha256:{hashlib.sha256(raw).hexdigest()}", base64.b64encode(raw).decode())

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> VerificationKey:
        """Read the description of a key.

        :raises EvidenceError: it is none, or its parts do not fit each other.
        """
        try:
            rest = dict(fields)
            own = cls(rest.pop("algorithm"), rest.pop("key_id"), rest.pop("public_key"), rest)
            raw = base64.b64decode(own.public_key, validate=True)
            if cls.from_key(Ed25519PublicKey.from_public_bytes(raw)).named == own.named:
                return own
        except (ValueError, TypeError, KeyError):
            pass
        raise EvidenceError("The certificate names a key whose algorithm, key_id and public_key do not fit each other.")

    @property
    def named(self) -> dict[str, str]:
        """The members that this release knows."""
        return {"algorithm": self.algorithm, "key_id": self.key_id, "public_key": self.public_key}

    def to_dict(self) -> dict[str, Any]:
        """Return the description as plain JSON."""
        return {**self.unrecognized, **self.named}

    def accepts(self, signature: bytes, content: bytes) -> bool:
        """Tell whether a signature was made with this key over exactly these bytes."""
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(self.public_key))
        try:
            key.verify(signature, content)
        except InvalidSignature:
            return False
        return True


def sign(name: str, content: bytes | memoryview, key: Ed25519PrivateKey | None) -> tuple[str, bytes]:
    """Return what is to lie beside a file: its name and its bytes.

    :param name: the file's name in the store.
    :param content: the file's exact bytes.
    :param key: signs it; None: a checksum is made.
    """
    if key is None:
        return name + CHECKSUM, checksum_line(name, hashlib.sha256(content).hexdigest())
    return name + SIGNATURE, key.sign(content)


def checksum_line(name: str, sha256: str) -> bytes:
    """Return the line that ``sha256sum`` writes for a file of this name in its own folder."""
    return f"{sha256}  {name.rpartition('/')[2]}\n".encode()


def check(store: Store, name: str, content: bytes, key: VerificationKey | None) -> None:
    """Check a file against its signature or, where there is no key, its checksum.

    :param store: the evidence store.
    :param name: the file's name.
    :param content: its exact bytes.
    :param key: the key that must have signed it; None: it is not signed.
    :raises EvidenceError: the signature or the checksum is missing or is not that of these bytes.
    """
    beside = name + (CHECKSUM if key is None else SIGNATURE)
    with store.open(beside) as file:
        stated = file.read(_LONGEST)
    if key is None:
        if stated != checksum_line(name, hashlib.sha256(content).hexdigest()):
            raise EvidenceError(f"{name} was changed: its bytes do not match the checksum in {beside}.")
    elif not key.accepts(stated, content):
        raise EvidenceError(f"The signature {beside} does not belong to {name}: one of the two was changed.")


def signing_key(pem: bytes) -> Ed25519PrivateKey:
    """Read a signing key.

    :param pem: PKCS #8 in PEM, not encrypted.
    :raises ConfigurationError: it is something else.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigurationError(
            "The signing key is no unencrypted private key in PEM; "
            "make one with: openssl genpkey -algorithm ed25519 -out signing_key.pem"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError("The signing key is no Ed25519 key; certificates are signed with Ed25519 only.")
    return key


def public_key(pem: bytes, source: str) -> VerificationKey:
    """Read a public key.

    :param pem: SubjectPublicKeyInfo in PEM.
    :param source: where it was read from, for messages.
    :raises ConfigurationError: it is something else.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(f"{source} is no public key in PEM.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(f"{source} is no Ed25519 key.")
    return VerificationKey.from_key(key)
