"""The whole sandbox for the sensors, as the operators have it."""

from tests.operators.conftest import served

__all__ = ["served"]
