"""Who approved or rejected which list, when, and through which source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records.evidence import formats, reader, signature
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.folders import rejections_folder
from airflow_provider_records.evidence.names import folded
from airflow_provider_records.evidence.signature import VerificationKey
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import (
    ApprovalError,
    EvidenceError,
    NewerFormatError,
    StoreUnavailableError,
)

PERSON, PROCESS, DAG = "person", "process", "dag"
_TEXTS = ("digest", "approver", "approver_type", "approved_at", "order")
_OPTIONAL_TEXTS = ("name", "comment", "part_of", "shown")


@dataclass(frozen=True)
class Approval:
    """One approval of one list.

    :param digest: digest of the approved manifest.
    :param approver: stable id of the approver.
    :param approved_at: time of the approval, ISO 8601 with a time zone.
    :param source: where the approval was given: ``kind``, and what identifies it there.
    :param name: name of the approver for people.
    :param comment: comment of the approver.
    :param part_of: digest of the longer list that was approved, if this list was cut from it.
    :param shown: digest of the list that the approver saw, if the approver withheld records of it.
    :param withheld: the records that the approver withheld: reason by key. This approval does not cover them.
    :param approver_type: ``person``; ``process``, a vendor's decision that names nobody; or ``dag``, a choice that the
        DAG's author wrote down. From two approvals on, only persons count.
    :param order: digest of the order that was given: what it allows, where, in which run, and until when.
    :param unrecognized: members of the file that this release does not know.
    :param uri: where its file lies.
    """

    digest: str
    approver: str
    approved_at: str
    source: Mapping[str, Any]
    name: str = ""
    comment: str = ""
    part_of: str = ""
    shown: str = ""
    withheld: Mapping[str, str] = field(default_factory=dict)
    unrecognized: Mapping[str, Any] = field(default_factory=dict)
    uri: str = field(default="", compare=False)
    _: KW_ONLY
    approver_type: str
    order: str

    @property
    def person(self) -> frozenset[str]:
        """What tells this person from others: id, without the source before it, and name, folded; empty: no person."""
        return person(self.approver, self.name) if self.approver_type == PERSON else frozenset()

    def to_dict(self) -> dict[str, Any]:
        """Return the approval as plain JSON, without empty members."""
        return _members(self)

    @classmethod
    def from_dict(cls, members: Mapping[str, Any], uri: str = "") -> Approval:
        """Read what :meth:`to_dict` wrote.

        :param uri: where its file lies.
        :raises KeyError: a member is missing.
        :raises ValueError: a member has another type than it must have, or the members contradict each other.
        """
        left = dict(members)
        texts = {name: left.pop(name) for name in _TEXTS}
        texts |= {name: left.pop(name, "") for name in _OPTIONAL_TEXTS}
        source, withheld = left.pop("source"), left.pop("withheld", {})
        if not isinstance(source, dict) or not isinstance(withheld, dict):
            raise ValueError("a member of an approval has a wrong type")
        if not all(isinstance(text, str) for text in (*texts.values(), *withheld.values())):
            raise ValueError("a member of an approval has a wrong type")
        approval = cls(**texts, source=source, withheld=withheld, unrecognized=left, uri=uri)
        if not all((approval.digest, approval.approver.strip(), approval.order)):
            raise ValueError("an approval names no list, no approver or no order")
        if approval.approver_type not in (PERSON, PROCESS, DAG):
            raise formats.newer_member(f"An approver is of the type {approval.approver_type[:40]!r}")
        if datetime.fromisoformat(approval.approved_at).tzinfo is None:
            raise ValueError("an approval was given at a time without a time zone")
        if bool(approval.shown) != bool(withheld) or not all(reason.strip() for reason in withheld.values()):
            raise ValueError("an approval states the shown list without withheld records, or the other way round")
        if approval.part_of and withheld:
            raise ValueError("a derived approval withholds records of its own")
        return approval

    def write(self, store: Store, key: Ed25519PrivateKey | None = None) -> str:
        """Write the approval under the digest of its own bytes; return its URI.

        :param key: signs it; None: it is not signed. The signature is there before the approval is.
        """
        content = canonical({**self.to_dict(), **formats.APPROVAL.members}) + b"\n"
        name = f"approvals/{hashlib.sha256(content).hexdigest()}.json"
        if key is not None:
            store.write(*signature.sign(name, content, key))
        return store.write(name, content)

    def check_signed(self, store: Store, name: str, key: VerificationKey) -> None:
        """Check that this approval, as it was read, was signed with a key.

        :param name: the name of its file in the store.
        :raises ApprovalError: it was not.
        :raises StoreUnavailableError: that cannot be looked up now.
        """
        content = store.read(name)
        if name != f"approvals/{hashlib.sha256(content).hexdigest()}.json":
            raise EvidenceError(f"The approval {name} was changed: its bytes no longer match its name.")
        if not store.exists(name + signature.SIGNATURE):
            raise ApprovalError(
                f"The approval by {self.approver!r} is not signed, and must be by the key {key.key_id} ([records] "
                "signing_key_file): whoever can write to the evidence store could have written it. It was given before "
                "a key was set, or not by an approving task."
            )
        try:
            signature.check(store, name, content, key)
        except StoreUnavailableError:
            raise
        except EvidenceError:
            raise ApprovalError(
                f"The approval by {self.approver!r} has no valid signature by the key {key.key_id} ([records] "
                "signing_key_file): it was signed with another key, such as the one before, or was forged."
            ) from None

    @classmethod
    def read(cls, store: Store, uri: str) -> Approval:
        """Read an approval and check its bytes against its name.

        :raises NewerFormatError: it was written by a newer release.
        :raises EvidenceError: the file is missing, was changed, or is no approval.
        """
        name = store.name(uri)
        members = reader.document(store, name, formats.APPROVAL, named_by_digest=True)
        try:
            if name.startswith("approvals/"):
                return cls.from_dict(members, uri)
            raise ValueError("it lies elsewhere")
        except NewerFormatError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError):
            raise EvidenceError(f"{uri} is no approval.") from None


@dataclass(frozen=True)
class Rejection:
    """One decision against a list: its records were due, and are kept.

    :param digest: digest of the rejected manifest.
    :param rejected_by: stable id of who rejected.
    :param rejected_at: time of the rejection, ISO 8601 in UTC.
    :param source: where the decision was made: ``kind``, and what identifies it there.
    :param name: name of who rejected, for people.
    :param comment: comment on the decision.
    :param unrecognized: members of the file that this release does not know.
    :param dag_id: the DAG that asked.
    :param run_id: the run that asked: there the list is stopped for good, with all that it was cut from or that is cut
        from it.
    """

    digest: str
    rejected_by: str
    rejected_at: str
    source: Mapping[str, Any]
    name: str = ""
    comment: str = ""
    unrecognized: Mapping[str, Any] = field(default_factory=dict)
    _: KW_ONLY
    dag_id: str
    run_id: str

    def write(self, store: Store) -> str:
        """Write the rejection under the digest of its own bytes into the folder of its run; return its URI."""
        content = canonical({**_members(self), **formats.REJECTION.members}) + b"\n"
        folder = rejections_folder(self.dag_id, self.run_id)
        return store.write(f"{folder}/{hashlib.sha256(content).hexdigest()}.json", content)

    @classmethod
    def of_run(cls, store: Store, dag_id: str, run_id: str) -> list[Rejection]:
        """Read all rejections of a run.

        :raises NewerFormatError: one was written by a newer release.
        :raises EvidenceError: one was changed, or is no rejection.
        """
        return [cls.read(store, name) for name in store.names(rejections_folder(dag_id, run_id))]

    @classmethod
    def read(cls, store: Store, name: str) -> Rejection:
        """Read a rejection and check its bytes against its name.

        :param name: the name of its file in the store.
        :raises NewerFormatError: it was written by a newer release.
        :raises EvidenceError: it was changed, or is no rejection.
        """
        left = reader.document(store, name, formats.REJECTION, named_by_digest=True)
        try:
            texts = {name: left.pop(name) for name in ("digest", "rejected_by", "rejected_at", "dag_id", "run_id")}
            texts |= {name: left.pop(name, "") for name in ("name", "comment")}
            source = left.pop("source")
            if not isinstance(source, dict) or not all(isinstance(text, str) for text in texts.values()):
                raise ValueError("a member of a rejection has a wrong type")
            datetime.fromisoformat(texts["rejected_at"])
            return cls(**texts, source=source, unrecognized=left)
        except (ValueError, TypeError, KeyError):
            raise EvidenceError(f"{store.uri(name)} is no rejection.") from None


def person(id_: str, name: str) -> frozenset[str]:
    """Return what tells a person from others, see :attr:`Approval.person`.

    :param id_: stable id with the source before it, such as ``airflow:anna``.
    :param name: what people call the person.
    """
    return frozenset(found for text in (id_, id_.partition(":")[2], name) if (found := folded(text)))


def _members(decision: Approval | Rejection) -> dict[str, Any]:
    members = {name: value for name, value in vars(decision).items() if value}
    members.pop("uri", None)
    return {**members.pop("unrecognized", {}), **members}
