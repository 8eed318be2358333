"""Folds in lockstep: each as if it was trained alone, whatever becomes of the others."""

from dataclasses import replace

import numpy as np
import pytest
from kept import Kept

from timnet import models
from timnet.errors import ConfigError, TimnetError
from timnet.lockstep import LockstepFold, LockstepTrainer
from timnet.models import philox
from timnet.models.base import set_weights, variables
from timnet.recipes import FoldSettings, ModelSettings, Recipe
from timnet.replicas import Replicas
from timnet.training import Batch, FoldData, FoldResult, Trainer

MODEL = ModelSettings("timnet", n_frames=20, n_coefficients=4, n_classes=3, n_tabs=2, filters=5, dropout=0.2)
RECIPE = Recipe("test", "", epochs=5, batch_size=16, learning_rate=0.003, schedule="cosine", standardise=True)
SETTINGS = FoldSettings(MODEL, RECIPE, "validation", seed=3, fold=1, checkpoint_every_epochs=2)


@pytest.fixture(scope="module")
def alone(trainer):
    """Separate training, in the form whose dropout is the same."""
    return Trainer(threads=1, compile_from=0)


@pytest.fixture(scope="module")
def together(trainer):
    return LockstepTrainer(threads=1)


@pytest.fixture(scope="module")
def folds():
    """Two folds of one corpus with 3 and 2 steps an epoch: where the one has a batch of 16, the other has 8, or none."""
    random = np.random.default_rng(0)
    classes = np.arange(62, dtype=np.int32) % 3
    features = (random.normal(size=(62, 20, 4)) + classes[:, None, None] * [5, 0, 2, 1] + 30).astype(np.float32)
    found = []
    for fold, (n, selection) in enumerate(((40, "validation"), (24, "test")), start=1):
        rows = random.permutation(62)
        data = FoldData(features, classes, rows[:n], rows[n : n + 10], rows[n + 10 :])
        found.append(LockstepFold(data, replace(SETTINGS, fold=fold, seed=3 + fold, selection=selection)))
    return found


def trained(trainer, folds):
    return [result for _, result in sorted(trainer.train_together(folds), key=lambda one: one[0])]


@pytest.fixture(scope="module")
def results(folds, together):
    return trained(together, folds)


