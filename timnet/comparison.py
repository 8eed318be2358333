"""Which of two runs is better, from what both recognised of the same utterances.

Two scores side by side do not say whether their difference means anything. Since both runs were tested on the same
utterances, those that one recognises and the other does not carry all there is to know, and two questions are asked:

Would the difference come about on these utterances if both runs were equally good? With one training seed each, McNemar's
exact test answers it. With several, an utterance is recognised by a share of the trainings, and the difference of the two
shares takes the place of McNemar's yes or no: the paired randomisation test, which gives each utterance's difference to
either run with equal chance. It is exact where both have as many seeds and nearly so otherwise, and with one each it is
McNemar's. A vote of the trainings would not do: it judges ensembles that nobody scored, and five votes beat one of the very
same model. Both tests take the utterances as independent, which those of one speaker are not, and know nothing of other
trainings.

How large would the difference be for other speakers? The bootstrap of timnet.metrics answers it: whole speakers are drawn,
the same ones for both runs and all seeds, and the difference of the mean scores is taken in every draw. It is rough, and
rather too narrow, below about ten speakers.

Neither is enough alone: a difference stands where the test calls chance unlikely and the interval does not hold 0.
"""

from dataclasses import dataclass

import numpy as np

from timnet import metrics
from timnet.recognised import Recognised, check_alike

COMPARED = ("uar", "war")  # rows of metrics.SCORES
SIGNIFICANT = 0.05  # below, chance alone is taken for unlikely


@dataclass(frozen=True)
class Difference:
    """A score of both runs, each the mean over its seeds, as fractions."""

    name: str  # a row of metrics.SCORES
    a: float
    b: float
    interval: tuple[float, float] | None  # 95 %, of a - b; None with fewer than two speakers

    @property
    def difference(self) -> float:
        return self.a - self.b


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same utterances of one corpus."""

    a: str
    b: str
    corpus: str
    n_utterances: int
    n_seeds: tuple[int, int]  # of a and of b
    scores: dict[str, Difference]
    only_a: float  # utterances that a recognises and b does not: the mean over all pairs of their trainings
    only_b: float
    p_value: float
    test: str  # what gave the p-value
    over: str  # what the bootstrap draws: speakers, utterances, or both where only some speakers are known
    n_clusters: int


def compare(a: Recognised, b: Recognised, n_draws: int = metrics.N_DRAWS) -> Comparison:
    """Compare two runs that were tested on the same utterances; their protocols, models and seeds may be different.

    Raises TimnetError where corpus, labels, utterances, speakers or true emotions differ.
    """
    check_alike(a, b)
    hits_a, hits_b = (run.predicted == run.truth for run in (a, b))
    n_a, n_b = len(hits_a), len(hits_b)
    often_a, often_b = hits_a.sum(axis=0), hits_b.sum(axis=0)  # of n_a and of n_b trainings
    one_each = n_a == n_b == 1
    only_a = float((often_a * (n_b - often_b)).sum() / (n_a * n_b))
    only_b = float(((n_a - often_a) * often_b).sum() / (n_a * n_b))
    clusters, over = _clusters(a)
    matrices = np.concatenate([_matrices(run, clusters) for run in (a, b)])
    return Comparison(
        a=a.run,
        b=b.run,
        corpus=a.corpus,
        n_utterances=len(a.truth),
        n_seeds=(n_a, n_b),
        scores={name: _difference(name, matrices, n_a, n_draws) for name in COMPARED},
        only_a=only_a,
        only_b=only_b,
        p_value=mcnemar(int(only_a), int(only_b)) if one_each else randomisation(n_b * often_a - n_a * often_b),
        test="McNemar's exact test" if one_each else "paired randomisation test",
        over=over,
        n_clusters=matrices.shape[1],
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p of McNemar's test from the utterances that one recognises alone; 1 where there are none."""
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def randomisation(gains: np.ndarray) -> float:
    """Two-sided exact p of the sum of whole numbers, int (n,), if each had either sign with equal chance; 1 if all are 0."""
    from scipy.stats import binom

    gains = gains[gains != 0]
    if not len(gains):
        return 1.0
    gains = gains // np.gcd.reduce(gains)
    chances = np.ones(1)  # of each sum of the positive ones, from 0 to all of them
    for size, count in zip(*np.unique(np.abs(gains), return_counts=True), strict=True):
        of_size = np.zeros(size * count + 1)
        of_size[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, of_size)
    n = len(chances) - 1
    sums = 2 * np.arange(n + 1) - n  # positive ones minus negative ones
    return float(min(1.0, chances[np.abs(sums) >= abs(gains.sum())].sum()))


