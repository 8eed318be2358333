"""Scores against scikit-learn, and against numbers worked out by hand."""

import time

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from timnet import metrics

# EMODB, seed 46, last epoch: the published accuracies of the ten folds, and their published standard deviation.
PUBLISHED_FOLDS = [94.44, 92.59, 90.74, 85.19, 90.74, 92.45, 83.02, 92.45, 86.79, 94.34]
PUBLISHED_SD = 3.94


def recognised(n: int = 400, n_classes: int = 5, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.choice(n_classes, size=n, p=np.arange(1, n_classes + 1) / (n_classes * (n_classes + 1) / 2))
    wrong = random.random(n) < 0.4
    return truth, np.where(wrong, random.integers(n_classes, size=n), truth)


def test_by_hand():
    truth = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    predicted = np.array([0, 0, 0, 1, 1, 0, 2, 2])
    matrix = metrics.confusion(truth, predicted, 3)
    assert matrix.tolist() == [[3, 1, 0], [1, 1, 0], [0, 0, 2]]
    assert metrics.recall(matrix).tolist() == [0.75, 0.5, 1.0]
    assert metrics.precision(matrix).tolist() == [0.75, 0.5, 1.0]
    assert metrics.scores(truth, predicted, 3) == {"war": 0.75, "uar": 0.75, "f1_macro": 0.75}
    # The same recalls, but the first class three times as frequent: WAR follows it, UAR does not.
    weighted = matrix * np.array([[3], [1], [1]])
    assert metrics.war(weighted) == pytest.approx((9 + 1 + 2) / 16)
    assert metrics.uar(weighted) == pytest.approx(0.75)


def test_as_scikit_learn():
    truth, predicted = recognised()
    matrix = metrics.confusion(truth, predicted, 5)
    assert np.array_equal(matrix, sklearn_metrics.confusion_matrix(truth, predicted, labels=range(5)))
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(truth, predicted)
    np.testing.assert_allclose(metrics.recall(matrix), recall)
    np.testing.assert_allclose(metrics.precision(matrix), precision)
    np.testing.assert_allclose(metrics.f1(matrix), f1)
    assert metrics.scores(truth, predicted, 5) == pytest.approx(
        {
            "war": sklearn_metrics.accuracy_score(truth, predicted),
            "uar": sklearn_metrics.balanced_accuracy_score(truth, predicted),
            "f1_macro": sklearn_metrics.f1_score(truth, predicted, average="macro"),
        }
    )


def test_class_that_the_truth_lacks_is_left_out():
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])  # class 2 only recognised, class 3 never
    matrix = metrics.confusion(truth, predicted, 4)
    np.testing.assert_array_equal(metrics.recall(matrix), [1, 0.5, np.nan, np.nan])
    np.testing.assert_array_equal(metrics.precision(matrix), [1, 1, 0, np.nan])
    assert metrics.uar(matrix) == 0.75  # scikit-learn's recall_score would say 0.5
    with pytest.warns(UserWarning, match="classes not in y_true"):
        assert metrics.uar(matrix) == sklearn_metrics.balanced_accuracy_score(truth, predicted)
    present = sklearn_metrics.f1_score(truth, predicted, labels=[0, 1], average="macro")
    assert metrics.f1_macro(matrix) == pytest.approx(present)


def test_class_that_is_never_recognised_counts_as_zero():
    matrix = metrics.confusion(np.array([0, 1]), np.array([0, 0]), 2)
    np.testing.assert_array_equal(metrics.precision(matrix), [0.5, np.nan])
    np.testing.assert_array_equal(metrics.f1(matrix), [2 / 3, 0])
    assert metrics.uar(matrix) == 0.5
    assert metrics.f1_macro(matrix) == pytest.approx(1 / 3)


def test_nothing_recognised_has_no_score():
    matrix = metrics.confusion(np.array([], int), np.array([], int), 3)
    assert all(np.isnan(score.of(matrix)) for score in metrics.SCORES.values())


def test_groups_and_leading_axes():
    truth, predicted = recognised()
    group = np.arange(len(truth)) % 7
    each = metrics.confusions(truth, predicted, group, 5, 7)
    assert each.shape == (7, 5, 5)
    assert np.array_equal(each[3], metrics.confusion(truth[group == 3], predicted[group == 3], 5))
    assert np.array_equal(each.sum(axis=0), metrics.confusion(truth, predicted, 5))
    for score in (*metrics.SCORES.values(), *metrics.CLASS_SCORES.values()):
        np.testing.assert_array_equal(score.of(each), [score.of(one) for one in each])


