"""The compiled form of TIM-Net and its variants against the Keras layers: outputs, gradients, statistics, dropout."""

from dataclasses import replace

import numpy as np
import pytest

from timnet import models
from timnet.config import ModelSettings

COMPILED = [name for name in models.names() if models.get(name).compiled is not None]
TINY = ModelSettings("timnet", n_frames=20, n_coefficients=4, n_classes=3, n_tabs=3, filters=5, dropout=0.0)
FULL = ModelSettings("timnet", n_frames=188, n_coefficients=39, n_classes=7, dropout=0.0)

pytestmark = pytest.mark.usefixtures("trainer")


def made(settings):
    """A Keras model with variables that are nowhere trivial, and its compiled form."""
    row = models.get(settings.name)
    model = row.build(settings)
    random = np.random.default_rng(5)
    for variable in model.variables:
        if variable.dtype == "float32":
            low = 0.5 if "variance" in variable.name or "gamma" in variable.name else -0.5
            variable.assign(variable + random.uniform(low, 1, variable.shape))
    return model, row.compiled(model, settings)


def batch(settings, n=6):
    random = np.random.default_rng(1)
    frames = random.normal(size=(n, settings.n_frames, settings.n_coefficients)).astype(np.float32)
    return frames, random.integers(settings.n_classes, size=n)


def stepped(model, forward, frames, classes):
    """Logits, gradients and what the statistics have moved to, from where they were."""
    import tensorflow as tf

    before = [variable.numpy() for variable in model.variables]
    with tf.GradientTape() as tape:
        logits, embedding = forward(frames)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits))
    gradients = [np.asarray(one) for one in tape.gradient(loss, model.trainable_variables)]
    moved = [variable.numpy() for variable in model.non_trainable_variables]
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    return np.asarray(logits), np.asarray(embedding), gradients, moved


@pytest.mark.parametrize(
    "change",
    [
        {"name": name} for name in COMPILED
    ]
    + [{"n_tabs": 6}, {"kernel_size": 3}, {"kernel_size": 1}, {"filters": 8}, {"n_frames": 1}],
    ids=str,
)  # fmt: skip
def test_a_training_step_is_that_of_the_layers(change):
    settings = replace(TINY, **change)
    model, program = made(settings)
    frames, classes = batch(settings)
    plain = stepped(model, lambda x: model(x, training=True), frames, classes)
    fast = stepped(model, lambda x: program.train(x, [1, 2]), frames, classes)
    np.testing.assert_allclose(fast[0], plain[0], atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(fast[1], plain[1], atol=1e-5, rtol=1e-5)
    for name, one, other in zip([v.path for v in model.trainable_variables], fast[2], plain[2], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4, err_msg=name)
    for one, other in zip(fast[3], plain[3], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert any(np.abs(gradient).max() > 1e-3 for gradient in plain[2])


def test_compiled_and_in_the_published_measures():
    import tensorflow as tf

    model, program = made(FULL)
    frames, classes = batch(FULL, 8)
    compiled = tf.function(lambda x: program.train(x, tf.constant([1, 2])), jit_compile=True)
    plain = stepped(model, lambda x: model(x, training=True), frames, classes)
    fast = stepped(model, compiled, frames, classes)
    np.testing.assert_allclose(fast[0], plain[0], atol=1e-5, rtol=1e-5)
    for one, other in zip(fast[2], plain[2], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("n", [1, 6])
def test_a_prediction_is_that_of_the_layers(name, n):
    settings = replace(TINY, name=name, dropout=0.3)
    model, program = made(settings)
    frames, _ = batch(settings, n)
    for one, other in zip(program.predict(frames), model(frames, training=False), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-5)


def test_dropout_follows_from_its_seed_and_drops_whole_channels():
    settings = replace(TINY, dropout=0.25, n_tabs=4)
    _, program = made(settings)
    frames, _ = batch(settings, 500)
    masks = np.asarray(program._dropout(frames, [3, 4]))
    assert masks.shape == (4, 2, 2, 500, 1, 8)  # one number for all frames of a channel
    assert set(np.unique(masks)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (masks == 0).mean() == pytest.approx(0.25, abs=0.01)
    np.testing.assert_array_equal(masks, program._dropout(frames, [3, 4]))
    assert (masks != np.asarray(program._dropout(frames, [3, 5]))).any()
    logits = [np.asarray(program.train(frames, seed)[0]) for seed in ([3, 4], [3, 4], [3, 5])]
    np.testing.assert_array_equal(logits[0], logits[1])
    assert np.abs(logits[0] - logits[2]).max() > 0.01
