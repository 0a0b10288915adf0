from __future__ import annotations

import errno
import hashlib
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_records.evidence.store import Store, safe_name
from airflow_provider_records.exceptions import EvidenceError, StoreUnavailableError
from tests.evidence.failing_store import _Memory, in_memory

AWKWARD = [
    "manual__2026-11-22T04:30:00+00:00",
    "Löschlauf Übergröße/№ 7",
    "a#b",
    "a%2Fb",
    "100%",
    "a?b&c",
    "..",
    ".",
    ".hidden",
    "",
    " ",
    "\n",
    "x" * 5000,
    "ü" * 300,
    "~",
]


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(f"file://{tmp_path}/Beweise ü#%41") if request.param == "folder" else in_memory()


@pytest.mark.parametrize("run", AWKWARD)
def test_what_is_written_under_any_run_id_is_found_again(store: Store, run: str) -> None:
    name = f"disposals/{safe_name(run)}/journal/1/000000-open.jsonl"
    uri = store.write(name, b"first")
    assert store.write(name, b"second") == uri
    assert store.name(uri) == name
    assert store.read(store.name(uri)) == b"second"
    assert store.names("disposals") == [name]
    assert store.names(f"disposals/{safe_name(run)}/journal") == [name]
    assert store.children(f"disposals/{safe_name(run)}/journal") == ["1"]
    assert store.exists(name)


def test_nothing_is_there_before_it_is_written(store: Store) -> None:
    assert store.names("disposals") == []
    assert store.children("disposals") == []
    assert not store.exists("manifests/a.jsonl")
    with pytest.raises(EvidenceError, match="is missing; do all workers reach"):
        store.read("manifests/a.jsonl")


def test_lines_lie_under_the_digest_of_their_bytes(store: Store) -> None:
    lines = [b'{"key":"1"}\n', '{"key":"ü"}\n'.encode()]
    uri, digest, count = store.write_lines("manifests", b"first\n", iter(lines))
    value = hashlib.sha256(b"first\n" + b"".join(lines)).hexdigest()
    assert (digest, count) == (f"sha256:{value}", 2)
    assert store.name(uri) == f"manifests/{value}.jsonl"
    assert store.read(store.name(uri)) == b"first\n" + b"".join(lines)
    assert store.write_lines("manifests", b"first\n", lines) == (uri, digest, count)
    assert store.names("manifests") == [store.name(uri)]


def test_lines_that_cannot_all_be_made_leave_nothing(store: Store) -> None:
    def lines() -> Iterator[bytes]:
        yield b"1\n"
        raise ValueError("on command")

    with pytest.raises(ValueError, match="on command"):
        store.write_lines("manifests", b"first\n", lines())
    assert store.names("manifests") == []


def test_pieces_replace_an_older_file_whole(store: Store) -> None:
    store.write_pieces("certificates/a.html", [b"old"], len)
    assert store.write_pieces("certificates/a.html", iter([b"n", b"ew"]), bytes) == b"new"
    assert store.read("certificates/a.html") == b"new"


def test_a_file_can_be_removed_once_and_again(store: Store) -> None:
    for each in (store, in_memory()):
        each.write("certificates/a.json.sha256", b"1")
        each.remove("certificates/a.json.sha256")
        each.remove("certificates/a.json.sha256")
        assert each.names("certificates") == []


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "//etc/passwd",
        "../secret",
        "manifests/../../secret",
        "manifests//a.jsonl",
        "./a",
        "manifests/./a.jsonl",
        "",
        "manifests/",
        "a\0b",
    ],
)
def test_a_uri_cannot_lead_out_of_the_store(store: Store, path: str) -> None:
    with pytest.raises(EvidenceError, match="does not lie in the evidence store"):
        store.name(f"{store.root}/{path}")


@pytest.mark.parametrize("uri", ["", "/etc/passwd", "file:///etc/passwd", "s3://elsewhere/a", "manifests/a.jsonl"])
def test_a_uri_of_another_store_is_refused(store: Store, uri: str) -> None:
    with pytest.raises(EvidenceError, match="was \\[records\\] evidence_path changed"):
        store.name(uri)


def test_a_neighbour_with_a_longer_name_is_another_store(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError):
        Store(f"file://{tmp_path}/ev").name(f"file://{tmp_path}/evil/a")


@pytest.mark.parametrize("root", ["file://evidence", "file://evidence/records", "file://"])
def test_a_file_uri_that_depends_on_the_working_directory_is_refused(root: str) -> None:
    with pytest.raises(EvidenceError, match="absolute"):
        Store(root)


def test_a_plain_path_is_a_local_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Store("ev").write("a", b"1") == f"file://{tmp_path}/ev/a"
    assert Store(f"file://{tmp_path}/ev/").read("a") == b"1"


