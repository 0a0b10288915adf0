"""OPTIMAL SYSTEMS enaio: list the objects whose retention has ended, and delete objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any

from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.enaio_responses import CHANGED
from airflow_provider_records.operators.base import DisposeOperator
from airflow_provider_records.operators.listing import ListOperator
from airflow_provider_records.systems.enaio import EnaioSystem
from airflow_provider_records.systems.enaio_checks import ObjectChecks
from airflow_provider_records.task.due_list import checked_bound, refuse_far_bound
from airflow_provider_records.task.enaio_due import EnaioDue
from airflow_provider_records.task.listing import Listing, write_list


class EnaioDeleteObjectOperator(DisposeOperator):
    """Delete enaio objects.

    Without ``hard_delete`` an object goes to the recycle bin of the technical user and is ``recycled``, never
    ``destroyed``.

    :param records: see :class:`~airflow_provider_records.operators.base.DisposeOperator`; ``target_id`` is the
        object id, ``location`` and ``object_type_id`` of a record win over those of the operator.
    :param hard_delete: destroy for good instead of moving to the recycle bin.
    :param cascade_delete: the list holds folders together with everything in them: children go first, and a
        folder that still holds something not on the list is refused by enaio.
    :param location: id of the parent: remove from this place only.
    :param object_type_id: object type; makes enaio faster.
    :param expect: index field of enaio by the record's field or attribute that it must equal, such as
        ``{"Title": "title"}``; an object with another value is ``blocked``.
    :param hold_fields: index fields that hold an object with any value but empty, 0 or false: it is ``blocked``.
    :param retention_field: index field with the last day of the retention; an object is ``blocked`` until that day is
        over, and if it is empty or no date. A type that has not one of these fields, or one of ``expect``, stops the
        task before its first call; only where neither list nor service names the types (before DMS 6.3.1), or where
        objects that are not there hide one, it may be found in mid-run.
    :param enaio_conn_id: connection of type ``enaio``.
    """

    template_fields: Sequence[str] = (*DisposeOperator.template_fields, "location", "object_type_id", "enaio_conn_id")
    system_name = "enaio"
    place_arguments = ("enaio_conn_id", "hard_delete")
    switches = (*DisposeOperator.switches, "hard_delete", "cascade_delete")

    def __init__(
        self,
        *,
        hard_delete: bool = False,
        cascade_delete: bool = False,
        location: str | None = None,
        object_type_id: str | None = None,
        expect: Mapping[str, str] | None = None,
        hold_fields: Sequence[str] = (),
        retention_field: str | None = None,
        enaio_conn_id: str = EnaioHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.check_static(hard_delete=hard_delete, cascade_delete=cascade_delete)
        self.hard_delete = hard_delete
        self.cascade_delete = cascade_delete
        self.location = location
        self.object_type_id = object_type_id
        self.expect = expect
        self.hold_fields = hold_fields
        self.retention_field = retention_field
        self._checks = ObjectChecks.from_dag(expect, hold_fields, retention_field)
        self.enaio_conn_id = enaio_conn_id

    @cached_property
    def hook(self) -> EnaioHook:
        """The client."""
        return EnaioHook(self.enaio_conn_id)

    def system(self) -> EnaioSystem:
        """Return enaio, set up as the DAG says; with an authorization, also as the approvals found the objects."""
        originals = self._allowed.originals if self._allowed else ()
        found = [each.source.get("found") for each in sorted(originals, key=lambda each: each.approved_at)]
        changed = {id_: at for each in found if isinstance(each, Mapping) for id_, at in each.get(CHANGED, {}).items()}
        return EnaioSystem(
            self.hook,
            hard_delete=self.hard_delete,
            cascade_delete=self.cascade_delete,
            location=self.location,
            object_type_id=self.object_type_id,
            checks=replace(self._checks, changed=changed, naming=self._naming),
        )

    def options(self) -> dict[str, Any]:
        """Return what the DAG asked for, for the evidence."""
        return {
            **super().options(),
            "hard_delete": self.hard_delete,
            "cascade_delete": self.cascade_delete,
            "location": self.location,
            "object_type_id": self.object_type_id,
            "expect": dict(self._checks.expect),
            "hold_fields": list(self._checks.hold_fields),
            "retention_field": self._checks.retention_field,
        }


class EnaioDueRecordsOperator(ListOperator):
    """List the objects of one type whose date lies before a bound, and keep the list as a manifest.

    *Due* is not *approved*: the list must pass an approval before anything is deleted. Type, title and last change are
    kept with each record, so that a look before the deletion can compare them.

    :param object_type: internal name of the object type.
    :param due_field: internal name of the index field with the date, or ``system:OBJECT_RETENTION``: the day on which
        the retention ends that enaio itself keeps (the name is seen in the vendor's server API; check that your
        service knows it). An object without a date is not due; a day is over when the next one begins.
    :param due_before: objects whose date is strictly earlier; ISO 8601 text or datetime, not later than now. One
        without a time zone is UTC. Less than 12 hours in the past is logged as a warning: enaio's zone is not known.
    :param where: further conditions in enaio's query language, joined by AND; such as ``Disposal='approved'``.
    :param title_field: index field with the title.
    :param key_field: index field with the record's key in the records management system; None: the object id.
    :param page_size: objects a page, at least 1.
    :param set_aside: see :class:`~airflow_provider_records.operators.listing.ListOperator`.
    :param enaio_conn_id: connection of type ``enaio``.
    :return: a manifest reference; ``set_aside`` is the number of rows that were left out.
    :raises ConfigurationError: when the DAG is parsed: an argument is wrong, or ``due_before`` is more than a day in
        the future.
    :raises AirflowFailException: ``due_before`` is later than now, the search is refused, too many rows are odd, or
        there are more records than ``[records] max_records`` times ``[core] max_map_length``: such a list is not cut.
    """

    template_fields: Sequence[str] = ("due_before", "enaio_conn_id")

    def __init__(
        self,
        *,
        object_type: str,
        due_field: str,
        due_before: datetime | str,
        where: str | None = None,
        title_field: str | None = None,
        key_field: str | None = None,
        page_size: int = 200,
        enaio_conn_id: str = EnaioHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**kwargs)
        self.due = EnaioDue(object_type, due_field, where, title_field, key_field, page_size)
        refuse_far_bound(due_before)
        self.due_before = due_before
        self.enaio_conn_id = enaio_conn_id

    def make_list(self, store: Store, origin: Provenance) -> Listing:
        """Search for all due objects."""
        bound = checked_bound(self.due_before, "enaio")
        hook = EnaioHook(self.enaio_conn_id)
        due_list = self.due.due_list(hook, bound)
        return write_list(store, self.due.rows(hook, bound), origin, set_aside=self.set_aside, due_list=due_list)
