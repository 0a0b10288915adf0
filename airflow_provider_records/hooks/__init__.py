"""Clients of the vendors' systems."""

from airflow_provider_records.airflow_version import require_airflow

require_airflow()
