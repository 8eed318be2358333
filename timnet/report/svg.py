"""Drawing small plots as SVG that takes its colours and fonts from the page, so that dark mode and print work.

Everything is a Markup: what is put in by `.format` is escaped. Coordinates have one decimal, which is a tenth of a pixel.
"""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

NOTHING = Markup("")


class Panel:
    """One plot with linear axes. Widths are pixels on a phone; on a wider page the plot grows a little."""

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        width: int = 340,
        height: int = 220,
        margins: tuple[int, int, int, int] = (10, 10, 34, 40),  # top, right, bottom, left
    ):
        self.width, self.height = width, height
        self.top, right, bottom, self.left = margins
        self.right, self.bottom = width - right, height - bottom
        self._x, self._y = _widened(x), _widened(y)
        self._parts: list[Markup] = []

    @property
    def left_end(self) -> float:
        """The smallest value of x that is inside."""
        return self._x[0]

    def x(self, value: float) -> float:
        low, high = self._x
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self._y
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def add(self, markup: Markup) -> None:
        self._parts.append(markup)

    def axes(self, x_title: str, y_title: str = "", *, percent_x: bool = False, percent_y: bool = False) -> None:
        """Grid lines with numbers, and what the axes show; no y title means that the rows name themselves."""
        for tick in ticks(*self._x):
            label = percent_tick(tick) if percent_x else number(tick)
            self.line((tick, tick), self._y, "grid")
            self.text(self.x(tick), self.bottom + 14, label, "middle")
        self.text((self.left + self.right) / 2, self.height - 4, x_title, "middle", "axis")
        if y_title:
            for tick in ticks(*self._y):
                label = percent_tick(tick) if percent_y else number(tick)
                self.line(self._x, (tick, tick), "grid")
                self.text(self.left - 6, self.y(tick) + 4, label, "end")
            self.text(self.left, self.top - 6, y_title, "start", "axis")

    def frame(self) -> None:
        """A quiet ground for plots whose axes mean nothing."""
        shape = Markup('<rect class="frame" x="{}" y="{}" width="{}" height="{}" rx="6"/>')
        edge = 10
        self.add(
            shape.format(
                self.left - edge, self.top - edge, self.right - self.left + 2 * edge, self.bottom - self.top + 2 * edge
            )
        )

    def line(self, x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray, style: str) -> None:
        """A line through data points; it breaks where a value is not finite."""
        for run in _finite_runs(np.asarray(x, np.float64), np.asarray(y, np.float64)):
            points = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in run)
            self.add(Markup('<polyline class="{}" points="{}"/>').format(style, points))

    def bar(self, x: tuple[float, float], y: tuple[float, float], style: str) -> None:
        left, right = sorted((self.x(x[0]), self.x(x[1])))
        top, bottom = sorted((self.y(y[0]), self.y(y[1])))
        shape = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
        self.add(shape.format(style, left, top, right - left, bottom - top))

    def mark(self, x: float, y: float, style: str, shape: str = "circle", radius: float = 3.5, tip: str = "") -> None:
        if np.isfinite(x) and np.isfinite(y):
            self.add(marker(self.x(x), self.y(y), style, shape, radius, tip))

    def text(self, x: float, y: float, words: str, anchor: str = "start", style: str = "") -> None:
        """Words at a place given in pixels."""
        shape = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}"{}>{}</text>')
        self.add(shape.format(x, y, anchor, Markup(' class="{}"').format(style) if style else NOTHING, words))

    def svg(self, says: str) -> Markup:
        """The plot; `says` is read out to whoever cannot see it."""
        head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(self.width, self.height, says)
        return head + NOTHING.join(self._parts) + Markup("</svg>")


def marker(x: float, y: float, style: str, shape: str, radius: float, tip: str = "") -> Markup:
    """A filled shape around a point in pixels, all shapes of about one area, with a text shown under the mouse."""
    title = Markup("<title>{}</title>").format(tip) if tip else NOTHING
    if shape == "circle":
        circle = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}">{}</circle>')
        return circle.format(style, x, y, radius, title)
    corners, turn, size = _SHAPES[shape]
    angles = turn + np.arange(corners) * 2 * np.pi / corners
    points = " ".join(f"{x + size * radius * np.sin(a):.1f},{y - size * radius * np.cos(a):.1f}" for a in angles)
    return Markup('<polygon class="{}" points="{}">{}</polygon>').format(style, points, title)


# shape -> (corners, turn of the first from the top in radians, size against the circle's radius)
_SHAPES = {
    "square": (4, np.pi / 4, 1.3),
    "triangle": (3, 0.0, 1.45),
    "diamond": (4, 0.0, 1.35),
    "wedge": (3, np.pi, 1.45),
    "hexagon": (6, 0.0, 1.15),
}


def swatch(style: str, shape: str | None = None) -> Markup:
    """A legend's sample: a line of a style, or a marker of a shape."""
    inside = (
        marker(8, 8, style, shape, 4.5) if shape else Markup('<polyline class="{}" points="0,8 16,8"/>').format(style)
    )
    return Markup('<svg class="swatch" viewBox="0 0 16 16" aria-hidden="true">{}</svg>').format(inside)


def ticks(low: float, high: float, at_most: int = 6) -> list[float]:
    """Round numbers from low to high: steps of 1, 2, 2.5 or 5 times a power of ten."""
    rough = (high - low) / (at_most - 1)
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [float(n * step) + 0.0 for n in np.arange(first, last + 1)]  # + 0.0: no minus before a zero


def number(value: float) -> str:
    return f"{value:.4g}"


def percent_tick(value: float) -> str:
    return f"{100 * value:.0f} %"


def _widened(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _finite_runs(x: np.ndarray, y: np.ndarray) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for a, b in zip(x, y, strict=True):
        if np.isfinite(a) and np.isfinite(b):
            runs[-1].append((a, b))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]
