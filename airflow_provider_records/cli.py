"""The command ``airflow-records``."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_records.evidence.hold import Hold
    from airflow_provider_records.evidence.store import Store
    from airflow_provider_records.reporting.verify import Report

_VERIFY = """\
Checks a certificate offline, in its evidence folder: its signature, its page and the page's signature,
every file that it rests on, the chains of the journals, the approvals, and that all counts follow from the records.

exit code: 0 everything fits, 1 something does not, 2 it could not be checked
"""
_REPLAY = """\
Verifies a certificate, then looks in every system for the records that it calls gone, and lists those that are
back, e.g. after a backup was restored. It changes nothing. It asks through the Airflow connections
that the records were disposed of through, so it runs where Airflow does.

exit code: 0 nothing is back, 1 something is back, 2 the certificate does not verify or a system could not be asked
"""
_EXPORT = """\
Verifies a certificate, then writes each of its records with outcome, proof and reason into a spreadsheet, and each
record that a reviewer withheld.

exit code: 0 written, 2 the certificate does not verify or the file cannot be written
"""
_CHECK = """\
Checks before the first night what a DAG needs, or all DAGs that use this provider: connections (sign-in, smallest read,
clock), evidence store, keys, approvers, pools. Says what to change. Run it where tasks run.

exit code: 0 nothing has to be changed, 1 something has to, 2 it could not be checked
"""


def command_line() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """Return the parser of the command line, and that of each command by its name."""
    parser = argparse.ArgumentParser(prog="airflow-records", description="Records disposal on Apache Airflow.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('airflow-provider-records')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="run a disposal on this machine, against the sandbox")
    demo.add_argument("--records", type=_count, default=60, help="due records in enaio (default: 60)")
    demo.add_argument("--home", type=Path, default=Path(".demo"), help="folder for Airflow and the evidence")
    demo.add_argument("--ui", action="store_true", help="serve Airflow's UI instead of running the DAG")
    demo.add_argument("--port", type=_port, default=8080, help="port of the UI (default: 8080)")

    sandbox = commands.add_parser("sandbox", help="serve the three vendors on one loopback port")
    sandbox.add_argument("--records", type=_count, default=60, help="due records in enaio (default: 60)")
    sandbox.add_argument("--seed", type=int, default=7, help="seed of names, dates and troubles (default: 7)")
    sandbox.add_argument("--port", type=_port, default=8765, help="port on 127.0.0.1; 0: a free one (default: 8765)")

    holds = commands.add_parser("hold", help="keep records from every disposal").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    add = holds.add_parser("add", help="hold records, by key or target id")
    add.add_argument("--until", default="", metavar="DATE", help="last day, YYYY-MM-DD (default: until released)")
    release = holds.add_parser("release", help="end the holds on these keys")
    for command in (add, release):
        command.add_argument("keys", nargs="+", metavar="KEY", help="key or target id of a record")
        command.add_argument("--reason", required=True, metavar="TEXT", help="why; it is kept as evidence")
    listed = holds.add_parser("list", help="list what is on hold")
    listed.add_argument("--json", action="store_true", help="as JSON instead of a table")

    named = commands.add_parser("name", help="print what a title or a person stands as in the evidence")
    named.add_argument("text", metavar="TEXT", help="a title, or the id or name of a person (airflow:anna, Anna Berg)")

    layout = argparse.RawDescriptionHelpFormatter
    check = commands.add_parser(
        "check", help="check what DAGs need before the first night", description=_CHECK, formatter_class=layout
    )
    check.add_argument("dag_id", nargs="?", metavar="DAG", help="only this DAG (default: all that use this provider)")
    verify = commands.add_parser(
        "verify", help="check a certificate offline, years later", description=_VERIFY, formatter_class=layout
    )
    verify.add_argument("--public-key", type=Path, metavar="FILE", help="PEM file of the key that must have signed it")
    replay = commands.add_parser(
        "replay", help="list which destroyed records are back", description=_REPLAY, formatter_class=layout
    )
    export = commands.add_parser(
        "export", help="write a certificate's records as a spreadsheet", description=_EXPORT, formatter_class=layout
    )
    export.add_argument("--format", choices=("csv", "xlsx"), required=True, help="the kind of file")
    export.add_argument("--output", type=Path, metavar="FILE", help="default: <run>.<format> in the current folder")
    for command in (verify, replay, export):
        where = "path or URL (s3://...) of certificates/<DAG>/<run>.json of an evidence folder"
        command.add_argument("certificate", metavar="CERTIFICATE", help=where)
    return parser, commands.choices


def main(words: list[str] | None = None) -> int:
    """Run a command; return its exit code."""
    asked = command_line()[0].parse_args(words)
    match asked.command:
        case "verify":
            report = _verified(asked.certificate, asked.public_key)
            return 2 if report is None else 0 if report.ok else 1
        case "replay":
            return _replay(asked.certificate)
        case "export":
            return _export(asked.certificate, asked.format, asked.output)
        case "hold":
            return _hold(asked)
        case "name":
            return _name(asked.text)
        case "check":
            return _check(asked.dag_id)
        case "sandbox":
            return _sandbox(asked.records, asked.seed, asked.port)
    from airflow_provider_records import demo as nights

    home = asked.home.resolve()
    return nights.serve_ui(asked.records, home, asked.port) if asked.ui else nights.run(asked.records, home)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def _port(text: str) -> int:
    if (port := _count(text)) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port, which is at most 65535")
    return port


def _say(text: str, *, error: bool = False) -> None:
    """Print one line, on any terminal: a record's title may hold anything, also control sequences."""
    stream = sys.stderr if error else sys.stdout
    encoding = stream.encoding or "utf-8"
    print(_printable(text).encode(encoding, "backslashreplace").decode(encoding), file=stream)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _use_connections() -> None:
    """Let the connections of Airflow's database count, too, as for the command "airflow connections"."""
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


