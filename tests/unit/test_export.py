"""Exporting: wrong use, what is left where a check fails, which features check it, and what its card says."""

import hashlib
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from flows.main import main
from tests.exportable import PROFILE, SIGNAL_LENGTH, SVM, svm
from timnet import audio, corpora, features, tables
from timnet.corpora import demo
from timnet.errors import ConfigError, ExportError
from timnet.export import FORMATS, check_use, examples, export
from timnet.export.card import GIVEN, RELEASED
from timnet.export.formats import _classes_of_others
from timnet.feature_shards import shard_folder
from timnet.features import feature_key
from timnet.store import Store
from timnet.trained import Trained, of_file, save

NPZ = FORMATS["npz"]
TIMNET = replace(SVM, model=replace(SVM.model, name="timnet"), folds=svm().folds)


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_writes_file_card_and_json(tmp_path, store, capsys):
    save(svm(), tmp_path / "given.npz")
    main(["export", "--model", f"{tmp_path}/given.npz", "--output", f"{tmp_path}/out/a.npz", "--store", store.uri])
    said = capsys.readouterr().out
    assert "UAR 59.24 % [54.55, 63.69]" in said
    assert "8 of 8 are given the same emotion" in said
    assert f"Written: {tmp_path}/out/a.npz" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.npz", "a.npz.json", "a.npz.md"]
    assert [one.name for one in of_file(tmp_path / "out/a.npz").folds] == ["seed 7 fold 1", "seed 7 fold 2"]


def test_one_fold_alone(tmp_path, store, capsys):
    save(svm(), tmp_path / "given.npz")
    arguments = ["--seed", "7", "--fold", "2", "--format", "npz", "--store", store.uri]
    main(["export", "--model", f"{tmp_path}/given.npz", "--output", f"{tmp_path}/b.npz", *arguments])
    assert [one.name for one in of_file(tmp_path / "b.npz").folds] == ["seed 7 fold 2"]
    said = (tmp_path / "b.npz.md").read_text()
    assert "- made of: seed 7 fold 2\n" in said
    assert "No score of this model is known here." in said  # the file's are those of both of its folds


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--output", "a.h5"], "--output a.h5: its name ends in no format; allowed are .keras, .onnx, .tflite, .npz."),
        (["--output", "a.npz", "--format", "onnx"], "--output a.npz: the name of a file of --format onnx ends in .onnx."),
        (["--output", "a.onnx"], "--format onnx is for networks, and svm of .* is none (Linear SVM). Allowed for it: npz."),
        (["--output", "a.npz", "--format", "pt"], "argument --format: invalid choice: 'pt'"),
        (["--output", "a.npz", "--seed", "3"], "--seed 3: given.npz has the seeds 7."),
        (["--output", "given.npz/a.npz"], "given.npz is none. Give another"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line(tmp_path, monkeypatch, capsys, arguments, text):
    monkeypatch.chdir(tmp_path)
    save(svm(), "given.npz")
    with pytest.raises(SystemExit) as ended:
        main(["export", "--model", "given.npz", *arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for part in text.split(".*"):
        assert part in said
    assert [path.name for path in tmp_path.iterdir()] == ["given.npz"]


@pytest.mark.parametrize(("missing", "named"), [(["onnx"], "onnx, which is"), (["onnx", "tf2onnx"], "onnx, tf2onnx, which are")])  # fmt: skip
def test_packages_that_are_missing_are_named(monkeypatch, missing, named):
    for package in missing:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"--format onnx needs {named} not installed. Say: pip install 'timnet\[export\]'"):  # fmt: skip
        check_use(TIMNET, FORMATS["onnx"], "a.onnx")


# -- a check that fails -----------------------------------------------------------------------------------------------


def other_weights(trained, about, path):
    save(replace(trained, folds=trained.folds[:1]), path)


def no_numbers(path, batches):
    return [np.full((len(batch), 3), np.nan, np.float32) for batch in batches]


def too_few(path, batches):
    return [np.zeros((1, 3), np.float32) for _ in batches]


def fails(*_):
    raise RuntimeError("the converter\nhas stopped")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (replace(NPZ, write=other_weights), "The npz file gives other probabilities than the model: they differ by up to"),
        (replace(NPZ, predict=no_numbers), "they differ by up to nan on 8 examples"),
        (replace(NPZ, predict=too_few), r"of shape \(1, 3\) and \(1, 3\), expected are \(8, 3\) and \(1, 3\)"),
        (replace(NPZ, predict=fails), r"cannot be read by timnet .* \(RuntimeError: the converter\). Nothing was written"),
        (replace(NPZ, write=fails), r"cannot be written as npz \(RuntimeError: the converter\). Nothing was written"),
    ],
)  # fmt: skip
def test_a_check_that_fails_leaves_everything_as_it_was(tmp_path, store, form, text):
    (tmp_path / "out").mkdir()
    for there in ((), ("a.npz",)):
        for name in there:
            export(replace(svm(), name="of yesterday"), NPZ, tmp_path / "out" / name, examples(svm(), store))
        before = hashes(tmp_path / "out")
        with pytest.raises(ExportError, match=text):
            export(svm(), form, tmp_path / "out/a.npz", examples(svm(), store))
        assert hashes(tmp_path / "out") == before


