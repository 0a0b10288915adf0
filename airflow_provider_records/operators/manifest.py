"""Cut an approved list into parts, so that mapped tasks share a large list."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow.sdk import conf

from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.task.context import evidence_store, hard_stops
from airflow_provider_records.task.records import resolve
from airflow_provider_records.task.templating import RecordsOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class SplitManifestOperator(RecordsOperator):
    """Cut an approved list into parts; the approvals of each part rest on those of the whole list.

    A disposing task mapped over the result (``.expand(records=split.output)``) handles one part per mapped task,
    each with its own ``max_records``, journal and retries.

    :param records: the approved manifest reference.
    :param size: number of records in a part, at least 1.
    :return: a list of manifest references, in the order of the list; one empty part for an empty list.
    :raises AirflowFailException: the reference is refused, or there would be more parts than Airflow maps.
    """

    def __init__(self, *, records: Any, size: int = 1000, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ConfigurationError(f"size must be a whole number of at least 1, not {size!r}.")
        self.records = records
        self.size = size

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Cut the list; see the class."""
        with hard_stops():
            store = evidence_store()
            selection = resolve(self.records, store)
            # An empty list gives one empty part, so that a certificate can tell an empty run from one that never began.
            parts = max(1, -(-selection.manifest.count // self.size))
            most = conf.getint("core", "max_map_length", fallback=1024)
            if parts > most:
                raise ConfigurationError(
                    f"{selection.manifest.count} records in parts of {self.size} make {parts} mapped tasks, more than "
                    f"[core] max_map_length={most}; raise size."
                )
            authorization = selection.authorize(approval_required=False)
            lines = selection.manifest.lines()
            references = []
            for _ in range(parts):
                part = Manifest.cut(store, islice(lines, self.size))
                approvals = [approval.write(store) for approval in authorization.for_part(part.digest)]
                withheld = len(authorization.withheld)
                references.append(manifest_reference(part, approvals, withheld, selection.due_list))
            return references
