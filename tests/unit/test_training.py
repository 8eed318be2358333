"""Training: the same numbers whatever happens in between, the right epoch chosen, and Keras itself as the judge."""

import json
from dataclasses import replace

import numpy as np
import pytest
from kept import Kept

from timnet import models
from timnet.config import FoldSettings, ModelSettings, Recipe
from timnet.errors import TimnetError, WeightsError
from timnet.models.base import get_weights, set_weights
from timnet.training import FoldData, Trainer, learning_rate, standardisation

MODEL = ModelSettings("timnet", n_frames=20, n_coefficients=4, n_classes=3, n_tabs=2, filters=4)
RECIPE = Recipe("test", "", epochs=6, batch_size=8, learning_rate=0.01, standardise=True)
AVERAGING = replace(RECIPE, speed=0.2, shift_frames=3, warp=0.1, averaged=0.5)  # over epochs 4 to 6
SETTINGS = FoldSettings(MODEL, RECIPE, "validation", seed=3, fold=1, checkpoint_every_epochs=2)


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    classes = np.arange(60, dtype=np.int32) % 3
    features = random.normal(size=(60, 20, 4)) + classes[:, None, None] * [5, 0, 2, 1] + 30
    rows = random.permutation(60)
    return FoldData(features.astype(np.float32), classes, rows[:35], rows[35:47], rows[47:])


def assert_same(left, right):
    np.testing.assert_array_equal(left.probabilities, right.probabilities)
    np.testing.assert_array_equal(left.embeddings, right.embeddings)
    assert left.weights.keys() == right.weights.keys()
    for name in left.weights:
        np.testing.assert_array_equal(left.weights[name], right.weights[name])
    assert left.chosen_epoch == right.chosen_epoch
    for a, b in zip(left.history, right.history, strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}
    assert left.others.keys() == right.others.keys()
    for name, (epoch, probabilities) in left.others.items():
        assert right.others[name][0] == epoch
        np.testing.assert_array_equal(right.others[name][1], probabilities)


def test_a_used_trainer_gives_the_numbers_of_a_new_one(data, trainer):
    first = trainer.train(data, SETTINGS)
    trainer.train(data, replace(SETTINGS, seed=4, fold=2))
    assert_same(trainer.train(data, SETTINGS), first)
    assert_same(Trainer(threads=1).train(data, SETTINGS), first)


def test_seed_and_fold_change_the_numbers(data, trainer):
    first = trainer.train(data, SETTINGS)
    for other in (replace(SETTINGS, seed=4), replace(SETTINGS, fold=2)):
        assert not np.array_equal(trainer.train(data, other).probabilities, first.probabilities)


@pytest.mark.parametrize("recipe", [RECIPE, AVERAGING])
@pytest.mark.parametrize("selection", ["last", "validation", "test"])
def test_a_fold_that_goes_on_from_a_checkpoint_ends_with_the_same_numbers(data, trainer, selection, recipe):
    settings = replace(SETTINGS, selection=selection, recipe=recipe)
    kept = Kept()
    undisturbed = trainer.train(data, settings, checkpoint=kept)
    assert len(kept.saved) == 2  # after epochs 2 and 4; after the last there is nothing left to save
    for saved in kept.saved:
        assert_same(Trainer(threads=1).train(data, settings, checkpoint=Kept(saved)), undisturbed)


@pytest.fixture(scope="module")
def compiling(trainer):
    """A trainer that uses the compiled form of a network even for so little work."""
    return Trainer(threads=1, compile_from=0)


def test_the_compiled_form_goes_on_from_a_checkpoint_too(data, compiling):
    kept = Kept()
    undisturbed = compiling.train(data, SETTINGS, checkpoint=kept)
    assert_same(compiling.train(data, SETTINGS, checkpoint=Kept(kept.saved[0])), undisturbed)
    assert not np.array_equal(compiling.train(data, replace(SETTINGS, seed=4)).probabilities, undisturbed.probabilities)


