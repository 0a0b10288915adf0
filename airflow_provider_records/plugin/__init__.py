"""The page "Disposals" in Airflow's navigation. Every component of Airflow loads this module, so it imports little."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from airflow import __version__ as airflow_version
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


class DisposalsPlugin(AirflowPlugin):
    """Adds the page to Airflow's navigation. Airflow shows it in a frame of the same origin."""

    name = "records_disposals"
    fastapi_apps = [{"name": "Disposals", "app": page, "url_prefix": "/records"}]  # noqa: RUF012 - Airflow declares it so
    external_views = [  # noqa: RUF012
        {
            "name": "Disposals",
            # relative, so that it is correct below the path of [api] base_url, too
            "href": "records/",
            "destination": "nav",
            "nav_top_level": True,
            "url_route": "disposals",
            "icon": _icon("#3f4a5f", "#fff"),
            "icon_dark_mode": _icon("#e4e4e7", "none"),
        }
    ]
