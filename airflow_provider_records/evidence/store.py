"""The evidence store: a folder, local or object storage.

Every file is published at once: a reader sees all of it or nothing, and it is on storage when ``write``
returns. Names are relative and quoted; URIs are the root plus the name.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import mmap
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar
from urllib.parse import quote, urlsplit

from airflow_provider_records.evidence.names import PLAIN, Naming
from airflow_provider_records.exceptions import ConfigurationError, EvidenceError, StoreUnavailableError

_LONGEST_NAME = 180
_READERS = 16
_AT_ONCE = 256
_UPPER = re.compile(r"%[0-9a-f]{2}|(?<=[0-9])t(?=[0-9])")
"""Upper case in a usual name: quoted bytes, and the T within a time."""
_Found = TypeVar("_Found")
_DRAFTED = "drafted in the temporary folder"


def safe_name(text: str) -> str:
    """Return one path part for any text (run ids hold colons, slashes and more); distinct for distinct texts.

    Names also differ where a file system (SMB, macOS) ignores case or a dot at the end: of the texts that differ in
    these only, one keeps its plain name, and a part of a hash follows the others.
    """
    name = quote(text, safe="+=@,").replace("~", "%7E")
    digest = hashlib.sha256(text.encode()).hexdigest()
    usual = name == _UPPER.sub(lambda found: found[0].upper(), name.lower()) and not name.endswith(".")
    if usual and name.strip(".") and len(name) <= _LONGEST_NAME:
        return name
    if name.strip(".") and len(name) <= _LONGEST_NAME - 65:
        return f"{name.rstrip('.')}~{digest[:16]}"
    return f"{name[: _LONGEST_NAME - 65].rstrip('.%')}~{digest}"


def is_inside(name: str) -> bool:
    """Tell whether a name cannot lead out of the folder that it is put behind."""
    return "\0" not in name and {"", ".", ".."}.isdisjoint(name.split("/"))


class FileSystem(Protocol):
    """What an fsspec file system offers of what we need."""

    def pipe_file(self, path: str, value: bytes) -> Any: ...  # noqa: ANN401
    def put_file(self, lpath: str, rpath: str) -> Any: ...  # noqa: ANN401
    def open(self, path: str, mode: str) -> Any: ...  # noqa: ANN401
    def cat_file(self, path: str) -> Any: ...  # noqa: ANN401
    def find(self, path: str) -> Any: ...  # noqa: ANN401
    def ls(self, path: str, detail: bool) -> Any: ...  # noqa: ANN401
    def exists(self, path: str) -> bool: ...
    def rm_file(self, path: str) -> Any: ...  # noqa: ANN401
    def invalidate_cache(self, path: str | None = None) -> None: ...


class Store:
    """The evidence store.

    :param root: URI of its folder (``file:///…``, ``s3://…``) or a local path.
    :param fs: the fsspec file system for a root that is not local.
    :param base: the root's path within ``fs``.
    :param setting: what names this store, such as ``[records] evidence_path``; errors say so, for somebody to check it.

    ``naming`` is how titles and people stand in what is written.
    """

    naming: Naming = PLAIN

    def __init__(self, root: str, fs: FileSystem | None = None, base: str = "", *, setting: str = "") -> None:
        if "://" not in root:
            root = f"file://{Path(root).absolute()}"
        parts = urlsplit(root)
        self.root = root.rstrip("/")
        self._check = f" Check {setting}." if setting else ""
        self._fs = None if parts.scheme == "file" else fs
        if parts.scheme != "file" and fs is None:
            raise EvidenceError(f"The evidence store {self.root} needs a file system for {parts.scheme}://.")
        self._local = Path(self.root.removeprefix("file://"))
        if self._fs is None and not self._local.is_absolute():
            raise EvidenceError(f"The path of the evidence store {root} is not absolute; write file:///...")
        self._base = base.rstrip("/")

    def uri(self, name: str) -> str:
        """Return the URI of a name."""
        return f"{self.root}/{name}"

    def name(self, uri: str) -> str:
        """Return the name of a URI.

        :raises EvidenceError: the URI does not lie in this store.
        """
        name = uri.removeprefix(self.root + "/")
        if name == uri or not is_inside(name):
            raise EvidenceError(
                f"{uri} does not lie in the evidence store {self.root}; was [records] evidence_path changed?"
            )
        return name

    def conceal(self, text: str) -> str:
        """Return a text without folders, so that it does not tell where the store lies: of a file, its last part stays.

        :param text: an error message about this store.
        """
        places = "|".join(re.escape(place) for place in (self.root, str(self._local), self._base) if place)
        return re.sub(rf"(?:{places})/(?:\S*/)?", "", text).replace(self.root, "[records] evidence_path")

    def write(self, name: str, content: bytes) -> str:
        """Publish a file, replacing an older one; return its URI.

        :raises EvidenceError: the store cannot be written.
        """
        with self._refusals(name, "written"):
            if self._fs is not None:
                self._fs.pipe_file(f"{self._base}/{name}", content)
            else:
                with self._draft(name) as draft:
                    draft.write(content)
        return self.uri(name)

    def write_pieces(self, name: str, pieces: Iterable[bytes], look: Callable[[memoryview], _Found]) -> _Found:
        """Publish a file that is made piece by piece, replacing an older one; memory does not grow with it.

        :param look: is called with the whole content, which is not empty, before it is published.
        :return: what ``look`` returned.
        :raises EvidenceError: the store cannot be written.
        """
        with self._refusals(name, _DRAFTED, OSError), tempfile.NamedTemporaryFile(prefix="records-") as draft:
            draft.writelines(pieces)
            draft.flush()
            with mmap.mmap(draft.fileno(), 0, access=mmap.ACCESS_READ) as file, memoryview(file) as whole:
                found = look(whole)
            self._put(draft.name, name)
        return found

    def remove(self, name: str) -> None:
        """Remove a file, if there is one.

        :raises EvidenceError: it cannot be removed.
        """
        with self._refusals(name, "removed"):
            if self._fs is None:
                (self._local / name).unlink(missing_ok=True)
            elif self.exists(name):
                self._fs.rm_file(f"{self._base}/{name}")

    def write_lines(self, folder: str, first: bytes, lines: Iterable[bytes]) -> tuple[str, str, int]:
        """Publish lines under the name of their digest; memory does not grow with them.

        :param folder: folder of the store, e.g. ``manifests``.
        :param first: the line that names the format.
        :param lines: the other lines, with their line ends.
        :return: URI, digest (``sha256:`` + hex), number of the other lines.
        :raises EvidenceError: the store cannot be written.
        """
        count = 0

        def pieces() -> Iterator[bytes]:
            nonlocal count
            yield first
            for line in lines:
                yield line
                count += 1

        return *self.write_hashed(folder, pieces(), ".jsonl"), count

    def write_hashed(self, folder: str, pieces: Iterable[bytes], ending: str) -> tuple[str, str]:
        """Publish a file under the name of its digest; memory does not grow with it.

        :param folder: folder of the store, e.g. ``manifests``.
        :param pieces: its content.
        :param ending: what follows the digest in its name, e.g. ``.json``.
        :return: URI, digest (``sha256:`` + hex).
        :raises EvidenceError: the store cannot be written.
        """
        digest = hashlib.sha256()
        with (
            self._refusals(folder, _DRAFTED, OSError),
            tempfile.NamedTemporaryFile(prefix="records-", suffix=ending) as draft,
        ):
            for piece in pieces:
                digest.update(piece)
                draft.write(piece)
            draft.flush()
            name = f"{folder}/{digest.hexdigest()}{ending}"
            if not self.exists(name):
                self._put(draft.name, name)
        return self.uri(name), f"sha256:{digest.hexdigest()}"

    def read(self, name: str) -> bytes:
        """Return a file's content.

        :raises EvidenceError: there is none, or it cannot be read.
        """
        if self._fs is None:
            with self.open(name) as file:
                return file.read()
        with self._refusals(name, "read"):  # one request; to open the file asks for its size first
            return bytes(self._fs.cat_file(f"{self._base}/{name}"))

    def read_all(self, names: Sequence[str]) -> Iterator[bytes]:
        """Return the contents of files in their order.

        :raises EvidenceError: as :meth:`read`, when the file's turn comes.
        """
        return self.each(self.read, names)

    def each(self, read: Callable[[str], _Found], names: Sequence[str]) -> Iterator[_Found]:
        """Return what a function makes of files, in their order; for an object storage, of several at a time.

        :param read: reads the file of a name, in any thread.
        """
        if self._fs is None:
            yield from map(read, names)
            return
        with ThreadPoolExecutor(_READERS, thread_name_prefix="evidence") as pool:
            for start in range(0, len(names), _AT_ONCE):  # memory does not grow with their number
                yield from pool.map(read, names[start : start + _AT_ONCE])

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file for reading.

        :raises EvidenceError: there is none, or it cannot be read.
        """
        with self._refusals(name, "read"):
            fs = self._fresh()
            file = fs.open(f"{self._base}/{name}", "rb") if fs else self._open_local(self._local / name)
        with file, io.BufferedReader(_Pieces(file, lambda: self._refusals(name, "read")), 1 << 16) as pieces:
            yield pieces

    def _open_local(self, path: Path) -> IO[bytes]:
        return path.open("rb")

    def names(self, folder: str) -> list[str]:
        """Return the names of all files below a folder, sorted; empty if there is no such folder.

        :raises EvidenceError: a folder is there and cannot be read.
        """
        if (fs := self._fresh()) is not None:
            with self._refusals(folder, "listed"):
                try:
                    found = fs.find(f"{self._base}/{folder}")
                except FileNotFoundError:
                    return []
            return sorted(str(path).split(f"{self._base.lstrip('/')}/", 1)[-1] for path in found)

        def fail(error: OSError) -> None:
            if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                raise StoreUnavailableError(
                    f"{error.filename} cannot be read: {error.strerror}.{self._check}"
                ) from error

        skip = len(str(self._local)) + 1
        return sorted(
            f"{path}/{name}"[skip:]
            for path, _, names in os.walk(self._local / folder, onerror=fail)
            for name in names
            if not name.startswith(".")
        )

    def children(self, folder: str) -> list[str]:
        """Return the last parts of the names directly below a folder; empty if there is no such folder.

        :raises EvidenceError: it is there and cannot be read.
        """
        with self._refusals(folder, "listed"):
            try:
                if (fs := self._fresh()) is None:
                    return os.listdir(self._local / folder)
                found = fs.ls(f"{self._base}/{folder}", detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return [str(path).rstrip("/").rpartition("/")[2] for path in found]

    def exists(self, name: str) -> bool:
        """Tell whether there is such a file.

        :raises EvidenceError: the store cannot be asked.
        """
        with self._refusals(name, "looked for"):
            fs = self._fresh()
            return fs.exists(f"{self._base}/{name}") if fs else (self._local / name).exists()

    def _fresh(self) -> FileSystem | None:
        """Return the file system, which then asks the storage: some remember for ever what they once listed."""
        if self._fs is not None:
            self._fs.invalidate_cache()
        return self._fs

    def _put(self, draft: str, name: str) -> None:
        with self._refusals(name, "written"):
            if self._fs is not None:
                self._fs.put_file(draft, f"{self._base}/{name}")
                return
            with self._draft(name) as target, Path(draft).open("rb") as source:
                shutil.copyfileobj(source, target, 1 << 20)

    @contextlib.contextmanager
    def _refusals(self, name: str, action: str, kind: type[Exception] = Exception) -> Iterator[None]:
        """Turn the errors of all file systems into ours.

        :param action: what was tried, as a participle.
        :param kind: the class of the file system's errors, where others may be raised too.
        """
        try:
            yield
        except EvidenceError:
            raise
        except kind as error:
            if isinstance(error, FileNotFoundError) and action == "read":
                raise EvidenceError(
                    f"{self.uri(name)} is missing; do all workers reach the same [records] evidence_path?"
                ) from None
            # Only the first line: what follows in some libraries is the whole answer.
            said = f"{type(error).__name__} {error}".splitlines()[0][:300]
            words = getattr(error, "strerror", None) or said
            problem = f"{self.uri(name)} cannot be {action}: {str(words).rstrip('.')}."
            raise StoreUnavailableError(problem + self._check) from error

    @contextlib.contextmanager
    def _draft(self, name: str) -> Iterator[IO[bytes]]:
        """A local file that appears under its name, whole and on disk, when the block ends."""
        path = self._local / name
        _make_folder(path.parent)
        handle, draft = tempfile.mkstemp(prefix=".", suffix=".draft", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            Path(draft).chmod(0o640)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remote_store(root: str) -> Store:
    """Open an evidence store at a URL with the credentials of this machine.

    :param root: URL of its folder, such as ``s3://bucket/records``.
    :raises ConfigurationError: no library that is installed can open it.
    """
    try:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]

        fs, base = url_to_fs(root)
    except (ImportError, ValueError) as error:
        raise ConfigurationError(
            f"{root} cannot be opened: {error}. Is the library for this storage installed?"
        ) from None
    return Store(root, fs, base)


def _make_folder(path: Path) -> None:
    """Make a folder, and those above it, with the mode 0750 whatever the umask is: the group of the workers reads."""
    if path.is_dir():
        return
    _make_folder(path.parent)
    try:
        path.mkdir()
    except FileExistsError:
        return
    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o777 | 0o750)


class _Pieces(io.RawIOBase):
    """A file that turns the errors of its file system into ours while it is read."""

    def __init__(self, file: IO[bytes], refusals: Callable[[], AbstractContextManager[None]]) -> None:
        self._file = file
        self._refusals = refusals

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with self._refusals():
            return self._file.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - the buffer protocol has a name from 3.12 on
        with self._refusals():
            piece = self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
