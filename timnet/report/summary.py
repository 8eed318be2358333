"""The numbers of a report: summary.json, and metrics.parquet with one row a number."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from timnet import metrics, tables
from timnet.report import words
from timnet.report.choices import choices
from timnet.report.gather import CorpusResult, FoldResult, RunResult
from timnet.report.pairs import pairs


def summarise(run: RunResult) -> dict[str, Any]:
    """summary.json: scores as fractions from 0 to 1, None where there is nothing to score. Stable for strangers are
    corpora.NAME.pooled, .fold_mean, .fold_sd and .folds.

    `pooled` is computed over the utterances of all folds together; with several seeds it is the mean over the seeds.
    `fold_mean` and `fold_sd` (n - 1) go over the folds of all seeds. Folds that failed are in none of them.
    """
    facts = run.facts
    return {
        "run_id": facts["run_id"],
        "kind": facts["kind"],
        "created": facts["created"],
        "unit": "fraction",
        "protocol": facts["protocol"],
        "folds_completed": sum(fold.completed for fold in run.folds),
        "folds_total": len(run.folds),
        "warnings": words.run_warnings(run),
        "corpora": {corpus.name: of_corpus(corpus) for corpus in run.corpora},
    }


def of_corpus(corpus: CorpusResult) -> dict[str, Any]:
    """What `summarise` says of one corpus."""
    by_seed = {seed: corpus.of_seed(seed) for seed in corpus.seeds}
    matrices = [corpus.matrix(folds) for folds in by_seed.values() if folds]
    over_folds = {name: metrics.mean_and_sd(_each(corpus, corpus.finished, name)) for name in metrics.SCORES}
    over_seeds = {
        name: metrics.mean_and_sd([float(score.of(matrix)) for matrix in matrices])
        for name, score in metrics.SCORES.items()
    }
    result = {
        "title": corpus.facts["title"],
        "synthetic": corpus.synthetic,
        "labels": corpus.labels,
        "n_utterances": corpus.manifest.num_rows,
        "n_tested": len({u for fold in corpus.finished for u in fold.predictions["utterance_id"].to_pylist()}),
        "folds_completed": len(corpus.finished),
        "folds_total": len(corpus.folds),
        "pooled": {name: over_seeds[name][0] for name in metrics.SCORES},
        "interval": _intervals(corpus),
        "fold_mean": {name: over_folds[name][0] for name in metrics.SCORES},
        "fold_sd": {name: over_folds[name][1] for name in metrics.SCORES},
        "seed_sd": {name: over_seeds[name][1] for name in metrics.SCORES},
        "seeds": {str(seed): _seed(corpus, folds) for seed, folds in by_seed.items()},
        "baselines": _baselines(corpus, matrices),
        "classes": _classes(corpus, matrices),
        "confusion": {"labels": corpus.labels, "counts": corpus.matrix(corpus.finished).tolist()},
        "folds": [_fold(corpus, fold) for fold in corpus.folds],
    }
    if (crossed := pairs(corpus)) is not None:
        result["pairs"] = crossed
    if (chosen := choices(corpus)) is not None:
        result["choices"] = chosen
    return {**result, "warnings": words.corpus_warnings(corpus, result)}


def _fold(corpus: CorpusResult, fold: FoldResult) -> dict[str, Any]:
    scored = _scores(corpus.matrix((fold,))) if fold.completed else dict.fromkeys(metrics.SCORES)
    return {
        "seed": fold.seed,
        "fold": fold.fold,
        **scored,
        "n": len(fold.truth) if fold.completed else fold.audit["n"]["test"],
        "state": fold.state,
        "error": fold.error,
        "chosen_epoch": fold.chosen_epoch,
        "seconds": fold.seconds,
        "reused": fold.reused,
    }


def _seed(corpus: CorpusResult, folds: tuple[FoldResult, ...]) -> dict[str, Any]:
    spread = {name: metrics.mean_and_sd(_each(corpus, folds, name)) for name in metrics.SCORES}
    return {
        "folds_completed": len(folds),
        "pooled": _scores(corpus.matrix(folds)),
        "fold_mean": {name: mean for name, (mean, _) in spread.items()},
        "fold_sd": {name: sd for name, (_, sd) in spread.items()},
    }


def _classes(corpus: CorpusResult, matrices: list[np.ndarray]) -> list[dict[str, Any]]:
    """Per emotion its utterances in the corpus and its scores, pooled over folds, mean over the seeds."""
    counts = Counter(corpus.manifest["emotion"].to_pylist())
    rows = []
    for index, label in enumerate(corpus.labels):
        of_class = {
            name: [score.of(matrix)[index] for matrix in matrices] for name, score in metrics.CLASS_SCORES.items()
        }
        defined = {name: [v for v in values if not np.isnan(v)] for name, values in of_class.items()}
        rows.append(
            {
                "emotion": label,
                "n": counts[label],
                **{name: metrics.mean_and_sd(values)[0] for name, values in defined.items()},
            }
        )
    return rows


def _baselines(corpus: CorpusResult, matrices: list[np.ndarray]) -> dict[str, Any]:
    """What needs no model, on the utterances that the scores are of; of the whole corpus where there are none."""
    of_all = next(iter(corpus.audits.values()))["baselines"]
    if not matrices:
        return of_all
    counts = [matrix.sum(axis=1) for matrix in matrices]
    most = int(np.sum(counts, axis=0).argmax())
    war = float(np.mean([of_seed[most] / of_seed.sum() for of_seed in counts]))
    return {**of_all, "majority_war": war, "majority_label": corpus.labels[most]}


def _intervals(corpus: CorpusResult) -> dict[str, Any]:
    """95 % intervals of the pooled scores by a bootstrap over speakers; utterances without a speaker count alone."""
    seeds = [seed for seed in corpus.seeds if corpus.of_seed(seed)]
    if not seeds:
        return {**dict.fromkeys(metrics.SCORES), "over": None, "n_clusters": 0}
    number: dict[tuple[str, str], int] = {}
    clusters = []
    for seed in seeds:
        keys = [
            ("speaker", speaker) if speaker is not None else ("utterance", utterance)
            for fold in corpus.of_seed(seed)
            for speaker, utterance in zip(
                fold.predictions["speaker"].to_pylist(), fold.predictions["utterance_id"].to_pylist(), strict=True
            )
        ]
        clusters.append(np.array([number.setdefault(key, len(number)) for key in keys], dtype=np.int64))
    matrices = np.stack(
        [
            metrics.confusions(
                np.concatenate([fold.truth for fold in corpus.of_seed(seed)]),
                np.concatenate([fold.predicted for fold in corpus.of_seed(seed)]),
                cluster,
                len(corpus.labels),
                len(number),
            )
            for seed, cluster in zip(seeds, clusters, strict=True)
        ]
    )
    kinds = sorted({kind for kind, _ in number})
    return {
        **{name: _as_list(metrics.interval(matrices, score.of)) for name, score in metrics.SCORES.items()},
        "over": " and ".join(f"{kind}s" for kind in kinds),
        "n_clusters": len(number),
    }


def metrics_table(run: RunResult) -> pa.Table:
    """metrics.parquet (tables.METRICS): every score of every fold, pooled per seed, and as the mean over the seeds.

    n_utterances is what a score stands on: the tested utterances, and for a score of one emotion those of that emotion.
    What is undefined, such as the recall of a class that a test part lacks, has no row.
    """
    rows: list[dict[str, Any]] = []
    for corpus in run.corpora:
        pooled = []
        for seed in corpus.seeds:
            folds = corpus.of_seed(seed)
            for fold in folds:
                rows += _rows(corpus, seed, fold.fold, corpus.matrix((fold,)))
            if folds:
                pooled.append(_rows(corpus, seed, None, corpus.matrix(folds)))
                rows += pooled[-1]
        rows += _over_seeds(pooled)
    return pa.Table.from_pylist(rows, schema=tables.METRICS)


def _rows(corpus: CorpusResult, seed: int, fold: int | None, matrix: np.ndarray) -> list[dict[str, Any]]:
    where = {"corpus": corpus.name, "seed": seed, "fold": fold}
    rows = [
        {**where, "metric": name, "emotion": None, "value": value, "n_utterances": int(matrix.sum())}
        for name, value in _scores(matrix).items()
    ]
    for name, score in metrics.CLASS_SCORES.items():
        for label, value, n in zip(corpus.labels, score.of(matrix), matrix.sum(axis=1), strict=True):
            if not np.isnan(value):
                rows.append({**where, "metric": name, "emotion": label, "value": float(value), "n_utterances": int(n)})
    return rows


def _over_seeds(pooled: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Rows of the means over the seeds; n_utterances is the largest of the seeds, not their sum."""
    values: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for rows in pooled:
        for row in rows:
            values.setdefault((row["metric"], row["emotion"]), []).append(row)
    return [
        {
            **same[0],
            "seed": None,
            "value": float(np.mean([row["value"] for row in same])),
            "n_utterances": max(row["n_utterances"] for row in same),
        }
        for same in values.values()
    ]


def predictions_table(run: RunResult) -> pa.Table:
    """predictions.parquet (tables.PREDICTIONS): what every finished fold predicted, one after the other."""
    found = [fold.predictions for fold in run.folds if fold.completed]
    return pa.concat_tables(found) if found else tables.PREDICTIONS.empty_table()


def _scores(matrix: np.ndarray) -> dict[str, float | None]:
    return {name: _or_none(score.of(matrix)) for name, score in metrics.SCORES.items()}


def _each(corpus: CorpusResult, folds: tuple[FoldResult, ...], name: str) -> list[float]:
    return [float(metrics.SCORES[name].of(corpus.matrix((fold,)))) for fold in folds]


def _or_none(value: np.ndarray) -> float | None:
    return None if np.isnan(value) else float(value)


def _as_list(ends: tuple[float, float] | None) -> list[float] | None:
    """An interval as JSON has it; None where there is none worth showing."""
    shown = metrics.of_width(ends)
    return None if shown is None else list(shown)
