"""Waiting without a worker."""

import airflow_provider_records.airflow_version  # noqa: F401 - refuses an Airflow that is too old
