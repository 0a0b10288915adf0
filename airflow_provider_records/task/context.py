"""What an Airflow task provides: the evidence store, its provenance, and failures without a retry."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import ObjectStoragePath, conf
from airflow.sdk.exceptions import AirflowFailException
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records import __version__
from airflow_provider_records.evidence import signature
from airflow_provider_records.evidence.signature import VerificationKey
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.exceptions import ConfigurationError, RecordsError

if TYPE_CHECKING:
    from airflow.sdk import Context


def evidence_store() -> Store:
    """Return the evidence store at ``[records] evidence_path``.

    :raises ConfigurationError: no installed provider supports its kind of storage.
    :raises EvidenceError: it is not a usable folder.
    """
    path = conf.get("records", "evidence_path", fallback="") or conf.get_default_value("records", "evidence_path")
    if path.startswith("file://") or "://" not in path:
        return Store(path)
    try:
        root = ObjectStoragePath(path, conn_id=conf.get("records", "evidence_conn_id", fallback="") or None)
        return Store(path, root.fs, root.path)
    except (ValueError, ImportError) as error:
        raise ConfigurationError(
            f"[records] evidence_path {path!r} cannot be used: {error}. Is the provider for this storage installed?"
        ) from None


def signing_key() -> Ed25519PrivateKey | None:
    """Return the key at ``[records] signing_key_file``, which signs approvals and certificates; None: none is set.

    :raises ConfigurationError: it cannot be read, or is no such key.
    """
    path = conf.get("records", "signing_key_file", fallback="")
    if not path:
        return None
    try:
        pem = Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"[records] signing_key_file {path} cannot be read: {error.strerror}. Nothing was signed."
        ) from None
    return signature.signing_key(pem)


def approval_key() -> VerificationKey | None:
    """Return the key that approvals must be signed with; None: they need no signature.

    :raises ConfigurationError: as for :func:`signing_key`.
    """
    key = signing_key()
    return None if key is None else VerificationKey.from_key(key.public_key())


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


def provenance(context: Context) -> Provenance:
    """Return which task instance does the work, for the evidence: DAG, run, task, map index, try, versions."""
    ti, dag_run = context["ti"], context["dag_run"]
    return Provenance(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=ti.map_index if ti.map_index is not None else -1,
        try_number=ti.try_number,
        run_started_at=dag_run.start_date.isoformat() if dag_run.start_date else "",
        dag_version_id=str(getattr(ti, "dag_version_id", "") or ""),
        hostname=platform.node(),
        provider_version=__version__,
        airflow_version=_airflow_version(),
        python_version=platform.python_version(),
    )


def _airflow_version() -> str:
    from importlib.metadata import version

    return version("apache-airflow-core")
