"""Clients of the vendors' systems."""

from airflow_provider_records.floor import require_airflow

require_airflow()
