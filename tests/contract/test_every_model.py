"""Every file in timnet/models/ through one harness."""

import numpy as np
import pytest

from timnet import models
from timnet.config import ModelSettings
from timnet.models.base import get_weights, set_weights

pytestmark = pytest.mark.usefixtures("trainer")


@pytest.mark.parametrize("name", models.names())
def test_every_model(name):
    model = models.get(name)
    assert model.name == name
    assert model.title
    assert model.description
    settings = ModelSettings(name, n_frames=20, n_coefficients=4, n_classes=3, n_tabs=2, filters=4)
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
