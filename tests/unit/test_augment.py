"""How utterances are changed in training, against what it stands for: another speed, place in time and vocal tract."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.fft

from timnet import augment, mel
from timnet.config import FoldSettings, ModelSettings, identity
from timnet.recipes import RECIPES, Recipe
from timnet.training import FoldData, batches

RECIPE = Recipe("test", "", epochs=2, batch_size=8, speed=0.2, shift_frames=5, warp=0.1)
FRAMES = np.random.default_rng(0).normal(size=(3, 40, 13)).astype(np.float32)


def draws(**columns):
    found = augment.nothing(3)
    for name, value in columns.items():
        found[:, getattr(augment, name.upper())] = value
    return found


def changed(frames, drawn, warp=0.1):
    return np.asarray(augment.changed(frames, drawn, augment.warps(warp, frames.shape[-1])))


@pytest.mark.usefixtures("trainer")
def test_nothing_changes_nothing():
    np.testing.assert_allclose(changed(FRAMES, augment.nothing(3)), FRAMES, atol=1e-5)
    np.testing.assert_allclose(changed(FRAMES, draws(warp=0), warp=0.0), FRAMES, atol=1e-5)


@pytest.mark.usefixtures("trainer")
def test_a_shift_moves_frames_and_repeats_the_first_or_last():
    later = changed(FRAMES, draws(shift=4))
    np.testing.assert_allclose(later[:, 4:], FRAMES[:, :-4], atol=1e-5)
    np.testing.assert_allclose(later[:, :4], np.repeat(FRAMES[:, :1], 4, axis=1), atol=1e-5)
    earlier = changed(FRAMES, draws(shift=-2.5))
    np.testing.assert_allclose(earlier[:, :-3], (FRAMES[:, 2:-1] + FRAMES[:, 3:]) / 2, atol=1e-5)


@pytest.mark.usefixtures("trainer")
def test_speed_is_that_of_a_line_in_time():
    """Twice as fast about the middle: what lay 10 frames from it lies 5 from it."""
    at = np.arange(41, dtype=np.float32)
    line = np.repeat(at[None, :, None], 13, axis=2)
    faster = changed(line, augment.nothing(1) * [2, 1, 1])
    np.testing.assert_allclose(faster[0, :, 0], np.clip((at - 20) * 2 + 20, 0, 40), atol=1e-5)


@pytest.mark.usefixtures("trainer")
def test_a_warp_moves_a_formant():
    """The MFCC of a spectrum with a peak become those of a spectrum whose peak is at another band."""
    band = np.arange(mel.N_MELS)

    def mfcc(peak):
        spectrum = -40 + 30 * np.exp(-(((band - peak) / 8) ** 2))
        return scipy.fft.dct(spectrum, norm="ortho")[None, None, :39].astype(np.float32)

    for number, factor in ((0, 0.9), (augment.N_WARPS - 1, 1.1), (augment.N_WARPS // 2, 1.0)):
        drawn = augment.nothing(1)
        drawn[:, augment.WARP] = number
        moved = scipy.fft.idct(np.pad(changed(mfcc(60), drawn)[0, 0], (0, mel.N_MELS - 39)), norm="ortho")
        assert moved.argmax() == pytest.approx(60 / factor, abs=1)
        np.testing.assert_allclose(moved.max(), -10, atol=1.5)


def test_what_is_drawn_stays_inside_the_recipe_and_differs_between_utterances():
    drawn = augment.drawn(RECIPE, np.random.default_rng(1), 5000)
    for column, low, high in (
        (augment.SPEED, 0.8, 1.2),
        (augment.SHIFT, -5, 5),
        (augment.WARP, 0, augment.N_WARPS - 1),
    ):
        assert low <= drawn[:, column].min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < drawn[:, column].max() <= high


def test_utterances_that_are_not_to_be_changed_stay_as_they_are():
    """How much another one is changed does not depend on how many are."""
    drawn = augment.drawn(replace(RECIPE, change_chance=0.25), np.random.default_rng(1), 5000)
    left = (drawn == augment.nothing(1)).all(axis=1)
    assert 0.73 < left.mean() < 0.77
    of_all = augment.drawn(RECIPE, np.random.default_rng(1), 5000)
    np.testing.assert_array_equal(drawn[~left], of_all[~left])


def test_what_is_drawn_follows_from_seed_fold_and_epoch():
    data = FoldData(np.zeros((20, 5, 4), np.float32), np.arange(20) % 2, np.arange(20), np.arange(0), np.arange(0))
    settings = FoldSettings(ModelSettings("timnet", 5, 4, 2), RECIPE, "last", seed=3, fold=1)

    def of(epoch, given=settings):
        return np.concatenate([batch.draws for batch in batches(epoch, data, given)])

    np.testing.assert_array_equal(of(1), of(1))
    assert [len(batch.draws) for batch in batches(1, data, settings)] == [8, 8, 4]
    for other in (of(2), of(1, replace(settings, seed=4)), of(1, replace(settings, fold=2))):
        assert not np.isin(of(1)[:, augment.SPEED], other[:, augment.SPEED]).any()
    some = replace(settings, recipe=replace(RECIPE, change_chance=0.5))
    left = [tuple((of(epoch, some) == augment.nothing(1)).all(axis=1)) for epoch in range(1, 6)]
    assert len(set(left)) == 5  # who stays as it is differs, too
    plain = replace(settings, recipe=replace(RECIPE, speed=0.0, shift_frames=0.0, warp=0.0))
    never = replace(settings, recipe=replace(RECIPE, change_chance=0.0))
    for one in (plain, never):
        assert [batch.draws for batch in batches(1, data, one)] == [None] * 3
    for with_draws, without in zip(batches(1, data, settings), batches(1, data, plain), strict=True):
        np.testing.assert_array_equal(with_draws.rows, without.rows)  # the order is the same either way


def test_what_was_drawn_once_is_drawn_again():
    """Checkpoints and kept folds rely on it; red where the order of drawing or numpy's stream changes."""
    drawn = augment.drawn(RECIPE, np.random.default_rng(1), 3)
    then = [[1.0047287, 4.4864945, 5], [1.1801854, -1.8816855, 17], [0.85766387, -0.7667355, 5]]
    np.testing.assert_allclose(drawn, then, rtol=1e-6)


