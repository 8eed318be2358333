"""A trained model from a run, from a file and as published: what is in it, and what is said where it cannot be had."""

import json
import os
from collections import Counter

import numpy as np
import pytest
from stored_run import Made, network_of, write_run

from timnet import report
from timnet.errors import ConfigError, StoreError, TimnetError, WeightsError
from timnet.features import FEATURES
from timnet.published_weights import write_weights
from timnet.store import Store
from timnet.trained import notes, of_file, of_run, published, resolve, save

A, B = Made("A", failed=frozenset({(46, 2)})), Made("B", labels=("calm", "cross"), synthetic=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A run of one corpus, and one of two of which a fold failed."""
    store = Store(str(tmp_path_factory.mktemp("store")))
    for run_id, made in (("two", (A, B)), ("one", (B,))):
        write_run(store, made, run_id=run_id)
        report.build(store, run_id)
    return store


def same(one, other):
    assert [(fold.seed, fold.fold, fold.trained_on) for fold in one.folds] == [
        (fold.seed, fold.fold, fold.trained_on) for fold in other.folds
    ]
    for mine, theirs in zip(one.folds, other.folds, strict=True):
        assert mine.weights.keys() == theirs.weights.keys()
        assert all(np.array_equal(mine.weights[name], theirs.weights[name]) for name in mine.weights)
        assert all(mine.weights[name].dtype == theirs.weights[name].dtype for name in mine.weights)
    return True


def test_a_run_gives_all_its_folds_and_what_is_known_of_them(store):
    trained = of_run(store, "one")
    assert [(fold.seed, fold.fold) for fold in trained.folds] == [(s, f) for s in (46, 47) for f in (1, 2, 3)]
    assert trained.labels == ("calm", "cross")
    assert trained.model == network_of(B)
    assert trained.profile == FEATURES["soxr_hq"]
    assert trained.signal_length == 110_250
    assert trained.synthetic
    assert trained.recorded == {"language": "Klingon", "n_recordings": 24, "n_speakers": 6}
    assert trained.protocol["selection"] == "validation"
    summary = store.read_json("runs/one/report/summary.json")["corpora"]["B"]
    assert trained.scores == {key: summary[key] for key in trained.scores.keys() - {"sharing"}} | {
        "sharing": trained.scores["sharing"]
    }
    assert trained.scores["sharing"][0].startswith("No speaker is in training and test at once")
    assert trained.versions["keras"] == "3.15.0"
    assert trained.missing == ()
    low, middle, high = trained.heard.duration_s
    assert 1.1 <= low < middle < high <= 6.5
    assert trained.heard.peak_dbfs == pytest.approx((-19.8, -10, -0.2))
    assert trained.heard.rms_dbfs == pytest.approx((-39.8, -30, -20.2))
    entry = store.read_json("runs/one/run.json")["corpora"]["B"]["seeds"]["46"]["folds"][1]
    manifest = store.read_table("manifests/B/k/manifest.parquet").to_pylist()
    split = store.read_json("runs/one/run.json")["corpora"]["B"]["seeds"]["46"]["split"]
    rows = store.read_table(f"{split}/folds.parquet").to_pylist()
    learnt = {row["utterance_id"] for row in rows if row["fold"] == 2 and row["part"] == "train"}
    assert learnt
    assert trained.folds[1].learnt_from == {r["audio_sha256"] for r in manifest if r["utterance_id"] in learnt}
    weights = store.read_arrays(f"{entry['path']}/weights.npz")
    assert np.array_equal(trained.folds[1].weights["input/mean"], weights["input/mean"])


def test_one_corpus_one_seed_one_fold(store):
    assert len(of_run(store, "two", "b").folds) == 6
    assert [fold.seed for fold in of_run(store, "one", seed=47).folds] == [47, 47, 47]
    assert [(fold.seed, fold.fold) for fold in of_run(store, "one", seed=47, fold=3).folds] == [(47, 3)]


def test_the_scores_are_those_of_the_folds_that_are_meant(store):
    summary = store.read_json("runs/one/report/summary.json")["corpora"]["B"]
    of_seed = of_run(store, "one", seed=47).scores
    assert of_seed["pooled"] == summary["seeds"]["47"]["pooled"]
    assert (of_seed["fold_mean"], of_seed["fold_sd"]) == (
        summary["seeds"]["47"]["fold_mean"],
        summary["seeds"]["47"]["fold_sd"],
    )
    assert (of_seed["folds_completed"], of_seed["folds_total"]) == (3, 3)
    assert of_seed["interval"]["n_clusters"] == 6
    assert of_seed["interval"] != summary["interval"]
    fold = next(one for one in summary["folds"] if (one["seed"], one["fold"]) == (47, 3))
    alone = of_run(store, "one", seed=47, fold=3).scores
    assert alone["pooled"] == {name: fold[name] for name in ("war", "uar", "f1_macro")}
    assert (alone["folds_total"], alone["interval"]["n_clusters"]) == (1, 2)
    both = [one for one in summary["folds"] if one["fold"] == 3]
    assert of_run(store, "one", fold=3).scores["pooled"]["war"] == pytest.approx(sum(one["war"] for one in both) / 2)


def test_the_warnings_are_those_of_the_folds_that_are_meant(store):
    assert any("Only 5 of 6 folds finished" in one for one in of_run(store, "two", "A").scores["warnings"])
    assert any("Only 2 of 3 folds finished" in one for one in of_run(store, "two", "A", 46).scores["warnings"])
    assert not any("finished" in one for one in of_run(store, "two", "A", 47).scores["warnings"])


def test_folds_of_leaky_trainings_have_the_scores_of_honest_choices(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (B,), protocol="stratified-leaky", run_id="leaky")
    summary = report.build(store, "leaky")["corpora"]["B"]
    whole, fold = of_run(store, "leaky").scores, of_run(store, "leaky", fold=2).scores
    assert whole["choices"] == summary["choices"]
    assert list(fold["choices"]) == ["validation", "last", "test"]
    assert "gain" not in fold["choices"]["validation"]  # the fold tests other recordings under each seed
    assert fold["choices"]["test"]["war"] == fold["pooled"]["war"]
    assert any("6 speakers are in training and test at once" in one for one in whole["sharing"])


def test_of_a_part_of_the_folds_what_needs_no_model_and_what_they_lack_are_those_of_the_part(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (Made("A"),), seeds=(46,), n_folds=8, protocol="published", run_id="one")
    tested = store.read_table("trained/A/46-3/predictions.parquet")["emotion"].to_pylist()
    most, n = Counter(tested).most_common(1)[0]
    absent = [label for label in Made("A").labels if label not in tested]
    assert (n, len(tested), absent) == (2, 6, ["neutral"])
    scores = of_run(store, "one", fold=3).scores
    assert (scores["baselines"]["majority_label"], scores["baselines"]["majority_war"]) == (most, 2 / 6)
    assert of_run(store, "one").scores["baselines"]["majority_war"] == 0.25
    lacks = (
        "A test part lacks an emotion in seed 46 fold 3 (neutral): the UAR of such a fold is the mean over the others."
    )
    assert scores["sharing"][-1] == lacks


def test_a_store_that_lost_what_the_scores_stand_on_still_has_the_model(tmp_path):
    store = Store(str(tmp_path))
    write_run(store, (B,), run_id="one")
    store.delete("manifests/B/k")
    assert len(of_run(store, "one").folds) == 6
    assert of_run(store, "one").scores == {}


def test_folds_that_failed_are_named_beside_those_that_are_left(store):
    trained = of_run(store, "two", "A")
    assert len(trained.folds) == 5
    assert trained.missing == ("seed 46 fold 2: WorkerCrashedError: the worker died (out of memory)",)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("none",), StoreError, r"no run 'none' in .*; there are: one, two"),
        (("two",), ConfigError, "--corpus says which corpus of the run two: A, B; received none"),
        (("two", "C"), ConfigError, "--corpus says which corpus of the run two: A, B; received C"),
        (("one", None, 5), ConfigError, "--seed 5: the run one has the seeds 46, 47"),
        (("one", None, None, 4), ConfigError, "--fold 4: the run one has the folds 1 to 3"),
        (
            ("two", "A", 46, 2),
            StoreError,
            "no finished fold to predict with; missing are seed 46 fold 2: WorkerCrashed",
        ),
    ],
)
def test_what_a_run_does_not_have(store, arguments, error, text):
    with pytest.raises(error, match=text):
        of_run(store, *arguments)


def test_a_run_that_has_not_ended_or_is_of_an_older_version(tmp_path):
    store = Store(str(tmp_path))
    store.write_json("runs/begun/settings.json", {})
    with pytest.raises(StoreError, match=r"begun in .* is unfinished: it has no report yet. Give its command again"):
        of_run(store, "begun")
    write_run(store, (B,), run_id="old")
    facts = store.read_json("runs/old/run.json")
    del facts["corpora"]["B"]["network"]
    store.write_json("runs/old/run.json", facts)
    with pytest.raises(
        StoreError,
        match=r"another version.*Delete the run \(timnet runs delete old --yes\) and give its command again: its",
    ):
        of_run(store, "old")


def test_across_corpora_a_fold_is_a_corpus(store):
    facts = store.read_json("runs/one/run.json")
    facts["corpora"]["B"]["sources"] = ["anna", "bo", "mei"]  # what the utterances' names begin with
    store.write_json("runs/crossed/run.json", facts)
    trained = of_run(store, "crossed")
    assert [fold.trained_on for fold in trained.folds] == ["anna", "bo", "mei"] * 2
    alone = of_run(store, "crossed", "BO")
    assert [(fold.seed, fold.fold, fold.trained_on) for fold in alone.folds] == [(46, 2, "bo"), (47, 2, "bo")]
    assert alone.heard.peak_dbfs != trained.heard.peak_dbfs
    assert (alone.recorded["n_recordings"], alone.recorded["n_speakers"]) == (4, 1)
    assert (alone.licences, trained.licences) == (
        {"bo": "not stated"},
        dict.fromkeys(("anna", "bo", "mei"), "not stated"),
    )
    assert alone.scores["folds_total"] == 2
    assert alone.scores["pooled"] != trained.scores["pooled"]
    with pytest.raises(ConfigError, match="B, anna, bo, mei; received X"):
        of_run(store, "crossed", "X")
    facts["corpora"]["B"]["sources"] = ["EMODB", "RAVDESS", "mine"]
    store.write_json("runs/crossed/run.json", facts)
    joint = of_run(store, "crossed")
    assert joint.licences == {"EMODB": "CC0", "RAVDESS": "CC BY-NC-SA 4.0", "mine": "not stated"}
    assert joint.recorded["language"] == "German, English (North American), not stated"


def test_a_file_gives_back_what_was_saved(store, tmp_path):
    for trained in (of_run(store, "two", "A"), of_run(store, "one", seed=46)):
        save(trained, tmp_path / "model.npz")
        again = of_file(tmp_path / "model.npz")
        assert same(again, trained)
        for name in trained.__dataclass_fields__.keys() - {"folds"}:
            assert getattr(again, name) == getattr(trained, name), name


def test_a_run_knows_what_its_recordings_sound_like_as_long_as_it_has_their_features(tmp_path):
    store = Store(str(tmp_path / "store"))
    write_run(store, (B,), run_id="one", data_root=tmp_path / "data")
    heard = of_run(store, "one").heard
    assert np.shape(heard.timbre) == (26, 25)
    facts = store.read_json("runs/one/run.json")
    (folder,) = facts["corpora"]["B"]["features"]
    crossed = facts["corpora"]["B"] | {"sources": ["anna", "B", "mei"], "features": ["features/mei/k", folder]}
    store.write_json("runs/crossed/run.json", facts | {"corpora": {"J": crossed}})
    assert of_run(store, "crossed", "B").heard.timbre == heard.timbre
    assert of_run(store, "crossed", "anna").heard.timbre is of_run(store, "crossed").heard.timbre is None
    store.write_bytes(f"{folder}/shard-00000/features.parquet", b"broken")
    assert of_run(store, "one").heard.timbre is None


def test_a_file_beside_which_one_stands(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(of_run(store, "one"), "model.npz")
    assert of_file("model.npz").corpus == "B"
    assert os.listdir() == ["model.npz"]


def broken(path, change):
    """The file with its `about` changed."""
    with np.load(path) as archive:
        arrays = dict(archive)
    about = json.loads(arrays["about"].tobytes())
    change(about, arrays)
    arrays.setdefault("about", np.frombuffer(json.dumps(about).encode(), np.uint8))
    np.savez(path, **arrays)


def _changed(about, arrays, **changes):
    del arrays["about"]
    about.update(changes)


def _lost(about, arrays):
    _changed(about, arrays)
    del about["labels"]


def _no_weights(about, arrays):
    for name in [name for name in arrays if name.startswith("46/2/")]:
        del arrays[name]


def _not_finite(about, arrays):
    arrays["46/2/input/mean"][3] = np.nan


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda about, arrays: arrays.update(about=np.zeros(3)), "has no entry 'about'"),
        (lambda about, arrays: arrays.update(about=np.zeros(3, np.uint8)), "says of itself what cannot be"),
        (lambda about, arrays: _changed(about, arrays, format_version=9), "has the format 9, and this version reads 2"),
        (lambda about, arrays: _changed(about, arrays, labels=["one"]), "6 folds, and 1 labels for 2 classes"),
        (lambda about, arrays: _changed(about, arrays, model={"name": "x"}), "says of itself what cannot be"),
        (lambda about, arrays: _changed(about, arrays, model=None), "says of itself what cannot be"),
        (lambda about, arrays: _changed(about, arrays, folds=[]), "0 folds"),
        (lambda about, arrays: _changed(about, arrays, more=1), "its entries are .*more"),
        (_lost, "its entries are"),
        (_no_weights, "no weights of seed 46 fold 2"),
        (_not_finite, "input/mean of seed 46 fold 2 has values that are no finite numbers"),
    ],
)
def test_a_file_that_is_not_what_it_should_be(store, tmp_path, change, text):
    path = tmp_path / "model.npz"
    save(of_run(store, "one"), path)
    broken(path, change)
    with pytest.raises(WeightsError, match=text) as raised:
        of_file(path)
    assert "Wanted is a file that `timnet export --format npz` wrote" in str(raised.value)


@pytest.mark.parametrize("kept", [0, 10, 5000])
def test_a_file_that_is_cut_off(store, tmp_path, kept):
    path = tmp_path / "model.npz"
    save(of_run(store, "one"), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"is broken, cut off or no .npz file at all"):
        of_file(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(WeightsError, match=r"none.npz is not there. Wanted is"):
        of_file(tmp_path / "none.npz")


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """Ten files as the authors release them, of random weights."""
    from timnet.published_layers import layers
    from timnet.trained.given import settings_of

    folder, settings = tmp_path_factory.mktemp("EMODB_46"), settings_of("EMODB")
    for fold in range(1, 11):
        random = np.random.default_rng(fold)
        weights = {
            f"{layer.ours}/{name}": random.uniform(0.1, 0.2, shape).astype(np.float32)
            for layer in layers(settings)
            for name, shape in layer.shapes.items()
        }
        (folder / f"10-fold_weights_best_{fold}.hdf5").write_bytes(write_weights(weights, settings))
    return folder


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("EMODB_46", "EMODB"),
        ("EMODB_46/10-fold_weights_best_3.hdf5", "EMODB"),
        ("weights/emovo_seed1.hdf5", "EMOVO"),
        ("SAVEE/RAVDESS.h5", "RAVDESS"),
        ("CASIA-EMOVO", "CASIA and EMOVO"),
    ],
)
def test_weights_that_are_named_for_another_corpus(path, named):
    expected = (
        rf"--corpus SAVEE: {path} is named for {named}, .* same shape .* Give --corpus {named.split()[0]}; if it is"
    )
    with pytest.raises(ConfigError, match=expected):
        published(path, "SAVEE")


@pytest.mark.parametrize("name", ["weights", "EMODB_46", "of-EMODB-and-SAVEE", "SAVEE2/EMODB", "RAVDESS/46", "besavee"])
def test_weights_whose_name_says_nothing_else(released, tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).symlink_to(released)
    assert published(tmp_path / name, "EMODB", 1).corpus == "EMODB"


def test_released_weights(released, store):
    trained = published(released, "emodb")
    assert [(fold.seed, fold.fold) for fold in trained.folds] == [(46, fold) for fold in range(1, 11)]
    assert (trained.corpus, trained.profile.name, trained.signal_length) == ("EMODB", "published", 96_000)
    assert (trained.model.n_frames, trained.model.n_classes, trained.model.n_tabs) == (188, 7, 8)
    assert trained.protocol["selection"] == "test"
    assert trained.recorded == {"language": "German", "n_recordings": 535, "n_speakers": 10}
    assert trained.heard.duration_s is None
    assert trained.scores == {
        "published": {"test": {"war": 0.957, "uar": 0.9517}, "last": {"war": 0.9028, "uar": 0.8919}}
    }
    said = " ".join(notes(trained))
    assert "Its authors report, of all folds, WAR 90.28 % and UAR 89.19 % after the last epoch of training" in said
    assert "No score" not in said
    alone = resolve(f"{released}/10-fold_weights_best_3.hdf5", store, "EMODB")
    assert [(fold.seed, fold.fold) for fold in alone.folds] == [(46, 3)]
    assert np.array_equal(alone.folds[0].weights["classifier/kernel"], trained.folds[2].weights["classifier/kernel"])
    assert same(resolve(str(released), store, "EMODB", fold=3), alone)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((None,), ConfigError, "--corpus says what .* was trained on: CASIA, EMODB, .*; received none"),
        (("DEMO",), ConfigError, "received DEMO"),
        (("RAVDESS",), ConfigError, "--corpus RAVDESS: .* is named for EMODB, "),
        (("EMODB", 1), ConfigError, "--seed 1: .* has the seeds 46"),
        (("EMODB", None, 11), ConfigError, "--fold 11: .* has the folds 1, 2"),
    ],
)
def test_released_weights_of_something_else(released, store, arguments, error, text):
    with pytest.raises(error, match=text):
        resolve(str(released), store, *arguments)


def test_released_weights_of_another_shape(released, store, tmp_path):
    (tmp_path / "weights").symlink_to(released)
    with pytest.raises(WeightsError, match="tells 7 classes apart, and the model 8"):
        resolve(str(tmp_path / "weights"), store, "RAVDESS")


def test_a_name_is_a_run_or_a_file(store, tmp_path, monkeypatch):
    save(of_run(store, "two", "B"), tmp_path / "b.npz")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    assert resolve("one", store).run_id == "one"  # and not the folder
    assert resolve("b.npz", store, "b").run_id == "two"
    some = resolve("b.npz", store, seed=47, fold=1)
    assert [(fold.seed, fold.fold) for fold in some.folds] == [(47, 1)]
    assert some.scores == {}  # of these nothing is known, of all of them it is
    assert resolve("b.npz", store).scores == of_run(store, "two", "B").scores
    with pytest.raises(TimnetError, match=r"--corpus says what ./one was trained on"):
        resolve("./one", store)


@pytest.mark.parametrize(
    ("model", "arguments", "text"),
    [
        ("nothing", (), r"--model nothing is neither a run in .* \(.*one, two\), a file .npz"),
        ("", (), "--model with no name is neither a run in"),
        ("one/report", (), "--model one/report is neither a run in"),
        (".", (), "--corpus says what . was trained on"),  # a folder, and no run
        ("b.npz", ("A",), "--corpus A: b.npz was trained on B"),
        ("b.npz", (None, 3), "--seed 3: b.npz has the seeds 46, 47"),
        ("b.npz", (None, None, 9), "--fold 9: b.npz holds seed 46 fold 1, "),
    ],
)
def test_a_name_that_is_neither(store, tmp_path, monkeypatch, model, arguments, text):
    save(of_run(store, "two", "B"), tmp_path / "b.npz")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=text):
        resolve(model, store, *arguments)
