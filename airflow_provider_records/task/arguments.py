"""Checks of arguments when a DAG is parsed: what is wrong must not be found only after people have approved."""

from __future__ import annotations

from airflow_provider_records.exceptions import ConfigurationError


def check_switches(**given: object) -> None:
    """Check arguments that are on or off. A text would count as on, also ``"no"`` or a template.

    :raises ConfigurationError: one is neither True nor False.
    """
    for name, value in given.items():
        if not isinstance(value, bool):
            raise ConfigurationError(f"{name} must be True or False, not {value!r}.")


def check_min_approvals(number: object) -> int:
    """Check the number of approvals that a disposal needs.

    :raises ConfigurationError: it is no whole number from 1 on.
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ConfigurationError(
            f"min_approvals must be a whole number of at least 1, not {number!r}; "
            "a list that needs no approval says require_approval=False."
        )
    return number


def check_concurrency(number: object) -> None:
    """Check the number of calls in flight.

    :raises ConfigurationError: it is no whole number from 1 on, and not None.
    """
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
        raise ConfigurationError(f"concurrency must be a whole number of at least 1, not {number!r}.")
