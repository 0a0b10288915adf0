"""What 0.1.0 wrote verifies under every later release, word for word and byte for byte."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.evidence import certificate
from airflow_provider_records.evidence.outcome import OutcomeKind, Proof
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.reporting.verify import verify
from airflow_provider_records.systems import SYSTEMS
from tests.evidence.schemas import assert_store_valid
from tests.golden import make_golden

FOLDER = make_golden.FOLDER
DOCUMENTATION = FOLDER.parents[1] / "docs" / "evidence-format.md"
OUTCOMES = {"destroyed", "recycled", "absent", "blocked", "failed", "unknown", "not_attempted"}
PROOFS = {"response", "probe", "inferred"}
VENDORS = {"enaio", "unifier", "opus"}


def releases() -> list[Path]:
    """Return the folders of the releases whose golden stores are kept."""
    return sorted(path.parent for path in FOLDER.glob("*/expected.json"))


def check(release: Path) -> None:
    """Verify every certificate of a golden store, and compare what this release reads in it with what was written."""
    expected = json.loads((release / "expected.json").read_bytes())
    root, key = release / "evidence", release / "public_key.pem"
    store = Store(str(root))
    assert expected.keys() == {name for name in store.names("certificates") if name.endswith(".json")}
    for name, said in expected.items():
        report = verify(root / name, key if said["signed"] else None)
        assert report.ok, f"{name}: {report.problem}"
        assert report.certificate is not None
        assert make_golden.summary(report.certificate) == said, name


def contents(release: Path) -> tuple[set[str], set[str], set[str]]:
    """Return the outcomes, proofs and systems that the certificates of a golden store speak of."""
    store = Store(str(release / "evidence"))
    names = [name for name in store.names("certificates") if name.endswith(".json")]
    documents: list[dict[str, Any]] = [certificate.read(store, name).to_dict() for name in names]
    counts = [item for each in documents for system in each["counts"].values() for item in system.items()]
    proofs = [item for each in documents for entry in each["disposals"] for item in entry["proofs"].items()]
    systems = {system for each in documents for system in each["counts"]}
    return {name for name, count in counts if count}, {name for name, count in proofs if count}, systems


def test_a_decision_that_names_nobody_is_no_person(made: Path) -> None:
    store = Store(str(made / "evidence"))
    names = [name for name in store.names("certificates") if name.endswith(".json")]
    told = [text for name in names for text in verify(made / "evidence" / name).checked if "approval" in text]
    assert "7 approvals by 2 persons, 1 process, each for the list that it names" in told


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A golden store as this code makes it."""
    folder = tmp_path_factory.mktemp("golden") / "now"
    make_golden.make(folder)
    assert_store_valid(Store(str(folder / "evidence")))
    return folder


def test_what_releases_wrote_verifies() -> None:
    assert FOLDER / "0.1.0" in releases(), (
        "the golden store is missing: make it with python -m tests.golden.make_golden"
    )
    for release in releases():
        check(release)
    assert contents(FOLDER / "0.1.0") == (OUTCOMES, PROOFS, VENDORS)


def test_the_generator_makes_what_this_release_verifies(made: Path) -> None:
    check(made)


def test_the_generator_knows_every_outcome_proof_and_vendor(made: Path) -> None:
    assert contents(made) == (set(map(str, OutcomeKind)), set(map(str, Proof)), set(SYSTEMS))


def test_the_generator_makes_every_kind_of_certificate(made: Path) -> None:
    store = Store(str(made / "evidence"))
    found = {name: certificate.read(store, name) for name in store.names("certificates") if name.endswith(".json")}
    kinds = {(each.key is not None, each.complete, "superseded" in name) for name, each in found.items()}
    assert kinds == {(True, True, False), (True, False, True), (False, False, False), (False, False, True)}
    documents = [each.to_dict() for each in found.values()]
    approvals = [approval for each in documents for approval in each["approvals"]]
    assert any("withheld" in approval for approval in approvals)
    assert any("part_of" in approval for approval in approvals)
    assert any(each.missing_disposals for each in found.values())
    assert any(each.undisposed_records for each in found.values())
    assert any(entry["uncounted"] for each in documents for entry in each["disposals"])
    assert store.names("rejections")


def test_a_changed_golden_store_does_not_verify(made: Path, tmp_path: Path) -> None:
    """So that the tests above cannot pass over a store that nobody looks at."""
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    path = next(
        path for path in sorted(copy.glob("evidence/disposals/**/outcomes/*.jsonl")) if b"absent" in path.read_bytes()
    )
    path.write_bytes(path.read_bytes().replace(b"absent", b"absenT"))
    with pytest.raises(AssertionError, match="was changed"):
        check(copy)


def test_no_path_of_a_machine_is_in_it(made: Path) -> None:
    for path in made.rglob("*"):
        if path.is_file():
            assert b"file://" not in path.read_bytes()
            assert str(Path.home()).encode() not in path.read_bytes()


def test_every_file_names_its_format_and_every_member_is_documented(made: Path) -> None:
    known = set(re.findall(r"`([a-z0-9_]+)`", DOCUMENTATION.read_text()))
    for path in sorted(made.glob("evidence/**/*.json*")):
        if path.suffix not in {".json", ".jsonl"}:
            continue
        first, *others = map(json.loads, path.read_bytes().splitlines())
        name = path.relative_to(made).as_posix()
        assert first["format"].startswith("airflow-records/"), name
        assert first["version"] == 1, name
        lines = [first, *others]
        parts = [part for line in lines for value in line.values() if isinstance(value, list) for part in value]
        members = {member for item in (*lines, *parts) if isinstance(item, dict) for member in item}
        assert members <= known, f"{name}: {members - known} is in no place of {DOCUMENTATION.name}"


def test_the_commands_of_the_documentation_check_a_certificate(made: Path) -> None:
    """The first two steps by hand; the others need jq, which not every machine has."""
    text = DOCUMENTATION.read_text().partition("## Verify by hand")[2]
    blocks = [textwrap.dedent(block) for block in re.findall(r"^ *```sh\n(.*?)```", text, re.DOTALL | re.MULTILINE)][:3]
    names = [name for name, said in json.loads((made / "expected.json").read_bytes()).items() if said["signed"]]
    name = next(name for name in names if "superseded" not in name)
    given = {
        "[evidence folder]": made / "evidence",
        "[dag]": Path(name).parent.name,
        "[run]": Path(name).stem,
        "[public_key.pem]": made / "public_key.pem",
    }
    script = "\n".join(blocks)
    for placeholder, value in given.items():
        script = script.replace(placeholder, str(value))
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{done.stderr} (OpenSSL and sha256sum are needed)"
    first, second, of_file, on_page = done.stdout.splitlines()
    assert (first, second) == ("Signature Verified Successfully",) * 2
    assert f"sha256:{of_file}" == f"sha256:{on_page}" == certificate.digest((made / "evidence" / name).read_bytes())
