"""Every file in timnet/models/ through one harness: networks are built, the others are fitted."""

import numpy as np
import pytest

from timnet import models
from timnet.classical import ClassicalTrainer
from timnet.config import FoldSettings, ModelSettings, Recipe
from timnet.models.base import get_weights, set_weights
from timnet.training import FoldData

NETWORKS = [name for name in models.names() if models.get(name).is_network]
OTHERS = [name for name in models.names() if not models.get(name).is_network]
RECIPE = Recipe("test", "", epochs=2, batch_size=8)


def settings_of(name):
    return ModelSettings(name, n_frames=20, n_coefficients=4, n_classes=3, n_tabs=2, filters=4)


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    classes = np.arange(36, dtype=np.int32) % 3
    features = random.normal(size=(36, 20, 4)) + classes[:, None, None] * [5, 0, 2, 1]
    rows = random.permutation(36)
    return FoldData(features.astype(np.float32), classes, rows[:20], rows[20:28], rows[28:])


@pytest.mark.parametrize("name", models.names())
def test_every_model_describes_itself(name):
    model = models.get(name)
    assert model.name == name
    assert model.title
    assert model.description
    assert model.chosen


@pytest.mark.parametrize("name", models.names())
def test_every_model_trains_and_predicts_the_same_again(name, data, trainer):
    if name in OTHERS:
        trainer = ClassicalTrainer()
    settings = FoldSettings(settings_of(name), RECIPE, "validation", seed=3, fold=1)
    result = trainer.train(data, settings)
    assert result.probabilities.shape == (len(data.test), 3)
    assert result.probabilities.dtype == result.embeddings.dtype == np.float32
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, atol=1e-5)
    assert result.embeddings.shape[0] == len(data.test)
    assert result.embeddings.ndim == 2
    assert np.isfinite(result.embeddings).all()
    assert len(result.history) == (RECIPE.epochs if name in NETWORKS else 0)
    assert (result.chosen_epoch > 0) == (name in NETWORKS)
    assert result.n_parameters > 0
    assert set(result.seconds) == {"train", "predict"}
    assert all(isinstance(value, np.ndarray) and value.dtype != object for value in result.weights.values())
    again = trainer.predict_with(data, settings, result.weights)
    np.testing.assert_array_equal(again.probabilities, result.probabilities)
    assert (again.history, again.chosen_epoch, again.n_parameters) == ([], 0, result.n_parameters)
    np.testing.assert_array_equal(trainer.train(data, settings).probabilities, result.probabilities)


@pytest.mark.usefixtures("trainer")
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network(name):
    model = models.get(name)
    settings = settings_of(name)
    network = model.build(settings)
    frames = np.random.default_rng(0).normal(size=(5, 20, 4)).astype(np.float32)
    logits, embedding = (np.asarray(output) for output in network(frames, training=False))
    assert logits.shape == (5, 3)
    assert embedding.shape[0] == 5
    assert embedding.ndim == 2
    assert logits.dtype == embedding.dtype == np.float32
    assert np.isfinite(logits).all()
    other = model.build(settings)
    set_weights(other, get_weights(network))
    np.testing.assert_allclose(np.asarray(other(frames, training=False)[0]), logits, atol=1e-6)
