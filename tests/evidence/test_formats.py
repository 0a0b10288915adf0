"""Files of other releases, at every reader: older ones fit, newer ones are called newer, none is called changed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from airflow_provider_records.evidence import certificate, formats, reader
from airflow_provider_records.evidence.approval import Approval
from airflow_provider_records.evidence.audit import audit
from airflow_provider_records.evidence.authorization import Authorizer, Claim
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.files import StoredFiles
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.segment import parse_segment, render_segment
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.evidence.summary import Disposal
from airflow_provider_records.exceptions import EvidenceError, NewerFormatError
from airflow_provider_records.plugin.lists import Lists
from airflow_provider_records.plugin.runs import RunReader
from airflow_provider_records.replay import claims
from airflow_provider_records.reporting import issue
from airflow_provider_records.reporting.verify import verify
from airflow_provider_records.task.records import resolve
from tests.evidence import evidence_factory
from tests.evidence.evidence_factory import DAG, RUN

NEWER = "newer release"
KEYS = ["a", "b", "c"]


class Run(NamedTuple):
    """The files of a run that was carried out: its list, approval, summary, and all names by format."""

    store: Store
    listed: Manifest
    disposal: Disposal


def carried_out(store: Store, **changes: Callable[[dict[str, Any]], None]) -> Run:
    """Carry out a list and write what another release would have written.

    :param changes: by format, what that release does with the JSON object of a file, or of each of its lines.
    """
    write = store.write

    def changed(name: str, content: bytes) -> str:
        file_format = format_of(name)
        if file_format != "journal" and (change := changes.get(file_format)):
            name, content = rewrite(name, content, file_format, change)
        return write(name, content)

    def rendered(header: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> bytes:
        values = [dict(header), *map(dict, lines)]
        for value in values if "journal" in changes else ():
            changes["journal"](value)
        return render_segment(values[0], values[1:])

    def put(folder: str, first: bytes, lines: Iterator[bytes]) -> tuple[str, str, int]:
        listed = list(lines)
        name = f"{folder}/{'0' * 64}.jsonl"
        content = first + b"".join(listed)
        if change := changes.get(format_of(name)):
            name, content = rewrite(name, content, format_of(name), change)
        value = hashlib.sha256(content).hexdigest()
        return write(f"{folder}/{value}.jsonl", content), f"sha256:{value}", len(listed)

    store.write, store.write_lines = changed, put  # type: ignore[method-assign, assignment]
    try:
        listed = Manifest.write(store, KEYS)
        approvals = [store.uri(store.names("approvals")[0]) for _ in evidence_factory.approve(store, listed, "anna")]
        told = evidence_factory.ObedientSystem({"a": OutcomeKind.BLOCKED})
        with patch("airflow_provider_records.evidence.journal.render_segment", rendered):
            evidence_factory.carry_out(store, listed, approvals, system=told)
    finally:
        del store.write, store.write_lines
    (name,) = [name for name in store.names("disposals") if name.endswith("/disposal.json")]
    members = json.loads(store.read(name))
    known = {key: value for key, value in members.items() if key not in {"format", "version"}}
    return Run(store, listed, Disposal.from_dict(known, store.uri(name)))


def format_of(name: str) -> str:
    if name.endswith("/disposal.json"):
        return "disposal"
    parts = name.split("/")
    return parts[5] if parts[0] == "disposals" else parts[0]


def rewrite(name: str, content: bytes, file_format: str, change: Callable[[dict[str, Any]], None]) -> tuple[str, bytes]:
    """Change a file and give it the name, or the trailer, that its bytes then have."""
    values = [json.loads(line) for line in content.splitlines()]
    if file_format == "journal":
        values.pop()
    for value in values:
        change(value)
    content = b"".join(canonical(value) + b"\n" for value in values)
    if file_format == "journal":
        return name, content + canonical({"end": hashlib.sha256(content).hexdigest()}) + b"\n"
    value = hashlib.sha256(content).hexdigest()
    return re.sub("[0-9a-f]{64}", value, name), content


# What asks for files. Each reads all of them, or says why not.


def gate(run: Run) -> None:
    files = StoredFiles(run.store)
    disposal = Disposal.read(run.store, run.disposal.uri)
    Authorizer(files).authorize(Claim.from_disposal(disposal, files, disposal.started_at))
    selection = resolve(run.disposal.reference(), run.store)
    assert [record.key for record in selection.manifest] == ["b", "c"]


def next_try(run: Run) -> None:
    second = evidence_factory.provenance("delete_enaio", 2)
    opened = evidence_factory.journal(run.store, run.listed, second)
    assert {key: outcome.kind for key, outcome in opened.state.outcomes.items()} == {
        "a": OutcomeKind.BLOCKED,
        "b": OutcomeKind.DESTROYED,
        "c": OutcomeKind.DESTROYED,
    }


def auditor(run: Run) -> None:
    disposal = Disposal.read(run.store, run.disposal.uri)
    audit(reader.EvidenceReader(run.store, run.store.root), {run.store.name(disposal.uri): disposal})


def certified(run: Run) -> certificate.Certificate:
    disposal = Disposal.read(run.store, run.disposal.uri)
    return issue.write(run.store, [disposal], evidence_factory.provenance("certificate")).certificate


def verifier(run: Run) -> None:
    certified(run)
    report = verify(Path(run.store.root.removeprefix("file://")) / certificate.file_name(DAG, RUN))
    assert report.ok, report.problem


def page(run: Run) -> None:
    runs = RunReader(run.store)
    found = runs.read(DAG, RUN)
    if found.problem:
        raise NewerFormatError(found.problem) if NEWER in found.problem else EvidenceError(found.problem)
    assert [(group.kind, group.count) for group in runs.groups(found.disposals)] == [(OutcomeKind.BLOCKED, 1)]
    runs.approvals(found.disposals)
    assert [record.key for record in Lists(run.store).page(run.listed.digest.removeprefix("sha256:"), 1)] == KEYS


def replayer(run: Run) -> None:
    assert [claim.record.key for claim in claims(certified(run), run.store)] == ["b", "c"]


READERS = [gate, next_try, auditor, verifier, page, replayer]
# An outcome has the same members in the journal and in the outcomes.
EVERY = [["manifests"], ["approvals"], ["outcomes", "journal"], ["disposal"]]
each_reader = pytest.mark.parametrize("ask", READERS, ids=lambda ask: ask.__name__)


@each_reader
@pytest.mark.parametrize("names", EVERY, ids="-".join)
def test_a_member_that_this_release_does_not_know_is_no_change(
    ask: Callable[[Run], None], names: list[str], store: Store
) -> None:
    ask(carried_out(store, **dict.fromkeys(names, lambda value: value.update(later={"more": [1]}))))


@each_reader
def test_an_outcome_that_a_file_does_not_name_counts_none(ask: Callable[[Run], None], store: Store) -> None:
    """As an older release wrote it, which knew fewer outcomes."""

    def older(value: dict[str, Any]) -> None:
        del value["counts"]["unknown"], value["counts"]["recycled"]

    run = carried_out(store, disposal=older)
    assert run.disposal.counts["recycled"] == run.disposal.reference()["counts"]["recycled"] == 0
    assert "recycled" not in json.loads(store.read(store.name(run.disposal.uri)))["counts"]
    ask(run)


def newer(value: dict[str, Any]) -> None:
    if "version" in value:
        value["version"] = 2


READ_BY = {
    "manifests": READERS[:1] + READERS[2:],
    "approvals": [gate, auditor, verifier, page, replayer],
    "outcomes": [gate, auditor, verifier, page, replayer],
    "journal": [next_try, auditor, verifier, replayer],
    "disposal": [gate, auditor, verifier, page, replayer],
}


@pytest.mark.parametrize(("file_format", "ask"), [(name, ask) for name, asks in READ_BY.items() for ask in asks])
def test_a_newer_version_is_called_newer(file_format: str, ask: Callable[[Run], None], store: Store) -> None:
    run = planted(store, file_format, newer)
    with pytest.raises(NewerFormatError, match=r"newer release.*read it with that release or a later one") as caught:
        ask(run)
    assert "changed" not in str(caught.value)


def returned(value: dict[str, Any]) -> None:
    if value.get("outcome") == "blocked":
        value["outcome"] = "returned"


@pytest.mark.parametrize("ask", READ_BY["outcomes"])
def test_an_outcome_of_a_later_release_is_called_newer(ask: Callable[[Run], None], store: Store) -> None:
    run = planted(store, "outcomes", returned)
    with pytest.raises(NewerFormatError, match="'returned', which this release does not know"):
        ask(run)


@pytest.mark.parametrize("ask", READ_BY["journal"])
def test_an_outcome_of_a_later_release_in_a_journal_is_called_newer(ask: Callable[[Run], None], store: Store) -> None:
    run = planted(store, "journal", returned)
    with pytest.raises(NewerFormatError, match="'returned', which this release does not know"):
        ask(run)


@pytest.mark.parametrize("ask", READ_BY["disposal"])
def test_a_count_of_a_later_outcome_is_called_newer(ask: Callable[[Run], None], store: Store) -> None:
    run = planted(store, "disposal", lambda value: value["counts"].update(returned=0))
    with pytest.raises(NewerFormatError, match="'returned', which this release does not know"):
        ask(run)


def planted(store: Store, file_format: str, change: Callable[[dict[str, Any]], None]) -> Run:
    """Carry out a list; then let files be those of a later release, and what points to them follow."""
    run = carried_out(store)
    pointed: dict[str, str] = {}
    for name in [name for name in store.names("") if format_of(name) == file_format]:
        to, content = rewrite(name, store.read(name), file_format, change)
        store.remove(name)
        store.write(to, content)
        pointed[store.uri(name)] = store.uri(to)
    members = {**run.disposal.to_dict()}
    text = json.dumps(members)
    for old, new in pointed.items():
        text = text.replace(old, new).replace(digest(old), digest(new))
    disposal = Disposal.from_dict(json.loads(text))
    if file_format == "disposal":
        (uri,) = pointed.values()
        return run._replace(disposal=Disposal.from_dict(disposal.to_dict(), uri))
    if disposal.to_dict() != members:
        store.remove(store.name(run.disposal.uri))
        disposal = disposal.write(store)
    else:
        disposal = run.disposal
    listed = run.listed
    if file_format == "manifests":
        listed = Manifest(store, disposal.manifest, disposal.digest, listed.count)
    return Run(store, listed, disposal)


def digest(uri: str) -> str:
    return f"sha256:{uri.rpartition('/')[2].removesuffix('.jsonl')}"


def test_a_certificate_of_a_later_release_is_called_newer(store: Store) -> None:
    run = carried_out(store)
    document = certified(run).to_dict()
    with pytest.raises(NewerFormatError, match="newer release"):
        certificate.parse(canonical(document | {"version": 2}) + b"\n")
    more = canonical(document | {"later": 1}) + b"\n"
    assert certificate.parse(more).to_bytes() == more


def test_a_segment_of_a_kind_that_a_later_release_writes_is_called_newer(store: Store) -> None:
    run = carried_out(store)
    name = next(name for name in store.names("disposals") if name.endswith("intents.jsonl"))
    segment = parse_segment(name, store.read(name))
    assert segment is not None
    with pytest.raises(NewerFormatError, match="kind 'suspended', which this release does not know"):
        parse_segment(name, render_segment({**segment.header, "kind": "suspended"}, segment.lines))
    assert run.disposal.complete


@pytest.mark.parametrize("version", [0, -1, "2", 2.5, True, None])
def test_what_is_no_version_is_not_called_newer(version: object, store: Store) -> None:
    with pytest.raises(EvidenceError, match="has no format version") as caught:
        formats.APPROVAL.check({"format": "airflow-records/approval", "version": version}, "x")
    assert not isinstance(caught.value, NewerFormatError)


def test_a_changed_file_is_not_called_newer(store: Store) -> None:
    """A value that only a later release writes, in bytes that do not match their name, is a change."""
    run = carried_out(store)
    name = store.name(run.disposal.outcomes)
    store.write(name, store.read(name).replace(b'"blocked"', b'"returned"'))
    with pytest.raises(EvidenceError, match="was changed"):
        list(run.disposal.each_outcome(store))
    (uri,) = run.disposal.approvals
    store.write(store.name(uri), store.read(store.name(uri)).replace(b"anna", b"ben"))
    with pytest.raises(EvidenceError, match="was changed"):
        Approval.read(store, uri)
