"""Evidence stores to test with: in memory, as object storage has it, and one whose writes fail on command."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import IO, Any

from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from airflow_provider_records.evidence.store import Store


class Killed(BaseException):
    """The process dies here; nothing after it happens."""


def in_memory(kind: type[Store] = Store) -> Store:
    """Return an empty store in fsspec's memory, which can neither append nor rename."""
    alone = type("Alone", (_Memory,), {"store": {}, "pseudo_dirs": [""], "cachable": False})
    return kind("memory://bucket/Beweise ü#%41", alone(), "/bucket/Beweise ü#%41")


class _Memory(MemoryFileSystem):  # type: ignore[misc]
    def _open(self, path: str, mode: str = "rb", **options: Any) -> IO[bytes]:
        file: io.BytesIO = super()._open(path, mode, **options)
        # Several threads may read: fsspec gives all of them the same file, with one position.
        return io.BytesIO(file.getvalue()) if mode == "rb" else file


class FailingStore(Store):
    """A store that does something else before or after a write.

    ``whim`` is called with the number of the write, from 1, and whether it has taken effect.
    """

    writes = 0
    on_write: Callable[[int, bool], None] = staticmethod(lambda *_: None)

    def write(self, name: str, content: bytes) -> str:
        self.writes += 1
        number = self.writes
        self.on_write(number, False)
        uri = super().write(name, content)
        self.on_write(number, True)
        return uri


def failing_store(on_write: Callable[[int, bool], None]) -> FailingStore:
    """Return an empty store in memory with a whim."""
    store = in_memory(FailingStore)
    assert isinstance(store, FailingStore)
    store.on_write = on_write
    return store
