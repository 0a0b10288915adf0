"""How many examples the property tests try: the same few each time, or many others by chance."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

MORE = "FAULT_EXAMPLES"
"""The variable that says how many times as many examples are tried, others at each run."""

text = st.text(st.characters(exclude_categories=()), max_size=20)
"""Any text, half characters and NULs included."""


def examples(count: int) -> settings:
    """Return how a property is tried."""
    return settings(
        max_examples=count * int(os.environ.get(MORE, "1")),
        derandomize=MORE not in os.environ,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
