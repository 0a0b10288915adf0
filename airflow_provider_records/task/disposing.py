"""What an approving step has to know of the disposing tasks that come after it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.systems.base import RegisteredSystem
from airflow_provider_records.task.templating import RecordsOperator


class DisposingOperator(RecordsOperator):
    """Base of all operators that dispose of records in one system.

    ``system_name`` is the short name of the system, ``place_arguments`` the arguments of the operator that decide where
    and how it acts: its connection first.
    """

    system_name: str
    place_arguments: ClassVar[Sequence[str]] = ()

    @cached_property
    def hook(self) -> VendorHook:
        """The client of the system."""
        raise NotImplementedError

    def system(self) -> RegisteredSystem:
        """Return the system, set up as the DAG says; it sends no request yet."""
        raise NotImplementedError
