"""The records of a long list and their outcomes, on disk: memory does not grow with what they say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, MutableMapping

from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.distinct import Digests, digest_of
from airflow_provider_records.evidence.outcome import Outcome
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.spool import Spooled

_PLACE = 5


def spooled_records(records: Iterable[Record]) -> Spooled[Record]:
    """Return a list that may be as long as need be."""
    spooled = Spooled(lambda line: Record.from_dict(json.loads(line)))
    for record in records:
        spooled.add(record.line())
    return spooled


def spooled_outcomes(outcomes: Iterable[Outcome]) -> Spooled[Outcome]:
    """Return outcomes in their order."""
    spooled = _no_outcomes()
    for outcome in outcomes:
        spooled.add(_line(outcome))
    return spooled


class SpooledOutcomes(MutableMapping[str, Outcome]):
    """Outcomes by key; memory holds a digest of the key and the place of the outcome."""

    def __init__(self) -> None:
        self._all = _no_outcomes()
        self._places = Digests()

    def __getitem__(self, key: str) -> Outcome:
        if (place := self._place(key)) is None:
            raise KeyError(key)
        return self._all[place]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._place(key) is not None

    def __setitem__(self, key: str, outcome: Outcome) -> None:
        self._places.replace(digest_of(key), self._all.add(_line(outcome)).to_bytes(_PLACE, "big"))

    def __delitem__(self, key: str) -> None:
        self._places.remove(digest_of(key), _PLACE)

    def __iter__(self) -> Iterator[str]:
        return (each.key for place, each in enumerate(self._all) if self._place(each.key) == place)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _place(self, key: str) -> int | None:
        place = self._places.get(digest_of(key), _PLACE)
        return None if place is None else int.from_bytes(place, "big")


def _no_outcomes() -> Spooled[Outcome]:
    return Spooled(lambda line: Outcome.from_dict(json.loads(line)))


def _line(outcome: Outcome) -> bytes:
    return canonical(outcome.to_dict())
