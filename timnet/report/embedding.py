"""What the models made of the recordings: t-SNE of the values before the classifier, one picture a fold.

Every fold has its own model, whose inner axes mean something else than another's. So the recordings of different folds
are never put into one picture: it would show the folds, not the emotions.
"""

import numpy as np
from markupsafe import Markup

from timnet.report import svg, text
from timnet.report.drawing import Drawing, Numbers
from timnet.report.gather import CorpusResult, FoldResult
from timnet.report.palette import colour_class, shape, slots

MOST_POINTS = 300  # of the large picture
MOST_POINTS_SMALL = 80  # of the others: t-SNE of ten folds then takes a second or two
MOST_SMALL = 9
FEWEST_POINTS = 8  # below, nearness says nothing
PERPLEXITY = 30  # van der Maaten's usual value; smaller where there are few points
ITERATIONS = 500
SEED = 0


def draw(corpus: CorpusResult) -> Drawing | str:
    if not corpus.finished:
        return "No fold finished, so there is nothing to draw."
    seed = corpus.finished[0].seed
    drawable = [(fold, rows) for fold in corpus.of_seed(seed) if (rows := _drawable(fold)) is not None]
    if not drawable:
        return f"No fold has {FEWEST_POINTS} test recordings that the model tells apart, so there is nothing to draw."
    fold, rows = drawable[0]
    large = _chosen(rows, MOST_POINTS)
    others = drawable[1 : 1 + MOST_SMALL]
    small = [(other, _chosen(of_other, MOST_POINTS_SMALL)) for other, of_other in others]
    points = (
        f"{len(large)} of its {len(rows)} test recordings"
        if len(large) < len(rows)
        else f"its {len(rows)} test recordings"
    )
    return Drawing(
        panels=[_panel(corpus, fold, large, 340, f"Fold {fold.fold}, seed {seed}")],
        legend=[
            (svg.swatch(f"point {colour_class(slot)}", shape(slot)), label)
            for label, slot in slots(corpus.labels).items()
        ]
        + [(svg.swatch("point e3 wrong", "circle"), "hollow: recognised as another emotion")],
        caption=f"One model, that of fold {fold.fold} under seed {seed}, and {points}; colour and shape give the "
        "true emotion. Near means alike to this model; distances between far groups, "
        "and directions, mean nothing. Each fold has its own model, so pictures cannot be compared point by point.",
        numbers=_numbers(corpus, fold, rows),
        more=[_panel(corpus, other, chosen, 200, f"Fold {other.fold}") for other, chosen in small],
        more_title=f"The models of {text.count(len(small), 'other fold')}" if small else "",
    )


def tsne(embedding: np.ndarray) -> np.ndarray:
    """Two coordinates from 0 to 1 a row, float64 (n, 2), of an embedding (n, n_values); the same on every call.

    One thread: with several, sums come out in another order, and t-SNE makes another picture of that.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        placed = TSNE(
            perplexity=min(PERPLEXITY, (len(embedding) - 1) / 3), init="pca", max_iter=ITERATIONS, random_state=SEED
        ).fit_transform(embedding.astype(np.float32))
    low, high = placed.min(axis=0), placed.max(axis=0)
    return (placed - low) / np.where(high > low, high - low, 1)


def _drawable(fold: FoldResult) -> np.ndarray | None:
    """Rows with a finite embedding; None where there are too few that differ."""
    embedding = _embedding(fold)
    rows = np.flatnonzero(np.isfinite(embedding).all(axis=1))
    different = len(np.unique(embedding[rows], axis=0)) if embedding.shape[1] > 1 else 0
    return rows if different >= FEWEST_POINTS else None


def _embedding(fold: FoldResult) -> np.ndarray:
    lists = fold.predictions["embedding"].to_pylist()
    widths = {len(values) for values in lists}
    return np.array(lists, np.float32) if len(widths) == 1 else np.zeros((len(lists), 0), np.float32)


def _chosen(rows: np.ndarray, at_most: int) -> np.ndarray:
    if len(rows) <= at_most:
        return rows
    return np.sort(np.random.default_rng(SEED).choice(rows, size=at_most, replace=False))


def _panel(corpus: CorpusResult, fold: FoldResult, rows: np.ndarray, width: int, title: str) -> Markup:
    placed = tsne(_embedding(fold)[rows])
    panel = svg.Panel((0, 1), (0, 1), width=width, height=width, margins=(34, 14, 14, 14))
    panel.frame()
    panel.text(4, 14, title, style="axis")
    small = width < 300
    slot = slots(corpus.labels)
    names = fold.predictions["utterance_id"].to_pylist()
    for (x, y), row in zip(placed, rows, strict=True):
        truth, predicted = corpus.labels[fold.truth[row]], corpus.labels[fold.predicted[row]]
        said = f"{names[row]}: {truth}" + ("" if truth == predicted else f", recognised as {predicted}")
        style = f"point {colour_class(slot[truth])}" + ("" if truth == predicted else " wrong")
        panel.mark(x, y, style, shape(slot[truth]), 2.6 if small else 4, tip="" if small else said)
    wrong = int((fold.truth[rows] != fold.predicted[rows]).sum())
    return panel.svg(
        f"t-SNE of the model of fold {fold.fold}, seed {fold.seed}: {text.count(len(rows), 'test recording')}, "
        f"{wrong} of them recognised wrongly."
    )


def _numbers(corpus: CorpusResult, fold: FoldResult, rows: np.ndarray) -> Numbers:
    """How well nearness goes with emotion, before t-SNE: the share of nearest neighbours of the same emotion."""
    embedding, truth = _embedding(fold)[rows].astype(np.float64), fold.truth[rows]
    squares = (embedding**2).sum(axis=1)
    distance = squares[:, None] + squares[None, :] - 2 * embedding @ embedding.T
    np.fill_diagonal(distance, np.inf)
    alike = truth[distance.argmin(axis=1)] == truth
    table = []
    for index, label in enumerate(corpus.labels):
        of_class = truth == index
        if of_class.any():
            right = (fold.predicted[rows] == truth)[of_class].mean()
            table.append([label, str(int(of_class.sum())), text.percent(right), text.percent(alike[of_class].mean())])
    return Numbers(
        f"Test recordings of fold {fold.fold}, and how often the nearest one has the same emotion (before t-SNE)",
        ["Emotion", "Recordings", "Recognised", "Nearest alike"],
        table,
    )
