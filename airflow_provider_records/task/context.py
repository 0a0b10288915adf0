"""What an Airflow task provides: the evidence store, its provenance, and failures without a retry."""

from __future__ import annotations

import gc
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, ObjectStoragePath
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records import __version__
from airflow_provider_records.airflow_version import (
    AirflowFailException,
    AirflowNotFoundException,
    airflow_version,
    conf,
    loop_iteration,
    region_began,
)
from airflow_provider_records.evidence import names_key, signature
from airflow_provider_records.evidence.names import PLAIN, KeyedNaming, Naming
from airflow_provider_records.evidence.signature import VerificationKey
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.exceptions import ConfigurationError, RecordsError
from airflow_provider_records.get_provider_info import get_provider_info
from airflow_provider_records.reporting.language import Language, language

if TYPE_CHECKING:
    from airflow.sdk import Context

_PATH = re.compile(r"/.*|file:///.+|(?!file:)[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s].*")
_AZURE = ("wasb", "adls", "azure_data_lake")
_CONNECTION_TYPES = {
    "s3": ("aws",),
    "s3a": ("aws",),
    "gs": ("google_cloud_platform",),
    "gcs": ("google_cloud_platform",),
    **dict.fromkeys(("abfs", "abfss", "adl"), _AZURE),
}
"""The types of connections that open a storage, where that is known."""


def configured_path() -> str:
    """Return ``[records] evidence_path`` as it is set."""
    return conf.get("records", "evidence_path", fallback="") or _default_path()


def evidence_store() -> Store:
    """Return the evidence store at ``[records] evidence_path``, for those who write to it or compare names.

    :raises ConfigurationError: as for :func:`opened_store` and :func:`configured_naming`; or the store holds the hashes
        of another ``names_key_file``.
    :raises EvidenceError: the store cannot be read.
    """
    store = opened_store()
    store.naming = names_key.matched_naming(store, configured_naming())
    return store


def opened_store() -> Store:
    """Return the evidence store at ``[records] evidence_path`` for those who only read; they need no key of names.

    :raises ConfigurationError: the path is neither absolute nor a URL, no installed provider supports its kind of
        storage, or ``evidence_conn_id`` names no connection for it.
    """
    path = configured_path()
    if not _PATH.fullmatch(path):
        raise ConfigurationError(
            f"[records] evidence_path {path!r} is neither an absolute path, such as /srv/records, nor a URL with two "
            "slashes, such as s3://bucket/records. Anything else would lie in each process's own folder."
        )
    if path.startswith(("file://", "/")):
        return Store(path, setting="[records] evidence_path")
    conn_id = conf.get("records", "evidence_conn_id", fallback="") or None
    _check_connection(conn_id or urlsplit(path).username, urlsplit(path).scheme)
    try:
        root = ObjectStoragePath(path, conn_id=conn_id)
        return Store(path, root.fs, root.path, setting="[records] evidence_path and evidence_conn_id")
    except (ValueError, ImportError) as error:
        raise ConfigurationError(
            f"[records] evidence_path {path!r} cannot be used: {error}. Is the provider for this storage installed?"
        ) from None


def configured_naming() -> Naming:
    """Return how titles and people are to stand in the evidence: as they are, if ``names_key_file`` is not set.

    :raises ConfigurationError: the file of ``[records] names_key_file`` cannot be read, everybody may read or change
        it, or its key is too short.
    """
    key = _secret("names_key_file", "hashes would hide no names", "Nothing was written")
    return PLAIN if key is None else KeyedNaming(key.rstrip(b"\r\n"))


def signing_key() -> Ed25519PrivateKey | None:
    """Return the key at ``[records] signing_key_file``, which signs approvals and certificates; None: none is set.

    :raises ConfigurationError: it cannot be read, everybody may read or change it, or it is no such key.
    """
    pem = _secret("signing_key_file", "a signature would prove nothing", "Nothing was signed")
    return None if pem is None else signature.signing_key(pem)


