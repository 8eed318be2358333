"""Tables on a terminal."""

import re
from collections.abc import Sequence

# What a terminal obeys or a line breaks at: control characters, separators of lines, and turns of the direction.
_NOT_SHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """One line for a terminal, whatever is in the names of files: what is not shown is written as in Python."""
    return _NOT_SHOWN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows with columns as wide as their widest cell."""
    print("\n".join(lines(rows)))


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with columns as wide as their widest cell, each one printable line."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