@pytest.mark.parametrize("form", ["trainer", "compiling"])
def test_it_learns(data, form, request):
    result = request.getfixturevalue(form).train(data, replace(SETTINGS, recipe=replace(RECIPE, epochs=40)))
    assert (result.probabilities.argmax(axis=1) == data.classes[data.test]).mean() > 0.8
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("form", ["trainer", "compiling"])
def test_one_step_is_the_step_of_keras_itself(data, form, request):
    """Adam, label smoothing and batch normalisation against model.compile and train_on_batch, without dropout."""
    import keras

    trainer = request.getfixturevalue(form)
    model = replace(MODEL, dropout=0.0)
    recipe = replace(RECIPE, epochs=1, batch_size=100, standardise=False, dropout=0.0)
    settings = FoldSettings(model, recipe, "last", seed=0, fold=1)
    start = trainer._network(model, recipe, compiled=False)
    start.start(0, 1, None, None)
    reference = models.get("timnet").build(model)
    set_weights(reference, start.weights())
    ours = trainer.train(data, settings)
    plain = keras.Model(reference.input, reference.outputs[0])
    plain.compile(
        optimizer=keras.optimizers.Adam(0.01, beta_1=0.93, beta_2=0.98, epsilon=1e-8),
        loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        jit_compile=False,
    )
    loss = plain.train_on_batch(data.features[data.train], np.eye(3, dtype=np.float32)[data.classes[data.train]])
    assert ours.history[0]["train_loss"] == pytest.approx(float(loss), rel=1e-5)
    for name, value in get_weights(reference).items():
        if "/conv" in name and name.endswith("bias"):
            continue  # batch normalisation takes the bias out again: its gradient is rounding, which Adam blows up
        np.testing.assert_allclose(ours.weights[name], value, atol=2e-4, err_msg=name)


def test_the_chosen_epoch_is_the_best_of_the_part_that_may_choose(data, trainer):
    last = trainer.train(data, replace(SETTINGS, selection="last"))
    assert last.chosen_epoch == RECIPE.epochs
    assert {row["validation_loss"] for row in last.history} == {None}
    leaky = trainer.train(data, replace(SETTINGS, selection="test"))
    accuracies = [row["test_accuracy"] for row in leaky.history]
    assert leaky.chosen_epoch == 1 + int(np.argmax(accuracies))
    right = leaky.probabilities.argmax(axis=1) == data.classes[data.test]
    assert right.mean() == pytest.approx(max(accuracies))
    honest = trainer.train(data, SETTINGS)
    assert {row["test_accuracy"] for row in honest.history} == {None}
    assert max(row["validation_accuracy"] for row in honest.history) == pytest.approx(
        honest.history[honest.chosen_epoch - 1]["validation_accuracy"], abs=0.1
    )


def test_where_the_test_part_chooses_the_honest_choices_of_the_same_training_are_kept(data, trainer):
    """They are, bit by bit, what the honest protocols get."""
    leaky = trainer.train(data, replace(SETTINGS, selection="test"))
    for selection in ("validation", "last"):
        honest = trainer.train(data, replace(SETTINGS, selection=selection))
        assert not honest.others
        epoch, probabilities = leaky.others[selection]
        assert epoch == honest.chosen_epoch
        np.testing.assert_array_equal(probabilities, honest.probabilities)
    assert {row["validation_loss"] is None for row in leaky.history} == {False}
    without = trainer.train(replace(data, validation=data.validation[:0]), replace(SETTINGS, selection="test"))
    assert without.others.keys() == {"last"}


def test_a_checkpoint_of_another_version_is_not_gone_on_from(data, trainer):
    kept = Kept()
    undisturbed = trainer.train(data, SETTINGS, checkpoint=kept)
    state = json.loads(kept.saved[0]["state"].tobytes()) | {"version": 1}
    older = kept.saved[0] | {"state": np.frombuffer(json.dumps(state).encode(), np.uint8)}
    assert_same(trainer.train(data, SETTINGS, checkpoint=Kept(older)), undisturbed)


