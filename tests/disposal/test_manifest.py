from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.disposal.manifest import Manifest
from airflow_provider_records.disposal.record import Record
from airflow_provider_records.disposal.store import Store
from airflow_provider_records.exceptions import EvidenceError, InvalidRecordsError
from tests.disposal.places import in_memory


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def planted(store: Store, content: bytes) -> str:
    """Put a list into the store by hand; return its digest."""
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
    ],
)
def test_a_key_with_different_fields_is_refused(store: Store, items: list[Any]) -> None:
    with pytest.raises(InvalidRecordsError, match="'1' comes twice"):
        Manifest.write(store, items)
    assert store.names("manifests") == []


def test_two_records_for_one_content_are_refused(store: Store) -> None:
    with pytest.raises(InvalidRecordsError, match="'b': its target_id 'x' is already that of another"):
        Manifest.write(store, [{"key": "a", "target_id": "x"}, {"key": "b", "target_id": "x"}])
    both = [{"key": "a", "target_id": "x", "location": "1"}, {"key": "b", "target_id": "x", "location": "2"}]
    assert Manifest.write(store, both).count == 2


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
    expected = list(dict.fromkeys(Record.of(item).key for item in items))
    opened = Manifest.open(store, manifest.digest, manifest.uri)
    assert [record.key for record in opened] == expected
    assert opened.count == len(expected)
    assert [json.loads(line)["key"] for line in store.read(store.name(manifest.uri)).split(b"\n")[:-1]] == expected
