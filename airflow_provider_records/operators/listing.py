"""What the operators that make a list share."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider_records.evidence import empty_lists
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.task.arguments import check_switches
from airflow_provider_records.task.context import evidence_store, hard_stops, provenance
from airflow_provider_records.task.links import ListLink, list_url
from airflow_provider_records.task.listing import Listing

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class ListOperator(BaseOperator):
    """Base of the operators that make a list: writes it, logs it, and returns its reference.

    :param set_aside: rows of which no record can be made that surely is the right one are left out; log, request and
        certificate say so. More than a tenth of the rows, and more than 20, are an error. False: one such row is.
    """

    operator_extra_links = (ListLink(),)

    def __init__(self, *, set_aside: bool = True, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        check_switches(set_aside=set_aside)
        self.set_aside = set_aside

    def make_list(self, store: Store, origin: Provenance) -> Listing:
        """Read the rows and write the list.

        :param store: the evidence store.
        :param origin: this task.
        """
        raise NotImplementedError

    def execute(self, context: Context) -> dict[str, Any]:
        """Make the list; see the class."""
        with hard_stops():
            origin = provenance(context)
            store = evidence_store()
            listing = self.make_list(store, origin)
            manifest = listing.manifest
            empty = empty_lists.note(store, origin, manifest.count + listing.set_aside + listing.on_hold)
        if empty >= empty_lists.MANY:
            log.warning(
                "Nothing was found, as in the %s runs before this one. Check the bound, the field or the file, and "
                "what the account may see: each of them can hide everything.",
                empty - 1,
            )
        self.listed = manifest.digest
        where = list_url(manifest.digest, origin.dag_id, origin.run_id)
        self.log.info("%s records are listed: %s, %s", manifest.count, manifest.digest, where)
        return listing.reference()
