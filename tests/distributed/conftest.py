"""One distributed Airflow for all scenarios: see :mod:`tests.distributed.cluster`."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from tests.distributed.cluster import REVIEWERS, USERS, Cluster, cluster
from tests.distributed.night import Result
from tests.system.conftest import copy_example_dags

Tell = Callable[[str, Result], None]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A distributed Airflow with the example DAGs."""
    home = tmp_path_factory.mktemp("cluster")
    dags = home / "dags"
    copy_example_dags(dags)
    ids = {user: str(number) for number, user in enumerate(USERS, 1)}
    for path in dags.glob("*.py"):
        source = path.read_text().replace("PART = 25 ", "PART = 500 ")
        for number, user in enumerate(REVIEWERS, 1):
            source = source.replace(f'"reviewer_{number}": ', f'"{ids[user]}": ')
        path.write_text(source)
    before = signal.signal(signal.SIGTERM, _end)
    try:
        with cluster(dags, home) as made:
            yield made
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: FrameType | None) -> None:
    """End as by Ctrl-C: fixtures then end what they have started."""
    raise KeyboardInterrupt


@pytest.fixture
def airflow(running: Cluster) -> Iterator[Cluster]:
    """The distributed Airflow, whole again after each scenario."""
    yield running
    running.gate.open()
    for part in running.parts.values():
        part.thaw()
        part.start()
    running.wait_until_healthy()


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Print what came of a scenario, past pytest's capture."""

    def line(name: str, result: Result) -> None:
        with capsys.disabled():
            print(f"\n{result.line(name)}", flush=True)

    return line
