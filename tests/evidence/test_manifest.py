from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.evidence import formats
from airflow_provider_records.evidence.distinct import Digests
from airflow_provider_records.evidence.manifest import Manifest, key_of
from airflow_provider_records.evidence.record import Record
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.exceptions import EvidenceError, InvalidRecordsError
from tests.evidence.failing_store import in_memory


def planted(store: Store, content: bytes) -> str:
    """Put a list into the store by hand; return its digest."""
    content = formats.MANIFEST.line + content
    value = hashlib.sha256(content).hexdigest()
    store.write(f"manifests/{value}.jsonl", content)
    return f"sha256:{value}"


def test_order_is_kept_and_identical_duplicates_are_dropped(store: Store) -> None:
    manifest = Manifest.write(store, ["2", "1", {"key": "2", "target_id": "2", "title": ""}, 1, Record("3", "x")])
    assert [record.key for record in manifest] == ["2", "1", "3"]
    assert len(manifest) == manifest.count == 3
    assert store.names("manifests") == [f"manifests/{manifest.digest.removeprefix('sha256:')}.jsonl"]


def test_the_same_list_is_the_same_manifest_and_another_order_another(store: Store) -> None:
    first = Manifest.write(store, ["1", "2"])
    assert Manifest.write(store, [{"key": 1}, {"key": "2"}]).digest == first.digest
    assert Manifest.write(store, ["2", "1"]).digest != first.digest


def test_an_empty_list_is_a_manifest(store: Store) -> None:
    manifest = Manifest.write(store, [])
    assert (manifest.count, list(manifest)) == (0, [])
    assert Manifest.open(store, manifest.digest, manifest.uri).count == 0


@pytest.mark.parametrize(
    "items",
    [
        ["1", {"key": "1", "title": "other"}],
        [{"key": "1", "target_id": "a"}, {"key": "1", "target_id": "b"}],
        [{"key": "1", "attributes": {"a": 1}}, {"key": "1", "attributes": {"a": True}}],
        [{"key": "1", "location": "/A"}, {"key": "1", "location": "/A/"}],
    ],
)
def test_a_key_with_different_fields_is_refused(store: Store, items: list[Any]) -> None:
    with pytest.raises(InvalidRecordsError, match="'1' comes twice"):
        Manifest.write(store, items)
    assert store.names("manifests") == []


def test_two_records_for_one_content_are_refused(store: Store) -> None:
    with pytest.raises(InvalidRecordsError, match="'b': its target_id 'x' is already that of another"):
        Manifest.write(store, [{"key": "a", "target_id": "x"}, {"key": "b", "target_id": "x"}])
    for twin in ("01001", {"key": "a", "target_id": "01001"}, {"key": "a", "target_id": 1001, "location": "/A"}):
        with pytest.raises(InvalidRecordsError, match="is already that of another"):
            Manifest.write(store, ["1001", twin])
    both = [{"key": "a", "target_id": "x", "location": "1"}, {"key": "b", "target_id": "x", "location": "2"}]
    assert Manifest.write(store, both).count == 2


def test_two_unicode_forms_of_a_key_are_refused(store: Store) -> None:
    with pytest.raises(InvalidRecordsError, match="comes twice"):
        Manifest.write(store, ["\u00e9", "e\u0301"])


def test_one_bad_item_leaves_no_list(store: Store) -> None:
    def items() -> Iterator[object]:
        yield "1"
        yield None

    with pytest.raises(InvalidRecordsError):
        Manifest.write(store, items())
    assert store.names("manifests") == []


@pytest.mark.parametrize(
    "digest",
    ["", "sha256:", "sha256:0", "md5:" + "0" * 64, "sha256:" + "G" * 64, "sha256:" + "A" * 64, "0" * 64, "sha256:../x"],
)
def test_what_is_no_digest_is_refused(store: Store, digest: str) -> None:
    with pytest.raises(EvidenceError, match="is no digest"):
        Manifest.open(store, digest)


def test_a_uri_must_bear_the_digest(store: Store) -> None:
    one, other = Manifest.write(store, ["1"]), Manifest.write(store, ["2"])
    with pytest.raises(EvidenceError, match="does not bear the name"):
        Manifest.open(store, one.digest, other.uri)
    with pytest.raises(EvidenceError, match="does not lie in the evidence store"):
        Manifest.open(store, one.digest, f"{store.root}/manifests/../{store.name(one.uri)}")


def test_a_missing_list_is_said(store: Store) -> None:
    with pytest.raises(EvidenceError, match="is missing"):
        Manifest.open(store, "sha256:" + "0" * 64)


