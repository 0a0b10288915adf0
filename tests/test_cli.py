"""The command, as people type it."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]

from airflow_provider_records import cli
from airflow_provider_records.evidence.manifest import Manifest
from airflow_provider_records.evidence.names import KeyedNaming
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.evidence.signature import VerificationKey
from airflow_provider_records.evidence.store import Store
from airflow_provider_records.reporting import issue
from tests.evidence import evidence_factory

COMMANDS = ("demo", "sandbox", "verify", "replay", "export")


def pem(path: Path, key: Ed25519PrivateKey) -> Path:
    path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def certify(folder: Path, key: Ed25519PrivateKey | None, failed: int = 0) -> Path:
    """Write the certificate of one night."""
    store = Store(str(folder / "evidence"))
    manifest = Manifest.write(store, evidence_factory.records(20))
    system = evidence_factory.ObedientSystem({record.key: OutcomeKind.FAILED for record in list(manifest)[:failed]})
    disposal = evidence_factory.carry_out(
        store, manifest, evidence_factory.approve(store, manifest, "anna@example.org"), system=system
    )
    written = issue.write(store, [disposal], evidence_factory.provenance("certificate"), key)
    return Path(written.uri.removeprefix("file://"))


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def signed(tmp_path: Path, key: Ed25519PrivateKey) -> Path:
    return certify(tmp_path, key)


def lines(said: str, kind: str) -> list[str]:
    return [line.removeprefix(kind).strip() for line in said.splitlines() if line.startswith(f"{kind} ")]


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"airflow-records {version('airflow-provider-records')}\n"


def test_verify_says_what_was_checked(
    signed: Path, key: Ed25519PrivateKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(signed), "--public-key", str(pem(tmp_path / "key.pem", key))]) == 0
    said = capsys.readouterr().out
    assert said.endswith("Everything fits.\n")
    (unsigned,) = lines(said, "note")
    assert unsigned.startswith("The approvals of task delete_enaio are not signed")
    checked = lines(said, "ok")
    assert checked[0].startswith("the certificate is unchanged: sha256:")
    assert checked[1] == f"signed with the key {VerificationKey.from_key(key.public_key()).key_id}"
    assert checked[2] == "its page is unchanged and names this certificate"
    assert checked[-1].startswith("enaio: 20 records on the list, as many outcomes")


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_export_writes_the_records_of_a_certificate_that_verifies(
    kind: str, signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", str(signed), "--format", kind]) == 0
    (written,) = tmp_path.glob(f"*.{kind}")
    assert written.stem == signed.stem
    named = tmp_path / f"records.{kind}"
    assert cli.main(["export", str(signed), "--format", kind, "--output", str(named)]) == 0
    assert named.stat().st_size > 1000
    assert cli.main(["export", str(signed), "--format", kind, "--output", str(tmp_path / "no" / "folder")]) == 2


def test_export_writes_nothing_of_a_certificate_that_does_not_verify(signed: Path, tmp_path: Path) -> None:
    signed.write_bytes(signed.read_bytes().replace(b"enaio", b"eneio"))
    assert cli.main(["export", str(signed), "--format", "csv", "--output", str(tmp_path / "records.csv")]) == 2
    assert not (tmp_path / "records.csv").exists()


def test_verify_notes_what_must_be_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", str(certify(tmp_path, None, failed=2))]) == 0
    noted = lines(capsys.readouterr().out, "note")
    assert noted[0].startswith("It is not signed")
    assert noted[-1].startswith("The certificate says that it is not complete: enaio: 2 failed")


@pytest.mark.parametrize("part", ["certificate", "page", "manifests/", "journal/", "approvals/", "outcomes/"])
def test_verify_names_the_first_thing_that_does_not_fit(
    signed: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {"certificate": signed, "page": signed.with_suffix(".html")}
    files = sorted(signed.parents[2].rglob("*.json*"))
    parts = [own[part]] if part in own else [each for each in files if part in each.as_posix()]
    file = next(each for each in parts if b"enaio" in each.read_bytes() or b"anna" in each.read_bytes())
    content = file.read_bytes()
    file.write_bytes(content.replace(b"enaio", b"Enaio", 1).replace(b"anna", b"Anna", 1))
    assert cli.main(["verify", str(signed)]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("DOES NOT FIT: ")
    assert (f"does not belong to certificates/retention_nightly/{own[part].name}" if part in own else part) in last


def test_verify_refuses_another_key(signed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = pem(tmp_path / "other.pem", Ed25519PrivateKey.generate())
    assert cli.main(["verify", str(signed), "--public-key", str(other)]) == 1
    assert "not with the one given" in capsys.readouterr().out


@pytest.fixture
def remote(signed: Path) -> Iterator[str]:
    """The certificate's URL in an object storage that holds a copy of its folder."""
    fs = MemoryFileSystem()
    for path in signed.parents[2].rglob("*.*"):
        if path.is_file():
            fs.pipe_file(f"/bucket/ev/{path.relative_to(signed.parents[2])}", path.read_bytes())
    yield f"memory://bucket/ev/{signed.relative_to(signed.parents[2])}"
    fs.rm("/bucket", recursive=True)


