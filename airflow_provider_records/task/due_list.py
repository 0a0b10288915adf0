"""The due list of Opus, written as a manifest."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.set_aside import OddRow
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.hooks.opus import OpusHook, check_page_size, due_text
from airflow_provider_records.task.filing import is_filed
from airflow_provider_records.task.listing import Listing, write_list

log = logging.getLogger(__name__)

SURELY_PAST = timedelta(hours=12)
"""No vendor says in which zone it reads a bound; what is further back is past in every zone."""


def due_bound(due_before: datetime | str, ahead: timedelta = timedelta(0)) -> str:
    """Return a bound in UTC, as text without offset: the form in which Opus takes it.

    :param due_before: records due earlier than this; without a zone it is UTC.
    :param ahead: how far in the future it may be.
    :raises ConfigurationError: it is neither a datetime nor ISO text, or it is later than now.
    """
    bound = due_text(due_before)
    if _age(bound) < -ahead:
        raise ConfigurationError(
            f"due_before is {bound} UTC, which is later than now: it would list records whose retention has not ended. "
            "Choose a bound in the past; without a zone it is UTC."
        )
    return bound


def refuse_far_bound(due_before: object) -> None:
    """Refuse a bound that a DAG states more than a day ahead, when it is parsed.

    :param due_before: what the DAG gives; a template or the output of a task is checked when its value is known.
    :raises ConfigurationError: it is a datetime or ISO text, and more than a day in the future.
    """
    if isinstance(due_before, (datetime, str)):
        try:
            due_text(due_before)
        except ConfigurationError:
            return
        due_bound(due_before, timedelta(days=1))


def _age(bound: str) -> timedelta:
    return datetime.now(UTC) - datetime.fromisoformat(bound).replace(tzinfo=UTC)


def checked_bound(due_before: datetime | str, system: str) -> str:
    """Return a bound as :func:`due_bound` does; warn if it may be early in the system's time zone.

    :param system: name of the system, for the warning.
    :raises ConfigurationError: see :func:`due_bound`.
    """
    bound = due_bound(due_before)
    if _age(bound) < SURELY_PAST:
        log.warning(
            "due_before is %s UTC, less than %g hours ago. The time zone of %s is not known: records may "
            "be listed before their retention has ended there. Choose an earlier bound.",
            bound,
            SURELY_PAST / timedelta(hours=1),
            system,
        )
    return bound


def due_manifest(
    hook: OpusHook,
    store: Store,
    origin: Provenance,
    *,
    due_before: datetime | str,
    connector_id: str | None,
    target_id_pattern: str | None,
    page_size: int,
    set_aside: bool = True,
) -> Listing:
    """Read the due list to its end and write it as a manifest; an error leaves no manifest.

    :param hook: the client.
    :param store: the evidence store.
    :param origin: the task that lists.
    :param due_before: records due earlier than this; not later than now. Without a zone it is UTC.
    :param connector_id: the connector; None: the connection's.
    :param target_id_pattern: regular expression with one group that finds the target id in the key; None: the key.
    :param page_size: records a page, 1 to 100.
    :param set_aside: False: a row of which no record can be made is an error.
    :raises ConfigurationError: an argument or the connection is wrong.
    :raises InvalidRecordsError: see :func:`~airflow_provider_records.task.listing.write_list`.
    :raises TooManyRecordsError: see there.
    :raises VendorError: the list could not be read to its end.
    """
    pattern = _compiled(target_id_pattern)
    connector = hook.due_connector(connector_id)
    asked = checked_bound(due_before, "the Opus tenant")

    def rows() -> Iterator[Mapping[str, Any] | OddRow]:
        for row in hook.iter_due_records(connector, asked, page_size):
            target = row.row_key
            if is_filed(target):
                yield OddRow(target, "it is a certificate that was filed in Opus; decide on it there")
                continue
            if pattern is not None and row.row_key == row.row_key.strip():
                if (match := pattern.fullmatch(row.row_key)) is None or not match.group(1):
                    name = row.row_key.encode(errors="replace").decode()
                    yield OddRow(name, f"its key does not match target_id_pattern {pattern.pattern!r}")
                    continue
                target = match.group(1)
            origin = {
                "connector_id": connector,
                "due_before": asked,
                "created": row.time_created,
                "created_by": row.created_by,
                "modified": row.time_modified,
                "modified_by": row.modified_by,
            }
            yield {
                "key": row.row_key,
                "target_id": target,
                "title": row.leaf_name,
                "classification": row.term_full_path,
                "attributes": {name: value for name, value in origin.items() if value},
            }

    due_list = DueList(hook.conn_id, hook.target, connector, asked)
    return write_list(store, rows(), origin, set_aside=set_aside, due_list=due_list)


def check_reading(target_id_pattern: object, page_size: object) -> None:
    """Check how a DAG says that a due list is read.

    :raises ConfigurationError: the pattern is no regular expression with one group, and not None; or a page holds less
        than 1 or more than 100 records.
    """
    _compiled(target_id_pattern)
    check_page_size(page_size)


def _compiled(pattern: object) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    if not isinstance(pattern, str):
        raise ConfigurationError(f"target_id_pattern must be a regular expression as text, not {pattern!r}.")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(f"target_id_pattern {pattern!r} is not a regular expression: {error}.") from None
    if compiled.groups != 1:
        raise ConfigurationError(
            f"target_id_pattern {pattern!r} must have exactly one group, it has {compiled.groups}."
        )
    return compiled
