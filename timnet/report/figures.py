"""FIGURES: the plots of the page. A new one is a row here and a function from a corpus's results to a Drawing.

A function that has nothing to draw returns a sentence that says why; it never raises because folds failed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from markupsafe import Markup

from timnet import metrics
from timnet.report import curves, embedding, svg, text
from timnet.report.drawing import Drawing, Numbers
from timnet.report.gather import CorpusResult

BINS = 24  # of the durations


@dataclass(frozen=True)
class Figure:
    name: str
    title: str
    section: Literal["results", "folds", "data"]  # of the corpus's part of the page
    draw: Callable[[CorpusResult], Drawing | str]


def fold_scores(corpus: CorpusResult) -> Drawing | str:
    """WAR and UAR of every fold, a row a seed, with mean and standard deviation."""
    seeds = [seed for seed in corpus.seeds if corpus.of_seed(seed)]
    if not seeds:
        return "No fold finished, so there is nothing to draw."
    panels, rows = [], []
    for name in ("war", "uar"):
        score = metrics.SCORES[name]
        each = {
            seed: [(fold.fold, float(score.of(corpus.matrix((fold,))))) for fold in corpus.of_seed(seed)]
            for seed in seeds
        }
        lowest = min(value for folds in each.values() for _, value in folds)
        panel = svg.Panel(
            (min(np.floor(10 * lowest) / 10, 0.9), 1),
            (0, len(seeds)),
            height=64 + 30 * len(seeds),
            margins=(10, 16, 44, 72),
        )
        panel.axes(f"{score.title} of a fold", percent_x=True)
        for row, (seed, folds) in enumerate(each.items()):
            values = [value for _, value in folds]
            mean, sd = float(np.mean(values)), metrics.mean_and_sd(values)[1]
            middle = len(seeds) - row - 0.5  # the first seed on top
            panel.text(0, panel.y(middle) + 4, f"seed {seed}")
            if sd is not None:
                panel.bar((max(mean - sd, panel.left_end), min(mean + sd, 1)), (middle - 0.28, middle + 0.28), "band")
            panel.line((mean, mean), (middle - 0.35, middle + 0.35), "middle")
            for fold, value in folds:
                panel.mark(value, middle, "dot validation", tip=f"fold {fold}: {text.percent(value)}")
            rows.append(
                [score.title, str(seed), str(len(values))]
                + [text.percent(v) for v in (mean, sd, min(values), max(values))]
            )
        spread = "; ".join(f"seed {s}: " + ", ".join(text.percent(v) for _, v in folds) for s, folds in each.items())
        panels.append(panel.svg(f"{score.title} of every fold. {spread}."))
    return Drawing(
        panels=panels,
        caption="A dot is a fold, the line their mean, the band one standard deviation to both sides.",
        numbers=Numbers("Over the folds", ["Score", "Seed", "Folds", "Mean", "sd", "Lowest", "Highest"], rows),
    )


def durations(corpus: CorpusResult) -> Drawing | str:
    """How long the recordings are, and which of them the model sees only in part."""
    seconds = corpus.manifest["duration_s"].to_numpy()
    if len(seconds) == 0:
        return "The corpus has no recordings."
    end = max(float(seconds.max()), corpus.signal_s or 0) * 1.02
    counts, edges = np.histogram(seconds, bins=BINS, range=(0, end))
    panel = svg.Panel((0, end), (0, float(counts.max()) * 1.05), height=180, margins=(20, 12, 34, 44))
    panel.axes("duration in s", "recordings")
    for n, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        if n:
            panel.bar((left, right), (0, float(n)), "column")
    caption = "How long the recordings are."
    if corpus.signal_s is not None:
        panel.line((corpus.signal_s, corpus.signal_s), (0, float(counts.max()) * 1.05), "limit")
        longer = int((seconds > corpus.signal_s).sum())
        caption = (
            f"The model sees {corpus.signal_s:.2f} s (dashed line): shorter recordings are padded with silence on both "
            f"sides, longer ones ({longer} of {len(seconds)}) lose their ends."
        )
    emotions = np.array(corpus.manifest["emotion"].to_pylist())
    rows = []
    for label in corpus.labels:
        of_class = seconds[emotions == label]
        if len(of_class):
            values = (of_class.min(), np.median(of_class), of_class.max())
            rows.append([label, str(len(of_class)), *(f"{value:.2f}" for value in values)])
    shortest, median, longest = seconds.min(), np.median(seconds), seconds.max()
    return Drawing(
        panels=[panel.svg(f"Durations from {shortest:.2f} to {longest:.2f} s, median {median:.2f} s.")],
        caption=caption,
        numbers=Numbers("Duration in seconds", ["Emotion", "Recordings", "Shortest", "Median", "Longest"], rows),
    )


def score_bar(value: float, ends: list[float] | None, baseline: float, says: str) -> Markup:
    """The small scale under a headline number: 0 to 100 %, its interval and what needs no model."""
    panel = svg.Panel((0, 1), (0, 1), height=30, margins=(4, 6, 14, 6))
    panel.bar((0, 1), (0.42, 0.58), "track")
    if ends is not None:
        panel.bar((ends[0], ends[1]), (0.25, 0.75), "band")
    panel.line((baseline, baseline), (0, 1), "limit")
    panel.mark(value, 0.5, "dot validation", radius=4.5)
    for tick, anchor in ((0, "start"), (0.5, "middle"), (1, "end")):
        panel.text(panel.x(tick), 28, svg.percent_tick(tick), anchor)
    return panel.svg(says)


FIGURES = {
    figure.name: figure
    for figure in (
        Figure("learning-curves", "How the training went", "results", curves.draw),
        Figure("embedding", "How the model sorts the recordings", "results", embedding.draw),
        Figure("fold-scores", "Spread over the folds", "folds", fold_scores),
        Figure("durations", "Durations", "data", durations),
    )
}