def test_a_certificate_in_an_object_storage_is_verified_and_looked_up_by_its_url(
    remote: str, signed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", remote]) == 0
    said = capsys.readouterr().out
    assert cli.main(["verify", str(signed)]) == 0
    assert capsys.readouterr().out == said
    assert cli.main(["verify", f"file://{signed}"]) == 0
    assert capsys.readouterr().out == said
    assert cli.main(["replay", remote]) == 2  # there is no connection to ask through
    said = capsys.readouterr().out
    assert "Everything fits." in said
    assert "Cannot be looked up:" in said


def test_a_changed_certificate_in_an_object_storage_does_not_verify(
    remote: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fs, name = MemoryFileSystem(), remote.removeprefix("memory:/")
    fs.pipe_file(name, fs.cat_file(name).replace(b"enaio", b"Enaio", 1))
    assert cli.main(["verify", remote]) == 1
    assert "DOES NOT FIT: " in capsys.readouterr().out


@pytest.mark.parametrize("command", ["verify", "replay"])
@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("memory://nowhere/certificates/a/b.json", "memory://nowhere/certificates/a/b.json cannot be read: No such"),
        ("nonsense://bucket/certificates/a/b.json", "nonsense://bucket cannot be opened: "),
    ],
)
def test_a_url_that_leads_to_no_certificate(
    command: str, url: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, url]) == 2
    assert told in capsys.readouterr().err


def test_the_store_that_airflow_writes_to_is_opened_with_its_connection(
    remote: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", "memory://bucket/ev/")
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_CONN_ID", "evidence_store")
    assert cli.main(["verify", remote]) == 2
    assert "evidence_conn_id 'evidence_store' names no connection" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["verify", "replay"])
@pytest.mark.parametrize("name", ["missing.json", "", "a\x1b[2Jb.json"])
def test_a_file_that_cannot_be_read(
    command: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, str(tmp_path / name)]) == 2
    said = capsys.readouterr()
    assert "cannot be read: " in said.err
    assert "\x1b" not in said.err
    assert said.out == ""