MD, JSON = "a.npz.md", "a.npz.json"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda out: (out / "a.npz").write_text("mine"), "a.npz is not what an export wrote"),
        (lambda out: (out / MD).write_text("mine"), "a.npz.md is not what an export wrote"),
        (lambda out: (out / JSON).write_text("{}"), "is not what an export wrote"),
        (lambda out: (out / JSON).write_text("[1]"), "is not what an export wrote"),
        (lambda out: (out / JSON).unlink(), "a.npz is not what an export wrote"),
        (lambda out: [path.unlink() for path in out.iterdir()] and (out / "a.npz").mkdir(), "a.npz is a folder"),
        (lambda out: (out / MD).unlink() or (out / MD).mkdir(), "a.npz.md is a folder"),
        (lambda out: (out / JSON).unlink() or (out / JSON).mkdir(), "is not what an export wrote"),
    ],
)
def test_nothing_is_replaced_but_what_an_export_wrote(tmp_path, store, capsys, change, text):
    save(svm(), tmp_path / "given.npz")
    command = ["export", "--model", f"{tmp_path}/given.npz", "--output", f"{tmp_path}/out/a.npz", "--store", store.uri]
    main(command)
    main(command)  # what it wrote itself it replaces
    change(tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    assert f"{text}, and is not replaced. Give another name" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()} == before


def test_json_and_card_name_the_model_that_they_are_about(tmp_path, store):
    export(svm(), NPZ, tmp_path / "a.npz", examples(svm(), store))
    facts, sums = json.loads((tmp_path / JSON).read_text()), hashes(tmp_path)
    assert (facts["file"]["sha256"], facts["card"]["sha256"]) == (sums["a.npz"], sums[MD])
    assert f"SHA-256 `{sums['a.npz']}`" in (tmp_path / MD).read_text()


def test_nothing_of_this_machine_goes_along(tmp_path, store):
    for root in (tmp_path / "data", tmp_path / "none"):
        for number in range(2 if root.name == "data" else 0):
            path = root / "SPOKEN" / ("happy", "sad")[number] / "1.wav"
            path.parent.mkdir(parents=True)
            soundfile.write(path, demo.utterance("s01", "t1", "happy"), 16_000)
        export(svm(), NPZ, tmp_path / "a.npz", examples(svm(), store, str(root)))
        for name in (MD, JSON, "a.npz"):
            assert str(tmp_path).encode() not in (tmp_path / name).read_bytes()


def test_the_command_ends_with_1_where_the_check_fails(tmp_path, store, monkeypatch, capsys):
    save(svm(), tmp_path / "given.npz")
    monkeypatch.setitem(FORMATS, "npz", replace(NPZ, write=other_weights))
    with pytest.raises(SystemExit) as ended:
        main(["export", "--model", f"{tmp_path}/given.npz", "--output", f"{tmp_path}/a.npz", "--store", store.uri])
    assert ended.value.code == 1
    assert "timnet: The npz file gives other probabilities than the model" in capsys.readouterr().err
    assert not (tmp_path / "a.npz").exists()


