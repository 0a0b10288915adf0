"""The certificate: one document over the manifests, approvals and disposals of one DAG run.

It is canonical JSON, so that each of its bytes counts, and names every file that it rests on by hash. None of these
is ever written again: a later try of a task adds files.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from airflow_provider_records.disposal import account, words
from airflow_provider_records.disposal.disposal import Disposal
from airflow_provider_records.disposal.outcome import now
from airflow_provider_records.disposal.record import canonical
from airflow_provider_records.disposal.store import Store, safe_name
from airflow_provider_records.disposal.verdict import RunStatus
from airflow_provider_records.exceptions import ConfigurationError, EvidenceError

TYPE, VERSION = "certificate", 1


@dataclass(frozen=True)
class Certificate:
    """A certificate in the store.

    :param uri: URI of the JSON.
    :param html: URI of the page.
    :param document: what it says.
    """

    uri: str
    html: str
    document: Mapping[str, Any]

    @property
    def complete(self) -> bool:
        """Whether nothing that it covers is left for another try, and nothing was a dry run."""
        return bool(self.document["complete"])

    @property
    def left(self) -> str:
        """What is left, by system and outcome, and what has no disposal, in words."""
        return RunStatus.of(self.document).left

    def reference(self) -> dict[str, Any]:
        """Return what goes into XCom."""
        return {
            "certificate": self.uri,
            "html": self.html,
            "digest": self.document["digest"],
            "complete": self.complete,
        }


def write(
    store: Store,
    disposals: Sequence[Disposal],
    made: Mapping[str, Any],
    key: Ed25519PrivateKey | None = None,
) -> Certificate:
    """Look at all the evidence again and write the certificate of a DAG run, as JSON and as a page.

    An older certificate of the run is kept beside the new one, which names it.

    :param store: the evidence store.
    :param disposals: all of this run.
    :param made: who writes it: DAG, run, task, try, versions.
    :param key: signs it.
    :raises ConfigurationError: another task has written the run's certificate; it stays as it is.
    :raises EvidenceError: a file is missing, was changed or does not fit the others; no certificate is written.
    :raises JournalError: the same, of a journal.
    :raises ApprovalError: the same, of an approval.
    """
    from airflow_provider_records.disposal import page  # needs Jinja, without which a certificate can be verified

    name = file_name(made["dag_id"], made["run_id"])
    _check_alone(store, name, made)
    found = account.take(account.Evidence(store, store.root), {store.name(each.uri): each for each in disposals})
    body = {
        "type": TYPE,
        "version": VERSION,
        "id": str(uuid.uuid4()),
        "written_at": now(),
        "store": store.root,
        "run": {
            "dag_id": made["dag_id"],
            "run_id": made["run_id"],
            "started_at": made["run_started_at"],
            "disposals_started_at": min(disposal.started_at for disposal in disposals),
            "disposals_ended_at": max(disposal.ended_at for disposal in disposals),
        },
        "made": made,
        **found.facts,
        "statements": words.statements(found.facts["disposals"]),
    }
    for entry in found.facts["disposals"]:
        entry["method"] = words.method(entry["record"])
    names = found.names
    if (older := _keep_older(store, name)) is not None:
        body["supersedes"] = older
        names = sorted([*names, older["file"]])
    body["files"] = [account.fingerprint(store, each) for each in names]
    document = seal(body, key)
    html = store.write_pieces(name.removesuffix(".json") + ".html", page.pieces(store, document, disposals))
    return Certificate(store.write(name, canonical(document) + b"\n"), html, document)


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


def _check_alone(store: Store, name: str, made: Mapping[str, Any]) -> None:
    """Refuse to supersede what is no older version: another task's certificate covers other disposals."""
    if not store.exists(name):
        return
    try:
        writer = json.loads(store.read(name))["made"]
        other = (writer["task_id"], writer["map_index"])
    except (ValueError, TypeError, KeyError):
        return
    if other != (made["task_id"], made["map_index"]):
        raise ConfigurationError(
            f"{store.uri(name)} was written by task {other[0]!r}, map index {other[1]}, not by this one. A run has one "
            "certificate: name all of its disposals in disposals= of one task that is not mapped. If that task was "
            "renamed, move its certificate out of the way."
        )


def _keep_older(store: Store, name: str) -> dict[str, str] | None:
    if not store.exists(name):
        return None
    content = store.read(name)
    try:
        document = json.loads(content)
        if document["digest"] != digest(document):
            raise ValueError
        older = str(document["digest"])
    except (ValueError, TypeError, KeyError, AttributeError):
        older = f"sha256:{hashlib.sha256(content).hexdigest()}"
    kept = superseded_name(name, older)
    if store.exists(kept) and store.read(kept) != content:
        raise EvidenceError(f"{store.uri(kept)} was changed: it is not the certificate {older} any more.")
    store.write(kept, content)
    page = name.removesuffix(".json") + ".html"
    if store.exists(page):
        store.write(kept.removesuffix(".json") + ".html", store.read(page))
    return {"file": kept, "digest": older}
