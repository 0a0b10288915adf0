"""The small references that tasks hand on through XCom, instead of the lists themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.exceptions import InvalidRecordsError


@dataclass(frozen=True)
class ManifestReference:
    """Points to a list and to the approvals that were given for it.

    :param manifest: URI of the list.
    :param digest: its digest.
    :param count: its number of records.
    :param approvals: URIs of the approvals.
    :param withheld: number of records that reviewers withheld before this list; in a part of a split list, from the
        whole list.
    :param due_list: the due list that its records came from; None: they were given otherwise.
    :param set_aside: number of odd rows that the task which made the list set aside.
    :param on_hold: number of records that this task left out because they are on hold.
    """

    manifest: str
    digest: str
    count: int
    approvals: Sequence[str] = ()
    withheld: int = 0
    due_list: DueList | None = None
    set_aside: int = 0
    on_hold: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the reference as plain JSON."""
        members = {**vars(self), "approvals": list(self.approvals)}
        del members["due_list"]
        return members | ({} if self.due_list is None else {"due_list": self.due_list.to_dict()})

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> ManifestReference:
        """Read a reference; unknown members are ignored.

        :raises InvalidRecordsError: a member is missing or has another type.
        """
        manifest, digest, approvals = fields.get("manifest"), fields.get("digest"), fields.get("approvals", [])
        count = fields.get("count")
        withheld, set_aside, on_hold = (fields.get(name, 0) for name in ("withheld", "set_aside", "on_hold"))
        if not (
            isinstance(manifest, str)
            and isinstance(digest, str)
            and isinstance(approvals, list)
            and all(isinstance(approval, str) for approval in approvals)
            and type(count) is int
            and type(withheld) is type(set_aside) is type(on_hold) is int
        ):
            raise InvalidRecordsError(
                "A manifest reference is what an upstream task returns: manifest and digest (text), count, withheld, "
                "set_aside and on_hold (whole numbers), approvals (a list of URIs)."
            )
        try:
            due_list = None if fields.get("due_list") is None else DueList.from_dict(fields["due_list"])
        except (ValueError, TypeError, KeyError):
            raise InvalidRecordsError(
                "The due list of a manifest reference names conn_id, target and due_before."
            ) from None
        return cls(manifest, digest, count, approvals, withheld, due_list, set_aside, on_hold)


def manifest_reference(
    manifest: Manifest,
    approvals: Iterable[str] = (),
    withheld: int = 0,
    due_list: DueList | None = None,
    *,
    set_aside: int = 0,
    on_hold: int = 0,
) -> dict[str, Any]:
    """Return the reference to a list as it goes into XCom.

    :param approvals: URIs of the approvals.
    :param withheld: number of records that reviewers withheld before this list.
    :param due_list: the due list that its records came from.
    :param set_aside: number of odd rows that the task which made the list set aside.
    :param on_hold: number of records that this task left out because they are on hold.
    """
    uris = list(approvals)
    known = (manifest.uri, manifest.digest, manifest.count, uris, withheld, due_list, set_aside, on_hold)
    return ManifestReference(*known).to_dict()


@dataclass(frozen=True)
class DisposalReference:
    """Points to the summary of a list that was carried out.

    :param disposal: URI of the summary.
    :param manifest: URI of the list.
    :param digest: digest of the list.
    """

    disposal: str
    manifest: str
    digest: str

    @classmethod
    def from_dict(cls, fields: object) -> DisposalReference:
        """Read a reference; the members that repeat what the summary says are ignored, as are unknown ones.

        :raises InvalidRecordsError: it is no disposal reference.
        """
        given = fields if isinstance(fields, Mapping) else {}
        texts = [text for name in ("disposal", "manifest", "digest") if isinstance(text := given.get(name), str)]
        if len(texts) < 3:
            raise InvalidRecordsError(
                f"A disposal reference is what a disposing task returns; this is {type(fields).__name__}. "
                "Did the upstream task run?"
            )
        return cls(*texts)


@dataclass(frozen=True)
class CertificateReference:
    """Points to the certificate of a run.

    :param certificate: URI of the certificate.
    :param digest: its digest.
    """

    certificate: str
    digest: str

    @classmethod
    def from_dict(cls, fields: object) -> CertificateReference:
        """Read a reference; the other members are ignored.

        :raises InvalidRecordsError: it is no certificate reference.
        """
        given = fields if isinstance(fields, Mapping) else {}
        texts = [text for name in ("certificate", "digest") if isinstance(text := given.get(name), str)]
        if len(texts) < 2:
            raise InvalidRecordsError(
                f"A certificate reference is what a DestructionCertificateOperator returns; this is "
                f"{type(fields).__name__}. Did the certifying task run?"
            )
        return cls(*texts)
