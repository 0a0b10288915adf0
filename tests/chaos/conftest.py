"""The Airflow of the system tests."""

from tests.system.conftest import airflow_home, begin

__all__ = ["airflow_home", "begin"]
