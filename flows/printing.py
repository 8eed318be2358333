"""Tables on a terminal."""

from collections.abc import Sequence


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows with columns as wide as their widest cell."""
    print("\n".join(lines(rows)))


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
