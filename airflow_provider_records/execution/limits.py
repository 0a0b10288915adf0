"""The breakers: too many records before a disposal, too many failures during it."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.exceptions import ConfigurationError, TooManyRecordsError

_ENOUGH_TO_JUDGE = 20


@dataclass(frozen=True)
class Limits:
    """The limits of one disposal.

    :param max_records: longest list accepted.
    :param max_failure_rate: share of failures, 0 to 1, above which the sending stops.
    """

    max_records: int = 1000
    max_failure_rate: float = 0.1

    def __post_init__(self) -> None:
        if isinstance(self.max_records, bool) or not isinstance(self.max_records, int) or self.max_records < 1:
            raise ConfigurationError(f"max_records must be a whole number of at least 1, not {self.max_records!r}.")
        rate = self.max_failure_rate
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
            raise ConfigurationError(f"max_failure_rate must be a number from 0 to 1, not {rate!r}.")

    def refuse_too_many(self, count: int) -> None:
        """Refuse a list that is too long, whole.

        :raises TooManyRecordsError: it is longer than ``max_records``.
        """
        if count > self.max_records:
            raise TooManyRecordsError(
                f"The list holds {count} records, more than max_records={self.max_records}. Nothing was deleted. "
                "Check why it is so long; raise max_records in the DAG or in [records] only if it is right."
            )

    def too_many_failures(self, calls: int, attempted: int, failures: int) -> bool:
        """Tell whether the sending must stop.

        :param calls: calls so far; one lost call of 15 records alone says nothing.
        :param attempted: records that they were for.
        :param failures: how many of these records failed.
        """
        return calls >= _ENOUGH_TO_JUDGE and failures > self.max_failure_rate * attempted


FAILURES = frozenset({OutcomeKind.FAILED, OutcomeKind.UNKNOWN})
"""What the failure rate counts; a business refusal is no failure of the system."""
