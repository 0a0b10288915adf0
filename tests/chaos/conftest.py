"""The Airflow of the system tests, with example DAGs that are tried more often."""

from pathlib import Path

import pytest

from tests.system.conftest import begin, copy_example_dags, migrated

__all__ = ["begin"]


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Airflow home whose database knows the example DAGs.

    A busy machine may give up tasks that live; that is one more storm, and must not use up the tries, nor make the
    pauses between them longer and longer. The database gets the number of tries from the first reading of a DAG.
    """
    home = tmp_path_factory.mktemp("airflow")
    copy_example_dags(home / "dags")
    second = "RecordsRetryPolicy(timedelta(seconds=1)"
    for path in (home / "dags").glob("*.py"):
        source = path.read_text().replace('"retries": 3', '"retries": 8')
        path.write_text(source.replace(f"{second})", f"{second}, timedelta(seconds=1))"))
    return migrated(home)
