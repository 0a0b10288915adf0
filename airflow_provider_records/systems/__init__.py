"""The systems that this release knows: one line each.

Classes are named, not imported: a retry rule or a certificate needs no system, and no system needs another one.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING

from airflow_provider_records.exceptions import ConfigurationError

if TYPE_CHECKING:
    from airflow_provider_records.systems.base import RegisteredSystem

SYSTEMS: MutableMapping[str, str] = {
    "enaio": "airflow_provider_records.systems.enaio:EnaioSystem",
    "unifier": "airflow_provider_records.systems.unifier:UnifierSystem",
    "opus": "airflow_provider_records.systems.opus:OpusSystem",
}
"""``module:class`` by the short name of the system; another package adds its own entry when it is imported."""


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
