"""Deadlines of a disposal run: somebody is told when nobody has approved for days, or a morning has no certificate.

A deadline is Airflow's own: it concerns the whole run, and passes unless the run has succeeded by then.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from airflow_provider_records.airflow_version import AsyncCallback, DeadlineAlert, DeadlineReference, deadlines_work
from airflow_provider_records.task.links import run_url

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier

log = logging.getLogger(__name__)

_APPROVAL, _CERTIFICATE = "Approval", "Certificate"
_HINTS = {
    _APPROVAL: "If it waits for an approval, nobody has given it yet.",
    _CERTIFICATE: "It has no certificate yet, or one of an incomplete run.",
}


def deadlines(
    *,
    approval: timedelta | None = None,
    certificate: timedelta | None = None,
    notifier: type[BaseNotifier] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> list[DeadlineAlert] | None:
    """Return deadlines for ``deadline=`` of a DAG, counted from when a run is queued.

    :param approval: after how long somebody should have approved; longer than a disposal takes. None: no such deadline.
    :param certificate: after how long the run should have its certificate: with a schedule at 04:30, 90 minutes mean
        06:00. None: no such deadline.
    :param notifier: class of a notifier with ``async_notify``, such as ``SmtpNotifier``; it runs in the triggerer.
        None: the triggerer's log says so, and Airflow's page of the run.
    :param arguments: of the notifier, plain JSON; ``{{ summary }}`` is what to say, with a link to the run.
    :return: None before Airflow 3.3, and in ``airflow dags test``, which fails with a deadline.
    """
    if not deadlines_work():
        return None
    path = f"{notifier.__module__}.{notifier.__qualname__}" if notifier else None
    return [
        DeadlineAlert(
            DeadlineReference.DAGRUN_QUEUED_AT,
            interval,
            AsyncCallback(report, {"what": what, "notifier": path, "arguments": dict(arguments or {})}),
            name=what,
        )
        for what, interval in ((_APPROVAL, approval), (_CERTIFICATE, certificate))
        if interval is not None
    ]


async def report(
    what: str, notifier: str | None, arguments: Mapping[str, Any], context: Mapping[str, Mapping[str, Any]]
) -> None:
    """Say that a deadline has passed; the triggerer awaits this.

    :param what: name of the deadline.
    :param notifier: path of the notifier's class; None: only log it.
    :param arguments: of the notifier.
    :param context: what Airflow knows of run and deadline.
    """
    run, due = context["dag_run"], str(context["deadline"]["deadline_time"])[:16].replace("T", " ")
    where = (run["dag_id"], run["dag_run_id"])
    summary = "\n".join(
        [
            f"{what} overdue: {', '.join(where)}",
            f"The run has not succeeded by {due} UTC; it is {run['state']}. {_HINTS[what]}",
            "",
            f"Run: {run_url(*where)}",
        ]
    )
    log.warning("%s", summary)
    if notifier:
        await resolve_name(notifier)(**arguments, context={**context, "summary": summary})
