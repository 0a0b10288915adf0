"""Evidence stores to test with: a folder, object storage, and one that fails on command."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import fsspec  # type: ignore[import-untyped]

from airflow_provider_records.disposal.store import Store
from airflow_provider_records.exceptions import EvidenceError


class Killed(BaseException):
    """The process dies here; nothing after it happens."""


class Frail(Store):
    """A folder whose write fails on command.

    :param root: the folder.
    :param fails: asked before and after each write with its number, from 1, and whether it has taken effect.
    """

    def __init__(self, root: Path, fails: Callable[[int, bool], BaseException | None] = lambda *_: None) -> None:
        super().__init__(str(root))
        self.fails = fails
        self.writes = 0

    def write(self, name: str, content: bytes) -> str:
        self.writes += 1
        number = self.writes
        if (error := self.fails(number, False)) is not None:
            raise error
        uri = super().write(name, content)
        if (error := self.fails(number, True)) is not None:
            raise error
        return uri


def fails_at(number: int, after: bool, error: type[BaseException]) -> Callable[[int, bool], BaseException | None]:
    """Fail at one write, before or after it takes effect."""
    return lambda n, done: error("on command") if (n, done) == (number, after) else None


def refused() -> EvidenceError:
    """What a store says that cannot be written."""
    return EvidenceError("the disk is full")


def in_memory() -> Store:
    """Return an empty store in fsspec's memory."""
    base = f"/records-{uuid.uuid4().hex}/Beweise ü#%41"
    return Store(f"memory:/{base}", fsspec.filesystem("memory"), base)
