"""The systems that this release knows: one line each.

Classes are named, not imported: a retry rule or a certificate needs no system, and no system needs another one.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_records.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_records.systems.base import ApprovalSource, RegisteredSystem

SYSTEMS: MutableMapping[str, str] = {
    "enaio": "airflow_provider_records.systems.enaio:EnaioSystem",
    "unifier": "airflow_provider_records.systems.unifier:UnifierSystem",
    "opus": "airflow_provider_records.systems.opus:OpusSystem",
}
"""``module:class`` by the short name of the system; another package adds its own entry when it is imported."""


APPROVAL_SOURCES: MutableMapping[str, str] = {
    "enaio": "airflow_provider_records.systems.enaio_approval:EnaioFieldSource",
    "unifier": "airflow_provider_records.systems.unifier_approval:UnifierRecordSource",
}
"""``module:class`` by the ``kind`` of an approval's source, where it can be read again; the class is made with the
digest of the approved list and the source as the approval names it."""


def approval_source(digest: str, source: Mapping[str, Any]) -> ApprovalSource | None:
    """Return the source of an approval; None where it cannot be read again.

    :param digest: digest of the list that was approved there.
    :param source: as the approval names it.
    :raises ConfigurationError: its connection has a wrong field.
    """
    if (named := APPROVAL_SOURCES.get(str(source.get("kind")))) is None:
        return None
    module, _, attribute = named.partition(":")
    found: ApprovalSource = getattr(import_module(module), attribute)(digest, source)
    return found


def system_class(name: str) -> type[RegisteredSystem]:
    """Return the class of a system.

    :param name: the short name of the system, as a summary has it.
    :raises ConfigurationError: this release does not know it.
    """
    if name not in SYSTEMS:
        raise ConfigurationError(f"this release does not know the system {name!r}")
    module, _, attribute = SYSTEMS[name].partition(":")
    found: type[RegisteredSystem] = getattr(import_module(module), attribute)
    return found
