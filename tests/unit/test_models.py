"""TIM-Net against its published size, its mathematics in plain numpy, and its directions in time; and its ablations."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from timnet import models
from timnet.config import ModelSettings
from timnet.errors import ConfigError, WeightsError
from timnet.models.base import get_weights, set_weights

pytestmark = pytest.mark.usefixtures("trainer")

TINY = ModelSettings("timnet", n_frames=40, n_coefficients=6, n_classes=3, n_tabs=3, filters=5)
PUBLISHED = ModelSettings("timnet", n_frames=188, n_coefficients=39, n_classes=7, n_tabs=8)
NETWORKS = [name for name in models.names() if models.get(name).is_network]


def random_weights(model, seed=0):
    """Weights with statistics and offsets that are not those of a fresh network, so that every term counts."""
    random = np.random.default_rng(seed)
    weights = {}
    for name, value in get_weights(model).items():
        drawn = random.normal(scale=0.4, size=value.shape)
        weights[name] = (np.abs(drawn) + 0.5 if name.endswith(("variance", "gamma")) else drawn).astype(np.float32)
    set_weights(model, weights)
    return weights


@pytest.fixture(scope="module")
def tiny():
    model = models.get("timnet").build(TINY)
    return model, random_weights(model)


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(1).normal(size=(2, TINY.n_frames, TINY.n_coefficients)).astype(np.float32)


@pytest.mark.parametrize(
    ("settings", "n_parameters"),
    [(PUBLISHED, 106_992), (replace(PUBLISHED, n_frames=606, n_classes=4, n_tabs=10), 132_770)],
)
def test_it_has_as_many_parameters_as_published(settings, n_parameters):
    assert models.get("timnet").build(settings).count_params() == n_parameters


# Worked out by hand at 39 coefficients and 39 filters. A stem has 39 * 39 + 39 parameters; a convolution 2 * 39 * 39 + 39,
# its normalisation 4 * 39, and a block two of both; the fusion one a block, the classifier 39 and a bias a class.
STEM = 1_560
BLOCK = 2 * (3_081 + 156)
CLASSIFIER_OF_7, CLASSIFIER_OF_4 = 280, 160


@pytest.mark.parametrize(
    ("name", "of_8_blocks", "of_10_blocks"),
    [
        ("timnet", 2 * (STEM + 8 * BLOCK) + 8 + CLASSIFIER_OF_7, 2 * (STEM + 10 * BLOCK) + 10 + CLASSIFIER_OF_4),
        ("timnet-forward", STEM + 8 * BLOCK + 8 + CLASSIFIER_OF_7, STEM + 10 * BLOCK + 10 + CLASSIFIER_OF_4),
        ("timnet-single-scale", 2 * (STEM + 8 * BLOCK) + CLASSIFIER_OF_7, 2 * (STEM + 10 * BLOCK) + CLASSIFIER_OF_4),
        ("timnet-mean-fusion", 2 * (STEM + 8 * BLOCK) + CLASSIFIER_OF_7, 2 * (STEM + 10 * BLOCK) + CLASSIFIER_OF_4),
        ("tcn", STEM + 8 * BLOCK + CLASSIFIER_OF_7, STEM + 10 * BLOCK + CLASSIFIER_OF_4),
    ],
)
def test_an_ablation_has_the_parameters_of_what_it_keeps(name, of_8_blocks, of_10_blocks):
    build = models.get(name).build
    assert build(PUBLISHED).count_params() == of_8_blocks
    assert build(replace(PUBLISHED, n_classes=4, n_tabs=10)).count_params() == of_10_blocks


def numpy_convolutions(x, weights, at, dilation):
    """The two convolutions of a block at inference, (n_frames, n) to (n_frames, filters)."""
    for i in (1, 2):
        past = np.concatenate([np.zeros((dilation, x.shape[1])), x])[: len(x)]
        kernel, norm = weights[f"{at}/conv{i}/kernel"], f"{at}/norm{i}"
        x = past @ kernel[0] + x @ kernel[1] + weights[f"{at}/conv{i}/bias"]
        x = (x - weights[f"{norm}/moving_mean"]) / np.sqrt(weights[f"{norm}/moving_variance"] + 1e-3)
        x = np.maximum(x * weights[f"{norm}/gamma"] + weights[f"{norm}/beta"], 0)
    return x


def numpy_direction(x, weights, n_tabs, name):
    """The outputs of a direction's blocks averaged over time, (filters, n_tabs)."""
    x = x @ weights[f"{name}/stem/kernel"][0] + weights[f"{name}/stem/bias"]
    pooled = []
    for j in range(1, n_tabs + 1):
        x = x / (1 + np.exp(-numpy_convolutions(x, weights, f"{name}/tab{j}", 2 ** (j - 1))))
        pooled.append(x.mean(axis=0))
    return np.stack(pooled, axis=-1)


