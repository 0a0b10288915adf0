"""How titles and people stand in the evidence: as they are or, with a key, as keyed hashes.

What is hashed is found again by whoever has the key and the name; without the key nobody can try names out.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from dataclasses import replace

from airflow_provider_records.evidence.outcome import Outcome
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.exceptions import ConfigurationError

SHORTEST_KEY = 32
"""Bytes of a key, at least."""
OPTION = "[records] names_key_file"
PEOPLE = ("created_by", "modified_by")
"""Attributes of a record that name a person."""
ACCOUNTS = ("airflow:", "os:")
"""What stands before the id of a user; before the ids of other decisions stands the vendor."""
_SOURCES = ("airflow", "enaio", "opus", "os", "unifier")
_PREFIX = "hmac-sha256:"
_HASH = re.compile(_PREFIX + r"[0-9a-f]{64}")


class Naming:
    """Leaves titles and people as they are."""

    def title(self, text: str) -> str:
        """Return what a title stands as."""
        return text

    def person(self, text: str) -> str:
        """Return what an id or name of a person stands as; a source before it (``airflow:anna``) stays."""
        return text

    def said_by_vendor(self, outcome: Outcome) -> Outcome:
        """Return an outcome as it may be kept: what a vendor answered may hold any name."""
        return outcome

    def record(self, record: Record) -> Record:
        """Return a record as it stands on a list."""
        return record

    def value(self, field: str, text: str) -> str:
        """Return what the value of a record's field or attribute stands as."""
        if field == "title":
            return self.title(text)
        return self.person(text) if field in PEOPLE else text


PLAIN = Naming()


class KeyedNaming(Naming):
    """Replaces titles and people by hashes that only a key can make.

    :param key: at least :data:`SHORTEST_KEY` bytes.
    :raises ConfigurationError: it is shorter.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < SHORTEST_KEY:
            raise ConfigurationError(
                f"{OPTION} holds {len(key)} bytes, and a key that nobody can guess has at least {SHORTEST_KEY}; make "
                "one with: openssl rand -base64 48"
            )
        self._key = key

    @property
    def check(self) -> str:
        """What tells this key from others and gives nothing away: 64 hex digits."""
        return self._hash("key", "")

    def title(self, text: str) -> str:
        """Return the hash of a title; blanks around it and its Unicode form do not count. Empty if nothing is left."""
        return self._named("title", unicodedata.normalize("NFC", text).strip())

    def person(self, text: str) -> str:
        """Return the hash of an id or name as people are compared, see :func:`folded`; a source before it stays."""
        source, colon, rest = text.partition(":")
        if colon and (known := folded(source)) in _SOURCES:
            return f"{known}:{self.person(rest)}"
        return self._named("person", folded(text))

    def record(self, record: Record) -> Record:
        """Return a record with hashes in the place of its title and of the people in its attributes."""
        attributes = {
            name: self.person(value) if name in PEOPLE and isinstance(value, str) else value
            for name, value in record.attributes.items()
        }
        return replace(record, title=self.title(record.title or "") or None, attributes=attributes)

    def said_by_vendor(self, outcome: Outcome) -> Outcome:
        """Return an outcome without what the vendor answered."""
        return replace(outcome, detail=None) if outcome.detail else outcome

    def _named(self, kind: str, text: str) -> str:
        return text if not text or _HASH.fullmatch(text) else _PREFIX + self._hash(kind, text)

    def _hash(self, kind: str, text: str) -> str:
        return hmac.digest(self._key, f"{kind}\0{text}".encode(errors="surrogatepass"), hashlib.sha256).hex()


def is_hash(text: str) -> bool:
    """Tell whether a title, or a person behind a source, stands as a hash."""
    return _HASH.search(text[-len(_PREFIX) - 64 :]) is not None


def folded(text: str) -> str:
    """Return a name as it is compared: without regard to case, width and blanks."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())
