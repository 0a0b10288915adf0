"""The limits of a disposal: too many records before it, too many failures during it."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_records.evidence.canonical import LARGEST_NUMBER
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.exceptions import ConfigurationError, TooManyRecordsError

_ENOUGH_TO_JUDGE = 20


@dataclass(frozen=True)
class Limits:
    """The limits of one disposal.

    :param max_records: largest number of records accepted.
    :param max_failure_rate: share of failures, 0 to 1, above which the sending stops.
    :param max_absent_rate: share of records that are not there, 0 to 1, above which nothing is sent any more.
    """

    max_records: int = 1000
    max_failure_rate: float = 0.1
    max_absent_rate: float = 0.1

    def __post_init__(self) -> None:
        number = self.max_records
        # A larger one could not be written into the evidence when everything is done.
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= LARGEST_NUMBER:
            raise ConfigurationError(f"max_records must be a whole number from 1 to {LARGEST_NUMBER}, not {number!r}.")
        for name, rate in (("max_failure_rate", self.max_failure_rate), ("max_absent_rate", self.max_absent_rate)):
            if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
                raise ConfigurationError(f"{name} must be a number from 0 to 1, not {rate!r}.")

    def refuse_too_many(self, count: int) -> None:
        """Refuse a list that is too long; it is never cut.

        :raises TooManyRecordsError: it is longer than ``max_records``.
        """
        if count > self.max_records:
            raise TooManyRecordsError(
                f"The list holds {count} records, more than max_records={self.max_records}. Nothing was deleted. "
                "Check why it is so long; raise max_records in the DAG or in [records] only if it is right."
            )

    def too_many_failures(self, calls: int, attempted: int, failures: int) -> bool:
        """Tell whether the sending must stop.

        :param calls: number of calls so far; a single lost call of 15 records is not enough to judge by.
        :param attempted: number of records in these calls.
        :param failures: number of these records that failed.
        """
        return calls >= _ENOUGH_TO_JUDGE and attempted > 0 and failures / attempted > self.max_failure_rate

    def too_many_absent(self, looked_at: int, absent: int) -> bool:
        """Tell whether so many records are not there that the list is probably for another archive.

        :param looked_at: number of records that were looked at before their calls.
        :param absent: number of these records that are not there.
        """
        return looked_at >= _ENOUGH_TO_JUDGE and absent / looked_at > self.max_absent_rate


FAILURES = frozenset({OutcomeKind.FAILED, OutcomeKind.UNKNOWN})
"""The outcomes that count as failures; a refusal for a business reason is no failure of the system."""
