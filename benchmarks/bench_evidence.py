"""Measures the cost of evidence, each beside a plain alternative in the same run: ``make bench``.

The journal is compared with a loop that appends JSON lines and flushes them to disk once a chunk; the verification
of a certificate with ``sha256sum`` and JSON parsing of the same bytes.
"""

# ruff: noqa: T201 - it prints its results

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from airflow_provider_records import __version__
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.binding import Place
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.order import Covered, Order
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof, now
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal, Provenance, SystemDescription, write_outcomes
from airflow_provider_records.reporting import issue

CHUNK = 8 * 8
"""Records between two flushes: the runner's chunk with the default ``max_concurrency`` and one record a call."""
STARTED = "2026-11-22T02:00:00+00:00"
PLACE = Place("enaio", "https://enaio.example.org", "destroy", "enaio_default")
BY = Provenance("bench", "manual__2026-11-22", "delete", -1, try_number=1, run_started_at=STARTED)

T = TypeVar("T")


def main() -> None:
    """Run all measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    count = int(os.environ.get("BENCH_RECORDS", "100000"))
    parser.add_argument("--records", type=int, default=count, help="records on the list (default: %(default)s)")
    parser.add_argument(
        "--folder", type=Path, help="parent folder of what is written, on the disk to measure (default: the system's)"
    )
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-evidence-", dir=asked.folder))
    try:
        bench(asked.records, folder)
    finally:
        shutil.rmtree(folder)


def bench(count: int, folder: Path) -> None:
    """Measure.

    :param count: records on the list.
    :param folder: an empty folder on the disk to measure.
    """
    print(f"{count:,} records; {machine(folder)}")
    store = Store(str(folder / "evidence"))
    took, manifest = timed(lambda: Manifest.write(store, made_up(count)))
    line("list written", took, count)
    took, records = timed(lambda: list(manifest))
    line("list read and checked", took, count)

    print(f"\nJournal: intents, then outcomes, in chunks of {CHUNK}")
    outcomes = [Outcome(record.key, OutcomeKind.DESTROYED, Proof.PROBE, time=now()) for record in records]
    plain, _ = timed(lambda: append_lines(folder / "plain.jsonl", outcomes))
    line("JSON lines appended and flushed to disk", plain, count)
    ours, _ = timed(lambda: write_journal(store, manifest, outcomes))
    line("journal", ours, count, plain, "at most 1 ms a record")

    print("\nCertificate")
    took, path = timed(lambda: certify(store, manifest, outcomes))
    line("outcomes, summary, certificate and page written", took, count)
    files = [each for each in (folder / "evidence").rglob("*") if each.suffix in {".json", ".jsonl"}]
    size = sum(file.stat().st_size for file in files)
    print(f"  {'evidence without the page':48} {size / count:9.0f} bytes a record ({size:,} in {len(files):,} files)")
    names = sorted(map(str, files))
    plain, _ = timed(lambda: sha256sum_and_parse(names))
    line("sha256sum and JSON parsing of these files", plain, count)
    command = [sys.executable, "-m", "airflow_provider_records.cli", "verify", str(path)]
    ours, done = timed(lambda: subprocess.run(command, capture_output=True, text=True, check=False))  # noqa: S603
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    line("airflow-records verify", ours, count, plain, "under 5 s for 100,000 records")


def made_up(count: int) -> Iterator[dict[str, Any]]:
    """Generate records like those of the due list of Opus."""
    for number in range(count):
        yield {
            "key": f"enaio-{109490 + number}",
            "target_id": str(109490 + number),
            "title": f"Arbeitsvertrag Größmann, Ute {number:06}.pdf",
            "classification": "Personnel/Contracts",
            "attributes": {
                "connector_id": "3f0c6a52-8d1e-4b7a-9c35-5e2a71d04b68",
                "due_before": "2026-11-01T00:00:00",
                "created": "2014-12-19 18:15:00",
                "created_by": "u.größmann",
                "modified": "2015-01-12 09:02:11",
                "modified_by": "scan-service",
            },
        }


def append_lines(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the plain alternative: one file without hash chain and fence."""
    with path.open("ab") as file:
        for chunk in chunks(outcomes):
            for lines in ([{"key": each.key} for each in chunk], [each.to_dict() for each in chunk]):
                file.writelines(json.dumps(line).encode() + b"\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())


def write_journal(store: Store, manifest: Manifest, outcomes: Sequence[Outcome]) -> None:
    """Write what the runner writes."""
    journal = Journal(store, BY.folder, manifest.digest, started=STARTED, try_number=1, place=PLACE)
    for chunk in chunks(outcomes):
        journal.intend(each.key for each in chunk)
        journal.record(chunk)


def certify(store: Store, manifest: Manifest, outcomes: Sequence[Outcome]) -> Path:
    """Write outcomes, summary and certificate; return the path of the certificate."""
    tasks = [Covered(BY.task_id, PLACE.system, PLACE.method, PLACE.target, PLACE.conn_id)]
    order = Order(manifest.digest, tasks, BY.dag_id, BY.run_id, now(), "2999-01-01T00:00:00Z")
    order.write(store)
    approval = Approval(
        manifest.digest,
        "anna",
        now(),
        {"kind": "bench"},
        approver_type="person",
        order=order.id,
    ).write(store)
    uri, counts = write_outcomes(store, manifest, outcomes, BY.folder)
    disposal = Disposal(
        system="enaio",
        description=SystemDescription("enaio"),
        manifest=manifest.uri,
        digest=manifest.digest,
        approved=[manifest.digest],
        approvals=[approval],
        approval_required=True,
        dry_run=False,
        counts=counts,
        outcomes=uri,
        started_at=now(),
        ended_at=now(),
        provenance=BY,
        options={"hard_delete": True},
        target=PLACE.target,
        method=PLACE.method,
        conn_id=PLACE.conn_id,
    ).write(store)
    by = replace(BY, task_id="certificate")
    written = issue.write(store, [disposal], by, Ed25519PrivateKey.generate())
    return Path(written.uri.removeprefix("file://"))


def sha256sum_and_parse(names: Sequence[str]) -> None:
    """Hash with the system's tool and parse with Python's parser, without any check."""
    tool = shutil.which("sha256sum")
    hasher = [tool] if tool else [str(shutil.which("shasum")), "-a", "256"]
    for start in range(0, len(names), 1000):
        subprocess.run([*hasher, *names[start : start + 1000]], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    for name in names:
        with Path(name).open("rb") as file:
            for line in file:
                json.loads(line)


def chunks(outcomes: Sequence[Outcome]) -> Iterator[Sequence[Outcome]]:
    """Divide outcomes into chunks as the runner does."""
    return (outcomes[start : start + CHUNK] for start in range(0, len(outcomes), CHUNK))


class Took(NamedTuple):
    """Seconds of wall-clock and of processor time; a busy machine changes the latter less."""

    clock: float
    processor: float


def timed(work: Callable[[], T]) -> tuple[Took, T]:
    """Measure a function; return its times and its return value."""
    clock, before = time.perf_counter(), os.times()
    done = work()
    after = os.times()
    return Took(time.perf_counter() - clock, sum(after[:4]) - sum(before[:4])), done


def line(what: str, took: Took, count: int, plain: Took | None = None, goal: str = "") -> None:
    """Print one line."""
    more = [f"{took.clock / plain.clock:.1f} times the plain one"] if plain else []
    more += [f"goal: {goal}"] if goal else []
    print(
        f"  {what:48} {took.clock * 1000 / count:8.4f} ms a record, {took.clock:7.2f} s, of processors "
        f"{took.processor:6.2f} s" + (f"  ({', '.join(more)})" if more else "")
    )


def machine(folder: Path) -> str:
    """Describe the machine, for comparing figures."""
    probe = folder / "probe"
    with probe.open("wb") as file:
        begun = time.perf_counter()
        for _ in range(20):
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
        flush = (time.perf_counter() - begun) / 20
    probe.unlink()
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, "
        f"a flush to disk {flush * 1000:.2f} ms; "
        f"Python {platform.python_version()}, cryptography {version('cryptography')}, provider {__version__}"
    )


if __name__ == "__main__":
    main()
