"""Which key of names a store was begun with: a small file tells it from others, so that no other one is used there."""

from __future__ import annotations

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.names import OPTION, KeyedNaming, Naming
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ConfigurationError

FOLDER = "names_key"


def kept_naming(store: Store) -> str:
    """Return the check of the key whose hashes a store holds, see :attr:`KeyedNaming.check`; empty: it holds none.

    :raises ConfigurationError: it holds those of several.
    :raises EvidenceError: the store cannot be read.
    """
    found = [name.rpartition("/")[2].removesuffix(".json") for name in store.names(FOLDER)]
    if len(found) > 1:
        raise ConfigurationError(
            f"The evidence store {store.root} knows {len(found)} keys of {OPTION}, since tasks with different keys "
            f"began at the same time. Remove the file of the wrong key from its folder {FOLDER}."
        )
    return found[0] if found else ""


def matched_naming(store: Store, naming: Naming) -> Naming:
    """Return how titles and people stand in a store; the first key that is used there is the only one.

    :param naming: what is configured here.
    :raises ConfigurationError: the store was begun with another key, or with one and none is configured here.
    :raises EvidenceError: the store cannot be read or written.
    """
    kept = kept_naming(store)
    refuse_other(store, naming, kept)
    if isinstance(naming, KeyedNaming) and not kept:
        store.write(f"{FOLDER}/{naming.check}.json", canonical(formats.NAMES_KEY.members) + b"\n")
        refuse_other(store, naming, kept_naming(store))  # another task may have begun with another key just now
    return naming


def refuse_other(store: Store, naming: Naming, kept: str) -> None:
    """Refuse another key than that of a store.

    :param kept: see :func:`kept_naming`.
    :raises ConfigurationError: they differ.
    """
    if not isinstance(naming, KeyedNaming):
        if kept:
            raise ConfigurationError(
                f"Titles and people stand as keyed hashes in the evidence store {store.root}, and {OPTION} is not set "
                "here. Set it on every worker to the key of that store; nothing was written, and no request was sent."
            )
    elif kept not in {"", naming.check}:
        raise ConfigurationError(
            f"{OPTION} is not the key with which the evidence store {store.root} was begun: one person would stand "
            "there as two. Set that key again, or begin a new [records] evidence_path; nothing was written, and no "
            "request was sent."
        )
