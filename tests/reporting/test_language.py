"""The languages of what people read: catalogues are whole, and dates and numbers are as the language has them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import airflow_provider_records
from airflow_provider_records.evidence.outcome import OutcomeKind
from airflow_provider_records.exceptions import ConfigurationError
from airflow_provider_records.reporting import said as sentences
from airflow_provider_records.reporting.language import ENGLISH, LOCALES, language
from airflow_provider_records.reporting.said import said
from airflow_provider_records.systems import SYSTEMS, system_class
from tests.reporting import catalogues

GERMAN, DUTCH = language("de"), language("nl")
PACKAGE = Path(airflow_provider_records.__file__).parent


@pytest.mark.parametrize("code", catalogues.CODES)
def test_a_catalogue_has_every_message_and_no_other(code: str) -> None:
    wanted = {message.id for message in catalogues.extracted() if message.id}
    found = catalogues.catalogue(code)
    assert len(wanted) > 300
    assert {message.id for message in found if message.id} == wanted
    assert not found.obsolete
    for message in found:
        if message.id:
            assert not message.fuzzy, message.id
            assert all(text.strip() for _, text in catalogues.forms(message)), message.id


@pytest.mark.parametrize("code", catalogues.CODES)
def test_a_translation_has_the_values_tags_and_edges_of_its_message(code: str) -> None:
    for message in catalogues.catalogue(code):
        if message.id:
            for english, text in catalogues.forms(message):
                assert catalogues.placeholders(text) == catalogues.placeholders(english), text
                assert re.findall(r"<[^>]*>|\*\*|`", text) == re.findall(r"<[^>]*>|\*\*|`", english), text
                assert (text[0] == " ", text[-1] in " .:") == (english[0] == " ", english[-1] in " .:"), text


@pytest.mark.parametrize("code", catalogues.CODES)
def test_the_compiled_catalogue_is_the_one_that_people_edit(code: str) -> None:
    assert catalogues.compiled(code) == catalogues.messages(catalogues.catalogue(code))


def test_another_language_is_refused_in_words() -> None:
    with pytest.raises(ConfigurationError, match=r"\[records\] language is 'fr'; .* en, de, nl\."):
        language("fr")


@pytest.mark.parametrize(
    ("code", "number", "time", "minute", "day"),
    [
        ("en", "1,172", "2 Nov 2026, 07:05:09", "2 Nov 2026, 07:05", "2 Nov 2026"),
        ("de", "1.172", "02.11.2026, 07:05:09", "02.11.2026, 07:05", "02.11.2026"),
        ("nl", "1.172", "2 nov 2026, 07:05:09", "2 nov 2026, 07:05", "2 nov 2026"),
    ],
)
def test_numbers_and_dates(code: str, number: str, time: str, minute: str, day: str) -> None:
    found = language(code)
    assert found.number(1172) == number
    for text in ("2026-11-02T07:05:09.123456Z", "2026-11-02T07:05:09", "2026-11-02 08:05:09+01:00"):
        assert (found.time(text), found.minute(text), found.day(text)) == (time, minute, day)
    assert found.time("2026-11-02") == day
    assert [found.time(text) for text in ("", "never", "2026-13-01T00:00:00Z")] == ["", "never", "2026-13-01T00:00:00Z"]


def test_values_are_filled_in_and_numbers_follow_the_language() -> None:
    assert GERMAN.ngettext("%(num)s record", "%(num)s records", 1) == "1 Unterlage"
    assert GERMAN.ngettext("%(num)s record", "%(num)s records", 1172) == "1.172 Unterlagen"
    assert DUTCH.ngettext("%(num)s record", "%(num)s records", 0) == "0 archiefstukken"
    assert ENGLISH.gettext("task %(task)s", task="100 %s") == "task 100 %s"
    for each in (ENGLISH, GERMAN):
        with pytest.raises(TypeError):
            each.ngettext("%(num)s record", "%(num)s records", "many")  # type: ignore[arg-type]


def test_a_sentence_of_the_evidence_is_read_in_the_language() -> None:
    reason = "nothing was sent: its retention has not ended: enaio keeps it until 2031-12-31"
    assert said(reason, ENGLISH) == reason
    assert said(reason, GERMAN) == (
        "nichts wurde gesendet: die Aufbewahrungsfrist ist nicht abgelaufen: enaio bewahrt sie bis 2031-12-31 auf"
    )
    assert said("locked by %(text)s", DUTCH) == "vergrendeld door %(text)s"
    assert said("nothing was sent: odd", GERMAN) == "nichts wurde gesendet: odd"


def test_what_is_no_sentence_of_ours_stays_as_it_is() -> None:
    for text in ("", "Key", "Gesperrt durch die Justiz", "100 % sure"):
        assert said(text, GERMAN) == text


def in_code() -> list[str]:
    """Return every text of the code that gives reasons."""
    found: list[str] = []
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name in {"systems", "execution", "evidence"}:
            nodes = ast.walk(ast.parse(path.read_text()))
            found += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return found


@pytest.mark.parametrize("message", sentences.REASONS)
def test_a_reason_that_is_translated_is_one_that_the_code_gives(message: str) -> None:
    texts = in_code()
    for part in re.split(r"%\(\w+\)s", message):
        for kind in OutcomeKind:
            part = part.removeprefix(f"{kind} ")
        for words in part.split(", "):
            assert any(words.strip(": ()") in text for text in texts), words


@pytest.mark.parametrize("code", catalogues.CODES)
@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("hard_delete", [True, False])
def test_all_that_a_system_says_of_itself_is_translated(
    name: str, code: str, hard_delete: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = object.__new__(system_class(name))
    monkeypatch.setattr(type(system), "hard_delete", hard_delete, raising=False)
    description = system.describe()
    for text in (description.method, *description.meanings.values(), *description.caveats):
        assert said(text, language(code)) != text, text
    assert set(description.meanings) <= {kind.value for kind in OutcomeKind}
    assert set(LOCALES) == {"en", *catalogues.CODES}
