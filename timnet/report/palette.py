"""Every colour of the page, for light and dark alike, as CSS variables; and which colour and shape an emotion has.

Colours of emotions start from Okabe and Ito's colour-blind-safe set, darkened or lightened until each has a contrast
of at least 3 to the page. Shapes differ too, so that no reading rests on colour alone.
"""

from collections.abc import Sequence

# name -> (light, dark)
COLOURS = {
    "page": ("#fbfaf7", "#14171b"),
    "card": ("#ffffff", "#1b1f25"),
    "ink": ("#1d2329", "#e8e5df"),
    "muted": ("#5a636d", "#a0a9b3"),
    "rule": ("#dfdbd2", "#343b44"),
    "accent": ("#0b5c92", "#7dbbea"),
    "alarm": ("#8f2f08", "#ffb08f"),
    "alarm-page": ("#fdeee6", "#38211a"),
    "made-up": ("#5d3a86", "#d3b5f3"),  # synthetic
    "made-up-page": ("#f3edfa", "#2a2135"),
    "train": ("#5a7183", "#8fa6b8"),
    "validation": ("#0b5c92", "#7dbbea"),
    "test": ("#b3400a", "#ff9466"),
}

# In this order an emotion has the same colour and shape in every corpus; labels of one's own take what is left.
EMOTIONS = ("angry", "happy", "sad", "neutral", "fear", "disgust", "surprise", "calm", "boredom")
EMOTION_COLOURS = (
    ("#d04a00", "#ff8552"),
    ("#a87400", "#f0b63f"),
    ("#0069a8", "#5fadea"),
    ("#5f6b76", "#aab4be"),
    ("#7a3fa3", "#c79be8"),
    ("#007a58", "#43cfa1"),
    ("#2a86bb", "#93d4fb"),
    ("#b94c90", "#f0a3d0"),
    ("#86563a", "#d3a588"),
    ("#23282e", "#f1ede5"),
    ("#667a00", "#b9cb4d"),
    ("#a3003c", "#ff7f9f"),
)
SHAPES = ("circle", "square", "triangle", "diamond", "wedge", "hexagon")

# Ends of the heat map's ramps: hits on the diagonal, confusions beside it. (light, dark)
HITS = (("#ffffff", "#1b1f25"), ("#08507f", "#8cc8f2"))
MISSES = (("#ffffff", "#1b1f25"), ("#b3400a", "#ffa27a"))
STEPS = 10  # of a ramp: 0 is nothing


def slots(labels: Sequence[str]) -> dict[str, int]:
    """A number for each label that decides its colour and shape."""
    taken = {label: EMOTIONS.index(label) for label in labels if label in EMOTIONS}
    free = [number for number in range(len(labels) + len(EMOTION_COLOURS)) if number not in taken.values()]
    spare = iter([n for n in free if n >= len(EMOTIONS)] + [n for n in free if n < len(EMOTIONS)])
    return {label: taken[label] if label in taken else next(spare) for label in labels}


def colour_class(slot: int) -> str:
    return f"e{slot % len(EMOTION_COLOURS)}"


def shape(slot: int) -> str:
    """Shapes shift with every round of the colours, so that a colour comes again with another shape."""
    return SHAPES[(slot + slot // len(EMOTION_COLOURS)) % len(SHAPES)]


def heat_class(share: float, hit: bool) -> str:
    """Class of a cell of the confusion matrix; any confusion at all shows, and half of a class confused is the darkest."""
    step = round(min(share if hit else 2 * share, 1) * STEPS)
    return f"{'hit' if hit else 'miss'}{max(step, 1) if share > 0 else 0}"


def heat(hit: bool, step: int, dark: bool) -> tuple[str, str]:
    """(background, text) of a heat map's cell: the text is black or white, what contrasts more."""
    low, high = HITS if hit else MISSES
    background = _mix(low[dark], high[dark], step / STEPS)
    inks = ("#000000", "#ffffff")
    return background, max(inks, key=lambda ink: contrast(ink, background))


def contrast(one: str, other: str) -> float:
    """Contrast of two hex colours after WCAG 2, from 1 to 21."""
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def css() -> str:
    """The variables and classes of all colours; paper is printed light."""
    return f":root{{{_variables(dark=False)}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{_variables(dark=True)}}}}}\n{_classes()}"


def _variables(dark: bool) -> str:
    values = {name: pair[dark] for name, pair in COLOURS.items()}
    values |= {f"e{number}": pair[dark] for number, pair in enumerate(EMOTION_COLOURS)}
    for kind in ("hit", "miss"):
        for step in range(STEPS + 1):
            values[f"{kind}{step}"], values[f"{kind}{step}-ink"] = heat(kind == "hit", step, dark)
    return ";".join(f"--{name}:{value}" for name, value in values.items())


def _classes() -> str:
    emotions = [f".e{n}{{fill:var(--e{n});stroke:var(--e{n})}}" for n in range(len(EMOTION_COLOURS))]
    cells = [
        f".{kind}{step}{{background:var(--{kind}{step});color:var(--{kind}{step}-ink)}}"
        for kind in ("hit", "miss")
        for step in range(STEPS + 1)
    ]
    return "\n".join(emotions + cells)


def _rgb(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def _mix(low: str, high: str, share: float) -> str:
    parts = [round(a + (b - a) * share) for a, b in zip(_rgb(low), _rgb(high), strict=True)]
    return "#" + "".join(f"{part:02x}" for part in parts)


def _luminance(colour: str) -> float:
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in _rgb(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
