"""The certificate: one document over the manifests, approvals and disposals of one DAG run.

It is canonical JSON and names every file that it rests on by hash. None of these is ever written again: a later try
of a task adds files. The signature lies beside it, see :mod:`airflow_provider_records.evidence.signature`; a page to
read and print lies beside it too and has a signature of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from airflow_provider_records.evidence import formats, signature
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.signature import VerificationKey
from airflow_provider_records.evidence.store import Store, safe_name
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.exceptions import EvidenceError

_Part = TypeVar("_Part", "Run", "ListedFile", "Superseded")


@dataclass(frozen=True)
class Run:
    """The DAG run that a certificate is about.

    :param dag_id: its DAG.
    :param run_id: its id.
    :param started_at: when it started, ISO 8601.
    :param disposals_started_at: when the first of its disposals began.
    :param disposals_ended_at: when the last of its disposals ended.
    :param unrecognized: members that a later release added.
    """

    dag_id: str
    run_id: str
    started_at: str
    disposals_started_at: str
    disposals_ended_at: str
    unrecognized: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ListedFile:
    """A file that a certificate rests on.

    :param name: its name in the evidence store.
    :param sha256: hex digits over its bytes.
    :param size: number of its bytes.
    :param unrecognized: members that a later release added.
    """

    name: str
    sha256: str
    size: int
    unrecognized: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Superseded:
    """An earlier certificate of the same run.

    :param file: the name under which it is kept.
    :param digest: ``sha256:`` + hex over its bytes.
    :param unrecognized: members that a later release added.
    """

    file: str
    digest: str
    unrecognized: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Certificate:
    """What a certificate says.

    The members from ``scope`` to ``complete`` follow from the files alone; who verifies computes them again.

    :param id: UUID of this certificate.
    :param written_at: when it was written, ISO 8601 in UTC.
    :param language: code of the language of its page, such as ``en``; the certificate itself is in English.
    :param store: URI of the evidence store at that time; URIs in the other files begin with it.
    :param run: the DAG run.
    :param provenance: who wrote it: DAG, run, task, try, versions.
    :param key: the key that signs it and its page; None: neither is signed.
    :param scope: systems, selections and time zone.
    :param counts: number of records by system and outcome.
    :param manifests: every list that it rests on, with digest and number of records.
    :param approvals: every approval that it rests on.
    :param orders: the order of every approval: what it allowed, where, and until when.
    :param disposals: one entry for each disposal, with its summary, proofs, journal and what was not destroyed.
    :param missing_disposals: task instances with a journal and without a disposal here.
    :param undisposed_records: numbers of records of approved lists that are on no part which was carried out.
    :param complete: whether nothing is left for another try, nothing was a dry run and nothing has no disposal.
    :param statements: sentences that say what the certificate does not cover.
    :param files: every file that it rests on.
    :param supersedes: the certificate that this one replaces.
    :param unrecognized: members that a later release added.
    """

    id: str
    written_at: str
    language: str
    store: str
    run: Run
    provenance: Provenance
    key: VerificationKey | None
    scope: Mapping[str, Any]
    counts: Mapping[str, Mapping[str, int]]
    manifests: Sequence[Mapping[str, Any]]
    approvals: Sequence[Mapping[str, Any]]
    orders: Sequence[Mapping[str, Any]]
    disposals: Sequence[Mapping[str, Any]]
    missing_disposals: Sequence[Mapping[str, Any]]
    undisposed_records: Sequence[Mapping[str, Any]]
    complete: bool
    statements: Sequence[str]
    files: Sequence[ListedFile]
    supersedes: Superseded | None = None
    unrecognized: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Certificate:
        """Read a certificate from its JSON.

        :raises NewerFormatError: a later release wrote it.
        :raises EvidenceError: it is no certificate, or a member is missing or has another type.
        """
        rest = formats.CERTIFICATE.check(document, "This file")
        try:
            if not all(isinstance(rest[name], kind) for name, kind in _TYPES.items()):
                raise TypeError("a member has another type than it must have")
            key, older = rest.pop("key"), rest.pop("supersedes", None)
            return cls(
                **{name: rest.pop(name) for name in _TYPES if name not in {"run", "provenance", "files"}},
                run=_part(Run, rest.pop("run")),
                provenance=Provenance.from_dict(rest.pop("provenance")),
                files=[_part(ListedFile, each) for each in rest.pop("files")],
                key=None if key is None else VerificationKey.from_dict(key),
                supersedes=None if older is None else _part(Superseded, older),
                unrecognized=rest,
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise EvidenceError(
                f"The certificate does not have the expected form ({type(error).__name__}: {error})."
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """Return the certificate as plain JSON."""
        document: dict[str, Any] = {**self.unrecognized, **formats.CERTIFICATE.members}
        document |= {name: getattr(self, name) for name in _TYPES}
        document["run"] = _plain(self.run)
        document["provenance"] = self.provenance.to_dict()
        document["files"] = [_plain(each) for each in self.files]
        document["key"] = None if self.key is None else self.key.to_dict()
        if self.supersedes is not None:
            document["supersedes"] = _plain(self.supersedes)
        return document

    def to_bytes(self) -> bytes:
        """Return the exact bytes of the certificate's file."""
        return canonical(self.to_dict()) + b"\n"

    @property
    def digest(self) -> str:
        """``sha256:`` + hex over the exact bytes of the certificate's file."""
        return digest(self.to_bytes())


