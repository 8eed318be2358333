"""What a benchmark measured: pairs of times, the reference's and ours, taken in turn on one machine."""

import os
import platform
from dataclasses import dataclass, field

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


def table(found: list[Ratio]) -> str:
    lines = ["| what | reference | reference | ours | ratio |", "|---|---|---|---|---|"]
    for one in found:
        theirs, ours = (np.median([pair[side] for pair in one.pairs]) for side in (0, 1))
        spread = "" if len(one.pairs) == 1 else f" ({one.times.min():.1f} to {one.times.max():.1f})"
        lines.append(
            f"| {one.what} ({one.of}) | {one.reference} | {theirs:.2f} s | {ours:.2f} s | "
            f"**{np.median(one.times):.1f}**{spread} |"
        )
    notes = [f"- {one.what}: {note}." for one in found for note in one.notes]
    return "\n".join([*lines, "", *notes])


def machine() -> str:
    model = next(
        (line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    return f"{os.cpu_count()} CPUs ({model}), Python {platform.python_version()}"
