"""The benchmarks run and measure what they say; their figures are nobody's test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.mark.parametrize(("words", "env"), [(["--records", "130"], {}), ([], {"BENCH_RECORDS": "130"})])
def test_what_evidence_costs_is_measured(words: list[str], env: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "bench_evidence.py"), "--folder", str(tmp_path), *words]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("130 records; ")
    measured = set(re.findall(r"^  (\S.*?)  +[\d.]+ ms a record", done.stdout, re.MULTILINE))
    assert {"list written", "journal", "JSON lines appended and flushed to disk", "airflow-records verify"} <= measured
    assert len(re.findall(r"[\d.]+ times the plain one, goal: ", done.stdout)) == 2
    # 3 chunks, each with intents and outcomes, and the journal's start; list, outcomes, summary, certificate; approval
    # and its signature.
    assert re.search(r"\(\d[\d,]+ in 13 files\)", done.stdout)
    assert list(tmp_path.iterdir()) == []


def test_speed_is_measured(tmp_path: Path) -> None:
    sizes = {"OBJECTS": 60, "NIGHT": 60, "DOCUMENTS": 60, "LIST": 500}
    env = os.environ | {f"BENCH_{name}": str(size) for name, size in sizes.items()} | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, str(BENCHMARKS / "bench_speed.py"), "--threads", "4", "--latency", "5"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert "60 objects of enaio, 4 threads, 5 ms: at most 800 a second" in said
    rates = re.findall(r"^  (\S.*?)  +([\d.]+) a second; processor a record: client ", said, re.MULTILINE)
    assert [what for what, _ in rates] == [
        "bare loop over requests",
        "verified records, types known",
        "verified records, types not known",
    ]
    assert all(0 < float(rate) < 800 for _, rate in rates)
    assert re.search(r"[\d.]+ times the bare loop \(goal: at least 0.95\)", said)
    # A look at each type, and its canary, weigh more in a short list than in a long one.
    calls = [float(number) for number in re.findall(r"([\d.]+)(?: calls a record)? \(goal: at most [12]\.\d+\)", said)]
    assert len(calls) == 4
    assert re.search(r"deleted \{'destroyed': \d+, .*\n  marked  \{'destroyed': \d+, ", said)
    assert re.search(r"peak memory of the process +[\d.]+ MB \(goal: at most 400 MB for 1,000,000\)", said)
    assert list(tmp_path.iterdir()) == []
