"""A sandbox, its connections and an evidence store, as the operators' tests have them."""

from tests.operators.conftest import served

__all__ = ["served"]