_TYPES: dict[str, type] = {
    **dict.fromkeys(("id", "written_at", "language", "store"), str),
    **dict.fromkeys(("run", "provenance", "scope", "counts"), dict),
    **dict.fromkeys(
        (
            "manifests",
            "approvals",
            "orders",
            "disposals",
            "missing_disposals",
            "undisposed_records",
            "statements",
            "files",
        ),
        list,
    ),
    "complete": bool,
}


def _part(kind: type[_Part], members: Mapping[str, Any]) -> _Part:
    known = {each.name for each in fields(kind)} - {"unrecognized"}
    part = kind(
        **{name: members[name] for name in known},
        unrecognized={name: value for name, value in members.items() if name not in known},
    )
    if not all(type(members[name]) is (int if name == "size" else str) for name in known):
        raise TypeError(f"a member of {kind.__name__} has another type than it must have")
    return part


def _plain(part: Run | ListedFile | Superseded) -> dict[str, Any]:
    members = dict(vars(part))
    return {**members.pop("unrecognized"), **members}


def file_name(dag_id: str, run_id: str) -> str:
    """Return the name of a run's certificate in the store."""
    return f"certificates/{safe_name(dag_id)}/{safe_name(run_id)}.json"


def page_name(name: str) -> str:
    """Return the name of a certificate's page.

    :param name: the certificate's name in the store.
    """
    return f"{name.removesuffix('.json')}.html"


def parts_folder(name: str) -> str:
    """Return the folder of the further pages of a long certificate; no run id leads to its name (see `safe_name`).

    :param name: the certificate's name in the store.
    """
    return f"{name.removesuffix('.json')}~parts"


def part_name(name: str, part: int) -> str:
    """Return the name of one of a certificate's pages.

    :param name: the certificate's name in the store.
    :param part: its number; 1 is the page that the certificate always has.
    """
    return page_name(name) if part == 1 else f"{parts_folder(name)}/part-{part}.html"


def superseded_name(name: str, digest: str) -> str:
    """Return the name under which an older certificate is kept."""
    return f"{name.removesuffix('.json')}.superseded-{digest.removeprefix('sha256:')[:12]}.json"


def digest(content: bytes) -> str:
    """Return the digest of a certificate's exact bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def parse(content: bytes) -> Certificate:
    """Read a certificate from the bytes of its file.

    :raises NewerFormatError: a later release wrote it.
    :raises EvidenceError: it is no certificate, or is not in the one form that certificates are written in.
    """
    try:
        document = json.loads(content)
        if not isinstance(document, dict):
            raise TypeError
    except (ValueError, TypeError, RecursionError):
        raise EvidenceError("The certificate was changed or cut off: it is no JSON document any more.") from None
    found = Certificate.from_dict(document)
    # A JSON text may name a member twice, and programs differ on which of the two counts.
    if found.to_bytes() != content:
        raise EvidenceError("The certificate was changed: its bytes are not in the one form that it is written in.")
    return found


def read(store: Store, name: str) -> Certificate:
    """Read a certificate and check its signature or checksum; the files that it rests on are not read.

    :param store: the evidence store.
    :param name: its name there, see :func:`file_name`.
    :raises NewerFormatError: a later release wrote it.
    :raises EvidenceError: it is missing, was changed or is no certificate.
    """
    content = store.read(name)
    found = parse(content)
    signature.check(store, name, content, found.key)
    return found
