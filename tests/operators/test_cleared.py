"""What a clear may change of a run: another list, method or target is refused, and what was done stays certified."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_records.airflow_version import AirflowFailException
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.journal import Journal
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import now
from airflow_provider_records.evidence.reference import manifest_reference
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.operators.certificate import DestructionCertificateOperator
from airflow_provider_records.operators.enaio import EnaioDeleteObjectOperator
from airflow_provider_records.operators.opus import OpusDestroyRecordsOperator
from airflow_provider_records.reporting.verify import verify
from airflow_provider_records.sandbox.server import Server
from tests.evidence.schemas import assert_store_valid
from tests.operators.conftest import ServedSandbox
from tests.operators.factories import given, run


def delete(records: Any, try_number: int = 1, **more: Any) -> Any:
    given = {"hard_delete": True, "require_approval": False, **more}
    return run(EnaioDeleteObjectOperator(task_id="delete", records=records, **given), try_number)


def certify(served: ServedSandbox, *disposals: Any, **more: Any) -> dict[str, Any]:
    """Certify the run, verify it, and return what the certificate says."""
    reference = run(DestructionCertificateOperator(task_id="certificate", disposals=list(disposals), **more))
    path = Path(reference["certificate"].removeprefix("file://"))
    report = verify(path)
    assert report.ok, report.problem
    assert_store_valid(served.store)
    return dict(json.loads(path.read_bytes()))


def deleted(served: ServedSandbox) -> int:
    return served.calls("enaio", "delete_object")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda ids: ([], {}), "was now given an empty list"),
        (lambda ids: (ids[:5], {"dry_run": True}), "was now given dry_run=True"),
        (lambda ids: ([], {"dry_run": True}), "was now given dry_run=True"),
        (lambda ids: (ids[:4], {}), "was now given a list of 4 records without"),
        (lambda ids: (ids[:6], {}), "was now given the list sha256:"),
        (lambda ids: (ids[:5], {"hard_delete": False}), "was now given enaio at http.*, method recycle"),
    ],
    ids=["empty", "rehearsal", "empty-rehearsal", "shorter", "longer", "method"],
)
def test_what_has_begun_is_bound(served: ServedSandbox, documents: list[str], given: Any, words: str) -> None:
    done = delete(documents[:5])
    before, requests = certify(served, done), deleted(served)
    records, options = given(documents)
    with pytest.raises(AirflowFailException, match=f"5 records begun.*{words}.*Start a new DAG run"):
        delete(records, 2, **options)
    assert deleted(served) == requests == 5
    assert certify(served, done)["counts"] == before["counts"] == {"enaio": done["counts"]}


def test_another_target_is_refused_under_the_same_connection(
    served: ServedSandbox, documents: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served.fault(vendor="enaio", call="delete_object", skip=2, times=None, status=500, act=False)
    with pytest.raises(Exception, match="failed"):
        delete(documents[:5], concurrency=1)
    served.sandbox.faults.clear()
    requests = deleted(served)
    known = os.environ["AIRFLOW_CONN_ENAIO_DEFAULT"]
    with Server(served.sandbox) as elsewhere:
        monkeypatch.setenv("AIRFLOW_CONN_ENAIO_DEFAULT", known.replace(served.url, elsewhere.url))
        with pytest.raises(AirflowFailException, match=f"was now given enaio at {elsewhere.url}"):
            delete(documents[:5], 2)
    assert deleted(served) == requests
    monkeypatch.setenv("AIRFLOW_CONN_ENAIO_DEFAULT", known)
    monkeypatch.setenv("AIRFLOW_CONN_ENAIO_RENAMED", known)  # the same target is the same place
    done = delete(documents[:5], 3, enaio_conn_id="enaio_renamed")
    assert done["counts"]["destroyed"] == 5
    said = certify(served, done)["disposals"][0]["disposal"]
    assert (said["conn_id"], said["method"]) == ("enaio_renamed", "destroy")
    assert said["target"].startswith(served.url)


def test_a_late_list_after_an_empty_one_goes_on(served: ServedSandbox, documents: list[str]) -> None:
    certify(served, delete([]))
    done = delete(documents[:3], 2)
    assert done["counts"]["destroyed"] == 3
    assert certify(served, done)["counts"]["enaio"]["destroyed"] == 3


def test_the_real_try_after_a_rehearsal_goes_on(served: ServedSandbox, documents: list[str]) -> None:
    certify(served, delete(documents[:3], dry_run=True), require_complete=False)
    done = delete(documents[:3], 2)
    assert done["counts"]["destroyed"] == 3
    said = certify(served, done)
    assert said["complete"]
    assert said["counts"]["enaio"]["destroyed"] == 3


def test_a_mark_that_follows_a_rehearsal_stands_on_a_certificate_that_verifies(
    served: ServedSandbox, documents: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real try dies without a summary, and that of the rehearsal, which the mark names, is no disposal."""

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    rehearsed = delete(documents[:2], dry_run=True)
    with monkeypatch.context() as broken:
        broken.setattr(Disposal, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            delete(documents[:2], 2)
    marked = run(OpusDestroyRecordsOperator(task_id="mark", records=rehearsed, require_approval=False))
    said = certify(served, rehearsed, marked, require_complete=False)
    assert [each["task"].rsplit("/", 2)[1] for each in said["missing_disposals"]] == ["delete"]


def test_a_try_that_intended_nothing_binds_nothing(
    served: ServedSandbox, documents: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Journal, "intend", dies)
        with pytest.raises(KeyboardInterrupt):
            delete(documents[:3], hard_delete=False)
    done = delete(documents[3:7], 2)
    assert done["counts"]["destroyed"] == 4
    assert certify(served, done)["complete"]


def test_the_journal_names_where_and_how(served: ServedSandbox, documents: list[str]) -> None:
    disposal = Disposal.read(served.store, delete(documents[:1])["disposal"])
    journal = disposal.provenance.folder.journal
    opened = next(name for name in served.store.names(journal) if name.endswith("-open.jsonl"))
    header = json.loads(served.store.read(opened).splitlines()[0])
    named = {name: header[name] for name in ("system", "target", "method", "conn_id")}
    assert named == disposal.place.to_dict()
    assert named["method"] == "destroy"
    assert named["conn_id"] == "enaio_default"


def test_the_same_certificate_is_issued_again_without_the_references(
    served: ServedSandbox, documents: list[str]
) -> None:
    """The certificate task alone is cleared after a clear of the disposing task, which pushed nothing since."""
    done = delete(documents[:3])
    before = certify(served, done)
    files = served.store.names("")
    assert certify(served, done) == before
    assert certify(served, None) == before
    assert certify(served) == before
    assert served.store.names("") == files


def test_a_certificate_that_changed_is_issued_anew(served: ServedSandbox, documents: list[str]) -> None:
    first = certify(served, delete(documents[:3]))
    changed = certify(served, delete(documents[:3], 2))
    assert changed["supersedes"]["file"] in served.store.names("certificates")
    assert changed["counts"] == first["counts"]


def mapped(index: int, records: list[str]) -> Any:
    operator = EnaioDeleteObjectOperator(task_id="parts", records=records, hard_delete=True, require_approval=False)
    return run(operator, map_index=index)


def test_map_indexes_that_are_gone_stay_on_the_certificate(served: ServedSandbox, documents: list[str]) -> None:
    first, second = mapped(0, documents[:3]), mapped(1, documents[3:5])
    before = certify(served, [first, second])
    assert before["counts"]["enaio"]["destroyed"] == 5
    assert certify(served, [first]) == before


def test_an_output_that_no_journal_explains_is_refused(served: ServedSandbox, documents: list[str]) -> None:
    done = delete(documents[:3])
    with pytest.raises(AirflowFailException, match="no journal of this run holds one in its place"):
        certify(served, done, None)


def test_a_journal_without_a_summary_makes_the_certificate_incomplete(
    served: ServedSandbox, documents: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where an earlier try of the same task had an empty list, and its reference is still there."""
    other, empty = mapped(0, documents[:2]), delete([])

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Disposal, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            delete(documents[2:4], 2)
    said = certify(served, empty, other, require_complete=False)
    assert not said["complete"]
    (gap,) = said["missing_disposals"]
    assert gap["task"].endswith("/delete/-1")


def test_a_certificate_never_says_less_than_the_one_before(served: ServedSandbox, documents: list[str]) -> None:
    done, part = delete(documents[:3]), mapped(0, documents[3:5])
    before = certify(served, done, part)
    lost = Disposal.read(served.store, done["disposal"]).provenance.folder.path
    for name in served.store.names(lost):
        served.store.remove(name)
    with pytest.raises(AirflowFailException, match="does not hold that any more"):
        certify(served, part)
    name = next(each for each in served.store.names("certificates") if each.endswith(".json"))
    assert json.loads(served.store.read(name)) == before


def test_an_approved_list_that_nothing_carried_out_is_left(served: ServedSandbox, documents: list[str]) -> None:
    """All mapped deletions die before they begin, and the mark has an empty list to work on."""
    listed = Manifest.write(served.store, documents[:10])
    approval = Approval(
        listed.digest,
        "airflow:anna",
        now(),
        {"kind": "airflow", "task": "approve"},
        **given(served.store, listed.digest),
    ).write(served.store)
    marked = run(OpusDestroyRecordsOperator(task_id="mark", records=[]))
    with pytest.raises(AirflowFailException, match=r"10 records of the list sha256:.* have no disposal in any system"):
        certify(served, [], marked)
    said = certify(served, [], marked, require_complete=False)
    assert not said["complete"]
    assert said["undisposed_records"] == [{"digest": listed.digest, "count": 10}]
    assert [served.store.uri(each["file"]) for each in said["approvals"]] == [approval]
    done = delete(manifest_reference(listed, [approval]), require_approval=True)
    assert certify(served, done, marked)["complete"]


def test_destroyed_content_whose_mark_is_refused_is_said_first(
    served: ServedSandbox, documents: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    records = [{"key": f"enaio-{each}", "target_id": each} for each in documents]
    opus: Any = served.sandbox.vendors["opus"]
    for number, record in enumerate(records):
        opus.decide(record["key"], "release")
        opus.decide(record["key"], "approve")
        if number < 2:
            opus.decide(record["key"], "hold")
    done = delete(records)
    marked = run(OpusDestroyRecordsOperator(task_id="mark", records=done, require_approval=False))
    refused = marked["counts"]["blocked"]
    assert refused >= 2
    alarm = f"The content of {refused} records is gone, and Opus refuses to mark them, perhaps because of a hold."
    assert alarm in capsys.readouterr().out
    assert certify(served, done, marked)["complete"]
    page = next(each for each in served.store.names("certificates") if each.endswith(".html"))
    shown = served.store.read(page).decode()
    assert f'<p class="alarm" role="alert">{alarm}' in shown
    assert shown.index(alarm) < shown.index('<div class="verdict')


def test_what_people_deleted_after_a_lost_call_that_did_nothing_is_not_called_destroyed_by_us(
    served: ServedSandbox, documents: list[str]
) -> None:
    """A call is lost before it acts, its object is still there, and the account lacks the right; so somebody helps."""
    first = documents[0]
    served.fault(vendor="enaio", call="delete_object", match=first, drop=True, act=False)
    served.fault(vendor="enaio", call="delete_object", match=first, skip=1, times=None, status=403, act=False)
    with pytest.raises(AirflowFailException, match="1 failed of 4"):
        delete(documents[:4])
    served.sandbox.faults.clear()
    enaio: Any = served.sandbox.vendors["enaio"]
    enaio.archive.destroy(enaio.archive.objects[first])
    counts = delete(documents[:4], 2)["counts"]
    assert (counts["destroyed"], counts["absent"]) == (3, 1)