def _secret(option: str, consequence: str, undone: str) -> bytes | None:
    """Return the content of a file with a key; None: the option is not set.

    :param option: name of the option in ``[records]``.
    :param consequence: what follows if everybody may use it, as a clause.
    :param undone: what was not done without it, as a clause.
    :raises ConfigurationError: it cannot be read, or everybody may read or change it.
    """
    path = conf.get("records", option, fallback="")
    if not path:
        return None
    try:
        with Path(path).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode  # of the file itself: a mounted secret is a link
            content = file.read()
    except OSError as error:
        raise ConfigurationError(f"[records] {option} {path} cannot be read: {error.strerror}. {undone}.") from None
    if mode & 0o007:
        raise ConfigurationError(
            f"[records] {option} {path} may be used by everybody on the machine (mode {mode & 0o777:03o}), so that "
            f"{consequence}. {undone}; take the rights of others away (chmod o=), and make a new key if any of them "
            "may have read this one."
        )
    return content


def reading_language() -> Language:
    """Return ``[records] language``: that of certificates, requests and the page "Disposals".

    :raises ConfigurationError: it is none that this release speaks.
    """
    return language(conf.get("records", "language", fallback="") or "en")


def approval_key() -> VerificationKey | None:
    """Return the key that approvals must be signed with; None: they need no signature.

    :raises ConfigurationError: as for :func:`signing_key`.
    """
    key = signing_key()
    return None if key is None else VerificationKey.from_key(key.public_key())


def _check_connection(conn_id: str | None, scheme: str) -> None:
    """Refuse a connection for which Airflow would silently take the machine's own credentials.

    :raises ConfigurationError: it is not defined, or is one to another kind of system.
    """
    if conn_id is None:
        return
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise ConfigurationError(
            f"[records] evidence_conn_id {conn_id!r} names no connection. The evidence store is not opened with the "
            "machine's own credentials in its place; define the connection, or leave evidence_conn_id empty."
        ) from None
    wanted = _CONNECTION_TYPES.get(scheme)
    if wanted and connection.conn_type not in wanted:
        raise ConfigurationError(
            f"[records] evidence_conn_id {conn_id!r} is a connection of the type {connection.conn_type!r}; "
            f"{scheme}:// needs {' or '.join(wanted)}."
        )


def _default_path() -> str:
    # Airflow 3.1 tells a worker no defaults of providers, so it is filled in here, as Airflow would.
    info: Any = get_provider_info()
    default: str = info["config"]["records"]["options"]["evidence_path"]["default"]
    home = os.path.expanduser(os.path.expandvars(os.environ.get("AIRFLOW_HOME", "~/airflow")))  # as Airflow does
    return default.format(AIRFLOW_HOME=home)


@contextmanager
def hard_stops() -> Iterator[None]:
    """Turn errors that no retry can resolve into a failure that Airflow does not retry.

    :raises AirflowFailException: with the error's message.
    """
    try:
        yield
    except RecordsError as error:
        if error.retry:
            raise
        raise AirflowFailException(str(error)) from error


@contextmanager
def imports_left_alone() -> Iterator[None]:
    """Let the garbage collector leave out what was there before.

    Airflow's modules are a large heap; each full collection of it would hold up all threads for a fifth of a second.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def provenance(context: Context) -> Provenance:
    """Return which task instance does the work, for the evidence: DAG, run, task, map index, try, versions."""
    ti, dag_run, iteration = context["ti"], context["dag_run"], loop_iteration(context)
    made = region_began(ti) if iteration >= 0 else None
    made_later = made and dag_run.start_date and made > dag_run.start_date
    return Provenance(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=ti.map_index if ti.map_index is not None else -1,
        iteration=iteration,
        loop_began_at=made.isoformat() if made and made_later else "",
        try_number=ti.try_number,
        run_started_at=dag_run.start_date.isoformat() if dag_run.start_date else "",
        dag_version_id=str(getattr(ti, "dag_version_id", "") or ""),
        hostname=platform.node(),
        provider_version=__version__,
        airflow_version=airflow_version(),
        python_version=platform.python_version(),
    )