def test_classes_that_only_timnet_knows_are_found():
    config = {"module": "keras.layers", "class_name": "Dense", "config": {"layers": [{"module": "timnet.models.own", "class_name": "Own"}]}}  # fmt: skip
    assert _classes_of_others(config) == {"timnet.models.own.Own"}


# -- what it is checked with ------------------------------------------------------------------------------------------


def write_features(store: Store, trained: Trained, n: int = 100) -> np.ndarray:
    """A run with stored features in two shards; returns the features."""
    folder = f"features/SPOKEN/{feature_key(PROFILE, SIGNAL_LENGTH, 'k')}"
    shape = (trained.model.n_frames, trained.model.n_coefficients)
    values = np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32)
    schema = tables.features_schema(*shape)
    for number, part in enumerate((values[:64], values[64:])):
        flat = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), shape[0] * shape[1])
        table = pa.Table.from_arrays([pa.array([f"{number}/{i}" for i in range(len(part))]), flat], schema=schema)
        store.write_table(f"{shard_folder(folder, number)}/features.parquet", table, schema)
        store.mark_done(shard_folder(folder, number), {})
    store.mark_done(folder, {"n_shards": 2})
    entry = {"features": [folder], "signal_length": SIGNAL_LENGTH, "sources": None}
    facts = {"features": asdict(PROFILE), "corpora": {"SPOKEN": entry}, "settings": {"data_root": None}}
    store.write_json("runs/made-up/run.json", facts)
    return values


def test_stored_features_of_the_run_come_first(tmp_path, store):
    values = write_features(store, svm())
    found = examples(svm(), store, str(tmp_path))
    assert found.real
    assert found.source == "stored features of the run made-up"
    np.testing.assert_array_equal(found.features, values[[0, 21, 42, 63, 64, 76, 87, 99]])


def test_features_of_another_length_are_not_those_of_the_model(store):
    write_features(store, svm())
    assert not examples(replace(svm(), signal_length=SIGNAL_LENGTH + 512), store).real


def test_recordings_come_second(tmp_path, store):
    for number in range(20):
        path = tmp_path / "data/SPOKEN" / ("happy" if number % 2 else "sad") / f"{number:02}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, demo.utterance("s01", "t1", "happy"), 16_000)
    path.write_bytes(b"no sound")
    found = examples(svm(), store, f"{tmp_path}/data")
    assert found.real
    assert (found.source, found.where) == ("recordings of SPOKEN", f"The recordings are from {tmp_path}/data.")
    assert len(found.features) in (7, 8)
    samples, rate_hz = audio.read((tmp_path / "data/SPOKEN/sad/00.wav").read_bytes(), "00.wav")
    np.testing.assert_array_equal(found.features[0], features.extract(samples, rate_hz, PROFILE, SIGNAL_LENGTH))


def test_synthetic_speech_comes_last_and_it_is_said_why(tmp_path, store):
    found = examples(svm(), store)
    assert not found.real
    assert found.features.shape == (8, 17, 39)
    assert len(np.unique(found.features[:, 8, 1])) == 8
    assert found.source == "SYNTHETIC speech made by timnet"
    assert found.where.endswith("the store has no features of this model, and no --data-root was given.")
    assert f"--data-root {tmp_path}/none is not there" in examples(svm(), store, f"{tmp_path}/none").where


# -- the card ---------------------------------------------------------------------------------------------------------


def card(tmp_path, store, trained: Trained) -> str:
    export(trained, NPZ, tmp_path / "a.npz", examples(trained, store))
    return (tmp_path / "a.npz.md").read_text()


