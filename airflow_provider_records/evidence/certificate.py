"""The certificate: one document over the manifests, approvals and disposals of one DAG run.

It is canonical JSON, so that each of its bytes counts, and names every file that it rests on by hash. None of these
is ever written again: a later try of a task adds files.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from airflow_provider_records.evidence.record import canonical
from airflow_provider_records.evidence.store import Store, safe_name
from airflow_provider_records.exceptions import ConfigurationError, EvidenceError

TYPE, VERSION = "certificate", 1


def file_name(dag_id: str, run_id: str) -> str:
    """Return the name of a run's certificate in the store."""
    return f"certificates/{safe_name(dag_id)}/{safe_name(run_id)}.json"


def read(store: Store, name: str) -> dict[str, Any]:
    """Read a certificate and check that none of its bytes was changed; signature and files are not looked at.

    :param store: the evidence store.
    :param name: its name there, see :func:`file_name`.
    :raises EvidenceError: it is missing, was changed, is no certificate, or is of another format version.
    """
    content = store.read(name)
    try:
        document = json.loads(content)
        if not isinstance(document, dict):
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise EvidenceError("The certificate was changed or cut off: it is no JSON document any more.") from None
    if document.get("type") != TYPE:
        raise EvidenceError("This is no certificate: it does not call itself one.")
    if document.get("version") != VERSION:
        raise EvidenceError(
            f"The certificate has format version {document.get('version')!r}, this program reads version "
            f"{VERSION}; verify it with the release that wrote it or a later one."
        )
    if canonical(document) + b"\n" != content:
        raise EvidenceError("The certificate was changed: its bytes are not in the one form that it is written in.")
    if (stated := document.get("digest")) != digest(document):
        raise EvidenceError(f"The certificate was changed: its content does not match its digest {stated}.")
    return document


def superseded_name(name: str, digest: str) -> str:
    """Return the name under which an older certificate is kept."""
    return f"{name.removesuffix('.json')}.superseded-{digest.removeprefix('sha256:')[:12]}.json"


def body_bytes(document: Mapping[str, Any]) -> bytes:
    """Return what digest and signature are over: the canonical JSON without these two."""
    return canonical({name: value for name, value in document.items() if name not in {"digest", "signature"}})


def digest(document: Mapping[str, Any]) -> str:
    """Return a certificate's digest."""
    return f"sha256:{hashlib.sha256(body_bytes(document)).hexdigest()}"


def seal(body: Mapping[str, Any], key: Ed25519PrivateKey | None) -> dict[str, Any]:
    """Return the body with its digest and, if there is a key, its signature."""
    document = {**body, "digest": digest(body)}
    if key is not None:
        document["signature"] = {
            "algorithm": "Ed25519",
            "key_id": key_id(key.public_key()),
            "public_key": base64.b64encode(key.public_key().public_bytes_raw()).decode(),
            "value": base64.b64encode(key.sign(body_bytes(body))).decode(),
        }
    return document


def key_id(key: Ed25519PublicKey) -> str:
    """Return what a key is called: the hash of its raw bytes."""
    return f"sha256:{hashlib.sha256(key.public_bytes_raw()).hexdigest()}"


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