def test_a_remote_root_needs_its_file_system() -> None:
    with pytest.raises(EvidenceError, match="s3://"):
        Store("s3://bucket/ev")


@pytest.mark.durability
def test_a_full_disk_leaves_neither_a_file_nor_a_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))
    store.write("journal/a", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EvidenceError, match=r"journal/a cannot be written: No space left on device\."):
        store.write("journal/a", b"new")
    with pytest.raises(EvidenceError, match="cannot be written"):
        store.write("journal/b", b"new")
    monkeypatch.undo()
    assert store.read("journal/a") == b"old"
    assert [path.name for path in (tmp_path / "journal").iterdir()] == ["a"]


@pytest.mark.durability
def test_a_file_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        events.append("fsync")
        sync(handle)

    def rename(path: Path, target: Path) -> Path:
        events.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    Store(str(tmp_path)).write("a", b"1")
    assert events == ["fsync", "rename", "fsync"]


def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path))
    store.write("journal/one", b"")

    def broken(path: str) -> None:
        raise OSError(errno.EIO, "Input/output error", path)

    monkeypatch.setattr(os, "scandir", broken)
    with pytest.raises(EvidenceError, match="journal cannot be read: Input/output error"):
        store.names("journal")


@pytest.mark.parametrize("name", ["folder", "file/below"])
def test_what_cannot_be_read_is_an_evidence_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EvidenceError, match="cannot be read"):
        Store(str(tmp_path)).read(name)


def test_an_error_names_the_setting_to_check(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = Store(str(tmp_path), setting="[records] evidence_path")
    with pytest.raises(StoreUnavailableError, match=r"Not a directory\. Check \[records\] evidence_path\.$"):
        store.read("file/below")


class RefusedError(Exception):
    """What a library raises that knows nothing of OSError: the first line speaks, the others are the answer."""

    def __str__(self) -> str:
        return "An error occurred (SlowDown)\n<Error>the whole answer</Error>"


def test_folders_have_their_mode_whatever_the_umask_and_keep_a_group_that_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o700)
    (tmp_path / "theirs").chmod(0o2700)
    for umask in (0o000, 0o077):
        before = os.umask(umask)
        try:
            Store(str(tmp_path / "theirs" / f"evidence{umask}")).write("disposals/a/b", b"1")
        finally:
            os.umask(before)
        made = tmp_path / "theirs" / f"evidence{umask}"
        for folder in (made, made / "disposals", made / "disposals" / "a"):
            assert folder.stat().st_mode & 0o777 == 0o750
        assert (made / "disposals/a/b").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "theirs").stat().st_mode & 0o7777 == 0o2700


class Listing(_Memory):
    """A file system that remembers what it listed until it is told to forget it, as those of object stores do."""

    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.listed: dict[str, Any] = {}

    def invalidate_cache(self, path: str | None = None) -> None:
        self.listed.clear()

    def ls(self, path: str, detail: bool = True, **_: Any) -> Any:
        path = self._strip_protocol(path)
        if path not in self.listed:
            self.listed[path] = super().ls(path, detail=True)
        return self.listed[path] if detail else [each["name"] for each in self.listed[path]]

    def info(self, path: str, **_: Any) -> Any:
        path = self._strip_protocol(path)
        for each in self.listed.get(path.rpartition("/")[0], ()):
            if each["name"] == path:
                return each
        if path.rpartition("/")[0] in self.listed:
            raise FileNotFoundError(path)
        return super().info(path)

    def exists(self, path: str, **_: Any) -> bool:
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def _open(self, path: str, mode: str = "rb", **options: Any) -> IO[bytes]:
        file = super()._open(path, mode, **options)
        return io.BytesIO(file.read()[: self.info(path)["size"]]) if mode == "rb" else file


def test_what_others_write_is_found_though_the_folder_was_listed_before() -> None:
    fs = Listing()
    reader, writer = (Store("memory://bucket/ev", each, "/bucket/ev") for each in (fs, Listing()))
    writer.write("certificates/night/one.json", b"1")
    for number in range(3):
        fs.ls("/bucket/ev/certificates/night")
        name = f"certificates/night/{number}.json"
        writer.write(name, b"22")
        writer.write("certificates/night/one.json", b"1" * number)
        if number == 0:
            assert reader.exists(name)
        assert reader.read(name) == b"22"
        with reader.open("certificates/night/one.json") as file:
            assert file.read() == b"1" * number
        fs.ls("/bucket/ev/certificates/night")
        writer.write(f"{name}.sig", b"3")
        assert f"{number}.json.sig" in reader.children("certificates/night")
        assert f"{name}.sig" in reader.names("certificates")


