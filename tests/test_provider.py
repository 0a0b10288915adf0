"""What Airflow reads about this provider, checked against the installed Airflow's own schemas."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
from airflow.triggers.base import BaseTrigger

import airflow_provider_records
from airflow_provider_records.airflow_version import FLOOR, conf
from airflow_provider_records.client import fields
from airflow_provider_records.get_provider_info import get_provider_info
from airflow_provider_records.operators.assets import DISPOSALS
from airflow_provider_records.operators.base import DisposeOperator
from tests.minors import since

INFO: dict[str, Any] = get_provider_info()
SCHEMAS = Path(airflow.__file__).parent
PACKAGE = Path(airflow_provider_records.__file__).parent
REQUIRED = inspect.Parameter.empty
KINDS = {"hooks": BaseHook, "operators": BaseOperator, "sensors": BaseSensorOperator, "triggers": BaseTrigger}


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / name).read_text())


def test_runtime_schema() -> None:
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


def test_form_schema() -> None:
    # The runtime does not check these blocks; the schema for provider.yaml does.
    whole = schema("provider.yaml.schema.json")
    for block in ("connection-types", "config"):
        part = {"definitions": whole["definitions"], **whole["properties"][block]}
        jsonschema.validate(INFO[block], part)


def test_the_name_is_the_distribution() -> None:
    assert importlib.metadata.metadata(INFO["package-name"])["Name"] == INFO["package-name"]
    points = importlib.metadata.entry_points(group="apache_airflow_provider")
    (ours,) = (point for point in points if point.dist and point.dist.name == INFO["package-name"])
    assert ours.load() is get_provider_info


def test_provider_info_imports_next_to_nothing() -> None:
    """Every component of Airflow loads it, and the package must be readable without Airflow."""
    code = (
        "import sys, dataclasses, collections.abc, typing\n"
        "before = set(sys.modules)\n"
        f"import {PACKAGE.name}.get_provider_info\n"
        "print(*(name for name in sys.modules if name not in before))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True)
    names = {"get_provider_info", "client", "client.fields"}
    assert set(done.stdout.split()) - {"__future__"} == {PACKAGE.name, *(f"{PACKAGE.name}.{name}" for name in names)}


@pytest.mark.parametrize("kind", KINDS)
def test_modules_are_listed_and_hold_what_they_say(kind: str) -> None:
    listed = {module for block in INFO[kind] for module in block["python-modules"]}
    known = {block["integration-name"] for block in INFO["integrations"]}
    assert {block["integration-name"] for block in INFO[kind]} <= known
    for module in listed:
        members = vars(importlib.import_module(module)).values()
        ours = [item for item in members if inspect.isclass(item) and item.__module__ == module]
        assert any(issubclass(item, KINDS[kind]) for item in ours), module


def made_by_dags() -> list[type[BaseOperator]]:
    listed = [module for kind in ("operators", "sensors") for block in INFO[kind] for module in block["python-modules"]]
    found = [item for module in listed for item in vars(importlib.import_module(module)).values()]
    ours = [item for item in found if inspect.isclass(item) and item.__module__.startswith(f"{PACKAGE.name}.")]
    return sorted({item for item in ours if issubclass(item, BaseOperator)}, key=lambda item: item.__name__)


def arguments(kind: type[BaseOperator]) -> dict[str, Any]:
    """Return the default of each argument that a class names itself."""
    named = inspect.signature(kind.__init__).parameters.values() if "__init__" in vars(kind) else ()
    return {each.name: each.default for each in named if each.kind is each.KEYWORD_ONLY}


@pytest.mark.parametrize("kind", made_by_dags())
def test_a_mapped_task_has_the_defaults_of_airflow(kind: type[BaseOperator]) -> None:
    """Airflow takes what a mapped task declares from the signatures of its class, without making the operator."""
    ours = [item for item in kind.mro() if item.__module__.startswith(f"{PACKAGE.name}.")]
    theirs = [item for item in kind.mro() if issubclass(item, BaseOperator) and item not in ours]
    ours_with_default = {name for item in ours for name, value in arguments(item).items() if value is not REQUIRED}
    assert not ours_with_default & {name for item in theirs for name in arguments(item)}
    declared, expected = (item.partial(task_id="a").expand_kwargs([{}]).partial_kwargs for item in (kind, theirs[0]))
    assert declared == expected | ({"outlets": [DISPOSALS]} if issubclass(kind, DisposeOperator) else {})


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_asks_a_vendor_is_listed_under_it(kind: str) -> None:
    vendors = {"opus": "AvePoint Opus", "enaio": "OPTIMAL SYSTEMS enaio", "unifier": "Oracle Primavera Unifier"}
    for block in INFO[kind]:
        for module in block["python-modules"]:
            assert block["integration-name"] == vendors.get(module.rsplit(".", 1)[1], "Records disposal"), module


def test_links_are_those_of_the_operators() -> None:
    operators = {module for block in INFO["operators"] for module in block["python-modules"]}
    members = [item for module in operators for item in vars(importlib.import_module(module)).values()]
    used = {
        type(link) for item in members for link in getattr(item, "operator_extra_links", ()) if inspect.isclass(item)
    }
    ours = {f"{link.__module__}.{link.__name__}" for link in used if link.__module__.startswith(PACKAGE.name)}
    assert set(INFO["extra-links"]) == ours


def test_the_plugin_loads_without_what_only_the_api_server_needs() -> None:
    (point,) = (
        point
        for point in importlib.metadata.entry_points(group="airflow.plugins")
        if point.dist and point.dist.name == INFO["package-name"]
    )
    code = (
        "import sys, airflow.plugins_manager\n"
        "before = set(sys.modules)\n"
        f"from {point.module} import {point.attr}\n"
        "print(*(name for name in sys.modules if name not in before))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True, text=True)
    assert set(done.stdout.split()) - {"airflow_provider_records"} == {"airflow_provider_records.plugin"}


@pytest.mark.parametrize("block", INFO["connection-types"], ids=lambda block: block["connection-type"])
def test_connection_types(block: dict[str, Any]) -> None:
    module, name = block["hook-class-name"].rsplit(".", 1)
    hook = getattr(importlib.import_module(module), name)
    assert hook.conn_type == block["connection-type"]
    assert hook.hook_name == block["hook-name"]
    assert hook.default_conn_name == f"{hook.conn_type}_default"
    assert next(iter(inspect.signature(hook).parameters)) == hook.conn_name_attr
    for field, about in block["conn-fields"].items():
        assert "null" in about["schema"]["type"], f"the form would insist on {field}"
        assert about["description"]


def test_secrets_are_masked_by_their_names() -> None:
    from airflow.sdk._shared.secrets_masker import DEFAULT_SENSITIVE_FIELDS

    opus = next(block for block in INFO["connection-types"] if block["connection-type"] == "opus")
    masked = {name for name in opus["conn-fields"] if any(word in name for word in DEFAULT_SENSITIVE_FIELDS)}
    assert masked == {field.name for field in fields.OPUS if field.secret} == {"private_key"}


@pytest.mark.parametrize("block", INFO["connection-types"], ids=lambda block: block["connection-type"])
def test_the_form_shows_the_fields_that_the_hook_knows(block: dict[str, Any]) -> None:
    module, name = block["hook-class-name"].rsplit(".", 1)
    known = (*getattr(importlib.import_module(module), name).extra_fields, *fields.COMMON)
    assert list(block["conn-fields"]) == [field.name for field in known]


def test_registries_are_told_the_same() -> None:
    lines = (PACKAGE.parent / ".airflow-registry.yaml").read_text().splitlines()
    told = dict(line.split(": ", 1) for line in lines if not line.startswith("#"))
    assert told["package-name"] == INFO["package-name"]
    assert told["display-name"] == INFO["name"]
    assert told["description"].strip('"') == INFO["description"]


@pytest.mark.system
def test_airflow_lists_every_option(tmp_path: Path) -> None:
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "airflow", "config", "list", "--section", "records"]
    listed = subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=300).stdout
    names = {line.strip("# ").split(" ")[0] for line in listed.splitlines() if " =" in line}
    assert names == set(INFO["config"]["records"]["options"])


@since("3.2")
@pytest.mark.parametrize("name", INFO["config"]["records"]["options"])
def test_options_are_visible(name: str) -> None:
    option = INFO["config"]["records"]["options"][name]
    assert conf.get("records", name, fallback="missing") != "missing"
    assert {"description", "version_added", "type", "example", "default"} <= set(option)


@pytest.mark.parametrize("package", ["hooks", "operators", "sensors", "triggers"])
@pytest.mark.parametrize(("found", "works"), [("3.1.7", False), ("2.11.0", False), ("3.1.8rc1", True), ("3.4.0", True)])
def test_an_airflow_below_the_floor_is_refused_in_words(package: str, found: str, works: bool) -> None:
    code = (
        "import importlib.metadata\n"
        f"importlib.metadata.version = lambda name: {found!r}\n"
        "import airflow_provider_records, airflow_provider_records.get_provider_info\n"
        f"import airflow_provider_records.{package}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode == 0) is works
    said = f"RuntimeError: airflow-provider-records needs Airflow 3.1.8 or newer; {found} is installed"
    assert (said in done.stderr) is not works


def test_the_floor_is_the_one_of_the_metadata() -> None:
    required = importlib.metadata.requires(INFO["package-name"]) or []
    assert f"apache-airflow>={FLOOR}" in required
