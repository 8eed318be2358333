"""Scores of recognised emotions, all computed from one confusion matrix, so that a total and its interval agree.

A confusion matrix is an integer array of shape (..., n_classes, n_classes): row the true class, column the recognised
one. Leading axes are folds, speakers or bootstrap draws; every score takes them along.

WAR, weighted average recall, is the accuracy. UAR, unweighted average recall, is the mean of the recalls of the classes
that are present in the truth (scikit-learn's balanced accuracy). A class that a fold's test part lacks is therefore left
out of that fold's UAR and of its macro F1, instead of counting as 0; the pooled scores see every class.
Scores are fractions from 0 to 1; what is undefined is NaN.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

N_DRAWS = 2000  # of the bootstrap: the ends of a 95 % interval then stand on 50 draws each
DRAWS_AT_ONCE = 250  # keeps the weights of 5 531 utterances below 12 MB
LEVEL = 0.95


def confusion(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Confusion matrix, int64 (n_classes, n_classes), of two int arrays of class indices of one length.

    Raises ValueError where the lengths differ or an index is not in 0 … n_classes - 1.
    """
    return confusions(truth, predicted, np.zeros(len(truth), dtype=np.int64), n_classes, 1)[0]


def confusions(
    truth: np.ndarray, predicted: np.ndarray, group: np.ndarray, n_classes: int, n_groups: int
) -> np.ndarray:
    """One confusion matrix a group, int64 (n_groups, n_classes, n_classes); `group` numbers each utterance's group."""
    if not len(truth) == len(predicted) == len(group):
        raise ValueError(
            f"truth, predicted and group are of one length, received {len(truth)}, {len(predicted)} and {len(group)}."
        )
    for name, values, n_values in (
        ("truth", truth, n_classes),
        ("predicted", predicted, n_classes),
        ("group", group, n_groups),
    ):
        if len(values) and not 0 <= np.min(values) <= np.max(values) < n_values:
            raise ValueError(
                f"{name} holds indices from 0 to {n_values - 1}, received {np.min(values)} to {np.max(values)}."
            )
    cells = (np.asarray(group, np.int64) * n_classes + truth) * n_classes + predicted
    return np.bincount(cells.astype(np.int64), minlength=n_groups * n_classes**2).reshape(
        n_groups, n_classes, n_classes
    )


# -- scores of a confusion matrix (..., n_classes, n_classes) ----------------------------------------------------------


def recall(matrix: np.ndarray) -> np.ndarray:
    """Recognised share of each true class, (..., n_classes); NaN where the truth lacks the class."""
    return _ratio(_hits(matrix), matrix.sum(axis=-1))


def precision(matrix: np.ndarray) -> np.ndarray:
    """Right share of what was recognised as each class, (..., n_classes); NaN where the class was never recognised."""
    return _ratio(_hits(matrix), matrix.sum(axis=-2))


def f1(matrix: np.ndarray) -> np.ndarray:
    """Harmonic mean of precision and recall, (..., n_classes); 0 for a class that was there and never recognised."""
    return _ratio(2 * _hits(matrix), matrix.sum(axis=-1) + matrix.sum(axis=-2))


def war(matrix: np.ndarray) -> np.ndarray:
    """Weighted average recall, the accuracy, (...)."""
    return _ratio(_hits(matrix).sum(axis=-1), matrix.sum(axis=(-2, -1)))


def uar(matrix: np.ndarray) -> np.ndarray:
    """Unweighted average recall over the classes present in the truth, (...)."""
    return _mean_of_present(recall(matrix), matrix)


def f1_macro(matrix: np.ndarray) -> np.ndarray:
    """Mean F1 over the classes present in the truth, (...)."""
    return _mean_of_present(f1(matrix), matrix)


@dataclass(frozen=True)
class Score:
    """A score of a whole confusion matrix, or of each class in it."""

    name: str  # in metrics.parquet and summary.json
    title: str
    meaning: str
    of: Callable[[np.ndarray], np.ndarray]


SCORES = {
    score.name: score
    for score in (
        Score("war", "WAR", "weighted average recall, the share of all recordings that is recognised", war),
        Score("uar", "UAR", "unweighted average recall, the mean over the emotions, each counting alike", uar),
        Score("f1_macro", "macro F1", "mean over the emotions of the harmonic mean of precision and recall", f1_macro),
    )
}

CLASS_SCORES = {
    score.name: score
    for score in (
        Score("recall", "Recall", "share of the recordings of an emotion that is recognised as it", recall),
        Score(
            "precision", "Precision", "share of the recordings recognised as an emotion that really is it", precision
        ),
        Score("f1", "F1", "harmonic mean of precision and recall", f1),
    )
}


def scores(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> dict[str, float]:
    """Every row of SCORES for int arrays of class indices: {"war", "uar", "f1_macro"}, fractions."""
    matrix = confusion(truth, predicted, n_classes)
    return {name: float(score.of(matrix)) for name, score in SCORES.items()}


# -- over folds, seeds and speakers ------------------------------------------------------------------------------------


def mean_and_sd(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation (n - 1 in the denominator); None where there are too few values.

    With n - 1 the published per-fold accuracies of EMODB have the published sd, 3.94; with n it would be 3.74.
    """
    if len(values) == 0:
        return None, None
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def interval(
    matrices: np.ndarray, score: Callable[[np.ndarray], np.ndarray], n_draws: int = N_DRAWS, seed: int = 0
) -> tuple[float, float] | None:
    """95 % percentile interval of a score by a bootstrap over whole clusters: speakers, as a rule.

    `matrices`: (n_seeds, n_clusters, n_classes, n_classes), the confusion matrix of every cluster under every training
    seed. The clusters are drawn with replacement, the same ones for all seeds, and the mean over the seeds is what is
    scored: the interval says what other speakers would have given, not what other trainings would. It is rough, and
    rather too narrow, below about ten clusters. None where there are fewer than two. A seed whose folds failed may lack
    clusters; draws of nothing but those leave it out of their mean.
    """
    n_seeds, n_clusters, n_classes, _ = matrices.shape
    if n_clusters < 2:
        return None
    flat = matrices.swapaxes(0, 1).reshape(n_clusters, -1).astype(np.float64)
    random = np.random.default_rng(seed)
    drawn: list[np.ndarray] = []
    for start in range(0, n_draws, DRAWS_AT_ONCE):
        n_now = min(DRAWS_AT_ONCE, n_draws - start)
        picks = random.integers(n_clusters, size=(n_now, n_clusters)) + n_clusters * np.arange(n_now)[:, None]
        times = np.bincount(picks.ravel(), minlength=n_now * n_clusters).reshape(n_now, n_clusters)
        totals = (times.astype(np.float64) @ flat).reshape(n_now, n_seeds, n_classes, n_classes)
        each = score(totals)
        defined = ~np.isnan(each)
        drawn.append(_ratio(np.where(defined, each, 0).sum(axis=1), defined.sum(axis=1)))
    low, high = np.quantile(np.concatenate(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def of_width(ends: tuple[float, float] | None) -> tuple[float, float] | None:
    """An interval worth showing: None where its ends are equal, as with 100 % everywhere.

    No width would claim a certainty there is not.
    """
    return None if ends is None or ends[0] == ends[1] else ends


FEW_CLUSTERS = 10  # below, a bootstrap over them is rough


def _hits(matrix: np.ndarray) -> np.ndarray:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _mean_of_present(per_class: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    present = matrix.sum(axis=-1) > 0
    return _ratio(np.where(present, per_class, 0).sum(axis=-1), present.sum(axis=-1))
