"""What the page of the recipe `fast` says of folds that were trained: scores, differences, intervals, and the verdict."""

from dataclasses import replace

import numpy as np
import pytest

from tests.bench import recipes
from tests.bench.recipes import FAST, FIRST, LAST, MEAN, PUBLISHED, SEEDS, VARIANTS, Fold, Outcome

CLASSES = np.array([0, 0, 0, 1] * 25)


def outcome(right, loss=0.5, seconds=60.0, machine="A"):
    return Outcome(np.asarray(right, float), CLASSES, loss, seconds, frozenset([machine]))


def fold(right, key="k", loss=0.25):
    right = {MEAN: np.array(right), LAST: ~np.array(right)}
    return Fold(key, 46, 1, "t", right, {MEAN: loss, LAST: 2 * loss}, 61.5, "2 CPUs, fast")


def test_a_fold_is_read_as_it_was_written(tmp_path):
    file = tmp_path / "folds.csv"
    assert Fold.read(file) == {}
    for key in ("a", "b"):
        fold([True, False, True], key).write(file)
    assert file.read_text().splitlines() == [
        "key,seed,fold,tested,mean,last,loss of mean,loss of last,seconds,machine",
        'a,46,1,t,101,010,0.2500,0.5000,61.5,"2 CPUs, fast"',
        'b,46,1,t,101,010,0.2500,0.5000,61.5,"2 CPUs, fast"',
    ]
    found = Fold.read(file)
    assert list(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"].right[LAST], [False, True, False])
    assert replace(found["b"], right={}) == replace(fold([True], "b"), right={})


def test_a_line_that_was_cut_off_is_no_fold_and_the_next_is_a_line_of_its_own(tmp_path):
    file = tmp_path / "folds.csv"
    for key in ("a", "b"):
        fold([True, False], key).write(file)
    written = file.read_text()
    for cut in range(1, len(written.splitlines()[-1]) + 1):
        file.write_text(written[:-cut])
        assert list(Fold.read(file)) == ["a"]
        fold([True], "c").write(file)
        assert list(Fold.read(file)) == ["a", "c"]


def test_a_file_without_a_line_gets_its_columns(tmp_path):
    file = tmp_path / "folds.csv"
    file.touch()
    fold([True]).write(file)
    assert list(Fold.read(file)) == ["k"]


def test_folds_of_a_seed_are_put_together_where_they_were_tested():
    folds = [[fold([True, False], loss=0.1), fold([True], loss=0.4)], [fold([True], loss=0.7), fold([False, True])]]
    tests = [[np.array([3, 0]), np.array([2])], [np.array([1]), np.array([0, 3])]]
    found = recipes.outcome(folds, tests, MEAN, np.array([0, 1, 0, 1]))
    np.testing.assert_array_equal(found.right, [[0, 1, np.nan, 1], [0, np.nan, 1, 1]])
    assert found.loss == pytest.approx((2 * 0.1 + 0.4 + 0.7 + 2 * 0.25) / 6)
    assert found.n_tested == 6
    assert found.seconds == 61.5
    other = recipes.outcome(folds, tests, LAST, np.array([0, 1, 0, 1]))
    np.testing.assert_array_equal(other.right, 1 - found.right)
    assert other.loss == pytest.approx(2 * found.loss)


def test_scores_are_of_each_seed():
    """And not of all tests at once: the second seed tested less."""
    right = np.ones((2, 100))
    right[0, CLASSES == 1] = 0  # 75 of 100; recalls 1 and 0
    right[1, 20:] = np.nan
    found = outcome(right)
    np.testing.assert_allclose(found.wars, [75, 100])
    assert found.uar == pytest.approx(75)


def test_an_interval_is_that_of_recordings_not_of_seeds():
    """Three seeds that agree on every recording say no more than one: 60 of 100, as the binomial has it, not 180 of 300."""
    once = np.repeat([1.0, 0.0], [60, 40])
    low, high = outcome([once] * 3).interval
    assert (low, high) == pytest.approx((60 - 9.6, 60 + 9.6), abs=0.7)
    assert recipes.bootstrapped(100 * once[None]) == (low, high)


def test_a_difference_is_of_what_both_tested():
    mine, other = np.zeros((1, 100)), np.ones((1, 100))
    mine[0, :10], mine[0, 50:] = 1, np.nan
    assert outcome(mine).better_than(outcome(other)).startswith("-80.00 (")
    assert outcome(mine).better_than(outcome(mine)) == "+0.00 (+0.00 to +0.00)"


@pytest.mark.parametrize(("n_right", "said"), [(90, "reaches"), (89, "does not reach")])  # 89.28 is the edge
def test_the_page_says_whether_the_goal_is_met(n_right, said):
    right = np.repeat([[1.0] * n_right + [0.0] * (100 - n_right)], 3, axis=0)
    fewer = right.copy()
    fewer[:, 0], fewer[:, 50:] = 0, np.nan
    name = next(name for name in VARIANTS if name != FIRST)
    text = recipes.page({FIRST: outcome(right), name: outcome(fewer, loss=0.75, machine="B")}, SEEDS)
    low, high = outcome(right).interval
    assert f"{n_right}.00 % on average (interval {low:.1f} to {high:.1f})" in text
    assert "recipes` on A; B: TIM-Net" in text
    assert f"it {said} that within 1 point" in text
    assert f"| {FIRST} | {FAST.epochs} | 300 | {n_right}.00 | {n_right}.00 | {n_right}.00 | **{n_right}.00** |" in text
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    assert "| 150 |" in line
    assert "| 0.750 | -2.00 (" in line


def test_the_page_has_the_published_recipe_as_it_was_trained_here():
    right = np.repeat([[1.0] * 90 + [0.0] * 10], 3, axis=0)
    assert "itself" not in recipes.page({FIRST: outcome(right)}, SEEDS)
    published = right.copy()
    published[:, :5], published[0, 95:] = 0, np.nan
    text = recipes.page({FIRST: outcome(right), PUBLISHED: outcome(published, seconds=270)}, SEEDS)
    assert (
        "for its 500 epochs, has 255 of 295 recordings right\nwhere `fast` has 270: `fast` differs from it by +5.08 ("
        in text
    )
    assert "A fold takes it\n4.5 times the processor time of `fast` (medians, 270 s and 60 s)" in text


def test_every_variant_is_another_training_or_other_weights():
    trained = {(recipes.key_of(recipes.settings_of(r, 46, 1)), weights) for r, weights in VARIANTS.values()}
    assert len(trained) == len(VARIANTS)
