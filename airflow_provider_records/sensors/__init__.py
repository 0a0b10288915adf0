"""What a disposal waits for."""

import airflow_provider_records.airflow_version  # noqa: F401 - refuses an Airflow that is too old
