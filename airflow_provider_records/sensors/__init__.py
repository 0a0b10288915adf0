"""What a disposal waits for."""

from airflow_provider_records.floor import require_airflow

require_airflow()
