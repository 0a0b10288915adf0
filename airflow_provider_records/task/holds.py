"""What ``holds=`` of a disposing task may be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow.sdk.execution_time.lazy_sequence import LazyXComSequence

from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.hold import ON_HOLD, key_hash
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.summary import Provenance
from airflow_provider_records.exceptions import ConfigurationError, InvalidRecordsError

_EXPECTED = (
    "holds= takes a list of keys or target ids, or an upstream task's .output: ids, or rows and mappings with one "
    "value each"
)


@dataclass(frozen=True)
class NamedHolds:
    """The keys that ``holds=`` of one task names. They hold in this run only.

    :param keys: keys and target ids.
    :param not_before: when the run began, ISO 8601: what its tasks returned is not older.
    :param read_at: when the task took them, ISO 8601.
    """

    keys: Sequence[str] = ()
    not_before: str = ""
    read_at: str = ""

    @classmethod
    def read(cls, holds: object, origin: Provenance) -> NamedHolds:
        """Read ``holds=`` of a task instance.

        :raises InvalidRecordsError: see :func:`named_keys`.
        """
        return cls(named_keys(holds), origin.run_started_at, now())

    @property
    def hashes(self) -> frozenset[str]:
        """The hashes to compare with; see :func:`~airflow_provider_records.evidence.hold.key_hash`."""
        return frozenset(map(key_hash, self.keys))

    @property
    def statement(self) -> str:
        """The reason of a record that one of them keeps."""
        begin = self.not_before or "the start of the run"
        return f"{ON_HOLD}named in holds= of this task (between {begin} and {self.read_at})"

    def to_dict(self) -> dict[str, Any]:
        """Return what the evidence says of them: how many, which, and how old they are."""
        keys = sorted(set(self.keys))
        return {
            "count": len(keys),
            "sha256": hashlib.sha256(canonical(keys)).hexdigest(),
            "not_before": self.not_before,
            "read_at": self.read_at,
        }


def check_holds(holds: Any) -> Any:  # noqa: ANN401 - what a DAG may say
    """Refuse when the DAG is parsed what can never be a list: a text, which also a template is rendered to, or None.

    :raises ConfigurationError: it is one.
    """
    if holds is None or isinstance(holds, (str, bytes)):
        raise ConfigurationError(f"{_EXPECTED}; it got {holds!r}.")
    return holds


def named_keys(holds: object) -> list[str]:
    """Turn ``holds=`` into keys.

    :param holds: see the module.
    :raises InvalidRecordsError: it is something else; nothing may be deleted then, since nobody knows what is held.
    """
    if not isinstance(holds, Iterable) or isinstance(holds, (str, bytes, bytearray, memoryview, Mapping)):
        said = "Did the upstream task run and return something?" if holds is None else ""
        raise InvalidRecordsError(f"{_EXPECTED}; it got {type(holds).__name__}. {said}".rstrip())
    items = list(holds)
    if isinstance(holds, LazyXComSequence):
        if not items:
            raise InvalidRecordsError(f"{_EXPECTED}; it got the output of mapped tasks, which is empty. Did they run?")
        # One output a mapped task, each a list of its own or a single key.
        if all(_is_list(item) for item in items):
            items = [key for item in items for key in item]
    return [Record.from_item(_only(item)).key for item in items]


def _is_list(item: object) -> bool:
    return isinstance(item, Sequence) and not isinstance(item, (str, bytes))


def _only(item: Any) -> object:  # noqa: ANN401 - whatever an upstream task returned
    """Return the one value of a row, or what is no row as it is."""
    values = list(item.values()) if isinstance(item, Mapping) else list(item) if _is_list(item) else [item]
    if len(values) != 1:
        raise InvalidRecordsError(f"{_EXPECTED}; one of its rows has {len(values)} values.")
    return values[0]
