"""Three nights in a row for each vendor in real Airflow: nothing that is held is deleted, nothing else is missed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.reporting.verify import verify
from airflow_provider_records.sandbox.seed import ENAIO_CONNECTOR, Item
from airflow_provider_records.sandbox.unifier import Document, Folder
from tests.minors import since
from tests.system.conftest import WAIT, Installation
from tests.system.test_approval import Begin, Offices, Start, offices, start
from tests.system.test_nights import state

__all__ = ["offices", "start"]

pytestmark = [pytest.mark.system, since("3.3")]  # before, "dags test" gets no answers
NEXT_YEAR = (datetime.now(UTC) + timedelta(days=365)).date().isoformat()
PAST, FUTURE = "2014-01-01", "2099-01-01"


@dataclass(frozen=True)
class Vendor:
    """What a test needs to know of an installation.

    :param dag_id: its DAG.
    :param content: the system that holds the content.
    :param effect: what a deletion there does.
    :param add: adds a record by its number; of an odd one, the row is named ``odd``. Returns key and target id.
    :param odd: rows of which no record can be made.
    """

    dag_id: str
    content: str
    effect: str
    add: Callable[..., tuple[str, str]]
    odd: tuple[str, ...]


def letter(installation: Installation, number: int, odd: str = "", ends: str = PAST) -> tuple[str, str]:
    """Add an object to enaio, whose key is a field of it."""
    enaio: Any = installation.sandbox.vendors["enaio"]
    key, object_id = odd or f"F-{number}", str(700_000 + number)
    date = ends if odd != "no date" else "1 May 2014"
    enaio.archive.add(object_id, "Letter", fields={"Ends": date, "FileNo": key})
    return key, object_id


def record(installation: Installation, number: int, odd: str = "", ends: str = PAST) -> tuple[str, str]:
    """Add a record to Opus whose content lies in enaio."""
    _, object_id = letter(installation, number, ends=ends)
    key = odd.replace("NUMBER", object_id) or f"enaio-{object_id}"
    opus: Any = installation.sandbox.vendors["opus"]
    times = ("2004-01-01 08:00:00", "2004-01-02 08:00:00", "anna", f"{ends}T00:00:00")
    title = f"Akte {number}" if number % 2 else f"Cut \ud83d {number}"
    opus.load([Item(key, title, "Personnel", *times, ENAIO_CONNECTOR, "enaio", object_id, "1", "/")])
    return key, object_id


def document(installation: Installation, number: int, odd: str = "", ends: str = PAST) -> tuple[str, str]:
    """Add a document to a folder of Unifier."""
    unifier: Any = installation.sandbox.vendors["unifier"]
    unifier.shells["P-0001"] = "Active"
    unifier.folders.setdefault(9_000, Folder(9_000, "P-0001", "/Nights"))
    node_id, path, date = 9_100 + number, f"/Nights/Plan {number}.pdf", f"{ends} 08:00:00"
    kind = Shortcut if odd else Document
    unifier.documents[node_id] = kind(node_id, node_id + 500, 9_000, "P-0001", path, date)
    return str(node_id), str(node_id)


class Shortcut(Document):
    """What Unifier lists beside documents."""


VENDORS = [
    Vendor(
        "three_nights_opus",
        "enaio",
        "destroyed",
        record,
        ("enaio-NUMBER ", "enaio\u200b-NUMBER", "hr/NUMBER", "enaio-700000 "),
    ),
    Vendor("three_nights_enaio", "enaio", "destroyed", letter, ("F-90 ", "F-9\u200b1", "no date")),
    Vendor("three_nights_unifier", "unifier", "recycled", document, ("shortcut", "another")),
]


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.dag_id)
def test_three_nights(begin: Begin, start: Start, offices: Offices, vendor: Vendor) -> None:
    installation = begin(records=0)
    reviewer, dag_id = offices["reviewer_1"], vendor.dag_id
    go = installation.evidence.parent / "later"
    keys = dict(vendor.add(installation, number) for number in range(6))
    for number, odd in enumerate(vendor.odd):
        vendor.add(installation, 90 + number, odd)
    vendor.add(installation, 99, ends=FUTURE)
    kept, court, held, *others = keys

    # The first night: one is withheld until a date, one without, one is put on hold after the approval.
    run = start(installation, dag_id)
    request = run.asks(reviewer, "review")
    body = request["body"].replace("\\", "")
    assert f"Not on this list, since they are odd: {len(vendor.odd)} records" in body
    assert request["subject"].startswith("6 records")
    reviewer.approve(request, withhold=f"{kept}: audit; until {NEXT_YEAR}\n{court}: the court asks").raise_for_status()
    command(installation, "hold", "add", held, "--reason", "lawsuit")
    go.touch()
    assert state(log := run.end()) == "success", log[-4000:]
    assert gone(installation, vendor) == {keys[key] for key in others}
    assert newest(installation)[held]["reason"].startswith("on hold: lawsuit (os:")

    # The second one: all three stay away; a slip in the form does not end the night; one is brought back.
    new = dict(vendor.add(installation, number) for number in (10, 11))
    run = start(installation, dag_id)
    request = run.asks(reviewer, "review")
    body = request["body"].replace("\\", "").replace("<!---->", "")
    assert request["subject"].startswith("2 records")
    assert "On hold, and so not on this list**: 3 records" in body
    for key, reason in {kept: "audit", court: "the court asks", held: "lawsuit"}.items():
        assert f"- {key}: on hold: {reason}" in body
    (first, second) = new
    reviewer.approve(request, withhold=first).raise_for_status()
    again = run.asks(reviewer, "review")
    assert (again["task_instance"]["id"], again["body"]) == (request["task_instance"]["id"], request["body"])
    reviewer.approve(again, bring_back=f"{court}: decided").raise_for_status()
    assert state(log := run.end()) == "success", log[-4000:]
    assert f"{first!r} has no reason" in log
    assert gone(installation, vendor) == {keys[key] for key in others} | {new[first], new[second]}

    # The third one: what was brought back and what was released are listed again, what is withheld is not.
    command(installation, "hold", "release", held, "--reason", "settled")
    newer = dict([vendor.add(installation, 20)])
    run = start(installation, dag_id)
    request = run.asks(reviewer, "review")
    body = request["body"].replace("\\", "")
    assert request["subject"].startswith("3 records")
    assert "3 new" in body
    assert f"Back from a hold: {court}" in body
    reviewer.approve(request).raise_for_status()
    assert state(log := run.end()) == "success", log[-4000:]
    everything = {**keys, **new, **newer}
    assert gone(installation, vendor) == set(everything.values()) - {keys[kept]}
    certificates = sorted(installation.evidence.glob("certificates/*/*.json"))
    assert len(certificates) == 3
    for path in certificates:
        report = verify(path)
        assert report.ok, report.problem


def test_a_hold_in_the_waiting_period_keeps_its_record(begin: Begin, start: Start, offices: Offices) -> None:
    installation = begin()
    reviewer, dag_id = offices["reviewer_1"], "records_waiting_period"
    run = start(installation, dag_id)
    request = run.asks(reviewer, "review")
    listed = [item["key"] for item in installation.manifest(request["params"]["manifest"]["value"])]
    live = installation.sandbox.vendors["enaio"].state()["live"]
    held = next(key for key in listed if key in live)
    begun = time.monotonic()
    reviewer.approve(request).raise_for_status()
    command(installation, "hold", "add", held, "--reason", "lawsuit")
    assert time.monotonic() - begun < WAIT, "this machine is too slow for the test's waiting period"
    while not installation.sandbox.effects("enaio", "destroyed") and run.process.poll() is None:
        time.sleep(0.05)
    assert time.monotonic() - begun > WAIT - 1
    assert state(log := run.end()) == "success", log[-4000:]
    assert "The waiting period ends at" in log
    assert newest(installation)[held]["reason"].startswith("on hold: lawsuit (os:")
    destroyed = installation.sandbox.effects("enaio", "destroyed")
    assert held not in destroyed
    assert len(destroyed) > 5


def command(installation: Installation, *words: str) -> None:
    """Run ``airflow-records`` beside Airflow."""
    words = (str(Path(sys.executable).parent / "airflow-records"), *words)
    subprocess.run(words, env=installation.env, check=True, capture_output=True, timeout=120)


def gone(installation: Installation, vendor: Vendor) -> set[str]:
    """Return what the sandbox has deleted, each once; with Opus, exactly that is marked."""
    counts = Counter(installation.sandbox.effects(vendor.content, vendor.effect))
    assert max(counts.values()) == 1
    if vendor.add is record:
        marked = installation.sandbox.effects("opus", "marked")
        assert sorted(marked) == sorted(f"enaio-{object_id}" for object_id in counts)
    return set(counts)


def newest(installation: Installation) -> dict[str, dict[str, Any]]:
    """Return the outcomes of the newest deletion."""
    return installation.outcomes(installation.disposals()["delete"][-1])
