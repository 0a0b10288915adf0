"""The formats of the evidence store's files: each file names its own, and the version of it.

A later release reads every version up to its own. It keeps the members that it does not know, so that one more
optional member needs no new version. A file of a higher version is refused as newer, never called changed: that word
accuses somebody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.exceptions import EvidenceError, NewerFormatError

_PREFIX = "airflow-records/"


@dataclass(frozen=True)
class Format:
    """One format.

    :param name: what it holds, such as ``manifest``.
    :param version: the highest version that this release reads, and the one that it writes.
    """

    name: str
    version: int = 1

    @property
    def members(self) -> dict[str, Any]:
        """The members of a JSON file, or of the first line of a JSON-lines file, that name the format."""
        return {"format": _PREFIX + self.name, "version": self.version}

    @property
    def line(self) -> bytes:
        """The first line of a JSON-lines file."""
        return canonical(self.members) + b"\n"

    def check(self, fields: object, where: str) -> dict[str, Any]:
        """Check that a file is of this format and of a version that this release reads.

        :param fields: the file's JSON object, or that of its first line.
        :param where: the file's name or URI, for the message.
        :return: the other members.
        :raises NewerFormatError: it is of a higher version.
        :raises EvidenceError: it is of another format, or of none.
        """
        self.refuse_newer(fields, where)
        found = dict(fields) if isinstance(fields, Mapping) else {}
        name, version = found.pop("format", None), found.pop("version", None)
        if name != _PREFIX + self.name:
            raise EvidenceError(f"{where} is no {self.name}: it does not name the format {_PREFIX}{self.name}.")
        if type(version) is not int or version < 1:
            raise EvidenceError(f"{where} has no format version, which is a whole number from 1: {version!r}.")
        return found

    def refuse_newer(self, fields: object, where: str) -> None:
        """Refuse a file of this format and a higher version, before anything else of it is checked.

        :param fields: the file's JSON, whatever it is.
        :raises NewerFormatError: it is of a higher version.
        """
        if not isinstance(fields, Mapping) or fields.get("format") != _PREFIX + self.name:
            return
        if type(version := fields.get("version")) is int and version > self.version:
            raise NewerFormatError(
                f"{where} was written by a newer release (format version {version}; this release reads up to "
                f"{self.version}); read it with that release or a later one."
            )

    def check_line(self, line: bytes, where: str) -> dict[str, Any]:
        """Check the first line of a JSON-lines file; see :meth:`check`."""
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            fields = None
        return self.check(fields, where)


def newer_member(what: str) -> NewerFormatError:
    """Return the error for a file of a known version that holds a value which only a later release can have written.

    :param what: a sentence without its end, such as ``the outcome of 'a' is 'returned'``.
    """
    return NewerFormatError(
        f"{what}, which this release does not know: it was written by a newer release; read it with that release or a "
        "later one."
    )


MANIFEST = Format("manifest")
OUTCOMES = Format("outcomes")
JOURNAL = Format("journal")
ORDER = Format("order")
SPENT = Format("spent")
UNMARKED = Format("unmarked")
APPROVAL = Format("approval")
REJECTION = Format("rejection")
HOLD = Format("hold")
RELEASE = Format("release")
DUE_READING = Format("due_reading")
SET_ASIDE = Format("set-aside")
LISTING = Format("listing")
SLIP = Format("slip")
NAMES_KEY = Format("names-key")
TITLES = Format("titles")
DISPOSAL = Format("disposal")
CERTIFICATE = Format("certificate")
