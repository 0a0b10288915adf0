"""Oracle Primavera Unifier: move documents to the recycle bin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.operators.base import DisposeOperator
from airflow_provider_records.systems.unifier import UnifierSystem


class UnifierDeleteDocumentOperator(DisposeOperator):
    """Move Unifier documents to the recycle bin.

    Unifier's REST interface cannot destroy: the outcome is ``recycled``, and a person empties the bin in Unifier.

    :param records: see :class:`~airflow_provider_records.operators.base.DisposeOperator`; ``target_id`` is the
        node id (not the file id). Where a record names its folder (``parent_id``, or ``location`` and the attribute
        ``project_number``), the folder's listing is checked before and after; else the answer is all there is.
    :param unifier_conn_id: connection of type ``unifier``.
    """

    template_fields: Sequence[str] = (*DisposeOperator.template_fields, "unifier_conn_id")
    system_name = "unifier"
    place_arguments = ("unifier_conn_id",)

    def __init__(self, *, unifier_conn_id: str = UnifierHook.default_conn_name, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self.unifier_conn_id = unifier_conn_id

    @cached_property
    def hook(self) -> UnifierHook:
        """The client."""
        return UnifierHook(self.unifier_conn_id)

    def system(self) -> UnifierSystem:
        """Return Unifier, set up as the DAG says."""
        return UnifierSystem(self.hook)
