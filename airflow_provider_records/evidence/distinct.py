"""Which items of a list are the same record, however their ids are written."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from enum import Enum

from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.record import Record


def digest_of(text: str | bytes) -> bytes:
    """Return a digest short enough to keep a million in memory, long enough never to collide by chance."""
    return hashlib.blake2b(text.encode() if isinstance(text, str) else text, digest_size=16).digest()


class Seen(Enum):
    """What the records before say about a record."""

    NEW = "none of them is this one"
    REPEATED = "one of them is this one"
    DIFFERS = "it comes twice, with different fields"
    TWO_KEYS = "its object is on the list under another key, too"


class Distinct:
    """Tells for one record after the other whether the list has it already.

    Two records are the same if their keys are, in any Unicode form, or if they name the same content: ``1001`` and
    ``01001`` are one id. An object of enaio can be listed once for each of its places (``location`` is an id); a node
    of Unifier has one number, however its folder is written.

    :param forms: forms of one record that differ in nothing else count as ``REPEATED``; False: as another record.
    """

    def __init__(self, *, forms: bool = False) -> None:
        self._forms = forms
        self._keys, self._contents = Digests(), Digests()
        self._spoiled: dict[bytes, Seen] = {}

    def put(self, record: Record) -> Seen:
        """Compare a record with those before, and remember it."""
        key, content = _key(record), _content(record)
        facts = digest_of(_folded(record) if self._forms else record.line())
        earlier = self._keys.put(key, content)
        known = self._contents.put(content, facts)
        if earlier is None and known is None:
            return Seen.NEW
        if earlier in {None, content} and known == facts:
            return Seen.REPEATED
        if earlier is None:
            self._spoiled[content] = Seen.TWO_KEYS
            return Seen.TWO_KEYS
        # Of the objects that one key names, none is known to be the right one.
        self._spoiled |= dict.fromkeys((key, earlier, content), Seen.DIFFERS)
        return Seen.DIFFERS

    @property
    def contradicted(self) -> bool:
        """Whether any two records contradict each other."""
        return bool(self._spoiled)

    def contradiction(self, record: Record) -> Seen | None:
        """Return how another record contradicts this one; both were put. None: none does."""
        return self._spoiled.get(_key(record)) or self._spoiled.get(_content(record))


class Digests:
    """Digests and what belongs to them, as a dict has it, in a quarter of its memory: lists may hold millions.

    All values have the same length.
    """

    def __init__(self) -> None:
        self._buckets = [b""] * (1 << 16)

    def put(self, digest: bytes, value: bytes) -> bytes | None:
        """Keep a value, unless there is one for this digest; return that one."""
        bucket, at = self._find(digest, len(value))
        if at >= 0:
            return bucket[at + len(digest) : at + len(digest) + len(value)]
        self._buckets[_bucket(digest)] = bucket + digest + value
        return None

    def replace(self, digest: bytes, value: bytes) -> bool:
        """Keep a value in place of the one that there is for this digest; tell whether there was one."""
        return self._exchange(digest, len(value), digest + value)

    def remove(self, digest: bytes, length: int) -> bool:
        """Drop a digest with its value; tell whether there was one.

        :param length: the length of all values.
        """
        return self._exchange(digest, length, b"")

    def get(self, digest: bytes, length: int) -> bytes | None:
        """Return the value of a digest.

        :param length: the length of all values.
        """
        bucket, at = self._find(digest, length)
        return bucket[at + len(digest) : at + len(digest) + length] if at >= 0 else None

    def _exchange(self, digest: bytes, length: int, entry: bytes) -> bool:
        bucket, at = self._find(digest, length)
        rest = bucket[:at] + bucket[at + len(digest) + length :] if at >= 0 else bucket
        self._buckets[_bucket(digest)] = rest + entry
        return at >= 0

    def _find(self, digest: bytes, length: int) -> tuple[bytes, int]:
        bucket, step = self._buckets[_bucket(digest)], len(digest) + length
        at = bucket.find(digest)
        while at > 0 and at % step:  # across two neighbours
            at = bucket.find(digest, at + 1)
        return bucket, at


class DigestSet:
    """Texts as a set has them, in a sixth of its memory.

    :param texts: what it holds at first.

    ``count`` is the number of different ones.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.count = 0
        self._digests = Digests()
        for text in texts:
            self.add(text)

    def add(self, text: str) -> bool:
        """Add a text; tell whether it was not there before."""
        new = self._digests.put(digest_of(text), b"") is None
        self.count += new
        return new

    def __contains__(self, text: str) -> bool:
        return self._digests.get(digest_of(text), 0) is not None


def _bucket(digest: bytes) -> int:
    return digest[0] << 8 | digest[1]


def _key(record: Record) -> bytes:
    return digest_of(_composed(record.key))


def _content(record: Record) -> bytes:
    place = record.location or ""
    return digest_of(f"{_number(record.target_id)}\0{'' if place.startswith('/') else _number(place)}")


def _folded(record: Record) -> str:
    """Return all that the forms of one record have in common."""
    fields = {**record.to_dict(), "key": _number(record.key), "target_id": "", "location": "", "parent_id": ""}
    fields["attributes"] = {name: value for name, value in record.attributes.items() if name != "project_number"}
    return _composed(canonical(fields).decode())


def _number(text: str) -> str:
    return text.lstrip("0") or "0" if text.isascii() and text.isdigit() else _composed(text)


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)
