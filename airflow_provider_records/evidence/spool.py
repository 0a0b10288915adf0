"""What is too long for memory, in temporary files that have no name: they are gone with the process."""

from __future__ import annotations

import heapq
import json
import os
import tempfile
import threading
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import IO, Any, TypeVar, overload

_KEPT = 4 * 1024 * 1024
_SORTED_AT_ONCE = 20_000
_READ_AT_ONCE = 500
_WRITTEN_AT_ONCE = 64 * 1024
_LONGEST_SPAN = 1024 * 1024
_WORTH_SKIPPING = 4 * 1024

T = TypeVar("T")


class Spooled(Sequence[T]):
    """A sequence whose first items stay in memory, as they are; of those in a temporary file memory holds eight bytes.

    It may be read in any thread. It is written and read many items at a time: where many threads run, each call of the
    system costs a wait for the interpreter.

    :param make: makes an item of its JSON value.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it is closed when nobody reads any more
        weakref.finalize(self, file.close)
        self._number = file.fileno()
        self._make = make
        self._kept: list[T] = []
        self._room = _KEPT
        self._ends = array("Q", [0])
        self._tail = (0, bytearray())  # what is not written yet, and where it begins: they change as one
        self._lock = threading.Lock()

    def add(self, item: T, text: bytes) -> int:
        """Append an item; return its place, from 0. Not for several threads at once.

        :param text: its JSON text.
        :raises OSError: the temporary folder is full.
        """
        self._room -= len(text)
        if self._room >= 0:
            self._kept.append(item)
            return len(self) - 1
        with self._lock:
            start, tail = self._tail
            del tail[self._ends[-1] - start :]  # an add that was interrupted has left it
            while len(tail) >= _WRITTEN_AT_ONCE:
                written = os.pwrite(self._number, tail, start)
                start, tail = self._tail = start + written, tail[written:]
            tail += text + b","
        self._ends.append(self._ends[-1] + len(text) + 1)
        return len(self) - 1

    def __len__(self) -> int:
        return len(self._kept) + len(self._ends) - 1

    @overload
    def __getitem__(self, at: int) -> T: ...

    @overload
    def __getitem__(self, at: slice) -> list[T]: ...

    def __getitem__(self, at: int | slice) -> T | list[T]:
        return self.at(range(len(self))[at]) if isinstance(at, slice) else self.at([range(len(self))[at]])[0]

    def __iter__(self) -> Iterator[T]:
        for start in range(0, len(self), _READ_AT_ONCE):
            yield from self[start : start + _READ_AT_ONCE]

    def at(self, places: Sequence[int]) -> list[T]:
        """Return the items at some places, in their order."""
        kept = self._kept
        try:
            return [kept[place] for place in places]
        except IndexError:
            first = len(kept)
        spooled = iter(self._from_file([place - first for place in places if place >= first]))
        return [kept[place] if place < first else next(spooled) for place in places]

    def _from_file(self, places: Sequence[int]) -> list[T]:
        """Return items of the file, in their order; what lies close together is read at once."""
        ends, texts = self._ends, dict[int, bytes]()
        for group in _neighbours(sorted(places), ends):
            first, last = group[0], group[-1]
            start, block = ends[first], self._read(ends[first], ends[last + 1])
            if places == list(range(first, last + 1)):
                return self._made(block)
            texts |= {place: block[ends[place] - start : ends[place + 1] - start] for place in group}
        return self._made(b"".join(map(texts.__getitem__, places)))

    def _made(self, texts: bytes) -> list[T]:
        return [self._make(value) for value in json.loads(f"[{texts[:-1].decode()}]")]  # at once: half the time

    def _read(self, start: int, end: int) -> bytes:
        with self._lock:
            written, tail = self._tail
            unwritten = bytes(tail[max(start - written, 0) : max(end - written, 0)])
        return os.pread(self._number, min(end, written) - start, start) + unwritten if start < written else unwritten


class Chosen(Sequence[T]):
    """Some items of a sequence, in some order; memory holds their places only.

    :param items: the sequence.
    :param places: where the items are in it.
    """

    def __init__(self, items: Sequence[T], places: Iterable[int]) -> None:
        self._items: Sequence[T] = items._items if isinstance(items, Chosen) else items
        self._places: array[int] = array(
            "Q", map(items._places.__getitem__, places) if isinstance(items, Chosen) else places
        )

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> T: ...

    @overload
    def __getitem__(self, at: slice) -> list[T]: ...

    def __getitem__(self, at: int | slice) -> T | list[T]:
        if not isinstance(at, slice):
            return self._items[self._places[at]]
        places = self._places[at]
        return self._items.at(places) if isinstance(self._items, Spooled) else [self._items[place] for place in places]

    def __iter__(self) -> Iterator[T]:
        for start in range(0, len(self), _READ_AT_ONCE):
            yield from self[start : start + _READ_AT_ONCE]


def _neighbours(places: Sequence[int], ends: Sequence[int]) -> Iterator[Sequence[int]]:
    """Return the places in groups, each worth one reading.

    :param places: in ascending order.
    :param ends: where the items end; the first is 0.
    """
    first = 0
    for at in range(1, len(places)):
        skipped, span = ends[places[at]] - ends[places[at - 1]], ends[places[at] + 1] - ends[places[first]]
        if skipped > _WORTH_SKIPPING or span > _LONGEST_SPAN:
            yield places[first:at]
            first = at
    yield places[first:]


def sorted_items(items: Sequence[T], key: Callable[[T], str]) -> Chosen[T]:
    """Return items in the order of their keys, and those of a key as they are.

    :param key: what an item is sorted by; keys that differ are held in memory.
    """
    alike: dict[str, array[int]] = {}
    for place, item in enumerate(items):
        alike.setdefault(key(item), array("Q")).append(place)
    return Chosen(items, (place for name in sorted(alike) for place in alike.pop(name)))


def sorted_lines(lines: Iterable[bytes], key: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """Return lines in the order of their keys; memory does not grow with them.

    :param lines: the lines, with their line ends.
    :param key: what a line is sorted by.
    """
    rest = iter(lines)
    with ExitStack() as files:
        runs: list[IO[bytes]] = []
        while run := sorted(islice(rest, _SORTED_AT_ONCE), key=key):
            runs.append(files.enter_context(tempfile.TemporaryFile()))
            runs[-1].writelines(run)
            runs[-1].seek(0)
        yield from heapq.merge(*runs, key=key)
