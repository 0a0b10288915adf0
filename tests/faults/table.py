"""The fault matrix as a table at the end of the test report."""

from __future__ import annotations

from typing import Any

_ABOUT = """\
What a task made of each fault on each call (tests/faults). Small letters: the outcomes of the try that met it, "ok",
"part" (a list that is shorter, never wrong) or "waits". Capital letters: the typed error it ended with (...Error)."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print one table for each vendor from the cells that tests recorded; nothing if none ran."""
    cells: dict[str, dict[tuple[str, str], str]] = {}
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "cell":
                vendor, row, column, word = value
                cells.setdefault(vendor, {})[row, column] = word
    for vendor, found in sorted(cells.items()):
        terminalreporter.section(f"fault matrix: {vendor}")
        for line in _table(found):
            terminalreporter.write_line(line)
    if cells:
        terminalreporter.write_line("")
        terminalreporter.write_line(_ABOUT)


def _table(cells: dict[tuple[str, str], str]) -> list[str]:
    rows = list(dict.fromkeys(row for row, _ in cells))
    columns = list(dict.fromkeys(column for _, column in cells))
    first = max(map(len, rows))
    widths = [max(len(column), *(len(word) for (_, at), word in cells.items() if at == column)) for column in columns]

    def line(name: str, words: list[str]) -> str:
        padded = [word.ljust(width) for word, width in zip(words, widths, strict=True)]
        return "  ".join([name.ljust(first), *padded]).rstrip()

    return [line("", columns), *(line(row, [cells.get((row, column), "") for column in columns]) for row in rows)]
