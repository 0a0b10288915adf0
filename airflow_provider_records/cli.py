"""The command ``airflow-records``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(words: list[str] | None = None) -> int:
    """Run a command; return its exit code."""
    parser = argparse.ArgumentParser(prog="airflow-records", description="Records disposal on Apache Airflow.")
    commands = parser.add_subparsers(dest="command", required=True)

    demo = commands.add_parser("demo", help="run one night's disposal on this machine, against the sandbox")
    demo.add_argument("--records", type=int, default=60, help="due records in enaio (default: 60)")
    demo.add_argument("--home", type=Path, default=Path(".demo"), help="folder for Airflow and the evidence")
    demo.add_argument("--ui", action="store_true", help="serve Airflow's UI instead, and run nothing")
    demo.add_argument("--port", type=int, default=8080, help="port of the UI (default: 8080)")

    sandbox = commands.add_parser("sandbox", help="serve the three vendors on one loopback port")
    sandbox.add_argument("--records", type=int, default=60, help="due records in enaio (default: 60)")
    sandbox.add_argument("--seed", type=int, default=7, help="chooses names, dates and troubles (default: 7)")
    sandbox.add_argument("--port", type=int, default=8765, help="port on 127.0.0.1; 0: a free one (default: 8765)")

    asked = parser.parse_args(words)
    if asked.command == "sandbox":
        return _sandbox(asked.records, asked.seed, asked.port)
    from airflow_provider_records import demo as nights

    home = asked.home.resolve()
    return nights.serve_ui(asked.records, home, asked.port) if asked.ui else nights.run(asked.records, home)


def _sandbox(records: int, seed: int, port: int) -> int:
    from airflow_provider_records.sandbox.core import Server
    from airflow_provider_records.sandbox.world import build

    server = Server(build(records, seed), port)
    print(f"Opus, enaio and Unifier on {server.url} - this page lists addresses, credentials and switches", flush=True)
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
