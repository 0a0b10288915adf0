"""Which due list the records of a manifest came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

_MEMBERS = ("conn_id", "target", "connector_id", "due_before")


@dataclass(frozen=True)
class DueList:
    """A due list of the records management system, so that it can be read again before each delete.

    :param conn_id: the Airflow connection that it was read through.
    :param target: where that connection led to, normalised.
    :param connector_id: the connector whose records it lists.
    :param due_before: its bound, ISO 8601 in UTC without offset, as it was sent.
    :param unrecognized: members of a file that this release does not know; they are written back as they are.
    """

    conn_id: str
    target: str
    connector_id: str
    due_before: str
    _: KW_ONLY
    unrecognized: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> DueList:
        """Read what :meth:`to_dict` wrote.

        :raises KeyError: a member is missing.
        :raises ValueError: a member is no text, or empty.
        """
        texts = {name: members[name] for name in _MEMBERS}
        for name, text in texts.items():
            if not isinstance(text, str) or not text:
                raise ValueError(f"{name} of a due list must be text, not {text!r}")
        unrecognized = {name: value for name, value in members.items() if name not in _MEMBERS}
        return cls(**texts, unrecognized=unrecognized)

    def to_dict(self) -> dict[str, Any]:
        """Return the due list as plain JSON."""
        return {**self.unrecognized, **{name: getattr(self, name) for name in _MEMBERS}}
