"""The due list of Opus, written as a manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import ConfigurationError, InvalidRecordsError
from airflow_provider_records.hooks.opus import OpusHook, due_text


def due_manifest(
    hook: OpusHook,
    store: Store,
    *,
    due_before: datetime | str,
    connector_id: str | None,
    target_id_pattern: str | None,
    page_size: int,
) -> Manifest:
    """Read the due list to its end and write it as a manifest; an error leaves no manifest.

    :param hook: the client.
    :param store: the evidence store.
    :param due_before: records due earlier than this.
    :param connector_id: the connector; None: the connection's.
    :param target_id_pattern: regular expression with one group that finds the target id in the key; None: the key.
    :param page_size: records a page, 1 to 100.
    :return: the manifest.
    :raises ConfigurationError: an argument or the connection is wrong.
    :raises InvalidRecordsError: a key does not match the pattern, or comes twice with different fields.
    :raises VendorError: the list could not be read to its end.
    """
    pattern = _compiled(target_id_pattern)
    connector = hook.due_connector(connector_id)
    asked = due_text(due_before)

    def records() -> Iterator[dict[str, Any]]:
        for row in hook.iter_due_records(connector, asked, page_size):
            target = row.row_key
            if pattern is not None:
                if (match := pattern.fullmatch(row.row_key)) is None or not match.group(1):
                    raise InvalidRecordsError(
                        f"Record {row.row_key!r} does not match target_id_pattern {pattern.pattern!r}; "
                        "no list was made. Correct the pattern, or list another connector."
                    )
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

    return Manifest.write(store, records())


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
