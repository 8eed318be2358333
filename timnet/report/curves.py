"""How the training went: loss and accuracy per epoch of every fold, and which epoch was chosen."""

import numpy as np
from markupsafe import Markup

from timnet.models.base import EPOCH
from timnet.report import svg, text, words
from timnet.report.drawing import Drawing, Numbers
from timnet.report.gather import CorpusResult, FoldResult

MOST_POINTS = 160  # of a line: more cannot be told apart on a screen
SEES = {"last": "train", "validation": "validation", "test": "test"}  # which part's line carries the chosen epoch
CHOSEN = {"last": "always the last", "validation": "by validation data", "test": "ON THE TEST FOLD"}
TITLES = {"train": "training", "validation": "validation", "test": "test"}


def draw(corpus: CorpusResult) -> Drawing | str:
    folds = [fold for fold in corpus.finished if fold.history.num_rows]
    if not corpus.finished:
        return "No fold finished, so there is nothing to draw."
    if not folds and corpus.chosen != EPOCH:
        return "The model is fitted at once, without epochs, so there are no curves."
    if not folds:
        return "Stored weights were evaluated; the run did not train, so there are no curves."
    parts = [part for part in TITLES if any(_has(fold, part) for fold in folds)]
    stride = -(-max(fold.history.num_rows for fold in folds) // MOST_POINTS)
    panels = []
    for quantity in ("loss", "accuracy"):
        panels.append(_panel(folds, parts, quantity, SEES[corpus.selection], stride))
    chosen = SEES[corpus.selection]
    legend = [(svg.swatch(f"mean {part}"), f"{TITLES[part]}, mean over the folds") for part in parts]
    legend.append((svg.swatch(f"dot {chosen}", "circle"), f"chosen epoch of a fold ({CHOSEN[corpus.selection]})"))
    caption = (
        "Thin lines are folds, thick lines their mean. The training loss is the one that is minimised, with label "
        "smoothing and dropout, so it can lie above the others. The highest losses of the first epochs may be cut at the "
        "upper edge."
    )
    if corpus.averaged_from is not None:
        caption += f" {words.averaged(corpus)}"
    if stride > 1:
        caption += f" One epoch in {stride} is drawn."
    return Drawing(panels=panels, legend=legend, caption=caption, numbers=_numbers(folds, parts))


def _panel(folds: list[FoldResult], parts: list[str], quantity: str, chosen: str, stride: int) -> Markup:
    lines = {(fold.seed, fold.fold, part): _values(fold, part, quantity) for fold in folds for part in parts}
    finite = np.concatenate([line[np.isfinite(line)] for line in lines.values()] or [np.zeros(0)])
    top = 1.0 if quantity == "accuracy" or not len(finite) else 1.05 * float(np.quantile(finite, 0.995))
    epochs = max(fold.history.num_rows for fold in folds)
    panel = svg.Panel((1, epochs), (0, top), margins=(20, 12, 34, 44))
    panel.axes("epoch", quantity, percent_y=quantity == "accuracy")
    for (_, _, part), line in lines.items():
        kept = _kept(len(line), stride)
        panel.line(kept + 1, np.minimum(line[kept], top), f"thin {part}")
    for part in parts:
        having = [line for (_, _, of), line in lines.items() if of == part and np.isfinite(line).any()]
        shortest = min(len(line) for line in having)  # beyond, the mean would jump as folds drop out
        kept = _kept(shortest, stride)
        panel.line(kept + 1, np.minimum(np.mean([line[kept] for line in having], axis=0), top), f"mean {part}")
    for fold in folds:
        if fold.chosen_epoch is not None and 1 <= fold.chosen_epoch <= fold.history.num_rows:
            value = lines[fold.seed, fold.fold, chosen][fold.chosen_epoch - 1] if chosen in parts else np.nan
            tip = f"seed {fold.seed}, fold {fold.fold}: epoch {fold.chosen_epoch}"
            panel.mark(fold.chosen_epoch, min(value, top), f"dot {chosen}", tip=tip)
    means = "; ".join(f"{TITLES[part]} ends at {_end(folds, part, quantity)}" for part in parts)
    return panel.svg(f"{quantity.capitalize()} over {epochs} epochs of {text.count(len(folds), 'fold')}. Mean {means}.")


def _end(folds: list[FoldResult], part: str, quantity: str) -> str:
    last = [_values(fold, part, quantity)[-1] for fold in folds if _has(fold, part)]
    return text.percent(float(np.mean(last))) if quantity == "accuracy" else f"{np.mean(last):.3f}"


def _has(fold: FoldResult, part: str) -> bool:
    return fold.history[f"{part}_loss"].null_count < fold.history.num_rows


def _values(fold: FoldResult, part: str, quantity: str) -> np.ndarray:
    """float64 (n_epochs,), NaN where there is no value."""
    return np.array([np.nan if v is None else v for v in fold.history[f"{part}_{quantity}"].to_pylist()], np.float64)


def _kept(n_epochs: int, stride: int) -> np.ndarray:
    return np.unique(np.append(np.arange(0, n_epochs, stride), n_epochs - 1))


def _numbers(folds: list[FoldResult], parts: list[str]) -> Numbers:
    rows = []
    for fold in folds:
        at = (fold.chosen_epoch or fold.history.num_rows) - 1
        row = [str(fold.seed), str(fold.fold), str(fold.history.num_rows), str(fold.chosen_epoch or "–")]
        for part in parts:
            loss, accuracy = (_values(fold, part, quantity) for quantity in ("loss", "accuracy"))
            inside = at < len(loss) and np.isfinite(loss[at])
            row += [f"{loss[at]:.3f}" if inside else "–", text.percent(accuracy[at]) if inside else "–"]
        rows.append(row)
    header = ["Seed", "Fold", "Epochs", "Chosen"]
    header += [f"{TITLES[part].capitalize()} {quantity}" for part in parts for quantity in ("loss", "accuracy")]
    return Numbers("Loss and accuracy at the chosen epoch", header, rows)
