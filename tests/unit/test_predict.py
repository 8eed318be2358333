"""Predicting: against the trainers' own predictions, in windows, with warnings, and as others read it."""

import csv
import io
import json
import math
import os
import shutil
import stat
import tracemalloc
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from flows.main import main
from timnet import audio, corpora, features, models, splits, tables, timbre
from timnet.classical import ClassicalTrainer
from timnet.config import RECIPES, FoldSettings, ModelSettings
from timnet.corpora.manifest import published_order
from timnet.errors import ConfigError, WeightsError
from timnet.models.base import get_weights
from timnet.predict import Recogniser, Recording, as_csv, as_json, as_table, find, predict, window_hop_s
from timnet.predict.windows import sound, windows
from timnet.trained import Heard, Trained, TrainedFold, notes, of_file, published, save
from timnet.training import FoldData

PITCHES = {"low": 150.0, "high": 400.0, "hiss": 0.0}  # Hz
RATE_HZ = 16_000
PROFILE = features.get("soxr_hq")
SIGNAL_LENGTH = 22_050  # 1 s
SVM = ModelSettings("svm", features.n_frames(PROFILE, SIGNAL_LENGTH), 39, 3)


def tone(kind: str, seed: int = 0, duration_s: float = 0.8) -> np.ndarray:
    random, t = np.random.default_rng(seed), np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    if kind == "hiss":
        return (0.1 * random.normal(size=len(t))).astype(np.float32)
    hz = PITCHES[kind] * random.uniform(0.95, 1.05)
    return (0.2 * np.sin(2 * np.pi * hz * t) + 0.01 * random.normal(size=len(t))).astype(np.float32)


def recording(samples: np.ndarray, path: str = "a.wav", rate_hz: int = RATE_HZ, **options) -> Recording:
    out = io.BytesIO()
    soundfile.write(out, samples, rate_hz, format=path.rsplit(".", 1)[-1].upper(), **options)
    return Recording(path, out.getvalue())


@pytest.fixture(scope="module")
def folds():
    """What three folds were trained on and what they predicted: 24 tones, a test part of 8."""
    kinds = [kind for kind in PITCHES for _ in range(8)]
    files = [recording(tone(kind, seed), f"{kind}{seed}.wav", subtype="FLOAT") for seed, kind in enumerate(kinds)]
    x = np.stack([features.extract(*audio.read(one.data, one.path), PROFILE, SIGNAL_LENGTH) for one in files])
    classes = np.array([list(PITCHES).index(kind) for kind in kinds], np.int32)
    result = []
    for fold in (1, 2, 3):
        rows = np.random.default_rng(fold).permutation(24)
        settings = FoldSettings(SVM, RECIPES["demo"], "last", 7, fold)
        data = FoldData(x, classes, rows[8:], rows[:0], rows[:8])
        result.append(([files[row] for row in rows[:8]], ClassicalTrainer().train(data, settings)))
    return result


@pytest.fixture(scope="module")
def trained(folds):
    return Trained(
        name="svm of tones",
        corpus="TONES",
        labels=tuple(PITCHES),
        model=SVM,
        profile=PROFILE,
        signal_length=SIGNAL_LENGTH,
        folds=tuple(TrainedFold(7, fold, result.weights) for fold, (_, result) in enumerate(folds, start=1)),
        heard=Heard(duration_s=(0.5, 0.8, 2.0), sample_rate_hz=(16_000,) * 3, rms_dbfs=(-25.0, -17.0, -15.0)),
    )


def answers(trained, *recordings, **options):
    return list(predict(recordings, Recogniser(trained), **options))


def test_a_fold_predicts_what_it_predicted_when_it_was_trained(folds, trained):
    for one, (files, result) in zip(trained.folds, folds, strict=True):
        found = answers(replace(trained, folds=(one,)), *files)
        np.testing.assert_allclose([p.whole.probabilities for p in found], result.probabilities, atol=1e-5)
        assert [p.path for p in found] == [file.path for file in files]
        assert all(p.whole.disagreement == 0 and not p.whole.sd.any() for p in found)


