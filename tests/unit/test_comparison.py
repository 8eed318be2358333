"""Two runs compared: against scipy, by hand, and in simulations where the true difference is known."""

import time

import numpy as np
import pytest
from scipy import stats

from timnet import metrics
from timnet.comparison import Comparison, Difference, compare, mcnemar, randomisation, sentences
from timnet.recognised import Recognised

LABELS = ("angry", "happy", "sad")


def answers(run, truth, predicted, speaker=None, **changes):
    predicted = np.atleast_2d(predicted)
    n = len(truth)
    fields = {
        "corpus": "EMODB",
        "labels": LABELS,
        "utterance_id": tuple(f"u{i:04d}" for i in range(n)),
        "speaker": (None,) * n if speaker is None else tuple(f"s{s}" for s in speaker),
    }
    return Recognised(run, truth=np.asarray(truth), predicted=predicted, **(fields | changes))


def of_hits(run, hits, speaker=None):
    """A run that recognises two classes, or takes one for the other; hits is bool (n_seeds, n) or (n,)."""
    hits = np.atleast_2d(hits)
    truth = np.arange(hits.shape[1]) % 2
    return answers(run, truth, np.where(hits, truth, 1 - truth), speaker, labels=("angry", "sad"))


def test_by_hand():
    truth = [0, 0, 0, 0, 1, 1, 2, 2]
    a = answers("A", truth, [0, 0, 0, 1, 1, 1, 2, 0])  # recalls 3/4, 1, 1/2
    b = answers("B", truth, [0, 0, 1, 0, 0, 0, 2, 2])  # recalls 3/4, 0, 1
    found = compare(a, b)
    assert (found.only_a, found.only_b, found.n_utterances, found.n_seeds) == (3, 2, 8, (1, 1))
    assert found.scores["war"].difference == pytest.approx(6 / 8 - 5 / 8)
    assert found.scores["uar"].difference == pytest.approx(0.75 - 1.75 / 3)
    # Of 5 tosses, 3 to 2 or further from the middle is every outcome there is.
    assert found.p_value == pytest.approx(1)
    assert (found.over, found.n_clusters, found.test) == ("utterances", 8, "McNemar's exact test")


def test_exchanged_runs_exchange_everything():
    random = np.random.default_rng(0)
    speaker = np.arange(120) % 12
    a, b = of_hits("A", random.random((3, 120)) < 0.8, speaker), of_hits("B", random.random((2, 120)) < 0.7, speaker)
    one, other = compare(a, b), compare(b, a)
    assert (one.only_a, one.only_b, one.p_value) == (other.only_b, other.only_a, pytest.approx(other.p_value))
    for name in ("uar", "war"):
        assert one.scores[name].difference == pytest.approx(-other.scores[name].difference)
        low, high = one.scores[name].interval
        assert other.scores[name].interval == pytest.approx((-high, -low))


@pytest.mark.parametrize(("only_a", "only_b"), [(12, 8), (0, 5), (1, 14), (40, 17), (0, 0)])
def test_mcnemar_is_the_sign_test_and_the_randomisation_of_ones(only_a, only_b):
    lesser = min(only_a, only_b)
    by_hand = min(1.0, 2 * stats.binom.cdf(lesser, only_a + only_b, 0.5))
    assert mcnemar(only_a, only_b) == pytest.approx(by_hand)
    gains = np.concatenate([np.ones(only_a, int), -np.ones(only_b, int), np.zeros(30, int)])
    assert randomisation(gains) == pytest.approx(by_hand)
    assert randomisation(6 * gains) == pytest.approx(by_hand)


def test_randomisation_is_what_scipy_permutes():
    """scipy goes through all 2^11 signs where it is allowed to."""
    gains = np.array([3, 2, 2, -1, 1, 5, -2, 4, 1, 0, 3])
    of_scipy = stats.permutation_test(
        (gains, np.zeros_like(gains)), lambda x, y: (x - y).sum(), permutation_type="samples", n_resamples=np.inf
    )
    assert randomisation(gains) == pytest.approx(of_scipy.pvalue)
    assert 0.01 < of_scipy.pvalue < 0.1


