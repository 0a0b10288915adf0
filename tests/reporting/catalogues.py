"""Keep the catalogues in step with the code.

    python -m tests.reporting.catalogues

adds messages that are new to the catalogues of German and Dutch, takes out those that are gone, and compiles each.
A message that is new has no translation yet; a test fails until it has one.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

import airflow_provider_records
from airflow_provider_records.reporting.language import CATALOGUES, LOCALES

PACKAGE = Path(airflow_provider_records.__file__).parent
CODES = sorted(LOCALES.keys() - {"en"})
KEYWORDS = {"_": None, "gettext": None, "marked": None, "ngettext": (1, 2), "_gettext": None, "_ngettext": (1, 2)}
_HEADER = r"""msgid ""
msgstr ""
"Language: {code}\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"
"Content-Type: text/plain; charset=utf-8\n"
"""
PLACEHOLDER = re.compile(r"%(?:\((\w+)\)s|(.?))")


def extracted() -> Catalog:
    """Return every message of the code and the templates."""
    found = Catalog(project=PACKAGE.name)
    methods = [("**/reporting/**.py", "python"), ("**/plugin/**.py", "python"), ("**/operators/**.py", "python")]
    methods.append(("**/task/**.py", "python"))
    methods.append(("**/templates/**.html", "jinja2"))
    options = {"**/templates/**.html": {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}}
    messages = extract_from_dir(PACKAGE, methods, options, KEYWORDS, (), strip_comment_tags=False)
    for file, _, message, _, _ in sorted(messages, key=lambda each: (each[0], each[1])):
        found.add(message, locations=[(file, 0)])
    return found


def catalogue(code: str) -> Catalog:
    """Return the catalogue of a language as it lies in the package."""
    with _path(code, "po").open("rb") as file:
        return read_po(file, code)


def compiled(code: str) -> dict[object, object]:
    """Return what the compiled catalogue in the package says, by message."""
    with _path(code, "mo").open("rb") as file:
        return messages(read_mo(file))


def messages(found: Catalog) -> dict[object, object]:
    """Return what a catalogue says, by message."""
    return {_plain(message.id): _plain(message.string) for message in found if message.id}


def _plain(text: object) -> object:
    return tuple(text) if isinstance(text, (list, tuple)) else text


def forms(message: Message) -> Iterator[tuple[str, str]]:
    """Return each translated form of a message with the English form that it stands for."""
    if isinstance(message.id, str):
        yield message.id, str(message.string)
    else:
        yield from zip(message.id, message.string or (), strict=True)


def placeholders(text: str) -> list[str]:
    """Return the names of a message's values, sorted; another percent sign than ``%%`` is one without a name."""
    return sorted({name or sign for name, sign in PLACEHOLDER.findall(text)})


def update() -> None:
    """Write the catalogues anew."""
    template = extracted()
    for code in CODES:
        path = _path(code, "po")
        path.parent.mkdir(parents=True, exist_ok=True)
        found = catalogue(code) if path.exists() else Catalog(locale=code)
        found.update(template, no_fuzzy_matching=True, update_creation_date=False)
        found.obsolete.clear()
        content = io.BytesIO()
        write_po(content, found, width=120, sort_by_file=True, include_lineno=False, omit_header=True)
        path.write_bytes(_HEADER.format(code=code).encode() + content.getvalue())
        found = catalogue(code)
        found.creation_date = datetime(2026, 11, 27, tzinfo=UTC)
        with _path(code, "mo").open("wb") as file:
            write_mo(file, found)


def _path(code: str, kind: str) -> Path:
    return CATALOGUES / code / "LC_MESSAGES" / f"messages.{kind}"


if __name__ == "__main__":
    update()