def numpy_embedding(name, x, weights, n_tabs):
    """The embedding of one utterance (n_frames, n_coefficients), written from the model's description alone."""
    if name == "tcn":
        x = x @ weights["stem/kernel"][0] + weights["stem/bias"]
        for j in range(1, n_tabs + 1):
            x = np.maximum(x + numpy_convolutions(x, weights, f"block{j}", 2 ** (j - 1)), 0)
        return x.mean(axis=0)
    pooled = numpy_direction(x, weights, n_tabs, "forward")
    if name == "timnet-forward":
        return pooled @ weights["fusion/kernel"][:, 0]
    pooled = pooled + numpy_direction(x[::-1], weights, n_tabs, "backward")
    if name == "timnet-single-scale":
        return pooled[:, -1]
    return pooled.mean(axis=-1) if name == "timnet-mean-fusion" else pooled @ weights["fusion/kernel"][:, 0]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_computes_what_plain_numpy_computes(name, frames):
    model = models.get(name).build(TINY)
    weights = random_weights(model)
    logits, embedding = (np.asarray(output) for output in model(frames, training=False))
    for row in range(len(frames)):
        expected = numpy_embedding(name, frames[row].astype(np.float64), weights, TINY.n_tabs)
        np.testing.assert_allclose(embedding[row], expected, rtol=1e-4, atol=1e-5)
        expected_logits = expected @ weights["classifier/kernel"] + weights["classifier/bias"]
        np.testing.assert_allclose(logits[row], expected_logits, rtol=1e-4, atol=1e-4)


def inside(model, layer):
    import keras

    return keras.Model(model.input, model.get_layer(layer).output)


def test_a_frame_of_the_forward_direction_sees_its_past_and_nothing_after_it(tiny, frames):
    product = inside(tiny[0], "forward_tab3_product")
    before = np.asarray(product(frames))
    t = 30
    changed = frames.copy()
    changed[:, t] += 1
    difference = np.abs(np.asarray(product(changed)) - before).max(axis=(0, 2))
    assert difference[:t].max() == 0
    # Two convolutions of kernel 2 a block with dilations 1, 2 and 4 reach 2 * (1 + 2 + 4) = 14 frames.
    seen = np.flatnonzero(difference)
    assert seen.min() == t
    assert seen.max() <= min(t + 14, TINY.n_frames - 1)
    early = frames.copy()
    early[:, 5] += 1
    reached = np.flatnonzero(np.abs(np.asarray(product(early)) - before).max(axis=(0, 2)))
    assert reached.max() == 5 + 14


def test_directions_and_time_may_be_exchanged_together(tiny, frames):
    model, weights = tiny
    other = models.get("timnet").build(TINY)
    swap = {"forward": "backward", "backward": "forward"}
    exchanged = {}
    for name, value in weights.items():
        first, rest = name.split("/", 1)
        exchanged[f"{swap.get(first, first)}/{rest}"] = value
    set_weights(other, exchanged)
    np.testing.assert_allclose(
        np.asarray(other(frames[:, ::-1])[0]), np.asarray(model(frames)[0]), rtol=1e-5, atol=1e-5
    )


def test_dropout_works_in_training_alone_and_on_whole_channels(tiny, frames):
    dropout = tiny[0].get_layer("forward_tab1_dropout1")
    ones = np.ones((64, 10, 5), np.float32)
    np.testing.assert_array_equal(np.asarray(dropout(ones, training=False)), ones)
    dropped = np.asarray(dropout(ones, training=True))
    assert (dropped == dropped[:, :1]).all()
    assert 0.02 < (dropped == 0).mean() < 0.25


def test_the_weights_of_the_fusion_start_small_and_without_bias():
    weights = get_weights(models.get("timnet").build(TINY))
    assert np.abs(weights["fusion/kernel"]).max() <= 0.05
    assert "fusion/bias" not in weights
    assert not weights["forward/tab1/conv1/bias"].any()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"n_classes": 1}, "n_classes of a model is at least 2, received 1"),
        ({"n_tabs": 0}, "n_tabs of a model is at least 1, received 0"),
        ({"dropout": 1.0}, "dropout of a model is at least 0 and below 1, received 1.0"),
    ],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_impossible_settings_are_refused(name, change, text):
    with pytest.raises(ConfigError) as caught:
        models.get(name).build(replace(TINY, **change))
    assert text in str(caught.value)


def test_a_model_that_is_no_network_cannot_be_built():
    with pytest.raises(ConfigError, match="The model svm is no network: there is nothing to build"):
        models.get("svm").build(replace(TINY, name="svm"))


def test_weights_that_do_not_fit_are_refused(tiny):
    model, weights = tiny
    lacking = {k: v for k, v in weights.items() if k != "fusion/kernel"} | {"else/kernel": weights["fusion/kernel"]}
    with pytest.raises(WeightsError, match="missing fusion/kernel, unknown else/kernel"):
        set_weights(model, lacking)
    with pytest.raises(WeightsError, match=r"classifier/bias has the shape \(4,\), and the model needs \(3,\)"):
        set_weights(model, weights | {"classifier/bias": np.zeros(4, np.float32)})


def test_an_unknown_model_is_refused():
    with pytest.raises(ConfigError, match=r"There is no model 'resnet'; allowed are .*timnet"):
        models.get("resnet")


def test_listing_and_describing_models_loads_nothing_heavy():
    code = (
        "import sys; from timnet import models\n"
        "assert all(models.get(n).description for n in models.names())\n"
        "assert not {'keras', 'tensorflow', 'sklearn', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
