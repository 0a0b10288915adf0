"""What a disposal's tasks do."""

from airflow_provider_records.airflow_version import require_airflow

require_airflow()
