"""Waiting without a worker."""

from airflow_provider_records.airflow_version import require_airflow

require_airflow()
