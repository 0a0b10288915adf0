"""A sandbox, its connections and an evidence store, as the operators' tests have them."""

from tests.operators.conftest import world

__all__ = ["world"]
