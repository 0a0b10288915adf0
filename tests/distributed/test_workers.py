"""A worker that dies, and one that hangs until another has taken its task over."""

from __future__ import annotations

from tests.distributed.cluster import Cluster
from tests.distributed.conftest import Tell
from tests.distributed.night import Night, check


def test_a_worker_and_its_descendants_are_killed(airflow: Cluster, tell: Tell) -> None:
    night = Night.halfway(airflow)
    worker, _ = airflow.worker_of_task()
    worker.kill()
    assert not night.over()
    night.end()
    result = check(night)
    tell("worker killed", result)
    assert result.tries > 1
    assert worker.name not in result.workers


def test_a_worker_is_stopped_and_continued_after_its_retry(airflow: Cluster, tell: Tell) -> None:
    night = Night.halfway(airflow)
    worker, _ = airflow.worker_of_task()
    worker.freeze()
    sent = night.sent()
    night.wait_until(lambda: len(night.tries_begun()) > 1 and night.sent() > sent)
    worker.thaw()
    night.end()
    result = check(night)
    tell("worker stopped and continued", result)
    assert result.tries > 1
