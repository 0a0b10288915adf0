"""The whole sandbox for the sensors, as the operators have it."""

from tests.operators.conftest import world

__all__ = ["world"]
