"""How long an approval allows new deletes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import conf

from airflow_provider_records.exceptions import ConfigurationError


def check_valid_for(valid_for: object) -> timedelta | None:
    """Check ``valid_for`` of an approving step.

    :raises ConfigurationError: it is no duration longer than nothing, and not None.
    """
    if valid_for is None or (isinstance(valid_for, timedelta) and valid_for > timedelta()):
        return valid_for
    raise ConfigurationError(f"valid_for is a timedelta longer than nothing, or None; not {valid_for!r}.")


def valid_until(approved_at: str, valid_for: timedelta | None) -> str:
    """Return when an approval expires.

    :param approved_at: ISO 8601 with a time zone.
    :param valid_for: None: ``[records] approval_valid_days`` (30).
    :return: ISO 8601 in UTC.
    :raises ConfigurationError: ``approval_valid_days`` is less than 1.
    """
    if valid_for is None:
        days = conf.getint("records", "approval_valid_days", fallback=30)
        if days < 1:
            raise ConfigurationError(f"[records] approval_valid_days must be at least 1, not {days}.")
        valid_for = timedelta(days=days)
    until = (datetime.fromisoformat(approved_at) + valid_for).astimezone(UTC)
    return until.isoformat(timespec="milliseconds").replace("+00:00", "Z")