def test_averaged_weights_predict_and_training_goes_on_from_its_own(data, trainer):
    """Until the averaging begins there is no difference; then it is the mean of what the same training has without it."""
    plain = replace(SETTINGS, recipe=replace(AVERAGING, averaged=0.0), selection="last")
    single = [trainer.train(data, replace(plain, recipe=replace(plain.recipe, epochs=n))) for n in range(1, 7)]
    mean = trainer.train(data, replace(plain, recipe=AVERAGING))
    assert [row["train_loss"] for row in mean.history] == [row["train_loss"] for row in single[-1].history]
    for name, value in mean.weights.items():
        expected = np.mean([one.weights[name] for one in single[3:]], axis=0)
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6, err_msg=name)
    again = trainer.predict_with(data, plain, mean.weights)
    np.testing.assert_allclose(again.probabilities, mean.probabilities, atol=1e-6)
    chosen = trainer.train(data, replace(plain, recipe=AVERAGING, selection="validation"))
    one_by_one = trainer.train(data, replace(plain, selection="validation"))
    for a, b in zip(chosen.history[:4], one_by_one.history[:4], strict=True):  # the mean of one is that one
        assert {**a, "seconds": 0} == {**b, "seconds": 0}
    assert chosen.history[4]["validation_loss"] != one_by_one.history[4]["validation_loss"]


def test_patience_stops_a_fold_that_no_longer_improves(data, trainer):
    impatient = replace(RECIPE, epochs=200, patience_epochs=3)
    result = trainer.train(data, replace(SETTINGS, recipe=impatient))
    assert len(result.history) < 200
    assert len(result.history) == result.chosen_epoch + 3
    leaky = trainer.train(data, replace(SETTINGS, recipe=impatient, selection="test"))  # the same training
    assert len(leaky.history) == len(result.history)


def test_standardisation_is_fitted_on_the_training_part_alone(data, trainer):
    changed = data.features.copy()
    changed[data.test] += 1000
    for features in (data.features, changed):
        result = trainer.train(replace(data, features=features), SETTINGS)
        frames = data.features[data.train].reshape(-1, 4)
        np.testing.assert_allclose(result.weights["input/mean"], frames.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(result.weights["input/sd"], frames.std(axis=0), rtol=1e-4)


def test_a_coefficient_that_never_changes_is_divided_by_one(data):
    features = data.features.copy()
    features[:, :, 2] = 7
    assert standardisation(replace(data, features=features))[1][2] == 1


def test_given_weights_predict_as_the_training_that_made_them(data, trainer):
    trained = trainer.train(data, SETTINGS)
    again = trainer.predict_with(data, SETTINGS, trained.weights)
    np.testing.assert_array_equal(again.probabilities, trained.probabilities)
    with pytest.raises(WeightsError, match="missing classifier/bias"):
        trainer.predict_with(data, SETTINGS, {k: v for k, v in trained.weights.items() if k != "classifier/bias"})


def test_the_learning_rate_follows_its_schedule():
    assert learning_rate(RECIPE, 5, 10) == 0.01
    cosine = replace(RECIPE, schedule="cosine")
    assert learning_rate(cosine, 0, 10) == 0.01
    assert learning_rate(cosine, 5, 10) == pytest.approx(0.005)
    assert learning_rate(cosine, 10, 10) == pytest.approx(0)


def test_data_that_cannot_be_trained_on_are_refused(data, trainer):
    holed = data.features.copy()
    holed[data.train[0], 3, 2] = np.nan
    nobody = np.array([], np.int64)
    cases = [
        (
            replace(data, features=data.features.astype(np.float64)),
            "Features are float32 of shape (n_utterances, 20, 4)",
        ),
        (replace(data, features=holed), f"The features of rows [{data.train[0]}] in the train part are not finite"),
        (replace(data, test=nobody), "The test part of seed 3 fold 1 is empty"),
        (replace(data, validation=nobody), "The validation part of seed 3 fold 1 is empty"),
        (
            replace(data, train=data.train[data.classes[data.train] != 1]),
            "No utterance of class [1] is in the train part",
        ),
    ]
    for broken, text in cases:
        with pytest.raises(TimnetError) as caught:
            trainer.train(broken, SETTINGS)
        assert text in str(caught.value)


def test_a_loss_that_is_no_number_names_the_fold(data, trainer):
    huge = replace(RECIPE, learning_rate=1e38, standardise=False)
    with pytest.raises(TimnetError, match=r"The loss of seed 3 fold 1 is (nan|inf) in epoch \d: training diverged"):
        trainer.train(data, replace(SETTINGS, recipe=huge))
