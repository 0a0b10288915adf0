"""The systems, one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_records.client.hook import VendorHook
from airflow_provider_records.hooks.enaio import EnaioHook
from airflow_provider_records.hooks.opus import OpusHook
from airflow_provider_records.hooks.unifier import UnifierHook
from airflow_provider_records.systems.enaio import _enaio
from airflow_provider_records.systems.finding import Claim, Question
from airflow_provider_records.systems.opus import _opus
from airflow_provider_records.systems.unifier import _unifier

_HOOKS: Mapping[str, type[VendorHook]] = {"enaio": EnaioHook, "unifier": UnifierHook, "opus": OpusHook}
_QUESTIONS: Mapping[str, Callable[[Any, Sequence[Claim]], Iterator[Question]]] = {
    "enaio": _enaio,
    "unifier": _unifier,
    "opus": _opus,
}