def test_a_recipe_that_uses_no_new_way_is_the_setting_it_was():
    """Folds that were trained before there were such ways are still found."""
    model = ModelSettings("timnet", 5, 4, 2)
    keys = {"published": "d36f74f8fc031248", "standardised": "8e348822db6a9433", "demo": "b12799a7bb577aa1"}
    for name, key in keys.items():
        assert identity(FoldSettings(model, RECIPES[name], "last", 1, 1).that_train()) == key
    newer = {"change_chance", "speed", "shift_frames", "warp", "averaged"}
    assert not newer & FoldSettings(model, RECIPES["published"], "last", 1, 1).that_train()["recipe"].keys()
    unchanged = replace(RECIPES["fast"], speed=0.0, shift_frames=0.0, warp=0.0)
    assert newer & FoldSettings(model, unchanged, "last", 1, 1).that_train()["recipe"].keys() == {"averaged"}
    never = FoldSettings(model, replace(RECIPES["fast"], change_chance=0.0), "last", 1, 1)
    assert never.that_train() == FoldSettings(model, unchanged, "last", 1, 1).that_train()
    assert newer <= FoldSettings(model, RECIPES["fast"], "last", 1, 1).that_train()["recipe"].keys()


def test_how_many_epochs_are_averaged():
    recipe = replace(RECIPE, epochs=10, averaged=0.5)
    assert [recipe.n_averaged(epoch) for epoch in range(1, 11)] == [1, 1, 1, 1, 1, 1, 2, 3, 4, 5]
    assert [replace(recipe, averaged=0.0).n_averaged(epoch) for epoch in (1, 10)] == [1, 1]
    assert replace(recipe, averaged=1.0).n_averaged(10) == 10
