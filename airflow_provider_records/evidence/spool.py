"""What is too long for memory, in temporary files that have no name: they are gone with the process."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import IO

_SORTED_AT_ONCE = 20_000


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
