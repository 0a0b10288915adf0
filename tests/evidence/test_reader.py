"""Reading lists and outcomes: whole or refused, a block at a time, and under the names that the store's files use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_records.evidence import formats, reader
from airflow_provider_records.evidence.canonical import canonical
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.outcome import Outcome, OutcomeKind, Proof
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, NewerFormatError

D, B = OutcomeKind.DESTROYED, OutcomeKind.BLOCKED
OUTCOMES = [
    Outcome("a", D, Proof.RESPONSE),
    Outcome("b", B, Proof.RESPONSE, reason='says "outcome":"destroyed"'),
    Outcome("c", D, Proof.PROBE),
]


@pytest.fixture(params=[1 << 20, 1], ids=["one block", "a line a block"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_BLOCK", request.param)


def written(store: Store, *lines: bytes, first: bytes = formats.OUTCOMES.line) -> str:
    """Write a file of these lines under the digest of its bytes; return its name."""
    uri, _, _ = store.write_lines("outcomes", first, lines)
    return store.name(uri)


def outcomes(store: Store) -> str:
    return written(store, *(canonical(each.to_dict()) + b"\n" for each in OUTCOMES))


READERS: dict[str, Callable[[Store, str], Iterator[Any]]] = {
    "lines": lambda store, name: reader.lines(store, name, formats.OUTCOMES),
    "parsed": lambda store, name: reader.parsed(store, name, formats.OUTCOMES),
    "outcomes": reader.outcomes,
    "outcomes without a kind": lambda store, name: reader.outcomes(store, name, D),
}
each_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


@pytest.mark.usefixtures("_blocks")
def test_every_line_is_read_but_the_one_that_names_the_format(store: Store) -> None:
    name = outcomes(store)
    content = store.read(name)
    assert formats.OUTCOMES.line + b"".join(reader.lines(store, name, formats.OUTCOMES)) == content
    values = [value for _, block in reader.parsed(store, name, formats.OUTCOMES) for value in block]
    assert values == [each.to_dict() for each in OUTCOMES]
    assert list(reader.outcomes(store, name)) == OUTCOMES


@pytest.mark.usefixtures("_blocks")
def test_one_kind_is_left_out_by_its_member_and_not_by_words_of_a_reason(store: Store) -> None:
    assert list(reader.outcomes(store, outcomes(store), D)) == OUTCOMES[1:2]
    assert list(reader.outcomes(store, outcomes(store), B)) == [OUTCOMES[0], OUTCOMES[2]]


@each_reader
@pytest.mark.parametrize("place", [0, 30, -2], ids=["first line", "a line", "last line"])
@pytest.mark.usefixtures("_blocks")
def test_a_file_whose_bytes_do_not_match_its_name_was_changed(
    store: Store, read: Callable[[Store, str], Iterator[Any]], place: int
) -> None:
    name = outcomes(store)
    content = bytearray(store.read(name))
    content[place] ^= 1
    store.write(name, bytes(content))
    with pytest.raises(EvidenceError, match="was changed: its bytes no longer match its name"):
        list(read(store, name))


@each_reader
def test_a_file_that_is_cut_off_or_empty_was_changed(store: Store, read: Callable[[Store, str], Iterator[Any]]) -> None:
    name = outcomes(store)
    content = store.read(name)
    for cut in (content[: content.rindex(b"\n", 0, -1) + 1], b""):
        store.write(name, cut)
        with pytest.raises(EvidenceError, match="was changed"):
            list(read(store, name))


@each_reader
def test_a_file_that_is_not_there_is_an_evidence_error(
    store: Store, read: Callable[[Store, str], Iterator[Any]]
) -> None:
    with pytest.raises(EvidenceError, match=r"missing\.jsonl"):
        list(read(store, "outcomes/missing.jsonl"))


@each_reader
def test_a_file_of_another_format_yields_nothing_and_accuses_nobody(
    store: Store, read: Callable[[Store, str], Iterator[Any]]
) -> None:
    name = written(store, b'{"key":"a","outcome":"blocked"}\n', first=formats.MANIFEST.line)
    with pytest.raises(EvidenceError, match="is no outcomes") as caught:
        next(read(store, name))
    assert "was changed" not in str(caught.value)


@each_reader
def test_a_newer_file_is_called_newer_before_its_lines_are_read(
    store: Store, read: Callable[[Store, str], Iterator[Any]]
) -> None:
    name = written(store, b"of another form\n", first=formats.Format("outcomes", 2).line)
    with pytest.raises(NewerFormatError, match="newer release"):
        next(read(store, name))


@pytest.mark.parametrize("line", [b"nonsense\n", b"\xff\n", b"{},{}\n", b"\n", b"[" * 100_000 + b"\n"], ids=len)
@pytest.mark.usefixtures("_blocks")
def test_a_line_is_exactly_one_json_value(store: Store, line: bytes) -> None:
    name = written(store, b"{}\n", line, b"{}\n")
    with pytest.raises(EvidenceError, match="is not of its form: a line is not one JSON value"):
        list(reader.parsed(store, name, formats.OUTCOMES))


@pytest.mark.parametrize("line", [b"nonsense\n", b"null\n", b"[]\n", b"{}\n", b'{"key":"a","outcome":7}\n', b"\xff\n"])
@pytest.mark.usefixtures("_blocks")
def test_a_line_that_is_no_outcome_is_refused(store: Store, line: bytes) -> None:
    with pytest.raises(EvidenceError, match="is not of its form: a line is no outcome"):
        list(reader.outcomes(store, written(store, line)))


def test_an_outcome_of_a_later_release_is_newer_only_in_a_file_that_is_unchanged(store: Store) -> None:
    name = written(store, b'{"key":"a","outcome":"returned"}\n')
    with pytest.raises(NewerFormatError, match="'returned'"):
        list(reader.outcomes(store, name))
    store.write(name, store.read(name).replace(b'"a"', b'"b"'))
    with pytest.raises(EvidenceError, match="was changed"):
        list(reader.outcomes(store, name))


def listed(store: Store, *keys: str) -> str:
    return store.name(Manifest.write(store, keys).uri)


def test_rows_of_one_kind_carry_their_place_on_the_list(store: Store) -> None:
    found = list(reader.rows(store, listed(store, "a", "b", "c"), outcomes(store), D))
    assert found == [(1, Record("a", "a"), OUTCOMES[0]), (3, Record("c", "c"), OUTCOMES[2])]


@pytest.mark.parametrize("keys", [("a", "b"), ("a", "b", "c", "d")], ids=len)
def test_a_list_and_outcomes_of_other_lengths_do_not_belong_together(store: Store, keys: tuple[str, ...]) -> None:
    with pytest.raises(EvidenceError, match="are no outcomes of the list"):
        list(reader.rows(store, listed(store, *keys), outcomes(store), D))


def test_a_row_that_is_no_outcome_is_refused(store: Store) -> None:
    name = written(store, b'{"outcome":"destroyed"}\n')
    with pytest.raises(EvidenceError, match="are no outcomes of the list"):
        list(reader.rows(store, listed(store, "a"), name, D))


def test_records_are_found_by_key_with_their_place(store: Store) -> None:
    name = listed(store, "a", "b", "c")
    assert list(reader.records(store, name, {"c", "a", "none"})) == [(1, Record("a", "a")), (3, Record("c", "c"))]
    assert list(reader.records(store, name, set())) == []


@pytest.mark.parametrize(("count", "firsts"), [(0, [0]), (1, [0]), (2, [0]), (3, [0, 2]), (4, [0, 2]), (5, [0, 2, 4])])
def test_a_page_has_its_place_and_its_hash(store: Store, count: int, firsts: list[int]) -> None:
    keys = [f"kéy{number}" for number in range(count)]
    name = listed(store, *keys)
    pages, found = reader.pages(store, name, formats.MANIFEST, 2)
    assert (found, len(pages)) == (count, len(firsts))
    content = store.read(name)
    for page, first in zip(pages, firsts, strict=True):
        lines = content[page.start :].splitlines(keepends=True)
        assert [json.loads(line)["key"] for line in lines] == keys[first:]
        assert page.sha256 == hashlib.sha256(b"".join(lines[:2])).digest()


def test_pages_of_a_changed_list_are_not_counted(store: Store) -> None:
    name = listed(store, "a", "b")
    store.write(name, store.read(name).replace(b'"a"', b'"c"'))
    with pytest.raises(EvidenceError, match="was changed"):
        reader.pages(store, name, formats.MANIFEST, 2)


OLD = "s3://bucket/evidence"


@pytest.mark.parametrize(
    "uri",
    [
        f"{OLD}",
        f"{OLD}/",
        f"{OLD}-of-another/approvals/a.json",
        "approvals/a.json",
        f"{OLD}/approvals/../../a.json",
        f"{OLD}//approvals/a.json",
        f"{OLD}/a\0.json",
        "",
    ],
)
def test_a_uri_outside_the_store_is_refused(store: Store, uri: str) -> None:
    with pytest.raises(EvidenceError, match="does not lie in the evidence store s3://bucket/evidence"):
        reader.EvidenceReader(store, OLD).name(uri)


def test_a_uri_is_understood_by_the_root_that_it_was_written_under(store: Store) -> None:
    assert reader.EvidenceReader(store, OLD).name(f"{OLD}/approvals/a.json") == "approvals/a.json"


def test_a_file_that_the_certificate_does_not_list_does_not_count(store: Store) -> None:
    given = reader.EvidenceReader(store, OLD, {"approvals/a.json"})
    assert given.name(f"{OLD}/approvals/a.json") == "approvals/a.json"
    with pytest.raises(EvidenceError, match=r"approvals/b\.json is not in the certificate's list of files"):
        given.name(f"{OLD}/approvals/b.json")


def test_the_index_of_a_list_has_keys_lines_and_selection(store: Store) -> None:
    one = {"key": "a", "attributes": {"connector_id": "enaio", "due_before": "2026-11-21"}}
    manifest = Manifest.write(store, [one, {"key": "b"}, {"key": "c", "attributes": {"connector_id": "opus"}}])
    index = reader.EvidenceReader(store, store.root).list_index(manifest.digest)
    assert (index.keys, len(index)) == (["a", "b", "c"], 3)
    assert index.selection == {("enaio", "2026-11-21"), ("opus", None)}
    lines = [hashlib.blake2b(record.line(), digest_size=16).digest() for record in manifest]
    assert list(index.each_line()) == list(zip(["a", "b", "c"], lines, strict=True))
    assert index.missing({lines[0], b"another"}) == {b"another"}


def test_a_list_that_names_a_record_twice_has_no_index(store: Store) -> None:
    line = Record("a", "a").line()
    _, digest, _ = store.write_lines(reader.MANIFESTS, formats.MANIFEST.line, [line, Record("a", "b").line()])
    with pytest.raises(EvidenceError, match="names a record twice"):
        reader.EvidenceReader(store, store.root).list_index(digest)


@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 1])
def test_a_fingerprint_is_over_all_bytes(store: Store, size: int) -> None:
    store.write("some/file", b"x" * size)
    assert reader.fingerprint(store, "some/file") == {
        "name": "some/file",
        "sha256": hashlib.sha256(b"x" * size).hexdigest(),
        "size": size,
    }


def test_a_file_that_is_missing_has_no_fingerprint(store: Store) -> None:
    with pytest.raises(EvidenceError, match="some/file"):
        reader.fingerprint(store, "some/file")
