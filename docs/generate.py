"""What pages of the site take from the code: ``<!-- generated: NAME -->`` stands for the table of that name.

A hook of MkDocs; importing the provider needs Airflow.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

from airflow_provider_records import cli, exceptions
from airflow_provider_records.client import fields
from airflow_provider_records.client.fields import Field
from airflow_provider_records.evidence.outcome import OutcomeKind, Proof
from airflow_provider_records.get_provider_info import get_provider_info
from airflow_provider_records.systems import SYSTEMS, system_class

PACKAGE = Path(str(cli.__file__)).parent
MARK = re.compile(r"^<!-- generated: (.+) -->$", re.MULTILINE)
ROLE = re.compile(r":(?:class|data|func|meth):<code>~?([\w.]+)</code>")


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401 - MkDocs passes more
    """Put each table where a page names it.

    :raises KeyError: there is no such table.
    """
    return MARK.sub(lambda found: GENERATED[found[1]](), markdown)


def on_page_content(html: str, **_: Any) -> str:  # noqa: ANN401 - MkDocs passes more
    """Show a cross-reference of a docstring by its last name, as Sphinx would."""
    return ROLE.sub(lambda found: f"<code>{found[1].rpartition('.')[2]}</code>", html)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def values(field: Field) -> str:
    """Say what a field of a connection may hold."""
    if field.choices:
        return ", ".join(f"`{code}`" for code in field.choices)
    kinds = {"integer": "whole number", "path": "path from `/`", "file": "path of a file", "tls": "text"}
    bounds = f" from {field.minimum:g} to {fields.GREATEST_NUMBER}" if field.type in {"number", "integer"} else ""
    return kinds.get(field.type, field.type) + bounds


def connection_fields() -> str:
    """Return the extra fields of the connections."""
    owners = (*fields.OF_TYPE.items(), ("all", fields.COMMON))
    return table(
        ("type", "extra field", "value", "if empty", "what it is for"),
        (
            (
                kind,
                f"`{each.name}`",
                values(each),
                "" if each.default is None else f"`{each.default}`",
                each.description,
            )
            for kind, own in owners
            for each in own
        ),
    )


def options() -> str:
    """Return the options of Airflow's configuration."""
    info: Any = get_provider_info()
    return table(
        ("`[records]`", "default", "example", "meaning"),
        (
            (
                f"`{name}`",
                f"`{about['default']}`" if about["default"] else "",
                f"`{about['example']}`",
                about["description"],
            )
            for name, about in info["config"]["records"]["options"].items()
        ),
    )


def provider_info() -> str:
    """Return the modules that the provider registers."""
    info: Any = get_provider_info()
    return table(
        ("integration", "kind", "modules"),
        (
            (each["integration-name"], kind, ", ".join(f"`{module}`" for module in each["python-modules"]))
            for kind in ("hooks", "operators", "sensors", "triggers")
            for each in info[kind]
        ),
    )


def described(module: str, name: str) -> dict[str, str]:
    """Return the docstring behind each value of an enumeration, by the member's name."""
    spec = find_spec(module)
    tree = ast.parse(Path(str(spec and spec.origin)).read_text())
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return {
        ast.unparse(member.targets[0]): text.value.value
        for member, text in pairwise(body)
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(text.value.value, str)
    }


def outcomes() -> str:
    """Return the outcomes with their meaning."""
    meaning = described(OutcomeKind.__module__, OutcomeKind.__name__)
    return table(
        ("outcome", "meaning", "another try"),
        (
            (f"`{kind}`", meaning[kind.name], "leaves it as it is" if kind.final else "carries on with it")
            for kind in OutcomeKind
        ),
    )


def proofs() -> str:
    """Return the proofs with their meaning."""
    meaning = described(Proof.__module__, Proof.__name__)
    return table(("proof", "meaning"), ((f"`{proof}`", meaning[proof.name]) for proof in Proof))


def systems() -> str:
    """Return what each system says of itself, in each of its ways to delete."""
    parts = []
    for name in SYSTEMS:
        system: Any = system_class(name).from_connection(f"{name}_default")
        for hard in (False, True) if hasattr(system, "hard_delete") else (None,):
            if hard is not None:
                system.hard_delete = hard
            about = system.describe()
            meanings = [f"- `{outcome}`: {said}" for outcome, said in about.meanings.items()]
            lines = [*([] if hard else [f"### {about.title}", ""]), f"**{about.method}.**", ""]
            parts.append("\n".join((*lines, *meanings, *(f"- {each}" for each in about.caveats))))
    return "\n\n".join(parts)


def errors() -> str:
    """Return every error of the provider."""
    found = [
        each
        for each in vars(exceptions).values()
        if isinstance(each, type) and issubclass(each, exceptions.RecordsError)
    ]
    return table(
        ("error", "meaning", "another try"),
        (
            (
                f"`{each.__name__}`",
                (each.__doc__ or "").partition("\n\n")[0].replace("\n", " "),
                "may help" if each.retry else "does not help",
            )
            for each in found
            if each not in (exceptions.RecordsError, exceptions.VendorError)
        ),
    )


def text(node: ast.expr | None) -> str:
    """Return the text that an expression makes, with an ellipsis for each part that is known at run time only."""
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=parts):
            return "".join(text(part) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text(left) + text(right)
    return "…"


def reasons_in(path: Path) -> Iterator[tuple[str, str]]:
    """Return each reason that a module gives an outcome, with the outcome."""
    tree = ast.parse(path.read_text())
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        said = [
            (node.lineno, text(node.value))
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "reason"
        ]
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            given = [*call.args, *(word.value for word in call.keywords)]
            kinds = [
                OutcomeKind[node.attr]
                for node in given
                if isinstance(node, ast.Attribute) and node.attr in OutcomeKind.__members__
            ]
            if kinds and any(isinstance(node, ast.Name) and node.id == "reason" for node in given):
                before = [each for line, each in sorted(said) if line < call.lineno]
                yield str(kinds[0]), before[-1] if before else "…"
            elif kinds:
                yield from ((str(kinds[0]), found) for node in given if (found := text(node)).strip("… :"))


def reasons() -> str:
    """Return the reasons that an outcome may state, by outcome."""
    found = {
        (kind, reason)
        for folder in ("systems", "execution")
        for path in (PACKAGE / folder).glob("*.py")
        for kind, reason in reasons_in(path)
        if len(re.findall("[a-z]", reason)) >= 15
    }
    order = [str(kind) for kind in OutcomeKind]
    rows = sorted(found, key=lambda each: (order.index(each[0]), each[1]))
    return table(("outcome", "reason"), ((f"`{kind}`", reason) for kind, reason in rows))


def command() -> str:
    """Return the help of each command."""
    os.environ["COLUMNS"] = "100"  # argparse asks for the width of the terminal
    _, commands = cli.command_line()
    return "\n\n".join(f"## {name}\n\n```text\n{each.format_help()}```" for name, each in commands.items())


GENERATED: dict[str, Callable[[], str]] = {
    "command": command,
    "connection fields": connection_fields,
    "errors": errors,
    "options": options,
    "outcomes": outcomes,
    "proofs": proofs,
    "provider info": provider_info,
    "reasons": reasons,
    "systems": systems,
}
