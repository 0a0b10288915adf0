"""What a disposal waits for."""

from airflow_provider_records.airflow_version import require_airflow

require_airflow()