def test_an_ensemble_is_the_mean_and_says_how_its_folds_differ(trained):
    file = recording(tone("high"))
    each = np.array([answers(replace(trained, folds=(one,)), file)[0].whole.probabilities for one in trained.folds])
    whole = answers(trained, file)[0].whole
    assert whole.emotion == "high"
    np.testing.assert_allclose(whole.probabilities, each.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(whole.sd, each.std(axis=0, ddof=1), atol=1e-6)
    # Two of the folds with their first two classes exchanged: they outvote the third, which differs.
    exchanged = [
        replace(
            one,
            weights={
                name: array[..., [1, 0, 2]] if name.startswith("classifier/") and name != "classifier/c" else array
                for name, array in one.weights.items()
            },
        )
        for one in trained.folds[:2]
    ]
    divided = answers(replace(trained, folds=(*exchanged, trained.folds[2])), file)[0]
    assert divided.whole.emotion == "low"
    assert divided.whole.disagreement == pytest.approx(1 / 3)
    assert divided.warnings == ()
    one_each = answers(replace(trained, folds=(exchanged[0], trained.folds[2])), file)[0]
    assert one_each.whole.disagreement == 0.5
    assert one_each.warnings == ("The folds disagree: 1 of 2 give another answer than all together.",)


def test_a_network_predicts_what_its_trainer_does(trainer, trained):
    network = replace(SVM, name="timnet", n_tabs=2, filters=8)
    model = models.get("timnet").build(network)
    weights = [{name: value + 0.1 * i for name, value in get_weights(model).items()} for i in range(2)]
    weights[1] |= {"input/mean": np.full(39, 2, np.float32), "input/sd": np.full(39, 9, np.float32)}
    files = [recording(tone(kind), f"{kind}.wav", subtype="FLOAT") for kind in PITCHES]
    x = np.stack([features.extract(tone(kind), RATE_HZ, PROFILE, SIGNAL_LENGTH) for kind in PITCHES])
    none = np.zeros(0, np.int64)
    settings = FoldSettings(network, RECIPES["demo"], "given", 1, 1)
    data = FoldData(x, np.zeros(3, np.int32), none, none, np.arange(3))
    expected = np.mean([trainer.predict_with(data, settings, one).probabilities for one in weights], axis=0)
    of_network = replace(trained, model=network, folds=tuple(TrainedFold(1, i, one) for i, one in enumerate(weights)))
    found = answers(of_network, *files)
    np.testing.assert_allclose([one.whole.probabilities for one in found], expected, atol=1e-6)
    with pytest.raises(WeightsError, match="not of this model"):
        answers(replace(of_network, model=replace(network, n_tabs=3)), files[0])


def test_windows_cover_a_recording_and_are_all_as_long():
    assert windows(16_000, 16_000, 22_050, 0.5) == [slice(0, 16_000)]
    assert windows(1, 16_000, 22_050, 0.5) == [slice(0, 1)]
    assert windows(32_000, 16_000, 22_050, 0.5) == [slice(a, a + 16_000) for a in (0, 8000, 16_000)]
    assert windows(25_000, 16_000, 22_050, 0.5) == [slice(a, a + 16_000) for a in (0, 8000, 9000)]
    assert windows(16_001, 16_000, 22_050, 1.0) == [slice(0, 16_000), slice(1, 16_001)]
    for n in (16_001, 23_999, 24_000, 24_001, 160_123):
        found = windows(n, 16_000, 22_050, 0.37)
        assert found[0].start == 0
        assert found[-1].stop == n
        assert {part.stop - part.start for part in found} == {16_000}
        steps = np.diff([part.start for part in found])
        assert (steps > 0).all()
        assert (steps <= 0.37 * 16_000).all()


def test_sound_is_what_is_not_silence():
    one_s = np.concatenate([np.zeros(8000), 0.1 * np.ones(8000)])
    np.testing.assert_allclose(
        sound(one_s, 16_000, [slice(0, 16_000), slice(0, 8000), slice(4000, 12_000)]), [0.5, 0, 0.5], atol=0.02
    )
    quiet = np.concatenate([np.full(8000, 0.002), 0.1 * np.ones(8000)])  # 34 dB below
    assert sound(quiet, 16_000, [slice(0, 8000)]).tolist() == [1]
    assert sound(np.zeros(100), 16_000, [slice(0, 100)]).tolist() == [0]
    assert sound(np.ones(3), 16_000, [slice(0, 3)]).tolist() == [1]


def test_a_long_recording_has_a_timeline(trained):
    long = np.concatenate([tone("low", 1, 2.5), tone("high", 2, 2.5)])
    found = answers(trained, recording(long))[0]
    assert [answer.start_s for answer in found.timeline] == pytest.approx(np.arange(0, 4.1, 0.5))
    assert [answer.end_s - answer.start_s for answer in found.timeline] == pytest.approx([1.0] * 9)
    emotions = [answer.emotion for answer in found.timeline]
    assert emotions[:4] == ["low"] * 4
    assert emotions[5:] == ["high"] * 4
    assert (found.whole.start_s, found.whole.end_s) == (0, 5)
    mean = np.mean([answer.probabilities for answer in found.timeline], axis=0)
    np.testing.assert_allclose(found.whole.probabilities, mean, atol=1e-6)
    # A window is what a file of its own would be.
    alone = answers(trained, recording(long[8000:24_000]))[0]
    np.testing.assert_allclose(found.timeline[1].probabilities, alone.whole.probabilities, atol=1e-6)
    assert [answer.start_s for answer in answers(trained, recording(long), hop_s=1.0)[0].timeline] == [0, 1, 2, 3, 4]


def test_silence_does_not_count_in_the_answer_for_the_whole(trained):
    spoken = tone("high", 2, 1.0)
    long = np.concatenate([spoken, np.zeros(4 * RATE_HZ, np.float32)])
    found = answers(trained, recording(long), hop_s=1.0)[0]
    assert [answer.sound for answer in found.timeline] == [1, 0, 0, 0, 0]
    np.testing.assert_allclose(found.whole.probabilities, found.timeline[0].probabilities, atol=1e-6)
    assert found.whole.sound == pytest.approx(0.2)


def test_without_windows_the_middle_is_heard_as_in_training(trained):
    long = np.concatenate([tone("low", 1, 2.0), tone("high", 2, 1.0), tone("low", 3, 2.0)])
    found = answers(trained, recording(long), in_windows=False)[0]
    assert found.timeline == ()
    assert found.whole.emotion == "high"


def test_the_hop_is_half_a_window_unless_given(trained):
    assert window_hop_s(trained, None) == 0.5
    assert window_hop_s(trained, 1.0) == 1.0
    for hop_s in (1.01, 0, -1, math.nan):
        with pytest.raises(ConfigError, match=r"--window-hop .*: allowed are 0.05 to 1.00 s"):
            window_hop_s(trained, hop_s)


@pytest.mark.parametrize(
    ("samples", "rate_hz", "texts"),
    [
        (tone("low"), RATE_HZ, []),
        (tone("low", duration_s=0.41), RATE_HZ, []),  # a little shorter is no matter
        (
            tone("low", duration_s=0.3),
            RATE_HZ,
            ["It is 0.3 s long, and 98 of 100 recordings in training had 0.5 to 2.0 s"],
        ),
        (tone("low", duration_s=2.4), RATE_HZ, []),
        (tone("low", duration_s=3), RATE_HZ, ["It is 3.0 s long"]),
        (tone("low", duration_s=0.05), RATE_HZ, ["It is too short: an utterance has 0.1 s or more."]),
        (0.3 * tone("low"), RATE_HZ, []),
        (
            0.1 * tone("low"),
            RATE_HZ,
            ["Its level is -37 dBFS (RMS), and 98 of 100 recordings in training had -25 to -15."],
        ),
        (0.01 * tone("low"), RATE_HZ, ["It is nearly silent: its peak is -53 dBFS", "Its level is -57"]),
        (np.zeros(8000, np.float32), RATE_HZ, ["It is silent: speech peaks above -80 dBFS."]),
        (np.clip(9 * tone("low"), -1, 1), RATE_HZ, ["Its level is -", "It is clipped: "]),
        (tone("low")[::2].copy(), 8000, ["Its sample rate is 8000 Hz: there is nothing above 4000 Hz"]),
    ],
)
def test_what_is_unlike_the_training_data(trained, samples, rate_hz, texts):
    found = answers(trained, recording(samples, rate_hz=rate_hz))[0]
    warnings = [one for one in found.warnings if "disagree" not in one]
    assert len(warnings) == len(texts)
    for warning, text in zip(warnings, texts, strict=True):
        assert text in warning
    assert found.error is None
    assert found.whole.emotion in PITCHES


def test_a_rate_that_was_heard_in_training_is_no_matter(trained):
    of_telephones = replace(trained, heard=Heard(sample_rate_hz=(8000.0, 8000.0, 16_000.0)))
    assert answers(of_telephones, recording(tone("low")[::2], rate_hz=8000))[0].warnings == ()


def test_a_recording_that_was_learnt_from_is_named(trained):
    file = recording(tone("low"))
    known = frozenset({audio.inspect(file.data, file.path).audio_sha256})
    folds = [replace(one, learnt_from=known) for one in trained.folds[:2]]
    found = answers(replace(trained, folds=(*folds, trained.folds[2])), file, recording(tone("low", 1)))
    assert [len(one.warnings) for one in found] == [1, 0]
    assert found[0].warnings[0].startswith("It was in the training of 2 of 3 folds: ")


def test_one_crest_at_full_scale_is_not_clipped():
    samples = tone("hiss")
    assert audio.n_clipped(samples / np.abs(samples).max()) == 0
    assert audio.n_clipped(np.clip(samples * 9, -1, 1)) > 100
    assert audio.n_clipped(samples * 5) > 100  # a file of floats that goes beyond


def test_what_is_cut_off_in_one_channel_is_clipped(trained):
    clipped = np.clip(9 * tone("hiss"), -1, 1)
    mono, left = answers(trained, recording(clipped), recording(np.stack([clipped, 0 * clipped], axis=1)))
    found = [[one for one in each.warnings if "clipped" in one] for each in (mono, left)]
    assert found[0] == found[1]
    assert len(found[0]) == 1


@pytest.mark.parametrize(
    ("other", "percent"),
    [
        (tone("low"), None),
        (0.6 * tone("low"), None),  # as from a microphone nearer to one side
        (0.4 * tone("low"), 84),
        (0 * tone("low"), 50),
        (tone("high"), 50),
        (-tone("low"), 0),
    ],
)
def test_channels_that_differ_are_not_mixed_without_a_word(trained, other, percent):
    found = answers(trained, recording(np.stack([tone("low"), other], axis=1), subtype="FLOAT"))[0]
    said = f"2 channels that differ were mixed into one, which has {percent} % of their power. Where they are different"
    assert [one.startswith(said) for one in found.warnings if "channels" in one] == ([] if percent is None else [True])


def test_what_cannot_be_read_is_said_and_the_others_go_on(trained, tmp_path):
    files = [
        Recording("broken.wav", b"RIFF and nothing more"),
        recording(tone("low"), "low.wav"),
        Recording("gone.wav", error="gone.wav is missing"),
        Recording("empty.wav"),
        recording(np.full(8000, np.nan, np.float32), "nan.wav", subtype="FLOAT"),
        recording(np.where(np.arange(8000) == 7, 1e30, 0.1).astype(np.float32), "huge.wav", subtype="FLOAT"),
        recording(tone("high"), "high.flac"),
    ]
    found = answers(trained, *files)
    assert [one.path for one in found] == [one.path for one in files]
    assert [one.whole.emotion if one.whole else None for one in found] == [None, "low", None, None, None, None, "high"]
    for one, text in zip(
        found, ("cannot be read as audio", None, "is missing", "0 bytes", "not finite", "1e+30", None), strict=True
    ):
        assert (one.error is None) if text is None else text in one.error


def test_a_fold_whose_weights_are_no_numbers_is_named(trained):
    first = trained.folds[0]
    broken = replace(first, weights={name: np.full_like(array, np.nan) for name, array in first.weights.items()})
    with pytest.raises(WeightsError, match=r"svm of tones: probabilities of seed 7 fold 1 are not finite"):
        answers(replace(trained, folds=(broken, *trained.folds[1:])), recording(tone("low")))


def test_of_a_long_recording_only_its_samples_are_held_whole(trained):
    file = recording(np.tile(tone("low"), 200), subtype="FLOAT")
    sizes = []

    class Watched(Recogniser):
        def probabilities(self, matrices):
            sizes.append(len(matrices))
            return super().probabilities(matrices)

    next(predict([recording(tone("low"))], Recogniser(trained)))  # imports and tables are not counted
    tracemalloc.start()
    (found,) = predict([file], Watched(trained))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(sizes) == len(found.timeline) == 319
    assert max(sizes) == 256
    block = 256 * SVM.n_frames * SVM.n_coefficients * 4
    assert peak < len(file.data) + 3 * block + 8 * 2**20


def test_many_windows_come_in_parts(trained, monkeypatch):
    monkeypatch.setattr("timnet.predict.recognise.WINDOWS_AT_ONCE", 3)
    files = [recording(tone(kind, seed, 0.5 + seed), f"{seed}.wav") for seed, kind in enumerate([*PITCHES] * 2)]
    found = answers(trained, *files)
    monkeypatch.undo()
    together = answers(trained, *files)
    for one, other in zip(found, together, strict=True):
        assert one.path == other.path
        np.testing.assert_array_equal(one.whole.probabilities, other.whole.probabilities)
        assert len(one.timeline) == len(other.timeline)


# -- what it sounds like --------------------------------------------------------------------------------------------------


def sounds_unlike(trained, *recordings, **options):
    said = "It sounds unlike the recordings in training: its MFCCs lie "
    return [any(w.startswith(said) for w in one.warnings) for one in answers(trained, *recordings, **options)]


@pytest.fixture(scope="module")
def of_tones(trained):
    """The same model, which knows what the tones sound like."""
    tones = [tone(kind, seed, 0.4 + 0.02 * seed) for kind in ("low", "high") for seed in range(40)]
    made = [features.extract(one, RATE_HZ, PROFILE, SIGNAL_LENGTH) for one in tones]
    known = timbre.of_recordings(np.stack([timbre.summary(one) for one in made]))
    return replace(trained, heard=Heard(timbre=known))


def test_what_sounds_like_nothing_in_training_is_said(trained, of_tones):
    new = [recording(tone(kind, seed)) for kind in ("low", "high") for seed in range(40, 80)]
    assert sum(sounds_unlike(of_tones, *new)) <= 1
    odd = [recording(tone("hiss")), recording(np.sign(tone("low")) * 0.2), recording(tone("hiss", 1, 5.0))]
    assert sounds_unlike(of_tones, *odd) == [True, True, True]
    quiet_and_short = recording(0.05 * tone("low", 3, 0.4), subtype="FLOAT")
    assert sounds_unlike(of_tones, quiet_and_short, recording(np.zeros(8000, np.float32))) == [False, False]
    assert sounds_unlike(trained, *odd) == [False] * 3  # nobody knows what it heard


def test_of_a_long_recording_most_windows_must_sound_unlike(of_tones):
    for hiss_s, unlike in ((1.0, False), (6.0, True)):
        long = np.concatenate([tone("low", 1, 4.0), tone("hiss", 2, hiss_s), np.zeros(3 * RATE_HZ, np.float32)])
        assert sounds_unlike(of_tones, recording(long)) == [unlike]


def test_a_file_npz_knows_what_its_model_heard(of_tones, tmp_path):
    save(of_tones, tmp_path / "model.npz")
    assert of_file(tmp_path / "model.npz").heard == of_tones.heard


# -- what is written ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three(trained):
    """A short one, a long one with warnings, a broken one."""
    long = np.concatenate([tone("low", 1, 2.0), np.zeros(RATE_HZ, np.float32)])
    return answers(trained, recording(tone("high"), "short.wav"), recording(long, "long.wav"), Recording("none.wav"))


def test_a_row_a_recording_and_one_a_window(three, trained, tmp_path):
    table = as_table(three, trained)
    assert tables.differences(table, tables.predicted_schema(trained.labels)) == ""
    assert table["path"].to_pylist() == ["short.wav"] + ["long.wav"] * 6 + ["none.wav"]
    assert table["window"].to_pylist() == [None, None, 1, 2, 3, 4, 5, None]
    rows = table.to_pylist()
    assert rows[0]["emotion"] == "high"
    assert rows[0]["p_high"] == pytest.approx(float(three[0].whole.probabilities[1]))
    assert rows[0]["sd_low"] == pytest.approx(float(three[0].whole.sd[0]))
    assert rows[1]["warnings"] == list(three[1].warnings) != []
    assert rows[2]["warnings"] == []
    assert (rows[2]["start_s"], rows[2]["end_s"], rows[6]["sound"]) == (0, 1, 0)
    assert rows[7]["emotion"] is rows[7]["p_low"] is rows[7]["start_s"] is None
    assert "0 bytes" in rows[7]["error"]
    assert json.loads(table.schema.metadata[b"notes"]) == notes(trained)


def test_csv_has_the_same_rows(three, trained):
    rows = list(csv.DictReader(io.StringIO(as_csv(three, trained))))
    expected = as_table(three, trained).to_pylist()
    assert list(rows[0]) == list(expected[0])
    for row, other in zip(rows, expected, strict=True):
        for name, value in other.items():
            if name == "warnings":
                assert row[name] == " | ".join(value)
            elif isinstance(value, float):
                assert float(row[name]) == pytest.approx(value, abs=1e-6)
            else:
                assert row[name] == ("" if value is None else str(value))


def test_json_has_a_timeline_in_each_recording(three, trained):
    found = json.loads(as_json(three, trained))
    assert found["model"]["labels"] == list(PITCHES)
    assert found["model"]["notes"] == notes(trained)
    short, long, none = found["recordings"]
    assert short["probabilities"].keys() == PITCHES.keys()
    assert sum(short["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert short["timeline"] == []
    assert [one["start_s"] for one in long["timeline"]] == [0, 0.5, 1, 1.5, 2]
    assert long["warnings"] == list(three[1].warnings)
    assert "emotion" not in none
    assert "0 bytes" in none["error"]


def test_what_has_to_be_known_stands_beside_the_numbers(trained):
    said = notes(trained)
    assert said[0] == "No score of it is known here."
    assert said[-1].startswith("Its probabilities are not calibrated")
    scored = {"pooled": {"war": 0.6087, "uar": 0.5924}, "interval": {"war": [0.5786, 0.638], "uar": None}}
    known = notes(
        replace(
            trained,
            synthetic=True,
            scores=scored,
            missing=("seed 7 fold 4: it died",),
            protocol={"description": "whole speakers", "selection": "test"},
        )
    )
    assert known[0].startswith("SYNTHETIC")
    assert "ON THE TEST FOLD" in known[1]
    assert (
        "WAR 60.87 % [57.86, 63.80], UAR 59.24 %; guessing gets a UAR of 33.33 %. The test was: whole speakers"
        in known[2]
    )
    assert known[3] == "Folds that did not finish are not part of it: seed 7 fold 4: it died."
    assert notes(replace(trained, scores={"warnings": ["SYNTHETIC: x"]}))[0] == "SYNTHETIC: x"


# -- the command ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(trained, tmp_path):
    save(trained, tmp_path / "model.npz")
    for name in ("low.wav", "high.flac", "deeper/hiss.ogg"):
        (tmp_path / "sounds" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sounds" / name).write_bytes(recording(tone(name.split("/")[-1][:-4].rstrip(".")), name).data)
    (tmp_path / "sounds" / "readme.txt").write_text("no recording")
    return tmp_path


def command(folder, *arguments):
    main(["predict", *map(str, arguments), "--model", str(folder / "model.npz"), "--store", str(folder / "store")])


def test_a_table_with_everything_above_it(folder, capsys):
    command(folder, folder / "sounds")
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "Model: svm of tones (3 folds)"
    assert "! No score of it is known here." in lines
    assert lines[5].split() == ["recording", "emotion", "low", "high", "hiss", "folds", "that", "differ"]
    found = {line.split()[0].rsplit("/", 1)[-1]: line.split()[1] for line in lines[6:9]}
    assert found == {"hiss.ogg": "hiss", "high.flac": "high", "low.wav": "low"}
    assert err == ""


def test_csv_and_json_are_alone_on_the_output(folder, capsys):
    for form in ("csv", "json"):
        command(folder, folder / "sounds/low.wav", "--format", form)
        out, err = capsys.readouterr()
        assert json.loads(out)["recordings"] if form == "json" else len(out.splitlines()) == 2
        assert err.startswith("Model: svm of tones (3 folds)\n! No score")


@pytest.mark.parametrize("name", ["found.csv", "found.json", "found.parquet", "found.txt"])
def test_a_file_is_written_as_it_is_named(folder, capsys, name):
    command(folder, folder / "sounds", "--output", folder / "new" / name)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(f"Written: {folder}/new/{name}\n")
    file = folder / "new" / name
    match file.suffix:
        case ".parquet":
            assert pq.read_table(file)["emotion"].to_pylist() == ["hiss", "high", "low"]
        case ".csv":
            assert [row["emotion"] for row in csv.DictReader(io.StringIO(file.read_text()))] == ["hiss", "high", "low"]
        case ".json":
            assert [one["emotion"] for one in json.loads(file.read_text())["recordings"]] == ["hiss", "high", "low"]
        case _:
            assert file.read_text().startswith("Model: svm of tones")


def test_what_failed_is_named_and_ends_with_status_1(folder, capsys):
    (folder / "sounds/broken.mp3").write_bytes(b"no sound")
    (folder / "sounds/telephone.amr").write_bytes(b"#!AMR")
    with pytest.raises(SystemExit) as ended:
        command(folder, folder / "sounds", folder / "none.wav")
    out, err = capsys.readouterr()
    assert ended.value.code == 1
    assert sum(line.split()[1:2] == ["–"] for line in out.splitlines()) == 3
    assert "low.wav" in out
    assert "3 of 6 recordings could not be predicted:" in err
    amr = f"  {folder}/sounds/telephone.amr: recordings of this kind"
    for text in ("broken.mp3 cannot be read as audio", amr, "none.wav is missing"):
        assert text in err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--format", "parquet"), "--format parquet needs --output FILE"),
        (("--window-hop", "1", "--no-windows"), "--window-hop and --no-windows exclude each other"),
        (("--window-hop", "7"), "--window-hop 7: allowed are 0.05 to 1.00 s"),
        (("--window-hop", "x"), "invalid float value: 'x'"),
        (("--workers", "0"), "--workers 0: at least 1"),
        (("--format", "xml"), "invalid choice: 'xml'"),
        (("--corpus", "EMODB"), "was trained on TONES"),
        (("--output", "sounds/low.wav/found.csv"), "sounds/low.wav is not a folder. Give another name."),
        (("--output", "new"), "--output new: its name ends in no format; allowed are .txt, .csv, .json, .parquet."),
        (("--output", "found.tsv"), "--output found.tsv: its name ends in no format"),
        (("--output", "new", "--format", "csv"), "--output new is a folder. Give the name of a file in it."),
        (("--output", "new.csv/"), "--output new.csv/: its name ends in no format"),
        (("--output", "new.csv/", "--format", "csv"), "--output new.csv/ is a folder."),
        (
            ("--output", "http://127.0.0.1:1/x.csv"),
            "--output http://127.0.0.1:1/x.csv cannot be written. Allowed are a",
        ),
        (("--output", "x.wav", "--format", "csv"), "--output x.wav is named like a recording"),
        (("--output", "model.npz", "--format", "csv"), "--output model.npz is the model"),
        (
            ("http://127.0.0.1:1/x.wav",),
            "http://127.0.0.1:1/x.wav cannot be opened. Allowed are files, folders, file://",
        ),
        (("memory://x.wav",), "memory://x.wav cannot be opened. Allowed are"),
        (("new",), "holds no recordings: nothing below it is named like WAV"),
        (("odd://x",), "odd://x cannot be opened"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(folder, capsys, monkeypatch, arguments, text):
    monkeypatch.chdir(folder)
    (folder / "new").mkdir()
    with pytest.raises(SystemExit) as ended:
        command(folder, "sounds/low.wav", *arguments)
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert text in err


@pytest.mark.parametrize("kind", ["itself", "link", "hard link", "below a folder", "uri"])
def test_a_recording_is_never_the_output(folder, capsys, monkeypatch, kind):
    monkeypatch.chdir(folder)
    odd = folder / "sounds" / "low.csv"  # a recording by its bytes, if not by its name
    odd.write_bytes((folder / "sounds" / "low.wav").read_bytes())
    inputs, output, form = [odd], odd, "csv"
    if kind == "link":
        output = folder / "link.csv"
        output.symlink_to(odd)
    elif kind == "hard link":
        output = folder / "hard.csv"
        os.link(odd, output)
    elif kind == "below a folder":
        inputs, output = ["sounds"], folder / "found.csv"
        output.symlink_to(folder / "sounds" / "low.wav")
    elif kind == "uri":
        inputs, output = [f"file://{odd}"], f"file://{odd}"
    before = {path: path.read_bytes() for path in (folder / "sounds").iterdir() if path.is_file()}
    with pytest.raises(SystemExit) as ended:
        command(folder, *inputs, "--output", output, "--format", form)
    assert ended.value.code == 2
    assert f"--output {output} is a file to be predicted (" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


def test_an_output_that_is_no_file_is_left_alone(folder, capsys):
    os.mkfifo(folder / "pipe.csv")
    with pytest.raises(SystemExit) as ended:
        command(folder, folder / "sounds", "--output", folder / "pipe.csv")
    assert ended.value.code == 2
    assert f"--output {folder}/pipe.csv is not a regular file, and is not replaced." in capsys.readouterr().err
    assert stat.S_ISFIFO(os.lstat(folder / "pipe.csv").st_mode)


def test_a_link_as_output_stays_one(folder):
    (folder / "results").mkdir()
    for name in ("old", "new"):
        (folder / f"{name}.csv").symlink_to(folder / "results" / f"{name}.csv")
    command(folder, folder / "sounds/low.wav", "--output", folder / "results/old.csv")
    for name in ("old", "new"):
        command(folder, folder / "sounds", "--output", folder / f"{name}.csv")
        assert (folder / f"{name}.csv").is_symlink()
        assert len((folder / f"results/{name}.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize("after", ["csv", "json", "parquet", "txt"])
@pytest.mark.parametrize("before", ["csv", "json", "parquet", "txt"])
def test_predictions_are_replaced_by_others(folder, before, after):
    forms = {"txt": "table"}
    command(folder, folder / "sounds/low.wav", "--output", folder / "a.txt", "--format", forms.get(before, before))
    command(folder, folder / "sounds", "--output", folder / "a.txt", "--format", forms.get(after, after))
    assert b"hiss.ogg" in (folder / "a.txt").read_bytes()


LABELLED = "path,emotion\na.wav,happy\nb.wav,sad\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sounds.csv", LABELLED.encode()),
        ("sounds/manifest.csv", LABELLED.encode("utf-16")),
        (
            "found.csv",
            b"path,window,start_s,end_s,emotion,p_low,sd_low,disagreement,sound,sample_rate_hz,warnings,error,by\n",
        ),
        ("sounds.parquet", pa.table({"path": ["a.wav"], "emotion": ["happy"]})),
        ("sounds.parquet", b"PAR1 and no more"),
        ("found.json", b'{"model": {"folds": 3}, "recordings": [], "checked": true}'),
        ("found.json", b"{\n"),
        ("found.txt", b"Model: of a car\n"),
        ("found.txt", b"\x00\xff" * 70_000),
    ],
)
def test_what_predict_did_not_write_is_not_replaced(folder, capsys, monkeypatch, name, content):
    monkeypatch.chdir(folder)
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        pq.write_table(content, folder / name)
    before = (folder / name).read_bytes()
    monkeypatch.setattr("timnet.trained.resolve", None)  # no work comes before
    with pytest.raises(SystemExit) as ended:
        command(folder, "sounds/", "--output", name)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert (
        f"--output {name} is there and holds something else than predictions, so it is not replaced. Give anoth" in err
    )
    assert (folder / name).read_bytes() == before


def test_an_empty_file_is_replaced_as_mktemp_leaves_one(folder):
    (folder / "found.csv").touch()
    command(folder, folder / "sounds", "--output", folder / "found.csv")
    assert len((folder / "found.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize("output", ["/proc/found.csv", f"{'long' * 60}x.csv"])
def test_an_output_that_cannot_be_written_is_found_out_before_the_work(folder, capsys, monkeypatch, output):
    monkeypatch.chdir(folder)
    monkeypatch.setattr("timnet.trained.resolve", None)
    there = sorted(folder.iterdir())
    with pytest.raises(SystemExit) as ended:
        command(folder, folder / "sounds", "--output", output)
    assert ended.value.code == 2
    assert f"--output {output} cannot be written: " in capsys.readouterr().err
    assert sorted(folder.iterdir()) == there


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_where_nothing_may_be_written(folder, capsys):
    (folder / "closed").mkdir(0o500)
    with pytest.raises(SystemExit):
        command(folder, folder / "sounds", "--output", folder / "closed/deeper/found.csv")
    assert f"{folder}/closed may not be written to" in capsys.readouterr().err


def test_of_a_folder_every_format_of_libsndfile_is_heard(folder, capsys):
    for name, form in (("a.voc", "VOC"), ("b.sph", "NIST"), ("c.NIST", "NIST"), ("d.sf", "IRCAM"), ("e.wve", "WVE")):
        rate_hz = 8000 if form == "WVE" else RATE_HZ
        soundfile.write(folder / "sounds" / name, tone("low", 1), rate_hz, format=form)
    (folder / "sounds/f.sph").write_bytes(b"NIST_1A and shorten's")
    with pytest.raises(SystemExit) as ended:
        command(folder, folder / "sounds")
    assert ended.value.code == 1
    out, err = capsys.readouterr()
    found = {line.split()[0].rsplit("/", 1)[-1]: line.split()[1] for line in out.splitlines() if line.startswith("/")}
    assert [found[name] for name in ("a.voc", "b.sph", "c.NIST", "d.sf")] == ["low"] * 4
    assert found.keys() == {"a.voc", "b.sph", "c.NIST", "d.sf", "e.wve", "f.sph", "hiss.ogg", "high.flac", "low.wav"}
    assert "1 of 9 recordings could not be predicted:" in err
    assert "f.sph cannot be read as audio" in err


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "txt"])
def test_a_name_that_is_no_text_is_an_error_of_its_recording(folder, capsys, form):
    sounds = os.fsencode(folder / "sounds")
    shutil.copy(sounds + b"/low.wav", sounds + b"/lat\xefn.wav")
    with pytest.raises(SystemExit) as ended:
        command(folder, folder / "sounds", "--output", folder / f"found.{form}")
    assert ended.value.code == 1
    err = capsys.readouterr().err
    assert f"1 of 4 recordings could not be predicted:\n  {folder}/sounds/lat\\xefn.wav: its name is not UTF-8." in err
    data = (folder / f"found.{form}").read_bytes()
    assert form == "parquet" or b"high.flac" in data


def test_a_terminal_gets_no_lines_or_orders_from_a_name(folder, capsys):
    strange = "a\nb\x1b[2J\u202e.wav"
    (folder / "sounds/low.wav").rename(folder / "sounds" / strange)
    (folder / "sounds/c\nd.wav").write_bytes(b"broken")
    with pytest.raises(SystemExit):
        command(folder, folder / "sounds")
    out, err = capsys.readouterr()
    assert "sounds/a\\nb\\x1b[2J\\u202e.wav  low " in out
    assert "sounds/c\\nd.wav cannot be read as audio" in err
    assert "\x1b" not in out + err
    assert len(err.splitlines()) == 2
    with pytest.raises(SystemExit):
        command(folder, folder / "sounds", "--format", "json")
    assert strange in [one["path"].split("sounds/")[1] for one in json.loads(capsys.readouterr().out)["recordings"]]


@pytest.mark.parametrize("name", ["sounds", "sounds/z.wav"])
def test_what_is_no_file_is_an_error_of_its_own(folder, capsys, name):
    os.mkfifo(folder / "sounds/z.wav")
    (folder / "sounds/gone.wav").symlink_to(folder / "moved.wav")
    with pytest.raises(SystemExit) as ended:
        command(folder, folder / name)
    assert ended.value.code == 1
    err = capsys.readouterr().err
    assert f"{folder}/sounds/z.wav cannot be read: {folder}/sounds/z.wav is not a regular file" in err
    if name == "sounds":
        assert f"gone.wav is a link to {folder}/moved.wav, which is missing." in err


def test_what_is_named_twice_comes_once_as_it_was_first_named(folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = find(["sounds/low.wav", "sounds/", str(folder / "sounds")])
    assert [one.shown for one in found] == ["sounds/low.wav", "sounds/deeper/hiss.ogg", "sounds/high.flac"]
    assert all(one.read().data for one in found)


# -- the real files -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_released_weights_give_the_published_result(shared, trainer):
    """WAR 95.70: the files of test fold i with weight file i, recordings cut around their middle as there."""
    corpus = corpora.get("EMODB")
    source = corpora.locate(corpus, str(shared / "corpora"))
    utterances = published_order(corpus, corpus.find(source).utterances)
    classes = np.array([corpus.labels.index(utterance.emotion) for utterance in utterances], np.int32)
    nothing = (None,) * len(utterances)
    names = tuple(utterance.path for utterance in utterances)
    columns = splits.Columns("EMODB", names, classes, corpus.labels, nothing, nothing, nothing)
    right = 0
    for fold, (_, _, test) in enumerate(splits.split("published", columns, 10, 46), start=1):
        recogniser = Recogniser(published(shared / "timnet_weights" / "EMODB_46", "EMODB", fold))
        files = (Recording(names[row], source.read_bytes(names[row])) for row in test)
        found = predict(files, recogniser, in_windows=False)
        right += sum(one.whole.emotion == corpus.labels[classes[row]] for one, row in zip(found, test, strict=True))
    assert round(100 * right / len(classes), 2) == 95.70
