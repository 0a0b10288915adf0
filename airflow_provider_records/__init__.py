"""Records disposal on Apache Airflow: approved, exact, resumable, provable."""

__version__ = "0.1.0"
