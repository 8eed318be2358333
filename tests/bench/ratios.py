"""What a benchmark measured: pairs of times, the reference's and ours, taken in turn on one machine; and other tables."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass
class Ratio:
    what: str
    reference: str
    pairs: list[tuple[float, float]]  # seconds of the reference and ours, a pair a round
    of: str  # what was done in that time
    notes: list[str] = field(default_factory=list)

    @property
    def times(self) -> np.ndarray:
        """How many times as fast ours is, a number a round."""
        return np.array([theirs / ours for theirs, ours in self.pairs])


@dataclass
class Table:
    """Measurements that are no ratios, under a title of their own."""

    title: str
    about: str  # what was measured, and how; a paragraph
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: list[str] = field(default_factory=list)


def table(found: Sequence[Ratio | Table]) -> str:
    """The ratios in one table with their notes, then each of the other tables; as Markdown."""
    ratios = [one for one in found if isinstance(one, Ratio)]
    parts = [_ratios(ratios)] if ratios else []
    for one in found:
        if isinstance(one, Table):
            notes = "\n".join(f"- {note}." for note in one.notes)
            parts += [f"## {one.title}", one.about, lines(one.head, one.rows), notes]
    return "\n\n".join(part for part in parts if part)


def _ratios(found: Sequence[Ratio]) -> str:
    rows = []
    for one in found:
        theirs, ours = (np.median([pair[side] for pair in one.pairs]) for side in (0, 1))
        spread = "" if len(one.pairs) == 1 else f" ({one.times.min():.1f} to {one.times.max():.1f})"
        times = f"**{np.median(one.times):.1f}**{spread}"
        rows.append([f"{one.what} ({one.of})", one.reference, f"{theirs:.2f} s", f"{ours:.2f} s", times])
    notes = [f"- {one.what}: {note}." for one in found for note in one.notes]
    return "\n".join([lines(["what", "reference", "reference", "ours", "ratio"], rows), "", *notes]).rstrip()


def lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---" for _ in head], *rows))


def spread(values: Sequence[float], unit: str = "s") -> str:
    """The median of some rounds, and the smallest and largest."""
    return f"{np.median(values):.2f} {unit} ({min(values):.2f} to {max(values):.2f})"


def machine() -> str:
    about = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in about if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} CPUs ({model}), Python {platform.python_version()}"
