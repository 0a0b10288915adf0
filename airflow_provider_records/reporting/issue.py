"""Issue the certificate of a DAG run: compose, sign, publish."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records.evidence import audit, reader
from airflow_provider_records.evidence.certificate import TYPE, VERSION, digest, file_name, seal, superseded_name
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.evidence.record import canonical
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import ConfigurationError, EvidenceError
from airflow_provider_records.reporting import wording
from airflow_provider_records.reporting.verdict import RunStatus


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
        return RunStatus.from_document(self.document).left

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
    from airflow_provider_records.reporting import (
        certificate_page,  # needs Jinja, without which a certificate can be verified
    )

    name = file_name(made["dag_id"], made["run_id"])
    _check_alone(store, name, made)
    found = audit.take(reader.Evidence(store, store.root), {store.name(each.uri): each for each in disposals})
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
        "statements": wording.statements(found.facts["disposals"]),
    }
    for entry, disposal in zip(found.facts["disposals"], disposals, strict=True):
        records = sum(disposal.counts.values())
        entry["method"] = wording.method(disposal.description, dry_run=disposal.dry_run, records=records)
    names = found.names
    if (older := _keep_older(store, name)) is not None:
        body["supersedes"] = older
        names = sorted([*names, older["file"]])
    body["files"] = [reader.fingerprint(store, each) for each in names]
    document = seal(body, key)
    html = store.write_pieces(name.removesuffix(".json") + ".html", certificate_page.pieces(store, document, disposals))
    return Certificate(store.write(name, canonical(document) + b"\n"), html, document)


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
