"""Which due list the records of a manifest came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from airflow_provider_records.evidence.dates import latest

_TEXTS = ("conn_id", "target", "due_before")
_OPUS = "opus"
_CHANGED = ("modified", "last_modified")


@dataclass(frozen=True)
class DueList:
    """A due list of a system, so that it can be read again before each delete.

    :param conn_id: the Airflow connection that it was read through.
    :param target: where that connection led to, normalised.
    :param connector_id: of Opus: the connector whose records it lists; empty in other systems.
    :param due_before: its bound, ISO 8601 in UTC without offset, as it was sent.
    :param system: short name of the system that lists.
    :param query: of other systems than Opus: what was asked for besides the bound, as the arguments of the task.
    :param unrecognized: members of a file that this release does not know; they are written back as they are.
    """

    conn_id: str
    target: str
    connector_id: str
    due_before: str
    _: KW_ONLY
    system: str = _OPUS
    query: Mapping[str, Any] = field(default_factory=dict, hash=False)
    unrecognized: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> DueList:
        """Read what :meth:`to_dict` wrote.

        :raises KeyError: a member is missing.
        :raises ValueError: a member is no text, or empty; or the query is no mapping.
        """
        left = dict(members)
        texts = {name: left.pop(name) for name in _TEXTS}
        system = left.pop("system", _OPUS)
        texts |= {"system": system, "connector_id": left.pop("connector_id") if system == _OPUS else ""}
        for name, text in texts.items():
            if not isinstance(text, str) or not (text or (name == "connector_id" and system != _OPUS)):
                raise ValueError(f"{name} of a due list must be text, not {text!r}")
        query = {} if system == _OPUS else left.pop("query")
        if not isinstance(query, Mapping):
            raise ValueError(f"the query of a due list must be a mapping, not {query!r}")
        return cls(**texts, query=query, unrecognized=left)

    def to_dict(self) -> dict[str, Any]:
        """Return the due list as plain JSON."""
        texts = {name: getattr(self, name) for name in _TEXTS}
        if self.system == _OPUS:
            return {**self.unrecognized, **texts, "connector_id": self.connector_id}
        return {**self.unrecognized, **texts, "system": self.system, "query": dict(self.query)}

    def may_list(self, attributes: Mapping[str, Any]) -> bool:
        """Tell whether a record says that it came from this list: what its attributes name of it is the same.

        :param attributes: the record's attributes; without ``due_before`` they do not say it.
        """
        known = {**self.query, "connector_id": self.connector_id or None}
        named = ((attributes[name], value) for name, value in known.items() if value and name in attributes)
        return attributes.get("due_before") == self.due_before and all(
            found == value for found, value in named if isinstance(value, str)
        )


def changed_after_bound(attributes: Mapping[str, Any]) -> str:
    """Return when a record was changed, if that was after the bound of its list; else nothing.

    Whoever still works with a record may need it, whatever its retention says.

    :param attributes: the record's attributes.
    """
    bound = attributes.get("due_before")
    changed = next((text for name in _CHANGED if isinstance(text := attributes.get(name), str)), "")
    if not changed or not isinstance(bound, str):
        return ""
    at, before = latest(changed), latest(bound)
    return changed if at and before and at > before else ""
