"""What Airflow stands on is gone for a while, or one of its daemons."""

from __future__ import annotations

import time

import pytest

from airflow_provider_records import demo
from tests.distributed.cluster import Cluster
from tests.distributed.conftest import Tell
from tests.distributed.night import LARGE, NIGHTLY, Night, check

OUTAGE = 60.0
"""Seconds for which the object storage is gone."""


def test_the_storage_hangs(airflow: Cluster, tell: Tell) -> None:
    night = Night.halfway(airflow)
    over = time.monotonic() + OUTAGE
    airflow.parts["s3"].freeze()
    begun = time.monotonic()
    page = night.page("")
    assert page.status_code == 503, page.text
    assert time.monotonic() - begun < 30
    time.sleep(max(0.0, over - time.monotonic()))
    sent = night.sent()
    airflow.parts["s3"].thaw()
    night.end()
    assert night.sent() > sent
    tell(f"S3 hung for {OUTAGE:.0f} s", check(night))


def test_the_storage_refuses(airflow: Cluster, tell: Tell) -> None:
    night = Night.halfway(airflow)
    airflow.gate.close()
    time.sleep(OUTAGE)
    sent = night.sent()
    airflow.gate.open()
    night.end()
    assert night.sent() > sent
    tell(f"S3 refused for {OUTAGE:.0f} s", check(night))


@pytest.mark.parametrize(("name", "seconds"), [("redis", 3.0), ("postgres", 6.0)])
def test_a_server_is_killed_and_started_again(airflow: Cluster, tell: Tell, name: str, seconds: float) -> None:
    night = Night.halfway(airflow)
    airflow.parts[name].kill()
    time.sleep(seconds)
    airflow.parts[name].start()
    assert not night.over()
    night.end()
    tell(f"{name} killed, back after {seconds:.0f} s", check(night))


def test_the_triggerer_is_killed_while_an_approval_is_waited_for(airflow: Cluster, tell: Tell) -> None:
    night = Night(airflow, NIGHTLY)
    night.start()
    night.wait_until(lambda: night.sent("get_bp_record") > 1)
    airflow.parts["triggerer"].kill()
    night.approve()
    airflow.parts["triggerer"].start()
    night.end()
    tell("triggerer killed", check(night))


def test_a_second_scheduler_goes_on_alone(airflow: Cluster, tell: Tell) -> None:
    airflow.add("scheduler2", demo.airflow("scheduler")).start()
    try:
        night = Night(airflow, LARGE, 1200)
        airflow.slow(night.kind.call, 0.2)
        night.start()
        night.approve()
        night.wait_until(lambda: night.sent() >= 60)
        airflow.parts["scheduler"].kill()
        night.end()
        tell("second scheduler, the first one killed", check(night))
    finally:
        airflow.remove("scheduler2")
