"""An evidence store that does not keep the page waiting: storage that hangs counts as not available."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO, Any, TypeVar

from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import StoreUnavailableError

_Result = TypeVar("_Result")


class PatientStore(Store):
    """Gives each request to the storage some seconds; after one that took longer, all fail at once for a while.

    A thread that waits for the storage cannot be ended, so it is left alone; it must not keep the process from ending.

    :param store: where the evidence lies.
    """

    patience = 5.0
    """Seconds for one request to the storage, and for how long the next ones fail at once."""
    most = 64
    """Requests that may wait for the storage at the same time."""

    def __init__(self, store: Store) -> None:
        self.__dict__.update(store.__dict__)
        self._store = store
        self._slots = threading.Semaphore(self.most)
        self._hangs_until = 0.0

    def names(self, folder: str) -> list[str]:
        """As :meth:`Store.names`."""
        return self._in_time(lambda: self._store.names(folder))

    def children(self, folder: str) -> list[str]:
        """As :meth:`Store.children`."""
        return self._in_time(lambda: self._store.children(folder))

    def exists(self, name: str) -> bool:
        """As :meth:`Store.exists`."""
        return self._in_time(lambda: self._store.exists(name))

    def read(self, name: str) -> bytes:
        """As :meth:`Store.read`."""
        return self._in_time(lambda: self._store.read(name))

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """As :meth:`Store.open`; each read has its own time."""
        with contextlib.ExitStack() as stack:
            file = self._in_time(lambda: stack.enter_context(self._store.open(name)))
            yield _PatientFile(file, self._in_time)  # type: ignore[misc]

    def _in_time(self, request: Callable[[], _Result]) -> _Result:
        if time.monotonic() < self._hangs_until or not self._slots.acquire(timeout=self.patience):
            raise self._hangs()
        results: list[_Result] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                results.append(request())
            except BaseException as error:  # noqa: BLE001 - raised again below
                errors.append(error)
            finally:
                self._slots.release()

        thread = threading.Thread(target=run, name="evidence", daemon=True)
        thread.start()
        thread.join(self.patience)
        if errors:
            raise errors[0]
        if results:
            return results[0]
        self._hangs_until = time.monotonic() + self.patience
        raise self._hangs()

    def _hangs(self) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"The evidence store {self.root} did not answer within {self.patience:g} s; the storage, or the network to "
            f"it, may be down.{self._check}"
        )


class _PatientFile:
    """A file whose reads each have their time."""

    def __init__(self, file: IO[bytes], in_time: Callable[[Callable[[], Any]], Any]) -> None:
        self._file, self._in_time = file, in_time

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def read(self, size: int = -1) -> bytes:
        return bytes(self._in_time(lambda: self._file.read(size)))

    def readline(self) -> bytes:
        return bytes(self._in_time(self._file.readline))

    def readlines(self, hint: int = -1) -> list[bytes]:
        return list(self._in_time(lambda: self._file.readlines(hint)))

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._in_time(lambda: self._file.seek(offset, whence)))