@pytest.mark.parametrize("command", ["verify", "replay"])
def test_evidence_that_cannot_be_read_is_not_said_not_to_fit(
    command: str, signed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code tells an auditor's script a broken disk from tampering."""
    opened = os.open

    def broken(path: Path, *options: int) -> int:
        if "manifests" in str(path):
            raise OSError(errno.EIO, "Input/output error")
        return opened(path, *options)

    monkeypatch.setattr(os, "open", broken)
    assert cli.main([command, str(signed)]) == 2
    said = capsys.readouterr()
    assert "cannot be read: Input/output error" in said.err
    assert said.out == ""


@pytest.mark.parametrize("folder", ["manifests", "disposals", "certificates"])
def test_a_folder_that_is_a_link_is_refused(folder: str, signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = signed.parents[2] / folder
    path.rename(path.with_name("aside"))
    path.symlink_to("aside")
    assert cli.main(["verify", str(signed)]) == 1
    assert "is a link; the evidence store holds plain files and folders only" in capsys.readouterr().out


def test_a_public_key_that_is_a_link_or_a_pipe_is_refused(
    signed: Path, key: Ed25519PrivateKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link.pem").symlink_to(pem(tmp_path / "key.pem", key))
    os.mkfifo(tmp_path / "pipe.pem")
    for name in ("link.pem", "pipe.pem"):
        assert cli.main(["verify", str(signed), "--public-key", str(tmp_path / name)]) == 2
        assert f"{name} cannot be read: it is a link or a pipe" in capsys.readouterr().err


def test_a_key_file_that_is_none(signed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key.pem").write_text("no key")
    for name, words in (("key.pem", "is no public key in PEM"), ("none.pem", "cannot be read: No such file")):
        assert cli.main(["verify", str(signed), "--public-key", str(tmp_path / name)]) == 2
        assert words in capsys.readouterr().err


def test_verify_needs_neither_airflow_nor_network(signed: Path) -> None:
    code = (
        "import socket, sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in {'airflow', 'requests', 'starlette', 'uvicorn', 'rich', 'jinja2'}:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "def refuse(*_, **__):\n"
        "    raise AssertionError('network')\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = refuse\n"
        "from airflow_provider_records import cli\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run([*command, "verify", str(signed)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Everything fits." in done.stdout
    done = subprocess.run([*command, "replay", str(signed)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == "Nothing was looked up: airflow is not installed, and the connections are Airflow's.\n"


def test_any_terminal_can_show_it(signed: Path) -> None:
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    path = signed.rename(signed.with_name("Größmann.json"))
    command = [sys.executable, "-m", "airflow_provider_records.cli", "verify", str(path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Gr\\xf6\\xdfmann.json" in done.stdout


@contextmanager
def sandbox(*words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Serve the sandbox as a process of its own; yields it and its address."""
    command = [sys.executable, "-m", "airflow_provider_records.cli", "sandbox", "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            (url,) = re.findall(r"http://127\.0\.0\.1:\d+", said)
            yield process, url
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_the_sandbox_serves_until_it_is_told_to_stop(number: signal.Signals, code: int) -> None:
    with sandbox("--records", "40", "--seed", "3") as (process, url):
        page = requests.get(url, timeout=30)
        assert page.status_code == 200
        assert f"{url}/enaio" in page.text
        live = requests.get(f"{url}/_sandbox/state", timeout=30).json()
        assert sum(len(each) for each in live["opus"]["connections"].values()) == 40 + 5 + 20 + 5
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (code, "")
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["sandbox", "--port", str(port)]) == 2
    assert f"cannot have port {port}: Address already in use. --port 0 takes a free one." in capsys.readouterr().err


def test_a_demo_empties_no_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(SystemExit, match="is not empty and was not made by a demo"):
        cli.main(["demo", "--home", str(tmp_path)])
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "required: COMMAND"),
        (["shred"], "invalid choice: 'shred'"),
        (["verify"], "required: CERTIFICATE"),
        (["replay"], "required: CERTIFICATE"),
        (["replay", "a.json", "--public-key", "k"], "unrecognized arguments"),
        (["verify", "a.json", "--public-key"], "expected one argument"),
        (["demo", "--records", "-1"], "'-1' is no whole number from 0"),
        (["demo", "--port", "66000"], "66000 is no port, which is at most 65535"),
        (["sandbox", "--records", "many"], "'many' is no whole number from 0"),
        (["sandbox", "--seed", "x"], "--seed: invalid int value"),
    ],
)
def test_wrong_words(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(words)
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], *([command] for command in COMMANDS)], ids=["all", *COMMANDS])
def test_help_can_be_read(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as stopped:
        cli.main([*words, "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: {' '.join(['airflow-records', *words])} ")
    assert max(map(len, said.splitlines())) <= 120
    for name in (
        COMMANDS if not words else ["exit code: 0"] if words[0] in {"verify", "replay", "export"} else ["default: 60"]
    ):
        assert name in said


def test_a_name_is_looked_up_with_the_key_and_without_it_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__RECORDS__EVIDENCE_PATH", str(tmp_path / "evidence"))
    assert cli.main(["name", "Anna Berg"]) == 2
    assert "names_key_file is not set" in capsys.readouterr().err
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_bytes(b"k" * 32 + b"\r\n")
    monkeypatch.setenv("AIRFLOW__RECORDS__NAMES_KEY_FILE", str(tmp_path / "key"))
    naming = KeyedNaming(b"k" * 32)
    assert cli.main(["name", "Anna Berg"]) == 0
    assert capsys.readouterr().out == f"title   {naming.title('Anna Berg')}\nperson  {naming.person('anna berg')}\n"
    assert not (tmp_path / "evidence").exists(), "to look makes no key that of the store"
    (tmp_path / "key").write_bytes(b"k")
    assert cli.main(["name", "Anna Berg"]) == 2
    assert "at least 32" in capsys.readouterr().err