def sentences(found: Comparison) -> list[str]:
    """The comparison in words: who recognises what the other does not, whether that may be chance, and each score."""
    a, b, n = found.a, found.b, found.n_utterances
    only_a, only_b = (f"{v:.0f}" if found.n_seeds == (1, 1) else f"{v:.1f}" for v in (found.only_a, found.only_b))
    trainings = (
        ""
        if found.n_seeds == (1, 1)
        else f"On average over their {found.n_seeds[0]} and {found.n_seeds[1]} trainings, "
    )
    verdict = "chance alone hardly explains it" if found.p_value < SIGNIFICANT else "it may well be chance"
    return [
        f"{trainings}{a} recognises {only_a} of {n} recordings of {found.corpus} that {b} does not, and {b} recognises "
        f"{only_b} that {a} does not.",
        f"If both were equally good, a difference as large as this or larger would come about in {_cases(found.p_value)} "
        f"(p = {found.p_value:.2g}, {found.test}): {verdict}.",
        *(_sentence(score, found) for score in found.scores.values()),
    ]


def _sentence(score: Difference, found: Comparison) -> str:
    title, points = metrics.SCORES[score.name].title, 100 * score.difference
    side = (
        "as high as"
        if points == 0
        else f"{abs(points):.2f} percentage points {'higher' if points > 0 else 'lower'} than"
    )
    said = f"The {title} of {found.a} is {side} that of {found.b} ({100 * score.a:.2f} % and {100 * score.b:.2f} %)"
    if score.interval is None and found.n_clusters > 1:
        return f"{said}; all {found.n_clusters} {found.over} agree, so how much it varies cannot be said."
    if score.interval is None:
        return f"{said}; what it would be for other speakers, nobody can say with fewer than two."
    low, high = score.interval
    said += (
        f"; the 95 % interval of this difference goes from {100 * low:+.2f} to {100 * high:+.2f} points, over "
        f"{found.n_clusters} {found.over}: "
    )
    if found.n_clusters < metrics.FEW_CLUSTERS:
        return f"{said}so few that it is rough, and rather too narrow."
    same = "could be none or go the other way" if low <= 0 <= high else "would probably go the same way"
    return f"{said}with {'other speakers' if found.over == 'speakers' else 'other recordings'} it {same}."


def _cases(p: float) -> str:
    if p < 0.001:
        return "fewer than 1 of 1000 such comparisons"
    return f"{1000 * p:.0f} of 1000 such comparisons" if p < 0.01 else f"{100 * p:.0f} of 100 such comparisons"


def _difference(name: str, matrices: np.ndarray, n_a: int, n_draws: int) -> Difference:
    """A score of the first n_a seeds' confusion matrices and of the others', (n_seeds, n_clusters, n_classes, n_classes)."""
    of, n_seeds = metrics.SCORES[name].of, len(matrices)
    each = of(matrices.sum(axis=1))
    # The interval is one of a mean over the seeds; with these factors, that mean is a's mean minus b's.
    factors = n_seeds * np.concatenate([np.full(n_a, 1 / n_a), np.full(n_seeds - n_a, -1 / (n_seeds - n_a))])
    interval = metrics.of_width(metrics.interval(matrices, lambda drawn: factors * of(drawn), n_draws))
    return Difference(name, float(each[:n_a].mean()), float(each[n_a:].mean()), interval)


def _clusters(run: Recognised) -> tuple[np.ndarray, str]:
    """Number of each utterance's speaker, of its own where the speaker is not known, and what these are."""
    keys = [
        ("utterance", utterance) if speaker is None else ("speaker", speaker)
        for speaker, utterance in zip(run.speaker, run.utterance_id, strict=True)
    ]
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    return np.array([number[key] for key in keys]), " and ".join(f"{kind}s" for kind in sorted({k for k, _ in keys}))


def _matrices(run: Recognised, clusters: np.ndarray) -> np.ndarray:
    """Confusion matrix of every cluster under every seed, (n_seeds, n_clusters, n_classes, n_classes)."""
    n = clusters.max() + 1
    return np.stack([metrics.confusions(run.truth, p, clusters, len(run.labels), n) for p in run.predicted])