@pytest.mark.parametrize("where", ["folder", "memory"])
def test_every_changed_byte_is_found(tmp_path: Path, where: str) -> None:
    store = Store(str(tmp_path)) if where == "folder" else in_memory()
    manifest = Manifest.write(store, [{"key": "1", "title": "ü"}, "2"])
    name = store.name(manifest.uri)
    content = store.read(name)
    for place in range(len(content)):
        store.write(name, content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(EvidenceError, match="was changed"):
            Manifest.open(store, manifest.digest)
    for changed in (content[:-1], content + b"\n", b"", content * 2):
        store.write(name, changed)
        with pytest.raises(EvidenceError, match="was changed"):
            Manifest.open(store, manifest.digest)


def test_a_list_changed_after_it_was_opened_is_not_handed_out(store: Store) -> None:
    manifest = Manifest.open(store, Manifest.write(store, ["1", "2"]).digest)
    store.write(store.name(manifest.uri), Record("1", "1").line() + Record("3", "3").line())
    with pytest.raises(EvidenceError, match="was changed"):
        list(manifest)


@pytest.mark.parametrize(
    "content",
    [
        b'{"key":"1"}\n',
        b'{"key": "1", "target_id": "1"}\n',
        b'{"key":"1","target_id":"1","evil":"x"}\n',
        b'{"key":"","target_id":""}\n',
        b'{"key":"1","target_id":true}\n',
        b'{"key":"1","target_id":"1"}',
        b'{"key":"1","target_id":"1"}\r\n',
        b'{"key":"1","target_id":"2","target_id":"1"}\n',
        b'{"attributes":{},"key":"1","target_id":"1"}\n',
        b'{"attributes":[["a",1]],"key":"1","target_id":"1"}\n',
        b'{"attributes":{"a":NaN},"key":"1","target_id":"1"}\n',
        b'{"attributes":' + b'{"a":' * 9_999 + b"1" + b"}" * 9_999 + b',"key":"1","target_id":"1"}\n',
        b'{"key":"1","target_id":"1","title":""}\n',
        b'{"key":"1","target_id":"1","title":7}\n',
        b"null\n",
        b"[]\n",
        b"nonsense\n",
        b"\n",
        b"\xff\n",
    ],
)
def test_a_planted_list_that_is_not_canonical_is_refused_under_its_own_digest(store: Store, content: bytes) -> None:
    with pytest.raises(EvidenceError, match="is no list of records"):
        list(Manifest.open(store, planted(store, content)))


@given(st.lists(st.integers(0, 50) | st.text(st.characters(codec="utf-8"), min_size=1, max_size=4), max_size=20))
def test_what_is_written_is_read_back(items: list[object]) -> None:
    store = in_memory()
    try:
        manifest = Manifest.write(store, items)
    except InvalidRecordsError:
        return
    expected = list(dict.fromkeys(Record.from_item(item).key for item in items))
    opened = Manifest.open(store, manifest.digest, manifest.uri)
    assert [record.key for record in opened] == expected
    assert opened.count == len(expected)
    assert [json.loads(line)["key"] for line in store.read(store.name(manifest.uri)).split(b"\n")[1:-1]] == expected


def test_digests_are_told_apart_also_where_two_neighbours_look_like_one() -> None:
    digests = Digests()
    first, value = b"\0" * 15 + b"\1", b"\2" * 16
    across = (first + value)[1:17]
    assert digests.put(first, value) is None
    assert digests.put(across, b"\3" * 16) is None
    assert digests.put(across, value) == b"\3" * 16
    assert digests.put(first, across) == value


def test_a_long_list_takes_little_memory() -> None:
    digests, count = Digests(), 200_000
    for number in range(count):
        digest = hashlib.blake2b(b"%d" % number, digest_size=16).digest()
        digests.put(digest, digest)
    taken = sys.getsizeof(digests._buckets) + sum(map(sys.getsizeof, digests._buckets))
    assert taken / count < 50  # a dict takes 200 a record


@given(st.dictionaries(st.binary(min_size=3, max_size=3), st.binary(min_size=1, max_size=1)))
def test_digests_are_kept_as_in_a_dict(pairs: dict[bytes, bytes]) -> None:
    digests = Digests()
    for _ in range(2):
        for digest, value in pairs.items():
            assert digests.put(b"\0\0" + digest, value) in {None, value}
    assert {digest: digests.put(b"\0\0" + digest, b"?") for digest in pairs} == pairs


@pytest.mark.parametrize("line", [b"{}\n", b"[]\n", b"7\n", b'{"key":7}\n', b"\xff\n", b"[" * 99_999, b""])
def test_a_line_without_a_key_is_said(line: bytes) -> None:
    with pytest.raises(EvidenceError, match="is no record"):
        key_of(line)
