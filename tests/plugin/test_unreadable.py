"""Evidence that cannot be read takes down its own row and nothing else: the row says so, and why, in a few words."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_provider_records.evidence import certificate, signature
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.store import Store, safe_name
from airflow_provider_records.plugin import rows
from airflow_provider_records.plugin.status import DisposalRun
from airflow_provider_records.reporting.verdict import Verdict
from tests.evidence import evidence_factory
from tests.evidence.failing_store import in_memory
from tests.minors import since
from tests.plugin.conftest import DAG, OTHER, Client, begin, dispose, provenance, run_id
from tests.plugin.test_app import page_text, run_page

BROKEN = "broken@example.org"
LONG = f"manual__{'long' * 60}"
Find = Callable[[Store], str]

SPOIL: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "no text": lambda _: b"\x89PNG\r\n\x1a\n\xff\xfe",
    "no JSON": lambda content: content.replace(b'"', b"'"),
    "a list": lambda _: b"[1, 2]\n",
    "a number": lambda _: b"7\n",
    "no fields": lambda _: b"{}\n",
    "nested": lambda _: b"[" * 100_000,
    "cut in half": lambda content: content[: len(content) // 2],
    "cut at its end": lambda content: content[:-3],
    "one letter": lambda content: content.replace(b"enaio", b"eneio").replace(b"airflow", b"airfloh"),
}


def summary(store: Store) -> str:
    return next(name for name in store.names(provenance("delete").folder.path) if name.endswith("/disposal.json"))


def sealed(_: Store) -> str:
    return certificate.file_name(DAG, run_id(0))


def approval(store: Store) -> str:
    return next(name for name in store.names("approvals") if BROKEN.encode() in store.read(name))


def journal(store: Store) -> str:
    """Return a segment of a try that has not summed up."""
    manifest = Manifest.write(store, evidence_factory.records(9))
    begin(store, manifest, provenance("delete", try_number=2)).intend([record.key for record in manifest])
    return next(
        name for name in store.names(provenance("delete").folder.path) if "-0002-" in name and "intents" in name
    )


def path(store: Store, name: str) -> Path:
    return Path(store.uri(name).removeprefix("file://"))


def four_runs(store: Store) -> None:
    """Three runs of a DAG, of which one will be broken, and one of another DAG."""
    dispose(store, people=(BROKEN,))
    for number in (1, 2):
        dispose(store, run=run_id(number))
    dispose(store, dag_id=OTHER)


def states(overview: str) -> list[str]:
    """Return the states of all runs, in order."""
    return re.findall(r'<td class="how"><span class="state \w+">(.*?)</span>', overview)


def reasons(overview: str) -> list[str]:
    """Return why runs are unreadable."""
    return re.findall(r">Unreadable</span><small>(.*?)</small>", overview)


def check(store: Store, admin: TestClient, why: str) -> None:
    """Check that one of the four runs is said to be unreadable, and why, and that the others are shown."""
    answer = admin.get("/records/")
    assert answer.status_code == 200
    page = run_page(admin)
    assert sorted(states(answer.text)) == ["Complete", "Complete", "Complete", "Unreadable"]
    (short,) = reasons(answer.text)
    assert re.search(why, short)
    assert re.search(f"<strong>Unreadable</strong><p>.*{why}", page)
    for text in (answer.text, page):
        assert str(path(store, "")).rstrip("/") not in text


@pytest.mark.parametrize("spoil", SPOIL.values(), ids=SPOIL)
@pytest.mark.parametrize("find", [summary, sealed, approval])
def test_a_spoilt_file(store: Store, sign_in: Client, find: Find, spoil: Callable[[bytes], bytes]) -> None:
    four_runs(store)
    name = find(store)
    content = store.read(name)
    path(store, name).write_bytes(spoil(content))
    assert store.read(name) != content
    check(store, sign_in("admin"), "changed|is no |does not name the format")


@pytest.mark.parametrize("find", [summary, sealed, approval])
def test_a_file_that_cannot_be_opened(store: Store, sign_in: Client, find: Find) -> None:
    four_runs(store)
    place = path(store, find(store))
    place.unlink()
    place.symlink_to(place)
    check(store, sign_in("admin"), "cannot be read")


def test_a_missing_approval(store: Store, sign_in: Client) -> None:
    four_runs(store)
    path(store, approval(store)).unlink()
    check(store, sign_in("admin"), r"\.json is missing")


def test_a_changed_journal(store: Store, sign_in: Client) -> None:
    four_runs(store)
    place = path(store, journal(store))
    place.write_bytes(place.read_bytes().replace(b"key", b"kee"))
    check(store, sign_in("admin"), "The journal was changed")


@pytest.mark.parametrize(
    "change",
    [
        {"provenance": {}},
        {"provenance": {**provenance("delete").to_dict(), "try_number": "1"}},
        {"provenance": {**provenance("delete").to_dict(), "task_id": 7}},
        {"counts": dict.fromkeys(map(str, OutcomeKind), "9")},
        {"counts": [str(result) for result in OutcomeKind]},
        {"dry_run": "no"},
        {"approval_required": None},
        {"stopped": 7},
        {"options": None},
        {"approvals": None},
        {"started_at": None},
    ],
    ids=str,
)
def test_a_summary_of_a_wrong_shape_under_the_name_of_its_bytes(
    store: Store, sign_in: Client, change: dict[str, Any]
) -> None:
    four_runs(store)
    evidence_factory.forge(store, store.uri(summary(store)), **change)
    check(store, sign_in("admin"), "is no disposal")


@pytest.mark.parametrize(
    "change",
    [
        {"disposals": None},
        {"disposals": [{}]},
        {"disposals": [{"record": {}}]},
        {"approvals": [7]},
        {"missing_disposals": [{}]},
        {"undisposed_records": [{"system": "enaio", "digest": "", "count": "many"}]},
    ],
    ids=str,
)
def test_a_certificate_of_a_wrong_shape_whose_digest_fits(
    store: Store, sign_in: Client, change: dict[str, Any]
) -> None:
    four_runs(store)
    content = canonical(json.loads(store.read(sealed(store))) | change) + b"\n"
    store.write(*signature.sign(sealed(store), content, None))
    store.write(sealed(store), content)
    check(store, sign_in("admin"), "The certificate does not have the expected form")


def test_missing_outcomes_are_said_on_the_page_of_the_run(store: Store, sign_in: Client) -> None:
    keys = [each["key"] for each in evidence_factory.records(9)]
    (deleted, _) = dispose(store, results={keys[0]: OutcomeKind.BLOCKED})
    dispose(store, run=run_id(1), results={keys[1]: OutcomeKind.ABSENT, keys[2]: OutcomeKind.BLOCKED})
    path(store, store.name(deleted.outcomes)).unlink()
    anna = sign_in("anna")
    said = page_text(anna.get("/records/").text)
    assert said.count("Complete, with refusals") == 2
    assert "Without 1 run that is too large or cannot be read: see its page." in said
    assert re.search("blocked refused by enaio: .* 1 1 ", said)
    assert re.search(r"Evidence that cannot be read \w{64}\.jsonl is missing", page_text(run_page(anna)))


@pytest.mark.parametrize("spoilt", [1, 2])
def test_a_run_whose_id_only_its_summaries_know(store: Store, sign_in: Client, spoilt: int) -> None:
    """Airflow has forgotten the run, and its id is too long for the name of a folder."""
    dispose(store, run=LONG)
    dispose(store, run=run_id(1))
    names = [name for name in store.names(f"disposals/{DAG}/{safe_name(LONG)}") if name.endswith("/disposal.json")]
    for name in names[:spoilt]:
        path(store, name).write_bytes(b"{}")
    answer = sign_in("anna").get("/records/")
    assert answer.status_code == 200
    assert states(answer.text) == ["Complete", "Unreadable"]
    assert len(reasons(answer.text)) == 1
    if spoilt == 1:
        assert LONG in answer.text
    else:
        assert LONG not in answer.text
        assert "Not known" in page_text(answer.text)
        # No link leads to it: one in the table and two in the chart are those of the other run.
        assert answer.text.count("/records/run?") == 3


def test_a_dag_whose_id_only_a_spoilt_summary_knows(
    store: Store, sign_in: Client, caplog: pytest.LogCaptureFixture
) -> None:
    dispose(store)
    dispose(store, dag_id=LONG)
    for name in store.names(f"disposals/{safe_name(LONG)}"):
        if name.endswith("/disposal.json"):
            path(store, name).write_bytes(b"{}")
    admin = sign_in("admin")
    for _ in range(2):
        answer = admin.get("/records/")
        assert answer.status_code == 200
        assert states(answer.text) == ["Complete"]
    assert caplog.text.count("is no disposal, or was changed") == 1


@since("3.2")  # teams
def test_a_dag_that_cannot_be_listed(store: Store, sign_in: Client) -> None:
    dispose(store)
    loop = path(store, f"disposals/{OTHER}")
    loop.symlink_to(loop)
    answer = sign_in("admin").get("/records/")
    assert answer.status_code == 200
    assert states(answer.text) == ["Complete"]
    assert f"{OTHER} cannot be read {OTHER} cannot be listed" in page_text(answer.text)
    assert str(path(store, "")).rstrip("/") not in answer.text
    assert OTHER not in sign_in("anna").get("/records/").text


def test_certificates_that_cannot_be_listed(store: Store, sign_in: Client) -> None:
    dispose(store, certified=False)
    loop = path(store, f"certificates/{DAG}")
    loop.parent.mkdir()
    loop.symlink_to(loop)
    anna = sign_in("anna")
    answer = anna.get("/records/")
    assert answer.status_code == 200
    assert states(answer.text) == ["Complete"]
    assert f"{DAG} cannot be read" in page_text(answer.text)
    assert f"Evidence that cannot be read {DAG} cannot be listed" in page_text(run_page(anna))


@pytest.mark.parametrize("name", ["notes.txt", ".DS_Store", "a~b", b"\xff\xfe", "%FF", "x" * 250])
@pytest.mark.parametrize("folder", ["disposals", f"disposals/{DAG}", f"certificates/{DAG}"])
def test_files_that_are_not_ours(store: Store, sign_in: Client, folder: str, name: str | bytes) -> None:
    dispose(store)
    path(store, f"{folder}/{os.fsdecode(name)}").write_bytes(b"7")
    for user in ("anna", "admin"):
        answer = sign_in(user).get("/records/")
        assert answer.status_code == 200
        assert states(answer.text) == ["Complete"]
        assert "cannot be read" not in answer.text


def test_a_fault_of_this_program_takes_down_one_row(
    store: Store, sign_in: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    four_runs(store)
    real = rows.run_verdict

    def fail_for_one(found: DisposalRun, *rest: Any, **more: Any) -> Verdict:
        if (found.dag_id, found.run_id) == (DAG, run_id(0)):
            raise KeyError("missing_disposals")
        return real(found, *rest, **more)

    monkeypatch.setattr(rows, "run_verdict", fail_for_one)
    check(store, sign_in("admin"), r"Its evidence could not be read \(KeyError\)")
    assert caplog.text.count("Traceback") == 1


def test_what_cannot_be_read_is_logged_once(store: Store, sign_in: Client, caplog: pytest.LogCaptureFixture) -> None:
    four_runs(store)
    path(store, sealed(store)).write_bytes(b"")
    admin = sign_in("admin")
    for _ in range(3):
        check(store, admin, "no JSON document")
    assert [
        record.levelname
        for record in caplog.records
        if run_id(0) in record.getMessage() and "cannot be read" in record.getMessage()
    ] == ["WARNING"]


def test_a_message_does_not_tell_where_the_store_lies(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "with blanks"))
    where = f"{store.uri('disposals/a/b.json')} is missing, {tmp_path}/with blanks/x cannot be read; see {store.root}."
    assert store.conceal(where) == "b.json is missing, x cannot be read; see [records] evidence_path."
    memory = in_memory()
    assert memory.root not in memory.conceal(f"{memory.uri('a/b.json')} does not lie in {memory.root}")
