"""Which part of the package may import which other one: the structure of the house, held by a test."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_records

PACKAGE = Path(airflow_provider_records.__file__).parent
NAME = airflow_provider_records.__name__

CORE = {"exceptions", "evidence"}
ROOMS = {
    "exceptions": set(),
    "airflow_version": set(),
    "evidence": CORE,
    "execution": CORE | {"execution", "systems.base"},
    "client": {"__init__", "exceptions", "client"},
    "hooks": {"exceptions", "airflow_version", "client", "hooks"},
    "systems": CORE | {"client", "hooks", "systems"},
    "reporting": CORE | {"reporting"},
    "task": {"__init__", "airflow_version", "get_provider_info"}
    | CORE
    | {"client", "hooks", "execution", "systems", "reporting", "task"},
    "triggers": {"exceptions", "airflow_version", "client", "hooks", "triggers"},
    "operators": CORE
    | {"__init__", "airflow_version", "client", "hooks", "execution", "systems", "reporting", "task", "operators"},
    "sensors": CORE | {"airflow_version", "client", "hooks", "task", "triggers", "sensors"},
    "plugin": CORE | {"airflow_version", "reporting", "task", "plugin"},
    "sandbox": {"sandbox"},
}


def modules() -> dict[str, Path]:
    """Return every module of the package, by its name below the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> Iterator[str]:
    """Return what a file imports of the package, also inside of functions, as names below the package."""
    known = modules()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == NAME:
            room = str(node.module).removeprefix(NAME).removeprefix(".")
            for alias in node.names:
                whole = f"{room}.{alias.name}".strip(".")
                yield whole if whole in known else room or "__init__"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == NAME:
                    yield alias.name.removeprefix(NAME).removeprefix(".") or "__init__"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    files = {name: path for name, path in modules().items() if name.split(".")[0] == room}
    assert files
    for name, path in files.items():
        for target in imported(path):
            allowed = {target, target.split(".")[0]} & ROOMS[room]
            assert allowed, f"{name} imports {target}"


def test_every_room_has_a_rule() -> None:
    single = {"__init__", "get_provider_info", "retry", "deadlines", "replay", "check", "cli", "demo"}
    assert {name.split(".")[0] for name in modules()} == set(ROOMS) | single


def test_no_module_imports_itself_through_others() -> None:
    arrows = {name: set(imported(path)) - {name} for name, path in modules().items()}
    while leaves := [name for name, targets in arrows.items() if not targets & arrows.keys()]:
        for name in leaves:
            del arrows[name]
    assert not arrows, f"in a circle, or importing one: {sorted(arrows)}"


def test_evidence_execution_and_verification_need_no_airflow() -> None:
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in {'airflow', 'requests', 'starlette', 'uvicorn'}:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        f"import {NAME}, {NAME}.get_provider_info, {NAME}.cli\n"
        "import pkgutil, importlib\n"
        "for room in ('evidence', 'execution', 'reporting'):\n"
        f"    package = importlib.import_module('{NAME}.' + room)\n"
        "    for item in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(item.name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