def _store_at(root: str) -> Store:
    """Open the evidence folder at a URL: with Airflow's connection if Airflow writes there, else as this machine."""
    from airflow_provider_records.evidence.store import remote_store

    _use_connections()
    try:
        from airflow_provider_records.task.context import configured_path, opened_store
    except ModuleNotFoundError:  # without Airflow
        return remote_store(root)
    return opened_store() if configured_path().rstrip("/") == root else remote_store(root)


def _verified(path: str, public_key: Path | None = None) -> Report | None:
    """Verify a certificate and say what was found; None if it could not be checked."""
    from airflow_provider_records.exceptions import (
        CertificateUnfinishedError,
        ConfigurationError,
        NewerFormatError,
        StoreUnavailableError,
    )
    from airflow_provider_records.reporting.verify import verify

    try:
        report = verify(path, public_key, _store_at)
    except (ConfigurationError, StoreUnavailableError, NewerFormatError, CertificateUnfinishedError) as error:
        _say(str(error), error=True)
        return None
    for line in report.checked:
        _say(f"ok    {line}")
    for line in report.notes:
        _say(f"note  {line}")
    if report.problem is None:
        _say("Everything fits.")
    else:
        _say(f"DOES NOT FIT: {report.problem}")
    return report


def _replay(path: str) -> int:
    report = _verified(path)
    if report is None or not report.ok or report.certificate is None:
        if report is not None:
            _say("Nothing was looked up: a certificate that does not verify says nothing.", error=True)
        return 2
    _use_connections()
    try:
        from airflow_provider_records import replay
    except ModuleNotFoundError as error:
        _say(f"Nothing was looked up: {error.name} is not installed, and the connections are Airflow's.", error=True)
        return 2
    from airflow_provider_records.systems.finding import Whereabouts

    findings = replay.look(replay.claims(report.certificate, report.store))
    for line in replay.lines(findings):
        _say(line)
    if any(found.whereabouts is Whereabouts.BACK for found in findings):
        return 1
    return 2 if any(found.failed for found in findings) else 0


def _export(path: str, format_: str, output: Path | None) -> int:
    report = _verified(path)
    if report is None or not report.ok or report.certificate is None:
        if report is not None:
            _say("Nothing was written: a certificate that does not verify says nothing.", error=True)
        return 2
    from airflow_provider_records.reporting import export

    file = output or Path(f"{Path(report.name).stem}.{format_}")
    rows = export.certificate_rows(report.store, report.certificate)
    try:
        export.write(file, format_, export.CERTIFICATE_COLUMNS, rows)
    except OSError as error:
        _say(f"{file} cannot be written: {error.strerror or error}.", error=True)
        return 2
    _say(f"Written: {file}")
    return 0


