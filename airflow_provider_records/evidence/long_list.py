"""The records of a long list and their outcomes, on disk: memory does not grow with what they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence

from airflow_provider_records.evidence.distinct import Digests, digest_of
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.spool import Chosen, Spooled

_PLACE = 5


def spooled_records(manifest: Manifest) -> Spooled[Record]:
    """Read and check a list.

    :raises EvidenceError: it was changed since it was opened, or is none.
    """
    spooled = Spooled(Record.from_dict)
    for line, record in manifest.checked():
        spooled.add(record, line)
    return spooled


class SpooledOutcomes(MutableMapping[str, Outcome]):
    """Outcomes by key; memory holds a digest of the key and the place of the outcome."""

    def __init__(self) -> None:
        self._all = Spooled(Outcome.from_dict)
        self._places = Digests()
        self._count = 0

    def __getitem__(self, key: str) -> Outcome:
        if (place := self._place(key)) is None:
            raise KeyError(key)
        return self._all[place]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._place(key) is not None

    def __setitem__(self, key: str, outcome: Outcome) -> None:
        self._count += not self._places.replace(digest_of(key), self._add(outcome).to_bytes(_PLACE, "big"))

    def __delitem__(self, key: str) -> None:
        self._count -= self._places.remove(digest_of(key), _PLACE)

    def __iter__(self) -> Iterator[str]:
        return (each.key for place, each in enumerate(self._all) if self._place(each.key) == place)

    def __len__(self) -> int:
        return self._count

    def in_order(self, records: Iterable[Record], otherwise: Callable[[Record], Outcome]) -> Sequence[Outcome]:
        """Return the outcomes of records in their order.

        :param otherwise: returns that of a record which has none here.
        """
        places = ((self._place(record.key), record) for record in records)
        return Chosen(self._all, (self._add(otherwise(record)) if at is None else at for at, record in places))

    def _add(self, outcome: Outcome) -> int:
        return self._all.add(outcome, json.dumps(outcome.to_dict()).encode())

    def _place(self, key: str) -> int | None:
        place = self._places.get(digest_of(key), _PLACE)
        return None if place is None else int.from_bytes(place, "big")