def assert_alike(left, right, atol=1e-4):
    assert isinstance(left, FoldResult), left
    assert left.chosen_epoch == right.chosen_epoch
    np.testing.assert_allclose(left.probabilities, right.probabilities, atol=atol)
    np.testing.assert_allclose(left.embeddings, right.embeddings, atol=atol)
    for one, other in zip(left.history, right.history, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {"seconds"}:
            assert one[name] == pytest.approx(other[name], abs=atol), name
    assert list(left.weights) == list(right.weights)
    for name, value in left.weights.items():
        if "/conv" in name and name.endswith("bias"):
            continue  # batch normalisation takes the bias out again: its gradient is rounding, which Adam blows up
        rounding = 10 * atol if name.endswith("moving_mean") else atol  # it has that bias in it
        np.testing.assert_allclose(value, right.weights[name], atol=rounding, rtol=atol, err_msg=name)
    assert left.others.keys() == right.others.keys()
    for name, (epoch, probabilities) in left.others.items():
        assert right.others[name][0] == epoch
        np.testing.assert_allclose(right.others[name][1], probabilities, atol=atol)


def test_folds_in_lockstep_are_trained_as_alone(folds, results, alone):
    """With dropout, partial batches, a schedule, standardisation, and a choice of the epoch that is their own."""
    for fold, result in zip(folds, results, strict=True):
        assert_alike(result, alone.train(fold.data, fold.settings))
    assert results[1].others.keys() == {"last", "validation"}


def test_utterances_are_changed_and_weights_averaged_as_alone(folds, alone, together):
    """Where batches are of different sizes, and after a checkpoint in the middle of the averaging."""
    recipe = replace(RECIPE, change_chance=0.7, speed=0.2, shift_frames=3, warp=0.1, averaged=0.6)  # over epochs 3 to 5
    changed = [
        replace(fold, settings=replace(fold.settings, recipe=recipe, checkpoint_every_epochs=4)) for fold in folds
    ]
    kept = [Kept() for _ in folds]
    found = trained(together, [replace(fold, checkpoint=one) for fold, one in zip(changed, kept, strict=True)])
    for fold, one, result in zip(changed, kept, found, strict=True):
        by_itself = Kept()
        assert_alike(result, alone.train(fold.data, fold.settings, checkpoint=by_itself))
        assert by_itself.saved[0].keys() == one.saved[0].keys()
        assert_alike(alone.train(fold.data, fold.settings, checkpoint=Kept(one.saved[0])), result)
    again = trained(together, [changed[0], replace(changed[1], checkpoint=Kept(kept[1].saved[0]))])
    for one, result in zip(again, found, strict=True):
        assert_alike(one, result, atol=0)


def test_a_fold_that_began_alone_goes_on_in_lockstep_and_the_other_way_round(folds, results, alone, together):
    """The one fold comes from the beginning, the other from epoch 2: they need not be in the same epoch."""
    kept = [Kept() for _ in folds]
    again = trained(together, [replace(fold, checkpoint=one) for fold, one in zip(folds, kept, strict=True)])
    assert [len(one.saved) for one in kept] == [2, 2]
    first, second = folds
    assert_alike(alone.train(first.data, first.settings, checkpoint=Kept(kept[0].saved[0])), results[0])
    by_itself = Kept()
    alone.train(second.data, second.settings, checkpoint=by_itself)
    assert by_itself.saved[0].keys() == kept[1].saved[0].keys()
    for name, value in by_itself.saved[0].items():
        assert (value.shape, value.dtype) == (
            kept[1].saved[0][name].shape,
            kept[1].saved[0][name].dtype,
        ) or name == "state"
    mixed = trained(together, [first, replace(second, checkpoint=Kept(by_itself.saved[0]))])
    for one, other, result in zip(mixed, again, results, strict=True):
        assert_alike(one, result)
        assert_alike(other, result, atol=0)


def test_a_fold_that_fails_fails_alone(folds, results, together):
    """It diverges in its second epoch, as no number comes from its checkpoint; or it cannot even begin, or not be saved."""
    kept = Kept()
    trained(together, [folds[0], replace(folds[1], checkpoint=kept)])
    poisoned = {name: np.full_like(v, np.nan) if name == "model/0" else v for name, v in kept.saved[0].items()}
    diverging = replace(folds[1], checkpoint=Kept(poisoned))
    nobody = replace(folds[1], data=replace(folds[1].data, test=folds[1].data.test[:0]))

    class Full(Kept):
        def save(self, arrays):
            raise OSError("no space left on device")

    for failing, kind, text in (
        (diverging, TimnetError, "The loss of seed 5 fold 2 is nan in epoch 3: training diverged"),
        (nobody, TimnetError, "The test part of seed 5 fold 2 is empty"),
        (replace(folds[1], checkpoint=Full()), OSError, "no space left on device"),
    ):
        ended = list(together.train_together([folds[0], failing]))
        assert [number for number, _ in ended] == [1, 0]
        assert isinstance(ended[0][1], kind)
        assert text in str(ended[0][1])
        assert_alike(ended[1][1], results[0], atol=0)


def test_each_fold_stops_when_its_own_patience_ends(folds, alone, together):
    impatient = replace(RECIPE, epochs=8, patience_epochs=2)
    patient = [replace(fold, settings=replace(fold.settings, recipe=impatient)) for fold in folds]
    seen = []
    ended = [replace(fold, on_epoch=lambda row, n=n: seen.append((n, row["epoch"]))) for n, fold in enumerate(patient)]
    ended = list(together.train_together(ended))
    lengths = {number: len(result.history) for number, result in ended}
    assert [number for number, _ in ended] == sorted(lengths, key=lengths.get)
    assert lengths[0] != lengths[1]
    assert sorted(seen) == [(n, epoch) for n in (0, 1) for epoch in range(1, lengths[n] + 1)]
    for number, result in ended:
        assert_alike(result, alone.train(patient[number].data, patient[number].settings), atol=1e-3)


def test_folds_that_do_not_fit_together_are_refused(folds, together):
    first, second = folds
    other = replace(second, settings=replace(second.settings, recipe=replace(RECIPE, epochs=4)))
    with pytest.raises(TimnetError, match="Folds in lockstep have one recipe, received"):
        trained(together, [first, other])
    other = replace(second, data=replace(second.data, features=second.data.features.copy()))
    with pytest.raises(TimnetError, match="Folds in lockstep share one array of features"):
        trained(together, [first, other])


@pytest.mark.usefixtures("trainer")
@pytest.mark.parametrize("name", [name for name in models.names() if models.get(name).lockstep])
def test_a_step_is_that_of_the_layers(name, folds):
    """Loss, gradients and statistics of batches of 6 and 3 of two replicas, worked out by Keras one after the other."""
    import keras
    import tensorflow as tf

    settings = replace(MODEL, name=name, dropout=0.0, n_tabs=3, kernel_size=2)
    replicas = Replicas(settings, RECIPE, 2)
    replicas._step = replicas._one_step  # as it is written, without the compiler
    data, random = folds[0].data, np.random.default_rng(1)
    batches = {n: Batch(data.train[5 * n :][: 6 - 3 * n], 1e-3, np.zeros(2, np.int32)) for n in (0, 1)}
    loss_of = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    expected = {}
    for n, batch in batches.items():
        model = models.get(name).build(settings)
        names = {id(variable): name for name, variable in variables(model).items()}
        weights = {
            k: (v.numpy() + random.uniform(0.1, 1, v.shape)).astype(np.float32) for k, v in variables(model).items()
        }
        set_weights(model, weights)
        replicas.start(n, 0, 1, None, None)
        replicas.load(n, weights)
        with tf.GradientTape() as tape:
            logits, _ = model(data.features[batch.rows], training=True)
            loss = loss_of(np.eye(3, dtype=np.float32)[data.classes[batch.rows]], logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        moved = {k: v.numpy() for k, v in variables(model).items() if "moving" in k}
        named = {names[id(v)]: np.asarray(g) for v, g in zip(model.trainable_variables, gradients, strict=True)}
        expected[n] = float(loss) * len(batch.rows), named, moved
    losses, _ = replicas.train_on(data.features, data.classes, [batches], 6)
    for n, (loss, gradients, moved) in expected.items():
        assert losses[n] == pytest.approx(loss, rel=1e-5)
        row = {kind: array[n] for kind, array in replicas._read().items()}
        first_momentum = {
            name: place.of({"trained": row["momentum"]})
            for name, place in replicas._weights.items()
            if name in gradients
        }
        for at, gradient in gradients.items():
            scale = max(1, np.abs(gradient).max())
            np.testing.assert_allclose(first_momentum[at] / (1 - 0.93), gradient, atol=3e-5 * scale, err_msg=at)
        for at, value in moved.items():
            np.testing.assert_allclose(replicas.weights(n)[at], value, rtol=1e-5, atol=1e-5, err_msg=at)
    assert max(np.abs(gradient).max() for gradient in expected[1][1].values()) > 1e-3


def test_the_random_numbers_are_those_that_xla_makes_for_tensorflow(trainer):
    import tensorflow as tf

    seeds = np.array([[3, 4], [-5, 77], [2**31 - 1, -(2**31)]], np.int32)
    position = np.broadcast_to(np.arange(10), (3, 10)).astype(np.uint32)
    drawn = np.asarray(philox.uniform(tf.constant(seeds), tf.constant(position))).reshape(3, 40)
    reference = tf.function(lambda seed: tf.random.stateless_uniform((40,), seed, alg="philox"), jit_compile=True)
    for row, seed in zip(drawn, seeds, strict=True):
        np.testing.assert_array_equal(row, reference(tf.constant(seed)))


def test_what_is_no_network_cannot_be_trained_in_lockstep():
    with pytest.raises(ConfigError, match="The model svm cannot be trained in lockstep"):
        Replicas(replace(MODEL, name="svm"), RECIPE, 2)
