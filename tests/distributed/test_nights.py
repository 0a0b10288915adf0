"""Nights of a distributed Airflow in which nothing goes wrong."""

from __future__ import annotations

from tests.distributed.cluster import EVIDENCE_CONN_ID, PASSWORD, REVIEWERS, USERS, Cluster
from tests.distributed.conftest import Tell
from tests.distributed.night import LARGE, NIGHTLY, PEOPLE, UNIFIER, Night, check
from tests.system.test_standalone import Api


def test_nightly(airflow: Cluster, tell: Tell) -> None:
    night = Night(airflow, NIGHTLY)
    night.start()
    night.page("run")  # lists the certificates
    assert night.page("certificate.json").status_code == 404
    night.approve()
    night.end()
    tell("nightly", check(night))
    # The same API server looked for it before it was there: libraries of storages remember what they have listed.
    assert night.page("certificate.json").ok
    assert night.page("run").ok
    replayed = airflow.records("replay", night.certificate())
    assert replayed.returncode == 0, replayed.stdout[-2000:] + replayed.stderr[-2000:]
    undefined = airflow.records("verify", night.certificate(), AIRFLOW__RECORDS__EVIDENCE_CONN_ID="undefined")
    assert undefined.returncode == 2
    assert "evidence_conn_id 'undefined' names no connection" in undefined.stderr
    system = airflow.records("verify", night.certificate(), AIRFLOW__RECORDS__EVIDENCE_CONN_ID="opus_default")
    assert system.returncode == 2
    assert "evidence_conn_id 'opus_default' is a connection of the type 'opus'; s3:// needs aws" in system.stderr
    assert airflow.env["AIRFLOW__RECORDS__EVIDENCE_CONN_ID"] == EVIDENCE_CONN_ID


def test_large_night_over_both_workers(airflow: Cluster, tell: Tell) -> None:
    night = Night(airflow, LARGE, 3000)
    night.start()
    night.approve()
    night.end()
    result = check(night)
    tell("large night", result)
    assert result.workers == {"worker1", "worker2"}


def test_two_people_of_fab_approve_by_their_numeric_ids(airflow: Cluster, tell: Tell) -> None:
    night = Night(airflow, PEOPLE)
    night.start()
    port = int(airflow.url.rsplit(":", 1)[1])
    for task_id, user in zip(("review", "confirm"), REVIEWERS, strict=True):
        request = night.asked(task_id)
        for stranger in set(USERS) - set(REVIEWERS):
            assert night.answer(request, Api(port, username=stranger, password=PASSWORD)).status_code == 403
        assert night.answer(request, Api(port, username=user, password=PASSWORD)).ok
    night.end()
    tell("approvals by FAB's ids", check(night))


def test_unifier(airflow: Cluster, tell: Tell) -> None:
    night = Night(airflow, UNIFIER)
    night.start()
    night.approve()
    night.end()
    tell("Unifier", check(night))
