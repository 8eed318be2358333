"""What a model that was trained on one corpus recognises in another, for every ordered pair: numbers and heat map."""

from typing import Any

import numpy as np

from timnet import metrics
from timnet.cross_corpus import corpus_of
from timnet.report import palette, text
from timnet.report.gather import CorpusResult, FoldResult


def pairs(corpus: CorpusResult) -> dict[str, Any] | None:
    """Scores of every ordered pair of corpora and their mean, as summary.json has them; None for other runs.

    With several seeds each score is the mean over them. `interval` is a bootstrap over the speakers of the tested corpus.
    """
    names = corpus.facts.get("sources")
    if not names:
        return None
    rows = []
    for number, source in enumerate(names, start=1):
        folds = [fold for fold in corpus.finished if fold.fold == number]
        rows += [_pair(corpus, folds, source, target) for target in names if target != source]
    return {
        "rows": rows,
        "mean": {name: _mean([row[name] for row in rows]) for name in metrics.SCORES},
        "sd": {
            name: metrics.mean_and_sd([row[name] for row in rows if row[name] is not None])[1]
            for name in metrics.SCORES
        },
    }


def _pair(corpus: CorpusResult, folds: list[FoldResult], source: str, target: str) -> dict[str, Any]:
    keys: dict[tuple[bool, str], int] = {}
    found = []
    for fold in folds:
        ids, speakers = (fold.predictions[name].to_pylist() for name in ("utterance_id", "speaker"))
        at = np.array([i for i, utterance in enumerate(ids) if corpus_of(utterance) == target])
        own = [(speakers[i] is None, ids[i] if speakers[i] is None else speakers[i]) for i in at]
        cluster = np.array([keys.setdefault(key, len(keys)) for key in own])
        found.append((fold.truth[at], fold.predicted[at], cluster))
    scored: dict[str, Any] = {"source": source, "target": target, "n": len(found[0][0]) if found else 0}
    if not found:
        return {**scored, **dict.fromkeys(metrics.SCORES), "interval": dict.fromkeys(metrics.SCORES)}
    n = len(corpus.labels)
    matrices = np.stack([metrics.confusions(*fold, n, len(keys)) for fold in found])
    each = matrices.sum(axis=1)
    intervals = {name: metrics.of_width(metrics.interval(matrices, score.of)) for name, score in metrics.SCORES.items()}
    return {
        **scored,
        **{name: float(score.of(each).mean()) for name, score in metrics.SCORES.items()},
        "interval": {name: ends and list(ends) for name, ends in intervals.items()},
    }


def _mean(values: list[float | None]) -> float | None:
    return metrics.mean_and_sd([value for value in values if value is not None])[0]


def heat_map(corpus: CorpusResult, found: dict[str, Any]) -> dict[str, Any]:
    """What the page shows: a row a training corpus, a column a tested one, UAR in the cells."""
    names = corpus.facts["sources"]
    by_pair = {(row["source"], row["target"]): row for row in found["rows"]}
    return {
        "names": names,
        "rows": [
            {"name": source, "cells": [_cell(by_pair.get((source, target))) for target in names]} for source in names
        ],
        "means": [
            (metrics.SCORES[name].title, text.spread(found["mean"][name], found["sd"][name])) for name in ("uar", "war")
        ],
        "table": [
            [row["source"], row["target"], str(row["n"])]
            + [text.with_interval(row[name], row["interval"][name]) for name in ("war", "uar", "f1_macro")]
            for row in found["rows"]
        ],
    }


def _cell(row: dict[str, Any] | None) -> dict[str, str]:
    if row is None:
        return {"share": "", "style": "", "tip": "training and test on one corpus are the other reports' business"}
    if row["uar"] is None:
        return {"share": "–", "style": "", "tip": "the training failed"}
    tip = f"trained on {row['source']}, tested on {row['n']} recordings of {row['target']}: UAR "
    return {
        "share": f"{100 * row['uar']:.1f}",
        "style": palette.heat_class(row["uar"], hit=True),
        "tip": tip + text.with_interval(row["uar"], row["interval"]["uar"]),
    }
