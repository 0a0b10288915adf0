"""The fault matrix as a table at the end of the test report."""

from __future__ import annotations

from typing import Any

from tests.faults.chance import MORE

_ABOUT = f"""\
What a task made of each fault (rows) on each call (columns), tests/faults. Small letters: the outcomes of the try that
met it, or "ok", "part" (a list that is shorter, never wrong), "waits" (a sensor). Capital letters: the typed error.
In every cell: nothing outside of the list was deleted, nothing was called gone that lives, the outcomes add up, no
secret was kept, no other host was called; without the fault, the retry did the rest, each record once.
{MORE}=20 pytest tests/faults: the property tests beside it with twenty times as many examples, others each time."""
_SHORT = {
    "UnreadableAnswer": "Unreadable",
    "Authentication": "Login",
    "AccessDenied": "Right",
    "WrongAddress": "Address",
    "not_attempted": "not-sent",
}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the tables from the cells that tests recorded; nothing if none ran."""
    cells: dict[str, dict[tuple[str, str], str]] = {}
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "cell":
                table, row, column, words = value
                cells.setdefault(table, {})[row, column] = " ".join(_SHORT.get(word, word) for word in words.split())
    for table, found in sorted(cells.items()):
        terminalreporter.section(f"fault matrix: {table}")
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