STEPS: dict[str, Callable[[Store], object]] = {
    "pipe_file": lambda store: store.write("a", b"1"),
    "rm_file": lambda store: store.remove("a"),
    "put_file": lambda store: store.write_pieces("a", [b"1"], len),
    "exists": lambda store: (store.exists("a"), store.write_lines("manifests", b"first\n", [b"1\n"])),
    "cat_file": lambda store: store.read("a"),
    "find": lambda store: store.names("manifests"),
    "ls": lambda store: store.children("manifests"),
}


@pytest.mark.parametrize("step", STEPS)
def test_what_any_library_raises_is_said_in_one_way(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = in_memory()
    store.write("a", b"1")

    def refused(*_: object, **__: object) -> None:
        raise RefusedError

    monkeypatch.setattr(store._fs, step, refused)
    with pytest.raises(StoreUnavailableError, match=r"cannot be .*: RefusedError An error occurred \(SlowDown\)\.$"):
        STEPS[step](store)


def test_a_library_that_fails_only_while_it_reads_is_understood_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise RefusedError

    store = in_memory()
    monkeypatch.setattr(store._fs, "_open", lambda *_, **__: Broken())
    with store.open("a") as file, pytest.raises(StoreUnavailableError, match="/a cannot be read: RefusedError"):
        next(file)


def test_an_error_of_who_reads_or_writes_stays_as_it_is(store: Store) -> None:
    store.write("a", b"1\n2\n")
    for error in (ValueError("theirs"), OSError("theirs")):
        with pytest.raises(type(error), match=r"^theirs$"), store.open("a"):
            raise error

    def lines() -> Iterator[bytes]:
        yield b"1"
        raise ValueError("theirs")

    with pytest.raises(ValueError, match=r"^theirs$"):
        store.write_pieces("b", lines(), len)
    assert not store.exists("b")


def test_a_file_can_be_read_from_any_place(store: Store) -> None:
    content = b"".join(b"%d\n" % number for number in range(50_000))
    store.write("a", content)
    with store.open("a") as file:
        assert next(file) == b"0\n"
        for place in (200_000, 2, 70_000):
            file.seek(place)
            assert file.read(100) == content[place : place + 100]


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.EIO])
def test_a_folder_that_cannot_be_listed_is_a_matter_of_the_store(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(number, "on command")

    store = Store(str(tmp_path))
    monkeypatch.setattr(os, "listdir", broken)
    with pytest.raises(StoreUnavailableError, match="journal cannot be listed: on command"):
        store.children("journal")


def test_a_full_temporary_folder_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    with pytest.raises(StoreUnavailableError, match="manifests cannot be drafted in the temporary folder: No space"):
        store.write_lines("manifests", b"first\n", [b"1\n"])


@given(st.text(), st.text())
def test_names_are_distinct_path_parts(one: str, other: str) -> None:
    for text in (one, other):
        try:
            text.encode()
        except UnicodeEncodeError:
            return
        name = safe_name(text)
        assert name.isascii()
        assert 0 < len(name) <= 180
        assert not set(name) & set('/\\:*?"<>|#\0 ')
        assert name.strip(".")
    assert (safe_name(one).lower() == safe_name(other).lower()) == (one == other)


@pytest.mark.parametrize(
    "texts",
    [
        ("night", "Night", "NIGHT"),
        ("x" * 179 + "Y", "x" * 179 + "y", "X" * 180),
        ("at__2026-11-22T04:30", "at__2026-11-22t04:30", "AT__2026-11-22T04:30"),
        ("night", "night.", "Night."),
        ("%2F", "%2f", "/"),
    ],
)
def test_names_do_not_share_a_folder_where_case_and_dots_at_the_end_do_not_count(texts: tuple[str, ...]) -> None:
    names = {safe_name(text).lower() for text in texts}
    assert len(names) == len(texts)
    assert not any(name.endswith(".") or len(name) > 180 for name in names)


@pytest.mark.parametrize("usual", ["records_nightly", "scheduled__2026-11-22T02:00:00+00:00", "part.delete", "a-1"])
def test_usual_ids_keep_their_plain_names(usual: str) -> None:
    assert safe_name(usual) == usual.replace(":", "%3A")


def test_a_name_cannot_be_taken_for_the_short_form_of_another() -> None:
    assert safe_name(safe_name("..")) != safe_name("..")
    assert safe_name(safe_name("x" * 500)) != safe_name("x" * 500)


def test_files_of_an_object_storage_are_read_several_at_a_time_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    store, together = in_memory(), threading.Barrier(8, timeout=20)
    for number in range(32):
        store.write(f"journal/{number:03}", b"%d" % number)
    names = store.names("journal")
    cat = store._fs.cat_file  # type: ignore[union-attr]

    def wait(path: str) -> Any:
        together.wait()
        return cat(path)

    monkeypatch.setattr(store._fs, "cat_file", wait)
    assert list(store.read_all(names)) == [b"%d" % number for number in range(32)]
