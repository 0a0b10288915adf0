"""Holds: keys and target ids that must not be disposed of, in any system, until a date or until they are released.

The register is the folder ``holds/`` of the store: one new file for each hold and each release. A release names the
file of the hold that it ends, so that no clocks are compared. Each name holds a hash of the key, so that a lookup lists
the folder and reads only the files of the keys that it asks for.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records.evidence import formats, signature
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.names import ACCOUNTS
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, HoldError, NewerFormatError

log = logging.getLogger(__name__)

FOLDER = "holds"
ON_HOLD = "on hold: "
"""How the reason of every record begins that a hold keeps."""
_DIGITS = 32
_NAME = re.compile(rf"(hold|release)-([0-9a-f]{{{_DIGITS}}})-([0-9a-f]{{64}})\.json")
_EVERYWHERE = timedelta(days=1, hours=12)
"""A date ends for a hold when it has ended in every time zone."""
_SHARE = 10
"""A listing serves for this many times as long as it took, so that a large folder does not slow down a disposal."""


@dataclass(frozen=True)
class Origin:
    """Where a hold or a release was written.

    :param kind: ``cli``, or ``reviewer``: a person whom an approving task asked.
    :param dag_id: the reviewer's DAG.
    """

    kind: str
    dag_id: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("cli", "reviewer"):
            raise formats.newer_member(f"A hold comes from {self.kind[:40]!r}")
        if bool(self.dag_id) != (self.kind == "reviewer"):
            raise ValueError("a reviewer's hold names the DAG, another one names none")

    def to_dict(self) -> dict[str, str]:
        """Return the origin as plain JSON."""
        return {name: value for name, value in vars(self).items() if value}


CLI = Origin("cli")


def reviewers_of(dag_id: str) -> Origin:
    """Return the origin of what the reviewers of a DAG withhold and bring back."""
    return Origin("reviewer", dag_id)


@dataclass(frozen=True)
class Hold:
    """One hold.

    :param key: a record's key or a target id.
    :param reason: why it must stay.
    :param who: who says so: ``os:`` + user of the machine for the command, the reviewer's id otherwise.
    :param since: when it was written, ISO 8601 in UTC.
    :param until: last day of the hold, ``YYYY-MM-DD``; empty: until it is released.
    :param origin: where it was written.
    :param unrecognized: members of the file that this release does not know.
    :param name: the file's name in the store.
    """

    key: str
    reason: str
    who: str
    since: str
    until: str = ""
    _: KW_ONLY
    origin: Origin = CLI
    unrecognized: Mapping[str, Any] = field(default_factory=dict)
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _check_texts(self.key, self.reason, self.who)
        datetime.fromisoformat(self.since)
        if self.until:
            date.fromisoformat(self.until)

    def to_dict(self) -> dict[str, Any]:
        """Return the hold as plain JSON, without what is empty."""
        names = ("key", "reason", "who", "since", "until")
        texts = {name: text for name in names if (text := getattr(self, name))}
        return {**self.unrecognized, **texts, "origin": self.origin.to_dict()}

    @classmethod
    def from_dict(cls, members: Mapping[str, Any], name: str = "") -> Hold:
        """Read what :meth:`to_dict` wrote.

        :param name: the file's name in the store.
        :raises NewerFormatError: a member says what only a later release can have written.
        :raises KeyError: a member is missing.
        :raises ValueError: a member is not what it must be.
        """
        left = dict(members)
        key, reason, who, since = (_text(left.pop(member)) for member in ("key", "reason", "who", "since"))
        until, origin = _text(left.pop("until", "")), Origin(**left.pop("origin"))
        return cls(key, reason, who, since, until, origin=origin, unrecognized=left, name=name)

    def has_ended(self, at: datetime) -> bool:
        """Tell whether its last day is over in every time zone.

        :param at: a time with a time zone.
        """
        if not self.until:
            return False
        return at >= datetime.combine(date.fromisoformat(self.until), datetime.min.time(), UTC) + _EVERYWHERE

    @property
    def statement(self) -> str:
        """The hold in words, as ``on hold: lawsuit (os:anna, until 2027-06-30)``."""
        return f"{ON_HOLD}{self.reason.rstrip('.')} ({self.who}{f', until {self.until}' if self.until else ''})"


@dataclass(frozen=True)
class Release:
    """The end of holds of one key, before or without a date.

    :param key: the key of the holds.
    :param holds: names of their files in the store.
    :param reason: why they end.
    :param who: who says so, as for a hold.
    :param released_at: when it was written, ISO 8601 in UTC; nothing is decided by it.
    :param origin: where it was written.
    :param unrecognized: members of the file that this release of the provider does not know.
    :param name: the file's name in the store.
    """

    key: str
    holds: Sequence[str]
    reason: str
    who: str
    released_at: str
    _: KW_ONLY
    origin: Origin = CLI
    unrecognized: Mapping[str, Any] = field(default_factory=dict)
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _check_texts(self.key, self.reason, self.who)
        datetime.fromisoformat(self.released_at)
        if not self.holds or not all(isinstance(name, str) and name for name in self.holds):
            raise ValueError("a release names no hold")

    def to_dict(self) -> dict[str, Any]:
        """Return the release as plain JSON."""
        texts = {name: getattr(self, name) for name in ("key", "reason", "who", "released_at")}
        return {**self.unrecognized, **texts, "holds": list(self.holds), "origin": self.origin.to_dict()}

    @classmethod
    def from_dict(cls, members: Mapping[str, Any], name: str = "") -> Release:
        """Read what :meth:`to_dict` wrote.

        :param name: the file's name in the store.
        :raises NewerFormatError: a member says what only a later release can have written.
        :raises KeyError: a member is missing.
        :raises ValueError: a member is not what it must be.
        """
        left = dict(members)
        key, reason, who, at = (_text(left.pop(member)) for member in ("key", "reason", "who", "released_at"))
        holds, origin = left.pop("holds"), Origin(**left.pop("origin"))
        if not isinstance(holds, list):
            raise ValueError("the holds of a release are no list")
        return cls(key, holds, reason, who, at, origin=origin, unrecognized=left, name=name)


@dataclass(frozen=True)
class Reason:
    """Why a record must stay.

    :param text: why.
    :param until: last day, ``YYYY-MM-DD``; empty: until it is released.
    """

    text: str
    until: str = ""


class HoldRegister:
    """The holds of an evidence store. It may be asked from several threads.

    :param store: the evidence store.
    :param key: the signing key; a release without its signature is ignored, and said. None: releases are not signed.
    """

    def __init__(self, store: Store, key: Ed25519PrivateKey | None = None) -> None:
        self._store = store
        self._key = key
        self._verification = None if key is None else signature.VerificationKey.from_key(key.public_key())
        self._read: dict[str, Hold | Release] = {}
        self._signed: dict[str, bool] = {}
        self._listed: Mapping[str, Sequence[str]] = {}
        self._listed_until = 0.0

    def add(self, key: str, reason: str, who: str, until: str = "", origin: Origin = CLI) -> None:
        """Write one hold; see :meth:`add_all`."""
        self.add_all([key], reason, who, until, origin)

    def add_all(self, keys: Iterable[str], reason: str, who: str, until: str = "", origin: Origin = CLI) -> None:
        """Write a hold on each key.

        :param keys: keys of records, or target ids.
        :param until: last day, ``YYYY-MM-DD``; empty: until it is released.
        :raises HoldError: a key or the reason is empty, or the last day is over; nothing was written.
        :raises EvidenceError: the store cannot be written.
        """
        self.withhold({key: Reason(reason, until) for key in keys}, who, now(), origin)

    def withhold(self, reasons: Mapping[str, Reason], who: str, since: str, origin: Origin) -> None:
        """Write a hold on each key for a reason of its own; the same holds again are the same files.

        :param reasons: by key of the record.
        :param who: who says so.
        :param since: when it was said, ISO 8601 in UTC.
        :raises HoldError: a key or a reason is empty, or a last day is over; nothing was written.
        :raises EvidenceError: the store cannot be written.
        """
        holds = {}
        for key, reason in reasons.items():
            try:
                holds[key] = Hold(key, reason.text, who, since, reason.until, origin=origin)
            except ValueError as error:
                raise HoldError(f"The hold on {key!r} was not written: {error}.") from None
            if holds[key].has_ended(datetime.now(UTC)):
                raise HoldError(f"The hold on {key!r} was not written: its last day, {reason.until}, is over.")
        for _ in self._store.each(lambda key: self._write(formats.HOLD, holds[key]), list(holds)):
            pass  # several at a time into an object storage: a whole class may be withheld

    def release(self, keys: Iterable[str], reason: str, who: str, origin: Origin = CLI) -> list[Hold]:
        """End all holds of these keys that this origin may end.

        :param keys: as they are on the holds.
        :return: the holds that have ended.
        :raises HoldError: one of the keys has no hold, or none that may be ended so; nothing was written.
        :raises EvidenceError: the store cannot be read or written.
        """
        releases: list[Release] = []
        ended: list[Hold] = []
        self._listed_until = 0.0
        for key in dict.fromkeys(keys):
            known = self._standing(key_hash(key))
            mine = [hold for hold in known if _may_end(origin, hold)]
            if not mine:
                by = ", ".join(sorted({hold.who for hold in known}))
                raise HoldError(
                    f"{key!r} is held by {by}; it ends by its date or by: airflow-records hold release."
                    if known
                    else f"{key!r} is not on hold. Nothing was released."
                )
            try:
                releases.append(Release(key, [hold.name for hold in mine], reason, who, now(), origin=origin))
            except ValueError as error:
                raise HoldError(f"The hold on {key!r} was not released: {error}.") from None
            ended += mine
        for release in releases:
            self._write(formats.RELEASE, release)
        return ended

    def standing(self) -> list[Hold]:
        """Return all holds that have not ended, by key; reads every file of the register.

        :raises EvidenceError: a file was changed, or the store cannot be read.
        """
        parts = self._parts()
        for _ in self._store.each(self._file, [name for names in parts.values() for name in names]):
            pass  # several at a time from an object storage; what was read is kept
        found = [hold for part in parts for hold in self._standing(part)]
        return sorted(found, key=lambda hold: (hold.key, hold.since))

    def is_empty(self) -> bool:
        """Tell whether nobody has ever held anything.

        :raises EvidenceError: the store cannot be read.
        """
        return not self._parts()

    def of(self, records: Iterable[Record]) -> dict[str, Hold]:
        """Return the hold of each record that one names by key or target id.

        :param records: the records.
        :return: by key of the record.
        :raises NewerFormatError: a hold was written by a newer release.
        :raises EvidenceError: a file was changed, or the store cannot be read.
        """
        return self._first(records, self._standing)

    def ended_of(self, records: Iterable[Record]) -> dict[str, Hold]:
        """Return the hold of each record that was on hold and is not any more.

        :param records: the records.
        :return: by key of the record; of several holds the last one.
        :raises NewerFormatError: a hold was written by a newer release.
        :raises EvidenceError: a file was changed, or the store cannot be read.
        """

        def ended(part: str) -> list[Hold]:
            holds = [file for name in self._parts().get(part, ()) if isinstance(file := self._file(name), Hold)]
            return [] if self._standing(part) else sorted(holds, key=lambda hold: hold.since, reverse=True)

        return self._first(records, ended)

    def _first(self, records: Iterable[Record], holds: Callable[[str], Sequence[Hold]]) -> dict[str, Hold]:
        parts, found = self._parts(), {}
        for record in records if parts else ():
            for text in dict.fromkeys((record.key, record.target_id)):
                part = key_hash(text)
                if part in parts and (mine := holds(part)):
                    found[record.key] = mine[0]
                    break
        return found

    def _write(self, file_format: formats.Format, file: Hold | Release) -> None:
        content = canonical({**file.to_dict(), **file_format.members}) + b"\n"
        name = f"{FOLDER}/{file_format.name}-{key_hash(file.key)}-{hashlib.sha256(content).hexdigest()}.json"
        if self._key is not None:  # before the file itself, which counts as soon as it is there
            self._store.write(*signature.sign(name, content, self._key))
        self._store.write(name, content)
        self._listed_until = 0.0

    def _parts(self) -> Mapping[str, Sequence[str]]:
        """Return the names of the register's files by the hash of the key."""
        begun = time.monotonic()
        if begun >= self._listed_until:
            listed = defaultdict(list)
            for file in sorted(self._store.children(FOLDER)):
                if match := _NAME.fullmatch(file):
                    listed[match[2]].append(f"{FOLDER}/{file}")
            self._listed = dict(listed)
            ended = time.monotonic()
            self._listed_until = ended + _SHARE * (ended - begun)
        return self._listed

    def _standing(self, part: str) -> list[Hold]:
        files = [self._file(name) for name in self._parts().get(part, ())]
        releases = [file for file in files if isinstance(file, Release) and self._counts(file)]
        at = datetime.now(UTC)
        return [
            file
            for file in files
            if isinstance(file, Hold)
            and not file.has_ended(at)
            and not any(file.name in release.holds and _may_end(release.origin, file) for release in releases)
        ]

    def _counts(self, release: Release) -> bool:
        if self._verification is None:
            return True
        if release.name not in self._signed:
            try:
                signature.check(self._store, release.name, self._store.read(release.name), self._verification)
                self._signed[release.name] = True
            except EvidenceError as error:
                if error.retry:
                    raise
                self._signed[release.name] = False
                log.warning("The release of %r by %s does not count: %s", release.key, release.who, error)
        return self._signed[release.name]

    def _file(self, name: str) -> Hold | Release:
        if name not in self._read:
            found = _parse(name, self._store.uri(name), self._store.read(name))
            if found.who.startswith(ACCOUNTS):  # from before the store had a key; it is quoted in what is written now
                found = replace(found, who=self._store.naming.person(found.who))
            self._read[name] = found
        return self._read[name]


