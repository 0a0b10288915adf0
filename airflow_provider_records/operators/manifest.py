"""Make a list from a file or from the rows of another task; cut an approved list into parts for mapped tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg

from airflow_provider_records.airflow_version import conf
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.operators.listing import ListOperator
from airflow_provider_records.task.context import evidence_store, hard_stops
from airflow_provider_records.task.listing import Listing, write_list
from airflow_provider_records.task.records import resolve
from airflow_provider_records.task.rows import check_source, checked_columns, given_rows, source_rows
from airflow_provider_records.task.templating import RecordsOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class RecordListOperator(RecordsOperator, ListOperator):
    """Make a list from the rows of another task, or from a file, and keep it as a manifest.

    The list must pass an approval before anything is deleted. Whole floats and the integers of numpy are ids; dates and
    all columns that are no field of a record become attributes.

    :param records: the rows of another task (its ``.output``): a list of mappings, tuples or ids, or a data frame.
    :param source: instead of ``records``: a CSV file with a header (``.csv``) or JSON lines (``.jsonl``, ``.ndjson``)
        in UTF-8, as a URL of any storage that Airflow knows (``s3://conn_id@bucket/due.csv``) or an absolute path.
    :param columns: which column holds which field of a record (``key``, ``target_id``, ``title``, ``classification``,
        ``location``, ``object_type_id``, ``parent_id``), such as ``{"key": "File no.", "target_id": "Object"}``; of
        tuples, the numbers of the columns, from 0 on. None: the columns are named as the fields are.
    :param set_aside: True: rows of which no record can be made that surely is the right one are left out; see
        :class:`~airflow_provider_records.operators.listing.ListOperator`. False: one such row is an error.
    :return: a manifest reference; ``set_aside`` is the number of rows that were left out.
    :raises ConfigurationError: when the DAG is parsed: an argument is wrong.
    :raises AirflowFailException: there are no rows but something else, the file is missing or lacks a column, a row is
        odd, or there are more records than ``[records] max_records`` times ``[core] max_map_length``.
    """

    template_fields: Sequence[str] = ("records", "source")

    def __init__(
        self,
        *,
        records: Any = None,  # noqa: ANN401
        source: str | None = None,
        columns: Mapping[str, str | int] | None = None,
        set_aside: bool = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(set_aside=set_aside, **kwargs)
        if (records is None) == (source is None):
            raise ConfigurationError("Give either records or source.")
        known_later = isinstance(source, XComArg) or (isinstance(source, str) and "{{" in source)
        if source is not None and not known_later:
            check_source(source)
        self.records = records
        self.source = source
        self.columns = checked_columns(columns)
        self._from_file = source is not None

    def make_list(self, store: Store, origin: Provenance) -> Listing:
        """Read all rows."""
        if self._from_file:
            check_source(self.source)
            rows = source_rows(str(self.source), self.columns)
        else:
            rows = given_rows(self.records, self.columns)
        return write_list(store, rows, origin, set_aside=self.set_aside)


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
                references.append(manifest_reference(part, approvals, withheld, **selection.made_by))
            return references
