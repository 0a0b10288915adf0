"""The page "Disposals" in Airflow's navigation. Every component of Airflow loads this module, so it imports little."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote, urlsplit

from airflow import __version__ as airflow_version
from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

Message = MutableMapping[str, Any]


def _icon(ink: str, paper: str) -> str:
    """Return the page's icon, a sheet with a seal.

    :param ink: colour of the lines.
    :param paper: colour of the areas.
    """
    return "data:image/svg+xml," + quote(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="{paper}" stroke="{ink}" stroke-width="1.8" '
        'stroke-linecap="round" stroke-linejoin="round">'
        '<path d="M18 11V5.5L14 2H6a1.5 1.5 0 0 0-1.5 1.5v17A1.5 1.5 0 0 0 6 22h4M14 2v4h4M8 10h6M8 14h3"/>'
        '<circle cx="16.5" cy="16.5" r="3.5"/><path d="m14.7 19.6-.7 3 2.5-1.2 2.5 1.2-.7-3"/></svg>'
    )


async def page(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Serve the page. The ASGI application is imported at the first request, which only the API server receives."""
    try:
        from airflow_provider_records.plugin.app import app
    except ImportError as error:
        # The page uses parts of Airflow that are not a public interface: database models and the API's authentication.
        from starlette.responses import PlainTextResponse

        logging.getLogger(__name__).exception("The page Disposals does not fit this Airflow")
        text = (
            f"The page Disposals does not fit Airflow {airflow_version}: it misses "
            f"{error.name}. Update airflow-provider-records. Disposals and their evidence do not depend on this page."
        )
        await PlainTextResponse(text, 503)(scope, receive, send)
    else:
        await app(scope, receive, send)


_ICONS = {"icon": _icon("#3f4a5f", "#fff"), "icon_dark_mode": _icon("#e4e4e7", "none")}
# A view's address is relative, so that it is correct below the path of [api] base_url, too. That of a script is not:
# Airflow 3.1 resolves it against its own scripts.
_BASE = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")


class DisposalsPlugin(AirflowPlugin):
    """Adds the page to Airflow's navigation, to runs and to task instances, and a tile to Airflow's first page.

    Airflow shows each in a frame of the same origin.
    """

    name = "records_disposals"
    fastapi_apps = [{"name": "Disposals", "app": page, "url_prefix": "/records"}]  # noqa: RUF012 - Airflow declares it so
    external_views = [  # noqa: RUF012
        {
            "name": "Disposals",
            "href": "records/",
            "destination": "nav",
            "nav_top_level": True,
            "url_route": "disposals",
            **_ICONS,
        },
        {
            "name": "Records",
            "href": "records/of/{DAG_ID}/{RUN_ID}",
            "destination": "dag_run",
            "url_route": "records-of-run",
            **_ICONS,
        },
        {
            "name": "Records",
            "href": "records/of-task/{DAG_ID}/{TASK_ID}/{RUN_ID}",
            "destination": "task_instance",
            "url_route": "records-of-task",
            **_ICONS,
        },
    ]
    react_apps = [  # noqa: RUF012
        {
            "name": "Disposals tile",
            "bundle_url": f"{_BASE}/records/tile.js",
            "destination": "dashboard",
            "url_route": "disposals-tile",
        }
    ]
