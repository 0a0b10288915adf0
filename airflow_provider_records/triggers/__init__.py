"""Waiting without a worker."""

from airflow_provider_records.floor import require_airflow

require_airflow()
