"""Who approved which list, when, and through which source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_records.evidence.record import canonical
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError


@dataclass(frozen=True)
class Approval:
    """One approval of one list.

    :param digest: digest of the approved manifest.
    :param approver: stable id of who approved; distinct ids are what ``min_approvals`` counts.
    :param approved_at: when, ISO 8601 in UTC.
    :param source: where the approval was given: ``kind`` and what finds it again.
    :param name: what people call the approver.
    :param comment: what the approver wrote.
    :param part_of: digest of the longer list that was approved, if this list was cut out of it.
    :param shown: digest of the list that the approver saw, if the approver withheld records of it.
    :param withheld: the records that the approver withheld: reason by key. This approval does not cover them.
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
    uri: str = field(default="", compare=False)

    def write(self, store: Store) -> str:
        """Write the approval under the digest of its own bytes; return its URI."""
        content = canonical({"type": "approval", **self.fields()}) + b"\n"
        return store.write(f"approvals/{hashlib.sha256(content).hexdigest()}.json", content)

    def fields(self) -> dict[str, Any]:
        """Return the approval as plain JSON, without what is empty."""
        return {name: value for name, value in vars(self).items() if value and name != "uri"}

    @classmethod
    def read(cls, store: Store, uri: str) -> Approval:
        """Read an approval and check that its bytes are those of its name.

        :raises EvidenceError: it is missing, changed, or no approval.
        """
        name = store.name(uri)
        content = store.read(name)
        if name != f"approvals/{hashlib.sha256(content).hexdigest()}.json":
            raise EvidenceError(f"The approval at {uri} was changed: its bytes no longer match its name.")
        try:
            fields = json.loads(content)
            if fields.pop("type", None) != "approval":
                raise ValueError
            source, withheld = fields.pop("source"), fields.pop("withheld", {})
            if not isinstance(source, dict) or not isinstance(withheld, dict):
                raise ValueError
            if not all(isinstance(value, str) for value in (*fields.values(), *withheld.values())):
                raise ValueError
            approval = cls(**fields, source=source, withheld=withheld, uri=uri)
            if not approval.digest or not approval.approver.strip():
                raise ValueError
            if bool(approval.shown) != bool(withheld) or not all(reason.strip() for reason in withheld.values()):
                raise ValueError
            if approval.part_of and withheld:
                raise ValueError
        except (ValueError, TypeError, KeyError, AttributeError):
            raise EvidenceError(f"{uri} is no approval.") from None
        return approval


@dataclass(frozen=True)
class Rejection:
    """One decision against a list: its records were due, and were kept.

    :param digest: digest of the rejected manifest.
    :param rejected_by: stable id of who rejected.
    :param rejected_at: when, ISO 8601 in UTC.
    :param source: where the decision was made: ``kind`` and what finds it again.
    :param name: what people call who rejected.
    :param comment: what was said about it.
    """

    digest: str
    rejected_by: str
    rejected_at: str
    source: Mapping[str, Any]
    name: str = ""
    comment: str = ""

    def write(self, store: Store) -> str:
        """Write the rejection under the digest of its own bytes; return its URI."""
        content = (
            canonical({"type": "rejection", **{name: value for name, value in vars(self).items() if value}}) + b"\n"
        )
        return store.write(f"rejections/{hashlib.sha256(content).hexdigest()}.json", content)
