"""How good the folds of a trained model were, each on the recordings that it was tested on, from what they predicted."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from timnet.report import gather, words
from timnet.report.summary import of_corpus
from timnet.store import Store

# What of a corpus's summary says how good the model is.
_KEPT = (
    "pooled",
    "interval",
    "fold_mean",
    "fold_sd",
    "baselines",
    "folds_completed",
    "folds_total",
    "choices",
    "warnings",
)


def scores(store: Store, facts: Mapping[str, Any], corpus: str, wanted: Callable[[int, int], bool]) -> dict[str, Any]:
    """The scores of the folds of a run that are wanted, by seed and fold, as summary.json has those of all folds.

    `sharing` says besides what training and test have in common, and which parts lack an emotion. `facts` is run.json. Empty where the store has no more
    what the recordings are, or how they were cut into folds.
    """
    entry = facts["corpora"][corpus]
    needed = [
        f"{entry['manifest']}/manifest.parquet",
        *(f"{one['split']}/audit.json" for one in entry["seeds"].values()),
    ]
    if not all(map(store.exists, needed)):
        return {}
    seeds = {
        seed: {**of_seed, "folds": [one for one in of_seed["folds"] if wanted(int(seed), one["fold"])]}
        for seed, of_seed in entry["seeds"].items()
    }
    part = {**entry, "seeds": {seed: one for seed, one in seeds.items() if one["folds"]}, "sources": None}
    result = gather.of_corpus(store, corpus, {**facts, "corpora": {corpus: part}})
    audits = {
        seed: {**audit, "folds": [fold for fold in audit["folds"] if wanted(seed, fold["fold"])]}
        for seed, audit in result.audits.items()
    }
    result = replace(result, audits=audits)
    summary = of_corpus(result)
    kept = {key: summary[key] for key in _KEPT if key in summary}
    return kept | {"sharing": [*words.sharing(result), *words.lacking(result)]}
