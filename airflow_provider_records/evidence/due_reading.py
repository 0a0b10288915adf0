"""Readings of a due list, kept in the store so that all tasks of a run share them.

A due list has no lookup by key: to find out what is still due, the whole list is read, a hundred records a page. So
one reading serves every task of the run for a quarter of an hour. A list that shrinks while it is read may skip
records; so a record has left it only if two readings, one after the other, do not show it.

A long list may take as long to read as a reading serves. So a long task begins the next reading in a thread before
the last one expires, and goes on meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import secrets
import string
import threading
import time
from collections.abc import Callable, Iterable, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.distinct import DigestSet
from airflow_provider_records.evidence.due_list import DueList
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, NewerFormatError, RecordsError, StoreUnavailableError

log = logging.getLogger(__name__)

SERVES = 900.0
"""Seconds for which a reading tells what is due, from its end: to read a list of a million records takes longer."""
_SILENT = 300.0
"""Seconds without a sign of life after which a task that reads, or waits, is taken for dead."""
_SIGN = 60.0
_FAST = 30.0
"""Seconds by which the clock of another worker may be fast; a clock may be wrong by an hour, or be set back."""
_NAP = 0.5
_SLOWER = 1.25
"""How much longer than the last reading the next one may take, since calls are sent meanwhile."""
_CLAIMED, _READS, _ENDED = "begun", "reads", "ended"
_TIME = "%Y%m%dT%H%M%S.%fZ"
_DIGITS = 16


@dataclass(frozen=True)
class _Reading:
    """One reading, known by its file; of one that has not ended, the keys are not known yet.

    :param name: the file's name in the store; names of one list sort by the time at which they began.
    :param at: when it ended, else when its file was written; seconds since the epoch.
    :param state: claimed; a sign of life of the task that reads; or ended.
    :param took: seconds that it took, whole ones, if it has ended.
    """

    name: str
    at: float
    state: str
    took: int = 0


class DueReadings:
    """The readings of one due list in one DAG run. They may be asked for from several threads.

    :param store: the evidence store.
    :param folder: folder of the run's readings.
    :param due_list: the due list.
    :param read: reads it to its end and returns the keys on it.
    :param stopped: set when the try ends: no more waiting for the reading of another task then.
    :param records: number of records that the task will ask for, to read ahead; 0: never read ahead.
    :param clock: seconds since the epoch.
    """

    def __init__(
        self,
        store: Store,
        folder: str,
        due_list: DueList,
        read: Callable[[], Iterable[str]],
        *,
        stopped: threading.Event,
        records: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._due_list = due_list
        digits = hashlib.sha256(canonical(due_list.to_dict())).hexdigest()[:_DIGITS]
        self._folder = f"{folder}/{digits}"
        self._read = read
        self._stopped = stopped
        self._records_left = records
        self._clock = clock
        self._keys: dict[str, DigestSet] = {}
        self._told_by = math.inf
        self._pace_since: tuple[float, int] | None = None
        self._ahead_of = ""
        self._ahead: threading.Thread | None = None
        self._lock = threading.Lock()

    def listed(self, keys: Set[str]) -> Set[str]:
        """Return which of these keys are on the list.

        :param keys: keys of records.
        :raises VendorError: the list could not be read to its end.
        :raises EvidenceError: a reading was changed, or the store cannot be used.
        """
        with self._lock:
            known = self._fresh()
            last = known[-1] if known else self._next("")
            missing = self._missing(keys, last)
            if missing and (len(known) < 2 or self._missing(missing, known[-2]) != missing):
                last = self._next(last.name)
                missing = self._missing(missing, last)
            self._told_by = last.at
            self._records_left -= len(keys)
            self._pace_since = self._pace_since or (self._clock(), self._records_left)
            if self._is_time_to_read(last, *self._pace_since):
                self._ahead_of = last.name
                self._ahead = threading.Thread(target=self._read_ahead, args=(last.name,), daemon=True)
                self._ahead.start()
        return keys - missing

    @property
    def age(self) -> float:
        """Seconds since the end of the reading that told last what is due; 0 before the first one."""
        return max(0.0, self._clock() - self._told_by)

    def join(self) -> None:
        """Wait until nothing is read ahead any more; to be called when the client that reads was stopped."""
        if self._ahead is not None:
            self._ahead.join()

    def left(self, keys: Set[str]) -> Set[str]:
        """Return which of these keys the two newest readings here do not show; reads nothing, and waits for nobody.

        :param keys: keys of records.
        """
        newest = self._keys.copy()
        readings = [newest[name] for name in sorted(newest)[-2:]]
        return {key for key in keys if len(readings) == 2 and not any(key in each for each in readings)}

    def _fresh(self, after: str = "") -> list[_Reading]:
        ended = [each for each in self._all() if each.state == _ENDED and each.name > after]
        return [each for each in ended if self._is_younger(each, SERVES)]

    def _next(self, after: str) -> _Reading:
        """Read the list, or take the reading of another task that reads it right now.

        :param after: name of the newest reading that is known.
        """
        claim = self._write(self._clock(), _CLAIMED)
        try:
            while self._is_another_reading(claim):
                if self._stopped.wait(_NAP):
                    raise StoreUnavailableError("The task is being stopped; the due list was not read.")
                if found := self._fresh(after):
                    return found[-1]
            if found := self._fresh(after):
                return found[-1]
            return self._read_now()
        finally:
            self._store.remove(claim)

    def _is_time_to_read(self, last: _Reading, since: float, of: int) -> bool:
        """Tell whether the next reading would come too late if it did not begin now, and whether it will be asked for.

        It will be if some records are left, at the pace so far, when the last reading expires.

        :param last: the newest reading.
        :param since: from when on the pace is measured, seconds since the epoch.
        :param of: number of records that were left then.
        """
        left, serves = self._records_left, SERVES - self._age(last)
        reads = self._ahead is not None and self._ahead.is_alive()
        if reads or last.name == self._ahead_of or serves > _SLOWER * last.took or left == of:
            return False
        return left * (self._clock() - since) / (of - left) > serves

    def _read_ahead(self, after: str) -> None:
        """Read the list unless another task does; if it cannot be read, the task finds out when it needs it.

        :param after: name of the newest reading that is known.
        """
        try:
            claim = self._write(self._clock(), _CLAIMED)
            try:
                if not self._is_another_reading(claim) and not self._fresh(after):
                    self._read_now()
            finally:
                self._store.remove(claim)
        except RecordsError as error:
            log.info("The due list was not read ahead: %s", error)

    def _read_now(self) -> _Reading:
        """Read the list, and keep what it shows: that bars calls which have not left yet."""
        begun = self._clock()
        keys = self._read_through()
        name = self._write(begun, _ENDED, keys)
        ended = self._clock()
        self._keep(name, keys)
        return _Reading(name, ended, _ENDED, int(ended - begun))

    def _read_through(self) -> Set[str]:
        """Read the list to its end; a long one may take longer than others would wait without a sign of life."""
        keys: set[str] = set()
        at = self._clock()
        sign = self._write(at, _READS)
        try:
            for key in self._read():
                keys.add(key)
                if self._clock() - at >= _SIGN:
                    at, before = self._clock(), sign
                    sign = self._write(at, _READS)
                    self._store.remove(before)
        finally:
            self._store.remove(sign)
        return keys

    def _is_another_reading(self, claim: str) -> bool:
        return any(
            each.state == _READS or (each.state == _CLAIMED and each.name < claim)
            for each in self._all()
            if self._is_younger(each, _SILENT)
        )

    def _is_younger(self, reading: _Reading, seconds: float) -> bool:
        """Tell whether a reading is younger than that; one from the future has an age that nobody knows."""
        return -_FAST <= self._age(reading) < seconds

    def _age(self, reading: _Reading) -> float:
        return self._clock() - reading.at

    def _all(self) -> list[_Reading]:
        found = []
        for file in sorted(self._store.children(self._folder)):
            with suppress(ValueError):
                begun, word, _ = file.split("-")
                at = datetime.strptime(begun, _TIME).replace(tzinfo=UTC).timestamp()
                state = word.rstrip(string.digits)
                took = int(word[len(state) :] or 0)
                found.append(_Reading(f"{self._folder}/{file}", at + took, state, took))
        return found

    def _write(self, begun: float, state: str, keys: Set[str] = frozenset()) -> str:
        at = datetime.fromtimestamp(begun, UTC)
        members: dict[str, Any] = {**formats.DUE_READING.members, "due_list": self._due_list.to_dict()}
        members["begun"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if state != _ENDED:
            members["nonce"] = secrets.token_hex(8)
        else:
            ended = self._clock()
            members["ended"] = datetime.fromtimestamp(ended, UTC).isoformat(timespec="milliseconds")
            members["keys"] = sorted(keys)
            state += str(int(ended - begun))  # how long it took is read without its content
        content = canonical(members) + b"\n"
        name = f"{self._folder}/{at.strftime(_TIME)}-{state}-{hashlib.sha256(content).hexdigest()}.json"
        self._store.write(name, content)
        return name

    def _missing(self, keys: Set[str], reading: _Reading) -> Set[str]:
        """Return which of these keys a reading does not show."""
        listed = self._keys.get(reading.name) or self._keep(reading.name, _parse(self._store, reading.name))
        return {key for key in keys if key not in listed}

    def _keep(self, name: str, keys: Set[str]) -> DigestSet:
        """Keep what a reading shows, and no more than two: a disposal may last for hours, and a list be long."""
        found = self._keys[name] = DigestSet(keys)
        for old in sorted(self._keys)[:-2]:
            self._keys.pop(old, None)  # reading ahead may drop it at the same moment
        return found


def _parse(store: Store, name: str) -> Set[str]:
    uri, content = store.uri(name), store.read(name)
    members = None
    with suppress(ValueError, RecursionError):
        members = json.loads(content)
    formats.DUE_READING.refuse_newer(members, uri)
    if not name.endswith(f"-{hashlib.sha256(content).hexdigest()}.json"):
        raise EvidenceError(f"The reading of a due list at {uri} was changed: its bytes no longer match its name.")
    try:
        return frozenset(map(str, formats.DUE_READING.check(members, uri)["keys"]))
    except NewerFormatError:
        raise
    except (EvidenceError, TypeError, KeyError):
        raise EvidenceError(f"{uri} is no reading of a due list.") from None