def test_the_card_says_what_has_to_be_known(tmp_path, store):
    said = card(tmp_path, store, svm())
    for part in (
        "| corpus | SPOKEN |",
        "| recordings | 480 |",
        "| speakers | 4 |",
        "| language | Klingon |",
        "**This licence excludes commercial use.**",
        "protocol `speaker-independent`: Other speakers are tested.",
        "**This file as a whole has never been tested.** It is the mean of 2 folds",
        "| WAR | 60.87 % [57.86, 63.80] | 60.00 ± 7.00 % | 35.00 % |",
        "| UAR | 59.24 % [54.55, 63.69] | 58.00 ± 8.00 % | 33.33 % |",
        "95 % interval, a bootstrap over 4 speakers.",
        "The intervals stand on 4 speakers: they are rough",
        "not calibrated",
        "angry, happy, sad",
        "8192 samples at 22050 Hz (0.37 s)",
        "Article 5(1)(f) of Regulation (EU) 2024/1689",
        "hiring, work, school",
        "always given one emotion, often fear",
        "**Languages other than Klingon.**",
        "(it heard 4 speakers)",
        "- trained with: timnet 0.1.0, keras 3.15.0",
        "(SYNTHETIC speech made by timnet)",
        "**Real recordings were not at hand for it:**",
    ):
        assert part in said, part
    assert RELEASED not in said
    assert GIVEN not in said
    assert "{" not in said.replace("```python", "").split("## What it must not")[1]


@pytest.mark.parametrize(
    ("changes", "there", "gone"),
    [
        ({"licences": {"SPOKEN": "CC0"}}, "CC0 puts no condition", "excludes commercial use"),
        ({"licences": {"SPOKEN": "by agreement"}}, "Whoever has the recordings agreed to terms", "excludes commercial"),
        ({"licences": {"SPOKEN": "not stated"}}, "Licence of SPOKEN: Nobody noted it.", "Whoever has the recordings"),
        ({"licences": {"SPOKEN": ""}}, "| licence of SPOKEN | not stated |", "Whoever has the recordings"),
        ({"recorded": {"language": "not stated"}}, "**Languages that it did not hear in training.**", "other than"),
        ({"folds": svm().folds[:1]}, "This file is seed 7 fold 1 alone. The scores below are those of this fold", "the folds"),
        ({"folds": svm().folds[:1]}, "| | this fold | without listening |", "mean ± sd"),
        ({"scores": {}}, "No score of this model is known here.", "| WAR |"),
        ({"protocol": {"name": "x", "description": "y", "selection": "test"}}, "chosen ON THE TEST FOLD", "Other speakers"),
        ({"synthetic": True}, "It was trained on speech that a program made", "Languages other"),
        ({"synthetic": True}, "(SYNTHETIC speech made by timnet)", "Real recordings were not at hand"),
        ({"recorded": {}}, "Languages that it did not hear in training", "it heard"),
        ({"corpus": "EMODB"}, "It was trained on actors", "are mostly acted"),
        ({"run_id": None}, RELEASED, "run: "),
        ({"missing": ("seed 7 fold 3: out of memory",)}, "seed 7 fold 3: out of memory", "nothing"),
        ({"title": "A | B <b> `c`"}, r"A \| B &lt;b&gt; \`c\`", "<b>"),
    ],
)  # fmt: skip
def test_the_card_follows_the_model(tmp_path, store, changes, there, gone):
    said = card(tmp_path, store, replace(svm(), **changes))
    assert there in said
    if gone != "nothing":
        assert gone not in said


def test_every_licence_of_several_corpora_is_judged_by_itself_the_strictest_first(tmp_path, store):
    licences = {
        "EMODB": "CC0",
        "RAVDESS": "CC BY-NC-SA 4.0",
        "SAVEE": "registration with a university",
        "mine": "not stated",
    }
    said = card(tmp_path, store, replace(svm(), licences=licences))
    for name, licence in licences.items():
        assert f"| licence of {name} | {licence} |" in said
    at = [
        said.index(f"- Licence of {words}")
        for words in ("SAVEE: Whoever", "mine: Nobody", "RAVDESS: **This licence excludes", "EMODB: CC0 puts")
    ]
    assert at == sorted(at)
    assert json.loads((tmp_path / "a.npz.json").read_text())["corpus"]["licences"] == licences


