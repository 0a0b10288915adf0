"""What a disposal's tasks do."""

from airflow_provider_records.floor import require_airflow

require_airflow()