@pytest.mark.parametrize(
    ("truth", "predicted", "group", "message"),
    [
        ([0, 1], [0], [0, 0], "truth, predicted and group are of one length, received 2, 1 and 2."),
        ([0, 3], [0, 0], [0, 0], "truth holds indices from 0 to 2, received 0 to 3."),
        ([0, 1], [-1, 0], [0, 0], "predicted holds indices from 0 to 2, received -1 to 0."),
        ([0, 1], [0, 0], [0, 1], "group holds indices from 0 to 0, received 0 to 1."),
    ],
)
def test_wrong_indices(truth, predicted, group, message):
    with pytest.raises(ValueError, match="^" + message.replace(".", r"\.") + "$"):
        metrics.confusions(np.array(truth), np.array(predicted), np.array(group), 3, 1)


def test_sd_is_the_published_one():
    mean, sd = metrics.mean_and_sd(PUBLISHED_FOLDS)
    assert mean == pytest.approx(90.275)
    assert round(sd, 2) == PUBLISHED_SD
    assert round(float(np.std(PUBLISHED_FOLDS)), 2) != PUBLISHED_SD


def test_sd_needs_two_values():
    assert metrics.mean_and_sd([0.5]) == (0.5, None)
    assert metrics.mean_and_sd([]) == (None, None)


def test_interval_of_independent_utterances_is_the_binomial_one():
    """Each utterance its own cluster: the interval of an accuracy p has half-width 1.96 sqrt(p (1 - p) / n)."""
    truth, predicted = recognised(n=900)
    matrices = metrics.confusions(truth, predicted, np.arange(900), 5, 900)[None]
    low, high = metrics.interval(matrices, metrics.war)
    p = np.mean(truth == predicted)
    half = 1.96 * np.sqrt(p * (1 - p) / 900)
    assert (low, high) == pytest.approx((p - half, p + half), abs=0.004)


def test_interval_as_scipy_over_speakers():
    """Speakers differ, so drawing whole speakers is wider than drawing utterances, and as wide as scipy says."""
    from scipy import stats

    random = np.random.default_rng(5)
    skill = random.uniform(0.3, 0.9, size=20)
    speaker = np.repeat(np.arange(20), 50)
    truth = random.integers(2, size=1000)
    predicted = np.where(random.random(1000) < skill[speaker], truth, 1 - truth)
    matrices = metrics.confusions(truth, predicted, speaker, 2, 20)[None]
    low, high = metrics.interval(matrices, metrics.war)
    each = np.array([np.mean((truth == predicted)[speaker == s]) for s in range(20)])
    of_scipy = stats.bootstrap(
        (each,), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (low, high) == pytest.approx((of_scipy.low, of_scipy.high), abs=0.01)
    single = metrics.confusions(truth, predicted, np.arange(1000), 2, 1000)[None]
    narrow = metrics.interval(single, metrics.war)
    assert high - low > 1.5 * (narrow[1] - narrow[0])


def test_interval_over_seeds_draws_the_same_speakers():
    """Two seeds that err on opposite halves of the speakers: their mean never changes, so the interval has no width."""
    good, bad = np.array([[10, 0], [0, 10]]), np.array([[0, 10], [10, 0]])
    first = np.stack([good, bad] * 4)
    matrices = np.stack([first, first[::-1]])
    assert metrics.interval(matrices, metrics.war) == pytest.approx((0.5, 0.5))


def test_interval_where_a_seed_lacks_speakers():
    """The second seed knows the first speaker alone, so draws of only the other one are scored by the first seed."""
    full = np.array([[[2, 0], [0, 2]], [[0, 2], [2, 0]]])
    matrices = np.stack([full, full * np.array([1, 0])[:, None, None]])
    assert metrics.interval(matrices, metrics.war) == pytest.approx((0.0, 1.0))


def test_interval_is_repeatable_and_needs_two_clusters():
    truth, predicted = recognised()
    matrices = metrics.confusions(truth, predicted, np.arange(400) % 10, 5, 10)[None]
    assert metrics.interval(matrices, metrics.uar) == metrics.interval(matrices, metrics.uar)
    assert metrics.interval(matrices[:, :1], metrics.uar) is None


def test_interval_of_the_largest_corpus_is_quick():
    truth, predicted = recognised(n=5531, n_classes=4)
    matrices = metrics.confusions(truth, predicted, np.arange(5531), 4, 5531)[None]
    started = time.perf_counter()
    metrics.interval(matrices, metrics.uar)
    assert time.perf_counter() - started < 2  # 0.3 s on a free machine