def test_several_seeds_count_by_their_shares():
    # Of four utterances, A recognises 2/2, 1/2, 2/2 and 0/2 of the time, B 1/3, 3/3, 0/3 and 0/3.
    a = of_hits("A", np.array([[1, 1, 1, 0], [1, 0, 1, 0]], bool))
    b = of_hits("B", np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]], bool))
    found = compare(a, b)
    assert found.only_a == pytest.approx(2 / 3 + 0 + 1 + 0)
    assert found.only_b == pytest.approx(0 + 1 / 2 + 0 + 0)
    assert (found.only_a - found.only_b) / 4 == pytest.approx(found.scores["war"].difference)
    assert found.test == "paired randomisation test"
    # The differences are 4, -3 and 6 sixths: of the 8 ways to sign them, 13, 7, -7 and -13 are as far from 0 as their sum.
    assert found.p_value == pytest.approx(4 / 8)


def test_interval_is_the_one_of_the_differences_of_speakers():
    """Speakers with as many utterances each: the WAR difference is the mean of the speakers' own, as scipy draws it."""
    random = np.random.default_rng(4)
    speaker = np.repeat(np.arange(15), 40)
    skill = random.uniform(0.4, 0.9, 15)
    other = skill + random.uniform(-0.25, 0.15, 15)
    a, b = random.random(600) < skill[speaker], random.random(600) < other[speaker]
    found = compare(of_hits("A", a, speaker), of_hits("B", b, speaker)).scores["war"]
    each = np.array([a[speaker == s].mean() - b[speaker == s].mean() for s in range(15)])
    of_scipy = stats.bootstrap(
        (each,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.difference == pytest.approx(each.mean())
    assert found.interval == pytest.approx((of_scipy.low, of_scipy.high), abs=0.012)


def test_what_speakers_do_to_both_runs_does_not_widen_the_interval():
    random = np.random.default_rng(5)
    speaker = np.repeat(np.arange(20), 50)
    skill = random.uniform(0.2, 0.95, 20)[speaker]
    runs = [of_hits(run, random.random(1000) < skill, speaker) for run in "AB"]
    low, high = compare(*runs).scores["war"].interval
    matrices = metrics.confusions(runs[0].truth, runs[0].predicted[0], speaker, 2, 20)
    low_alone, high_alone = metrics.interval(matrices[None], metrics.war)
    assert high - low < 0.6 * (high_alone - low_alone)


def simulated(random, n_seeds=(1, 1), n_speakers=25, difference=0.05, spread=0.12):
    """Two runs whose advantage differs from speaker to speaker; over all speakers it is `difference`."""
    speaker = np.repeat(np.arange(n_speakers), 20)
    skill = np.clip(random.normal(0.65, 0.1, n_speakers), 0.3, 0.8)
    better = skill + difference + random.uniform(-spread, spread, n_speakers)
    hits = [random.random((n, len(speaker))) < p[speaker] for n, p in zip(n_seeds, (better, skill), strict=True)]
    return of_hits("A", hits[0], speaker), of_hits("B", hits[1], speaker)


@pytest.mark.parametrize("n_seeds", [(1, 1), (3, 2)])
def test_intervals_hold_the_true_difference_about_as_often_as_they_say(n_seeds):
    """Of 200 experiments with other speakers, 95 % hold it but for chance (3 sd: 9 experiments) and for few speakers."""
    random = np.random.default_rng(11)
    held = {"war": 0, "uar": 0}
    for _ in range(200):
        found = compare(*simulated(random, n_seeds), n_draws=400)
        for name in held:
            low, high = found.scores[name].interval
            held[name] += low <= 0.05 <= high
    assert all(175 <= n <= 199 for n in held.values()), held


@pytest.mark.parametrize("n_seeds", [(1, 1), (2, 2), (1, 5)])
def test_equal_runs_are_seldom_told_apart(n_seeds):
    """Two runs of one and the same model: p below 0.05 in 5 % of the experiments at most, but for chance (3 sd: 3 %)."""
    random = np.random.default_rng(12)
    below = sum(
        compare(*simulated(random, n_seeds, difference=0, spread=0), n_draws=2).p_value < 0.05 for _ in range(300)
    )
    assert 2 <= below <= 24


def test_a_true_difference_is_found():
    random = np.random.default_rng(13)
    found = [compare(*simulated(random, (2, 3), difference=0.1, spread=0.02), n_draws=400) for _ in range(20)]
    assert sum(one.p_value < 0.05 for one in found) >= 18
    assert sum(one.scores["war"].interval[0] > 0 for one in found) >= 18


def test_few_speakers_and_some_unknown_ones():
    hits = np.arange(6) % 3 > 0
    assert compare(of_hits("A", hits, [1] * 6), of_hits("B", ~hits, [1] * 6)).scores["war"].interval is None
    some = ("anna", "anna", "bo", None, None, "bo")
    runs = (answers(run, [0, 1, 2] * 2, [0] * 6, speaker=None) for run in "AB")
    a, b = (Recognised(r.run, r.corpus, r.labels, r.utterance_id, some, r.truth, r.predicted) for r in runs)
    found = compare(a, b)
    assert (found.over, found.n_clusters) == ("speakers and utterances", 4)
    assert found.scores["uar"].interval is None  # of no width: it would claim a certainty there is not
    assert "all 4 speakers and utterances agree, so how much it varies cannot be said." in sentences(found)[-1]
    assert found.p_value == 1


def test_the_largest_corpus_is_quick():
    random = np.random.default_rng(0)
    a, b = of_hits("A", random.random((5, 5531)) < 0.7), of_hits("B", random.random((3, 5531)) < 0.68)
    started = time.perf_counter()
    compare(a, b)
    assert time.perf_counter() - started < 10  # 2 s on a free machine


def comparison(**changes):
    scores = {"uar": Difference("uar", 0.70, 0.6725, (-0.0053, 0.0602)), "war": Difference("war", 0.71, 0.72, (-0.03, -0.001))}  # fmt: skip
    fields = {
        "a": "tim", "b": "svm", "corpus": "EMODB", "n_utterances": 535, "n_seeds": (1, 1), "scores": scores, "only_a": 12.0,
        "only_b": 8.0, "p_value": 0.5034, "test": "McNemar's exact test", "over": "speakers", "n_clusters": 10,
    }  # fmt: skip
    return Comparison(**(fields | changes))


def test_sentences():
    assert sentences(comparison()) == [
        "tim recognises 12 of 535 recordings of EMODB that svm does not, and svm recognises 8 that tim does not.",
        "If both were equally good, a difference as large as this or larger would come about in 50 of 100 such comparisons "
        "(p = 0.5, McNemar's exact test): it may well be chance.",
        "The UAR of tim is 2.75 percentage points higher than that of svm (70.00 % and 67.25 %); the 95 % interval of this "
        "difference goes from -0.53 to +6.02 points, over 10 speakers: with other speakers it could be none or go the other "
        "way.",
        "The WAR of tim is 1.00 percentage points lower than that of svm (71.00 % and 72.00 %); the 95 % interval of this "
        "difference goes from -3.00 to -0.10 points, over 10 speakers: with other speakers it would probably go the same "
        "way.",
    ]


def test_sentences_of_several_seeds_and_of_what_cannot_be_said():
    alone = {"war": Difference("war", 0.5, 0.5, None)}
    said = sentences(comparison(n_clusters=1, n_seeds=(5, 3), only_a=12.4, only_b=30.25, p_value=0.00412, scores=alone))
    assert said[0].startswith("On average over their 5 and 3 trainings, tim recognises 12.4 of 535 recordings of EMODB")
    assert "in 4 of 1000 such comparisons (p = 0.0041, " in said[1]
    assert said[1].endswith("chance alone hardly explains it.")
    assert said[2] == (
        "The WAR of tim is as high as that of svm (50.00 % and 50.00 %); what it would be for other speakers, nobody can "
        "say with fewer than two."
    )
    assert "in fewer than 1 of 1000 such comparisons (p = 2e-05" in sentences(comparison(p_value=2e-5))[1]
