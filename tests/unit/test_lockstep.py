"""Folds in lockstep: each as if it was trained alone, whatever becomes of the others."""

from dataclasses import replace

import numpy as np
import pytest

from timnet.config import FoldSettings, ModelSettings, Recipe
from timnet.lockstep import LockstepFold, LockstepTrainer
from timnet.training import FoldData, Trainer

MODEL = ModelSettings("timnet", n_frames=20, n_coefficients=4, n_classes=3, n_tabs=2, filters=5, dropout=0.2)
RECIPE = Recipe("test", "", epochs=5, batch_size=16, learning_rate=0.003, schedule="cosine", standardise=True)
SETTINGS = FoldSettings(MODEL, RECIPE, "validation", seed=3, fold=1, checkpoint_every_epochs=2)


@pytest.fixture(scope="module")
def folds():
    """Two folds of one corpus with 3 and 2 steps an epoch: where the one has a batch of 16, the other has 8, or none."""
    random = np.random.default_rng(0)
    classes = np.arange(62, dtype=np.int32) % 3
    features = (random.normal(size=(62, 20, 4)) + classes[:, None, None] * [5, 0, 2, 1] + 30).astype(np.float32)
    found = []
    for fold, n in enumerate((40, 24), start=1):
        rows = random.permutation(62)
        data = FoldData(features, classes, rows[:n], rows[n : n + 10], rows[n + 10 :])
        found.append(LockstepFold(data, replace(SETTINGS, fold=fold, seed=3 + fold % 2)))
    return found


@pytest.fixture(scope="module")
def alone(trainer):
    """Separate training, in the form whose dropout is the same."""
    return Trainer(threads=1, compile_from=0)


@pytest.fixture(scope="module")
def together(trainer):
    return LockstepTrainer(threads=1)


def trained(trainer, folds):
    return [result for _, result in sorted(trainer.train_together(folds), key=lambda one: one[0])]


def assert_alike(left, right):
    assert left.chosen_epoch == right.chosen_epoch
    np.testing.assert_allclose(left.probabilities, right.probabilities, atol=1e-4)
    np.testing.assert_allclose(left.embeddings, right.embeddings, atol=1e-4)
    for one, other in zip(left.history, right.history, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {"seconds"}:
            assert one[name] == pytest.approx(other[name], abs=1e-4), name
    assert list(left.weights) == list(right.weights)
    for name, value in left.weights.items():
        if "/conv" in name and name.endswith("bias"):
            continue  # batch normalisation takes the bias out again: its gradient is rounding, which Adam blows up
        np.testing.assert_allclose(value, right.weights[name], atol=1e-4, rtol=1e-4, err_msg=name)
    assert left.others.keys() == right.others.keys()
    for name, (epoch, probabilities) in left.others.items():
        assert right.others[name][0] == epoch
        np.testing.assert_allclose(right.others[name][1], probabilities, atol=1e-4)


@pytest.mark.parametrize("name", ["timnet"])
def test_folds_in_lockstep_are_trained_as_alone(folds, alone, together, name):
    results = trained(together, folds)
    for fold, result in zip(folds, results, strict=True):
        assert_alike(result, alone.train(fold.data, fold.settings))