def _hold(asked: argparse.Namespace) -> int:
    """Write or list holds in the evidence store that Airflow's configuration names."""
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")  # the store may need a connection
    try:
        from airflow_provider_records.task.context import evidence_store, opened_store, signing_key
    except ModuleNotFoundError as error:
        _say(
            f"Nothing was done: {error.name} is not installed, and the evidence store is Airflow's option.", error=True
        )
        return 2
    from airflow_provider_records.evidence.hold import HoldRegister
    from airflow_provider_records.exceptions import RecordsError

    try:
        store = opened_store() if asked.action == "list" else evidence_store()
        register = HoldRegister(store, signing_key())
        if asked.action == "list":
            _show_holds(register.standing(), as_json=asked.json)
        elif asked.action == "add":
            register.add_all(asked.keys, asked.reason, store.naming.person(_user()), asked.until)
            _say(f"On hold: {', '.join(asked.keys)}")
        else:
            ended = register.release(asked.keys, asked.reason, store.naming.person(_user()))
            for hold in ended:
                _say(f"Released: {hold.key} ({hold.statement})")
    except RecordsError as error:
        _say(str(error), error=True)
        return 2
    return 0


def _name(text: str) -> int:
    """Print what a title and a person stand as, by the key that Airflow's configuration names."""
    try:
        from airflow_provider_records.task.context import configured_naming
    except ModuleNotFoundError as error:
        _say(f"Nothing was looked up: {error.name} is not installed, and the key is Airflow's option.", error=True)
        return 2
    from airflow_provider_records.evidence.names import PLAIN
    from airflow_provider_records.exceptions import RecordsError

    try:
        naming = configured_naming()
    except RecordsError as error:
        _say(str(error), error=True)
        return 2
    if naming is PLAIN:
        _say("[records] names_key_file is not set: titles and people stand in the evidence by name.", error=True)
        return 2
    _say(f"title   {naming.title(text)}")
    _say(f"person  {naming.person(text)}")
    return 0


def _check(dag_id: str | None) -> int:
    _use_connections()
    try:
        from airflow_provider_records import check
    except ModuleNotFoundError as error:
        _say(f"Nothing was checked: {error.name} is not installed, and the DAGs are Airflow's.", error=True)
        return 2
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from airflow_provider_records.exceptions import RecordsError

    try:
        findings = check.check(dag_id)
    except RecordsError as error:
        _say(str(error), error=True)
        return 2
    colors = {check.Level.FITS: "green", check.Level.UNKNOWN: "yellow", check.Level.WRONG: "bold red"}
    table = Table("", "What", "Found", show_lines=True)
    for each in findings:
        texts = (escape(_printable(text)) for text in (each.subject, each.text))
        table.add_row(f"[{colors[each.level]}]{each.level}[/]", *texts)
    Console().print(table)
    wrong = sum(each.level is check.Level.WRONG for each in findings)
    _say(f"To change: {wrong}." if wrong else "Nothing has to be changed.")
    return 1 if wrong else 0


def _user() -> str:
    import getpass

    try:
        return f"os:{getpass.getuser()}"
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return f"os:{os.getuid()}"


def _show_holds(holds: Sequence[Hold], *, as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps([hold.to_dict() for hold in holds], indent=2))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("Key", "Reason", "Who", "Since", "Until")
    for hold in holds:
        table.add_row(*(escape(_printable(text)) for text in (hold.key, hold.reason, hold.who, hold.since, hold.until)))
    Console().print(table if holds else "Nothing is on hold.")


def _sandbox(records: int, seed: int, port: int) -> int:
    from airflow_provider_records.sandbox.build import build
    from airflow_provider_records.sandbox.server import Server

    try:
        server = Server(build(records, seed), port)
        server.socket.listen()  # a reader of the line below may call at once
    except OSError as error:
        _say(f"The sandbox cannot have port {port}: {error.strerror or error}. --port 0 takes a free one.", error=True)
        return 2
    gc.freeze()  # the garbage collector need not visit all records for each response
    print(f"Opus, enaio and Unifier on {server.url} - this page lists addresses, credentials and switches", flush=True)
    with suppress(KeyboardInterrupt):
        server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
