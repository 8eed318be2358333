"""The SVM against a scikit-learn pipeline; its statistics by hand; which data choose, and which are looked at."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from timnet import classical, features, metrics
from timnet.classical import C_CANDIDATES, C_WITHOUT_CHOICE, ClassicalTrainer, statistics, without_padding
from timnet.config import RECIPES, FoldSettings, ModelSettings
from timnet.errors import TimnetError, WeightsError
from timnet.store import Store
from timnet.training import FoldData

MODEL = ModelSettings("svm", n_frames=20, n_coefficients=4, n_classes=3)
SETTINGS = FoldSettings(MODEL, RECIPES["demo"], "validation", seed=3, fold=1)


@pytest.fixture(scope="module")
def data():
    """Three classes of unequal size that overlap, so that C matters; UAR and WAR prefer another C on the validation part."""
    random = np.random.default_rng(23)
    classes = random.choice(3, size=150, p=[0.6, 0.25, 0.15]).astype(np.int32)
    means = classes[:, None, None] * [0.3, 0, 0.2, 0.1]
    x = random.normal(size=(150, 20, 4)) + means + random.normal(size=(150, 1, 4)) * 0.4
    rows = random.permutation(150)
    return FoldData(x.astype(np.float32), classes, rows[:80], rows[80:115], rows[115:])


def test_statistics_by_hand():
    frames = np.array([[[1, 10], [3, 10], [8, 13]]], np.float32)
    found = statistics(frames)
    assert found.dtype == np.float64
    changes = [np.std([2, 5]), np.std([0, 3])]
    np.testing.assert_allclose(found, [[3, 4, 11, np.std([1, 3, 8]), np.std([10, 10, 13]), *changes]])


def test_padding_is_left_out():
    silence, speech = np.array([[-300.0, 0.0]]), np.array([[1.0, 2.0], [5.0, 3.0], [4.0, 4.0]])
    padded = np.concatenate([silence.repeat(4, axis=0), speech, silence.repeat(3, axis=0)])
    np.testing.assert_array_equal(without_padding(padded), speech)
    rounded = padded + 1e-5 * np.arange(10)[:, None]
    np.testing.assert_array_equal(without_padding(rounded), rounded[4:7])
    np.testing.assert_array_equal(without_padding(padded[4:]), speech)  # padded at one end alone
    np.testing.assert_array_equal(without_padding(padded[3:8]), padded[3:8])  # one frame a side repeats nothing
    np.testing.assert_array_equal(without_padding(speech), speech)
    np.testing.assert_array_equal(without_padding(padded[:4]), padded[:4])  # all alike: nothing would be left
    np.testing.assert_array_equal(without_padding(speech[:1]), speech[:1])
    between = np.concatenate([speech, silence, silence, speech])
    np.testing.assert_array_equal(without_padding(between), between)


def test_statistics_do_not_depend_on_how_far_a_recording_is_padded():
    random = np.random.default_rng(0)
    profile = features.get("soxr_hq")
    recording = random.normal(size=22_050).astype(np.float32)
    # 2 * 512 samples more put one more frame of silence on each side, and leave the others where they were.
    short, long = (
        statistics(features.extract(recording, 22_050, profile, length)[None])
        for length in (40_000, 40_000 + 40 * 1024)
    )
    np.testing.assert_allclose(short, long, rtol=1e-5, atol=1e-3)
    assert 22_050 / 512 < short[0, 0] < 22_050 / 512 + 6  # frames that hold some of the recording


def test_it_is_a_scikit_learn_pipeline(data):
    result = ClassicalTrainer().train(data, replace(SETTINGS, selection="last"))
    table = statistics(data.features)
    machine = LinearSVC(C=C_WITHOUT_CHOICE, dual=False, class_weight="balanced")
    pipeline = make_pipeline(StandardScaler(), machine).fit(table[data.train], data.classes[data.train])
    decisions = pipeline.decision_function(table[data.test])
    np.testing.assert_allclose(result.embeddings, decisions, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(result.probabilities.argmax(axis=1), pipeline.predict(table[data.test]))
    assert result.n_parameters == (1 + 3 * 4) * 3 + 3


def test_validation_data_choose_c(data):
    result = ClassicalTrainer().train(data, SETTINGS)
    table, truth = statistics(data.features), data.classes[data.validation]
    scored = []
    for c in C_CANDIDATES:
        machine = make_pipeline(StandardScaler(), LinearSVC(C=c, dual=False, class_weight="balanced"))
        machine.fit(table[data.train], data.classes[data.train])
        scored.append(metrics.scores(truth, machine.predict(table[data.validation]), 3))
    uars, wars = ([found[name] for found in scored] for name in ("uar", "war"))
    assert np.argmax(uars) != np.argmax(wars)
    assert result.weights[classical.C] == C_CANDIDATES[int(np.argmax(uars))]


def test_only_what_may_choose_is_looked_at(data):
    """Other labels and other features in a part that may not choose leave the model as it is."""

    def changed(rows):
        x, classes = data.features.copy(), data.classes.copy()
        x[rows] += 100
        classes[rows] = (classes[rows] + 1) % 3
        return replace(data, features=x, classes=classes)

    for selection, hidden in (
        ("last", np.concatenate([data.validation, data.test])),
        ("validation", data.test),
        ("test", data.validation),
    ):
        settings = replace(SETTINGS, selection=selection)
        kept = ClassicalTrainer().train(data, settings).weights
        for name, value in ClassicalTrainer().train(changed(hidden), settings).weights.items():
            np.testing.assert_array_equal(value, kept[name])


def test_choosing_on_the_test_part_is_no_worse_than_any_candidate(data):
    data = replace(data, validation=data.test, test=data.validation)  # where the best UAR is not the best accuracy
    leaky = ClassicalTrainer().train(data, replace(SETTINGS, selection="test"))
    truth, table = data.classes[data.test], statistics(data.features)
    accuracies = [
        make_pipeline(StandardScaler(), LinearSVC(C=c, dual=False, class_weight="balanced"))
        .fit(table[data.train], data.classes[data.train])
        .score(table[data.test], truth)
        for c in C_CANDIDATES
    ]
    assert leaky.weights[classical.C] == C_CANDIDATES[int(np.argmax(accuracies))]
    assert (leaky.probabilities.argmax(axis=1) == truth).mean() == pytest.approx(max(accuracies))


def test_where_the_test_part_chooses_the_honest_choices_are_kept(data):
    leaky = ClassicalTrainer().train(data, replace(SETTINGS, selection="test"))
    for selection in ("validation", "last"):
        honest = ClassicalTrainer().train(data, replace(SETTINGS, selection=selection))
        np.testing.assert_array_equal(leaky.others[selection][1], honest.probabilities)
        assert not honest.others
    without = ClassicalTrainer().train(
        replace(data, validation=data.validation[:0]), replace(SETTINGS, selection="test")
    )
    assert without.others.keys() == {"last"}


def test_two_classes(data):
    two = replace(data, classes=np.minimum(data.classes, 1))
    settings = replace(SETTINGS, model=replace(MODEL, n_classes=2), selection="last")
    result = ClassicalTrainer().train(two, settings)
    assert result.probabilities.shape == (len(data.test), 2)
    np.testing.assert_allclose(result.embeddings[:, 0], -result.embeddings[:, 1])
    machine = make_pipeline(StandardScaler(), LinearSVC(C=C_WITHOUT_CHOICE, dual=False, class_weight="balanced"))
    table = statistics(data.features)
    machine.fit(table[data.train], two.classes[data.train])
    np.testing.assert_array_equal(result.probabilities.argmax(axis=1), machine.predict(table[data.test]))


def test_a_statistic_that_never_changes_does_no_harm(data):
    x = data.features.copy()
    x[:, :, 2] = 7
    result = ClassicalTrainer().train(replace(data, features=x), SETTINGS)
    assert np.isfinite(result.embeddings).all()
    assert result.weights[classical.SD][[0, 3, 7, 11]].tolist() == [1, 1, 1, 1]


def test_weights_go_through_the_store_and_predict_again(data, tmp_path):
    store, trainer = Store(str(tmp_path)), ClassicalTrainer()
    result = trainer.train(data, SETTINGS)
    store.write_arrays("weights.npz", result.weights)
    again = trainer.predict_with(data, SETTINGS, store.read_arrays("weights.npz"))
    np.testing.assert_array_equal(again.probabilities, result.probabilities)
    np.testing.assert_array_equal(again.embeddings, result.embeddings)


def test_weights_that_do_not_fit_are_refused(data):
    trainer = ClassicalTrainer()
    weights = trainer.train(data, SETTINGS).weights
    lacking = {name: value for name, value in weights.items() if name != classical.BIAS}
    for wrong in (lacking, weights | {classical.BIAS: np.zeros(4)}, weights | {"fusion/kernel": np.zeros(1)}):
        with pytest.raises(WeightsError, match="These weights are not of the model svm: it needs the shapes"):
            trainer.predict_with(data, SETTINGS, wrong)


def test_data_that_cannot_be_fitted_are_refused(data):
    nobody = replace(data, validation=np.array([], np.int64))
    with pytest.raises(TimnetError, match="The validation part of seed 3 fold 1 is empty"):
        ClassicalTrainer().train(nobody, SETTINGS)
    lacking = replace(data, train=data.train[data.classes[data.train] != 1])
    with pytest.raises(TimnetError, match=r"No utterance of class \[1\] is in the train part"):
        ClassicalTrainer().train(lacking, SETTINGS)


def test_an_actor_fits_it_without_tensorflow(tmp_path):
    """The class inside the Ray actor, in a process of its own: commits a whole fold and has never loaded TensorFlow."""
    code = f"""
import sys
import numpy as np
from tasks.actors import FoldTrainer
from timnet.config import RECIPES, FoldSettings, ModelSettings
from timnet.splits import Columns
from timnet.store import Store

n = 30
classes = np.arange(n, dtype=np.int32) % 3
ids, nothing = tuple(map(str, range(n))), (None,) * n
columns = Columns("TINY", ids, classes, ("angry", "happy", "sad"), nothing, nothing, nothing)
x = (np.random.default_rng(0).normal(size=(n, 20, 4)) + 3 * np.eye(4)[classes][:, None]).astype(np.float32)
settings = FoldSettings(ModelSettings("svm", 20, 4, 3), RECIPES["fast"], "validation", seed=1, fold=1)
rows = (np.arange(12), np.arange(12, 21), np.arange(21, n))
store = Store({str(tmp_path)!r})
facts = FoldTrainer.__ray_metadata__.modified_class(1).run(x, columns, rows, settings, store, "fold", None)
assert facts["n_parameters"] == 42 and facts["chosen_epoch"] == 0 and facts["uar"] > 0.9, facts
assert store.is_done("fold") and not store.exists("fold/history.parquet")
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
