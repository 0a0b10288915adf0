"""How often in a row a listing task found nothing: a wrong bound, field or right looks just like an empty archive.

Each empty list leaves a small file, and the next one with records another; their names alone are read. They prove
nothing.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.folders import listings_folder
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Provenance

MANY = 7
"""From this number of runs in a row on, somebody should look."""
_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-(\d+)-([0-9a-f]{16})\.json")
_TIME = "%Y%m%dT%H%M%S.%fZ"


def note(store: Store, origin: Provenance, count: int) -> int:
    """Keep that a task found nothing, or something again.

    :param store: the evidence store.
    :param origin: the listing task.
    :param count: number of records and rows that it found, those on no list included.
    :return: how many runs in a row found nothing, this one included.
    :raises EvidenceError: the store cannot be read or written.
    """
    folder = listings_folder(origin.dag_id, origin.task_id, origin.map_index)
    known = [found for name in sorted(store.children(folder)) if (found := _NAME.fullmatch(name))]
    if count and (not known or int(known[-1][2])):
        return 0
    at = datetime.now(UTC)
    members = {
        "dag_id": origin.dag_id,
        "run_id": origin.run_id,
        "task_id": origin.task_id,
        "map_index": origin.map_index,
        "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "count": count,
    }
    run = hashlib.sha256(origin.run_id.encode()).hexdigest()[:16]
    content = canonical({**formats.LISTING.members, **members}) + b"\n"
    store.write(f"{folder}/{at.strftime(_TIME)}-{count}-{run}.json", content)
    runs = {run} if not count else set()
    for found in reversed(known if not count else ()):
        if int(found[2]):
            break
        runs.add(found[3])
    return len(runs)
