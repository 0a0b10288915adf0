"""Where a run, its certificate and its lists are found in Airflow's UI: on the page "Disposals"."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from airflow.sdk import BaseOperatorLink, conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

PAGE = "disposals"
"""The page's route within Airflow's UI, ``/plugin/disposals``."""
PREFIX = "/records"
"""Where the API server serves what the page shows."""


def page_url(path: str, **query: str) -> str:
    """Return the address of something on the page "Disposals".

    :param path: below ``/records``, e.g. ``/run``.
    :param query: its parameters.
    :return: a full URL if ``[api] base_url`` is set, else one that begins at the root of Airflow's host.
    """
    base = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    # Airflow's UI shows in its frame whatever path follows the page's own route.
    return f"{base}/plugin/{PAGE}{urlsplit(base).path}{PREFIX}{path}?{urlencode(query)}"


def list_url(digest: str, dag_id: str, run_id: str) -> str:
    """Return the address of a whole list of records, page by page.

    :param digest: digest of the list, ``sha256:`` + hex.
    :param dag_id: a DAG that uses the list; who may read its runs may read the list.
    :param run_id: the run that uses it.
    """
    return page_url(f"/manifests/{digest.removeprefix('sha256:')}", dag_id=dag_id, run_id=run_id)


class ListLink(BaseOperatorLink):
    """From a task that makes a list, or waits for its approval, to the list."""

    name = "List"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the list that the task's process knows as ``listed``; empty if there is none.

        It is stored when the process has ended: for a sensor that is deferred or rescheduled, while it waits.
        """
        digest = getattr(operator, "listed", "")
        return list_url(digest, ti_key.dag_id, ti_key.run_id) if digest else ""


class DisposalLink(BaseOperatorLink):
    """From a disposing task to what became of its records."""

    name = "Disposal"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the task's disposal; it is stored when the task has ended, however it ended."""
        return page_url("/run", dag_id=ti_key.dag_id, run_id=ti_key.run_id) + f"#task-{quote(ti_key.task_id)}"


class CertificateLink(BaseOperatorLink):
    """From the certifying task to the certificate."""

    name = "Certificate"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the run's certificate; it is stored when the task has ended, however it ended."""
        return page_url("/certificate.html", dag_id=ti_key.dag_id, run_id=ti_key.run_id)
