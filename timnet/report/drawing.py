"""What a figure's function hands to the page."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup


@dataclass(frozen=True)
class Numbers:
    """The table behind a plot, for whoever cannot see it or wants to know exactly."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Drawing:
    panels: Sequence[Markup]  # SVG, laid out beside each other where there is room
    caption: str  # what is to be seen, in a sentence or two
    numbers: Numbers
    legend: Sequence[tuple[Markup, str]] = ()
    more: Sequence[Markup] = field(default=())  # smaller panels that unfold
    more_title: str = ""
