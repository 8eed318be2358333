"""What choosing on the test fold gains: the same trainings with the epoch that honest choices would have named."""

from typing import Any

import numpy as np
import pyarrow as pa

from timnet import metrics
from timnet.comparison import COMPARED, compare
from timnet.errors import TimnetError
from timnet.recognised import Recognised, recognised
from timnet.report import text
from timnet.report.gather import CorpusResult, FoldResult

TEST = "test"


def choices(corpus: CorpusResult) -> dict[str, Any] | None:
    """Scores by what chose, the mean over the seeds, and how much better the test fold's choice looks.

    None where the test part chose nothing, or where the folds do not say what else might have chosen. Folds that failed
    count nowhere; the differences and their intervals are left out then.
    """
    names = [name for name in text.CHOSEN if name != TEST and all(name in fold.choices for fold in corpus.finished)]
    if not corpus.finished or not names:
        return None
    try:
        leaky = _recognised(corpus, TEST) if len(corpus.finished) == len(corpus.folds) else None
    except TimnetError:  # some folds of several seeds, which test other recordings under each
        leaky = None
    return {name: _scores(corpus, name) | _gain(corpus, leaky, name) for name in (*names, TEST)}


def rows(found: dict[str, Any]) -> list[list[str]]:
    """A row a choice for people: words, WAR, UAR, and by how much the choice on the test fold is higher in UAR."""
    return [
        [
            f"chosen {text.CHOSEN[name]}",
            *(text.percent(of[score]) for score in COMPARED[::-1]),
            text.points(of["gain"]["uar"]["difference"], of["gain"]["uar"]["interval"]) if "gain" in of else "–",
        ]
        for name, of in found.items()
    ]


def _scores(corpus: CorpusResult, name: str) -> dict[str, Any]:
    n = len(corpus.labels)
    by_seed = [
        np.sum([metrics.confusion(fold.truth, _predicted(fold, name), n) for fold in corpus.of_seed(seed)], axis=0)
        for seed in corpus.seeds
        if corpus.of_seed(seed)
    ]
    return {score: float(np.mean([row.of(matrix) for matrix in by_seed])) for score, row in metrics.SCORES.items()}


def _gain(corpus: CorpusResult, leaky: Recognised | None, name: str) -> dict[str, Any]:
    """By how much the choice on the test fold is above this one, with its interval over speakers."""
    if leaky is None or name == TEST:
        return {}
    found = compare(leaky, _recognised(corpus, name))
    return {
        "gain": {
            score: {"difference": of.difference, "interval": None if of.interval is None else list(of.interval)}
            for score, of in found.scores.items()
        },
        "p_value": found.p_value,
    }


def _recognised(corpus: CorpusResult, name: str) -> Recognised:
    found = []
    for fold in corpus.finished:
        table = fold.predictions
        column = table.schema.get_field_index("predicted")
        named = [corpus.labels[index] for index in _predicted(fold, name)]
        found.append(table.set_column(column, table.schema.field(column), pa.array(named)))
    return recognised(name, pa.concat_tables(found), corpus.name, tuple(corpus.labels))


def _predicted(fold: FoldResult, name: str) -> np.ndarray:
    return fold.predicted if name == TEST else fold.choices[name][1]
