"""Takes the rows out of a long JSON answer while it arrives, so that it is never in memory as a whole."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_BLANK = " \t\n\r"
_DECODER = json.JSONDecoder()
_CUT_NUMBER = frozenset(["", ".", "e", "E", "e+", "e-", "E+", "E-"])
_HEAD = 500


class _BrokenError(Exception):
    """The text is no JSON object with rows."""


class TooLongError(Exception):
    """A part of the text that has to be read at once is too long."""


class _Text:
    """A text that arrives in pieces; what has been read is forgotten, but for its beginning.

    :param pieces: the pieces.
    :param most: largest number of characters that are kept at once.
    """

    def __init__(self, pieces: Iterator[str], most: int) -> None:
        self._pieces = pieces
        self._most = most
        self._buffer, self._at, self._cut = "", 0, 0
        self.head = ""

    def _more(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._cut += self._at
        self._buffer, self._at = self._buffer[self._at :] + piece, 0
        self.head += piece[: _HEAD - len(self.head)]
        if len(self._buffer) > self._most:
            raise TooLongError
        return True

    @property
    def offset(self) -> int:
        """Number of characters that have been read."""
        return self._cut + self._at

    def peek(self) -> str:
        """Return the next character that is not blank; empty: there is none."""
        while True:
            while self._at < len(self._buffer):
                if self._buffer[self._at] not in _BLANK:
                    return self._buffer[self._at]
                self._at += 1
            if not self._more():
                return ""

    def take(self, expected: str) -> None:
        """Read one character."""
        if self.peek() != expected:
            raise _BrokenError
        self._at += 1

    def value(self) -> Any:  # noqa: ANN401 - any JSON
        """Read one JSON value."""
        self.peek()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._buffer, self._at)
            except (ValueError, RecursionError):
                found, end = None, len(self._buffer)
            if not self._may_go_on(found, end):
                self._at = end
                return found
            if not self._more():
                raise _BrokenError

    def _may_go_on(self, found: object, end: int) -> bool:
        """Tell whether more text may belong to a value: a number that is cut behind its point reads as another one."""
        if isinstance(found, (int, float)):
            return self._buffer[end : end + 3] in _CUT_NUMBER
        return end == len(self._buffer)


def without_rows(
    pieces: Iterator[str], member: str, gather: Callable[[Iterator[Any]], T], most: int
) -> tuple[str, T | None]:
    """Read a JSON object, alone or in an array of one, and hand over the rows of one of its members one by one.

    :param pieces: the text, as it arrives.
    :param member: name of the member that holds the rows, if it is an array.
    :param gather: makes something of the rows.
    :param most: largest number of characters of a row, or of all that is no row.
    :return: the object without its rows, as text, and what ``gather`` made of them. Of a text that is no such object,
        its beginning, such that it is no JSON either; None: there were no rows.
    :raises TooLongError: a row, or all that is no row, is longer than ``most``.
    """
    text = _Text(pieces, most)
    try:
        return _members(text, member, gather, most)
    except (_BrokenError, RecursionError):
        return f"{text.head}…", None


def _members(text: _Text, member: str, gather: Callable[[Iterator[Any]], T], most: int) -> tuple[str, T | None]:
    members: dict[str, Any] = {}
    gathered: T | None = None
    length = 0
    in_array = text.peek() == "["
    if in_array:
        text.take("[")
    text.take("{")
    while text.peek() != "}":
        if members:
            text.take(",")
        name = text.value()
        text.take(":")
        if not isinstance(name, str) or name in members:
            raise _BrokenError
        if name == member and text.peek() == "[":
            rows = _rows(text)
            gathered = gather(rows)
            deque(rows, maxlen=0)
            members[name] = []
        else:
            before = text.offset
            members[name] = text.value()
            length += text.offset - before
        if length > most:
            raise TooLongError
    text.take("}")
    if in_array:
        text.take("]")
    if text.peek():
        raise _BrokenError
    return json.dumps(members), gathered


def _rows(text: _Text) -> Iterator[Any]:
    text.take("[")
    if text.peek() != "]":
        yield text.value()
        while text.peek() == ",":
            text.take(",")
            yield text.value()
    text.take("]")
