"""The benchmark runs and measures what it says; its figures are nobody's test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "bench_evidence.py"


@pytest.mark.parametrize(("words", "env"), [(["--records", "130"], {}), ([], {"BENCH_RECORDS": "130"})])
def test_the_benchmark_runs(words: list[str], env: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--folder", str(tmp_path), *words]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("130 records; ")
    measured = set(re.findall(r"^  (\S.*?)  +[\d.]+ ms a record", done.stdout, re.MULTILINE))
    assert {"list written", "journal", "JSON lines appended and flushed to disk", "airflow-records verify"} <= measured
    assert len(re.findall(r"[\d.]+ times the plain one, goal: ", done.stdout)) == 2
    # 3 chunks, each with intents and outcomes, and the journal's start; list, outcomes, summary, approval, certificate.
    assert re.search(r"\(\d[\d,]+ in 12 files\)", done.stdout)
    assert list(tmp_path.iterdir()) == []
