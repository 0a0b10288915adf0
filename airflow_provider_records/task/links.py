"""Addresses of runs, certificates and lists on the page "Disposals", and the links from tasks to them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from airflow.sdk import BaseOperatorLink

from airflow_provider_records.airflow_version import conf, region_query

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

PAGE = "disposals"
"""The page's route within Airflow's UI, ``/plugin/disposals``."""
PREFIX = "/records"
"""The path below which the API server serves the page's content."""


def page_url(path: str, **query: str) -> str:
    """Return an address on the page "Disposals".

    :param path: path below ``/records``, e.g. ``/run``.
    :param query: its parameters.
    :return: a full URL if ``[api] base_url`` is set, otherwise an absolute path on Airflow's host.
    """
    base = _base()
    # Airflow's UI shows the path behind the page's route in its frame.
    return f"{base}/plugin/{PAGE}{urlsplit(base).path}{PREFIX}{path}?{urlencode(query)}"


def _base() -> str:
    return (conf.get("api", "base_url", fallback="") or "").rstrip("/")


def list_url(digest: str, dag_id: str, run_id: str) -> str:
    """Return the address of a list of records.

    :param digest: digest of the list, ``sha256:`` + hex.
    :param dag_id: a DAG that uses the list; users who may read its runs may read the list.
    :param run_id: the run that uses it.
    """
    return page_url(f"/manifests/{digest.removeprefix('sha256:')}", dag_id=dag_id, run_id=run_id)


def run_url(dag_id: str, run_id: str) -> str:
    """Return the address of a run."""
    return page_url("/run", dag_id=dag_id, run_id=run_id)


def certificate_url(dag_id: str, run_id: str) -> str:
    """Return the address of a run's certificate."""
    return page_url("/certificate.html", dag_id=dag_id, run_id=run_id)


def request_url(context: Context) -> str:
    """Return the address of the page in Airflow on which people answer a task's request."""
    ti = context["ti"]
    map_index = ti.map_index if ti.map_index is not None else -1
    region = region_query(getattr(ti, "region_id", None), getattr(ti, "region_index", None))
    mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
    path = "/".join(quote(part, safe="") for part in ("dags", ti.dag_id, "runs", ti.run_id, "tasks", ti.task_id))
    return f"{_base()}/{path}{mapped}/required_actions{region and f'?{region}'}"


class ListLink(BaseOperatorLink):
    """Links a task that creates a list, or waits for its approval, to the list."""

    name = "List"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the list whose digest is in the operator's ``listed``; empty if there is none.

        Airflow stores it when the process ends. A sensor that is deferred or rescheduled has its link while it waits.
        """
        digest = getattr(operator, "listed", "")
        return list_url(digest, ti_key.dag_id, ti_key.run_id) if digest else ""


class DisposalLink(BaseOperatorLink):
    """Links a disposing task to the outcomes of its records."""

    name = "Disposal"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the task's disposal. Airflow stores it when the task ends, in any state."""
        return f"{run_url(ti_key.dag_id, ti_key.run_id)}#task-{quote(ti_key.task_id)}"


class CertificateLink(BaseOperatorLink):
    """Links the certificate task to the certificate."""

    name = "Certificate"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the run's certificate. Airflow stores it when the task ends, in any state."""
        return certificate_url(ti_key.dag_id, ti_key.run_id)
