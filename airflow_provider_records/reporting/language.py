"""The language of what people read: certificate page, approval request and the page "Disposals".

Evidence itself stays in English: what a program reads, or compares with files, must not depend on a setting. Sentences
that evidence holds are looked up when they are shown, see :mod:`airflow_provider_records.reporting.said`.
"""

from __future__ import annotations

import gettext
import re
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path

from airflow_provider_records.exceptions import ConfigurationError

LOCALES = {"en": "en_GB", "de": "de_DE", "nl": "nl_NL"}
"""The locale of each language, which formats dates and numbers. English dates have the day first, and no am or pm."""

CATALOGUES = Path(__file__).parent / "locale"
"""The folder of the catalogues, as gettext wants them."""

_FRACTION = re.compile(r"(?<=:\d\d)\.\d+")


def marked(message: str) -> str:
    """Mark a message for the catalogues; it is translated where it is shown."""
    return message


class Language:
    """A language with its catalogue and its formats.

    :param code: ``en``, ``de`` or ``nl``.
    :raises ConfigurationError: it is another one.
    """

    def __init__(self, code: str) -> None:
        if code not in LOCALES:
            raise ConfigurationError(
                f"[records] language is {code!r}; certificate, request and page speak {', '.join(LOCALES)}."
            )
        self.code = code
        self._catalogue = (
            gettext.NullTranslations() if code == "en" else gettext.translation("messages", CATALOGUES, [code])
        )

    def translate(self, message: str) -> str:
        """Return a message of the catalogue as it stands there; a message that it does not know stays English."""
        return self._catalogue.gettext(message) if message else ""

    def translate_plural(self, singular: str, plural: str, number: int) -> str:
        """Return the form of a message that fits a number, as it stands in the catalogue."""
        if type(number) is not int:
            raise TypeError(f"{number!r} is no whole number")
        return self._catalogue.ngettext(singular, plural, number)

    def gettext(self, message: str, **values: object) -> str:
        """Return a message with its values filled in.

        :param message: the English message, with ``%(name)s`` for a value.
        :param values: a whole number is formatted as the language has it.
        """
        return self.translate(message) % {name: self._shown(value) for name, value in values.items()}

    def ngettext(self, singular: str, plural: str, num: int, **values: object) -> str:
        """Return the form of a message that fits a number, which is the value ``num``; see :meth:`gettext`.

        :raises TypeError: it is no whole number.
        """
        values["num"] = num
        form = self.translate_plural(singular, plural, num)
        return form % {name: self._shown(value) for name, value in values.items()}

    def number(self, number: int) -> str:
        """Return a whole number with its digits in groups."""
        if self.code == "en":
            return f"{number:,}"
        from babel.numbers import format_decimal  # the command line verifies without Babel

        return str(format_decimal(number, locale=LOCALES[self.code]))

    def time(self, text: str) -> str:
        """Return an ISO 8601 time to the second, in UTC if it has a time zone; other text as it is."""
        return _formatted(_FRACTION.sub("", text), LOCALES[self.code], "medium")

    def minute(self, text: str) -> str:
        """Return an ISO 8601 time to the minute, as for :meth:`time`."""
        return _formatted(_FRACTION.sub("", text), LOCALES[self.code], "short")

    def day(self, text: str) -> str:
        """Return the day of an ISO 8601 time or date; other text as it is."""
        return _formatted(text[:10], LOCALES[self.code], "")

    def _shown(self, value: object) -> object:
        return self.number(value) if type(value) is int else value


@cache
def language(code: str) -> Language:
    """Return a language; its catalogue is read once.

    :raises ConfigurationError: it is none of :data:`LOCALES`.
    """
    return Language(code)


@lru_cache(maxsize=10_000)
def _formatted(text: str, locale: str, clock: str) -> str:
    """Format a time; the records of a certificate share most of theirs."""
    from babel.dates import format_date, format_time, get_datetime_format

    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    when = when.astimezone(UTC) if when.tzinfo else when
    day: str = format_date(when, "medium", locale)
    if not clock or len(text) == 10:
        return day
    return str(get_datetime_format("medium", locale)).format(format_time(when, clock, locale=locale), day)


ENGLISH = language("en")