def _may_end(origin: Origin, hold: Hold) -> bool:
    """Tell whether a release may end a hold: a reviewer brings back only what reviewers of the same DAG withheld."""
    return origin in (CLI, hold.origin)


def _parse(name: str, uri: str, content: bytes) -> Hold | Release:
    kind, part, digest = name.removeprefix(f"{FOLDER}/").removesuffix(".json").split("-")  # as _NAME has it
    file_format = formats.HOLD if kind == formats.HOLD.name else formats.RELEASE
    members = None
    with suppress(ValueError, RecursionError):
        members = json.loads(content)
    file_format.refuse_newer(members, uri)
    if digest != hashlib.sha256(content).hexdigest():
        raise EvidenceError(f"The {kind} at {uri} was changed: its bytes no longer match its name.")
    try:
        known = file_format.check(members, uri)
        found = (Hold if file_format is formats.HOLD else Release).from_dict(known, name)
        if part == key_hash(found.key):
            return found
    except NewerFormatError:
        raise
    except (EvidenceError, ValueError, TypeError, KeyError, AttributeError):
        pass
    raise EvidenceError(f"{uri} is no {kind}.")


def key_hash(key: str) -> str:
    """Return what the name of a file holds of its key: hex digits, the same for all forms of one key.

    Keys that people may take for the same one share it, so that a hold keeps one record too many rather than one too
    few: upper and lower case, two Unicode forms, signs that nobody sees, another dash, blanks around it, leading zeros
    of a number.
    """
    text = key.casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", key).casefold())
        kinds = ((sign, unicodedata.category(sign)) for sign in text)
        text = "".join("-" if kind == "Pd" else sign for sign, kind in kinds if kind != "Cf")
    text = text.strip()
    if text.isascii() and text.isdigit():
        text = text.lstrip("0") or "0"
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_DIGITS]


def _check_texts(key: str, reason: str, who: str) -> None:
    for name, text in (("key", key), ("reason", reason), ("person", who)):
        if not text.strip():
            raise ValueError(f"the {name} is empty")
        text.encode()


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a member of a hold must be text")
    return value