def test_beside_a_choice_on_the_test_fold_stands_what_honest_choices_give(tmp_path, store):
    gain = {"gain": {"uar": {"difference": 0.0801, "interval": [0.05, 0.11]}}}
    of_choices = {
        "last": {"war": 0.51, "uar": 0.5001} | gain,
        "test": {"war": 0.6087, "uar": 0.5924},
    }
    leaky = {"name": "published-leaky", "description": "the choice made ON THE TEST FOLD", "selection": "test"}
    shared = ["In every fold, up to 4 speakers are in training and test at once: expect less from strangers."]
    said = card(
        tmp_path,
        store,
        replace(svm(), protocol=leaky, scores=svm().scores | {"choices": of_choices, "sharing": shared}),
    )
    honest, test = (
        "| chosen by no data | 51.00 % | 50.01 % | +8.01 [+5.00, +11.00] |",
        "| chosen ON THE TEST FOLD | 60.87 % | 59.24 % | – |",
    )
    assert f"{honest}\n{test}\n" in said
    assert said.index(honest) < said.index("| WAR | 60.87 %")
    assert f"- {shared[0]}" in said
    assert "epoch" not in said  # it is an SVM


def test_of_released_weights_it_gives_what_their_authors_report(tmp_path, store):
    published = {"test": {"war": 0.92, "uar": 0.92}, "last": {"war": 0.8656, "uar": None}}
    said = card(tmp_path, store, replace(svm(), scores={"published": published}, run_id=None))
    assert (
        "| reported, chosen by no data | 86.56 % | – |\n| reported, chosen ON THE TEST FOLD | 92.00 % | 92.00 % |"
        in said
    )
    assert "Nothing was measured here. TIM-Net's authors report for all folds" in said
    assert "No score" not in said


def test_of_a_run_of_given_weights_it_gives_what_the_authors_report_of_theirs(tmp_path, store):
    given = {"name": "published", "description": "how they were chosen is not known", "selection": "given"}
    said = card(tmp_path, store, replace(svm(), protocol=given, corpus="EMODB"))
    assert f"- {GIVEN}\n" in said
    assert "under the GPL, version 3; ask them for the terms of the weights." in said
    corrected, first = "WAR 90.28 % and UAR 89.19 %", "WAR 95.70 % and UAR 95.17 %"
    assert said.index(corrected) < said.index(first) < said.index("WAR 60.87 %")
    assert "If these are the weights that TIM-Net's authors released for EMODB" in said
    assert "TIM-Net's authors released for" not in card(
        tmp_path, store, replace(svm(), protocol=given)
    )  # for SPOKEN none


def test_of_a_run_across_corpora_it_says_what_each_fold_was_trained_on(tmp_path, store):
    folds = tuple(replace(one, trained_on=name) for one, name in zip(svm().folds, ("EMODB", "SAVEE"), strict=True))
    said = card(tmp_path, store, replace(svm(), folds=folds))
    assert "| of these, trained on | EMODB, SAVEE |" in said


# -- the released weights ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_the_released_network_of_a_fold_on_real_recordings(name, shared, tmp_path, store, capsys):
    weights = shared / "timnet_weights/EMODB_46"
    if not weights.is_dir():
        pytest.skip(f"the released weights are not here: {weights}")
    for package in FORMATS[name].packages:
        pytest.importorskip(package)
    arguments = ["--corpus", "EMODB", "--fold", "3", "--store", store.uri, "--data-root", str(shared / "corpora")]
    main(["export", "--model", str(weights), "--output", f"{tmp_path}/emodb.{name}", *arguments])
    said = capsys.readouterr().out
    assert "(recordings of EMODB)" in said
    assert "8 of 8 are given the same emotion" in said
    facts = json.loads((tmp_path / f"emodb.{name}.json").read_text())
    assert facts["labels"] == list(corpora.get("EMODB").labels)
    assert "chosen ON THE TEST FOLD" in (tmp_path / f"emodb.{name}.md").read_text()
