"""OPTIMAL SYSTEMS enaio: delete objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.operators.base import DisposeOperator
from airflow_provider_records.systems.enaio import EnaioSystem
from airflow_provider_records.systems.enaio_checks import ObjectChecks


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
        over, and if it is empty or no date.
    :param enaio_conn_id: connection of type ``enaio``.
    """

    template_fields: Sequence[str] = (*DisposeOperator.template_fields, "location", "object_type_id", "enaio_conn_id")
    system_name = "enaio"
    place_arguments = ("enaio_conn_id", "hard_delete")

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
        """Return enaio, set up as the DAG says."""
        return EnaioSystem(
            self.hook,
            hard_delete=self.hard_delete,
            cascade_delete=self.cascade_delete,
            location=self.location,
            object_type_id=self.object_type_id,
            checks=self._checks,
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
