"""The synthetic corpus: the same bytes everywhere, what its card says, and a task that is neither trivial nor hopeless."""

import hashlib
import io
import json
import subprocess
import sys
import wave
from collections import Counter

import numpy as np
import pytest

from timnet import audio, voices
from timnet.corpora import demo, get, manifest, names
from timnet.corpora.base import Problem, Source
from timnet.features import FEATURES, extract, n_frames
from timnet.store import Store

GOLDEN_SIZE = (20490, 14137)  # samples, peak
GOLDEN_SAMPLES = [1183, -4288, 7481, 195, -790, -1972, 578, 1135]

FROM_ANOTHER_PROCESS = """
import hashlib, json
from timnet.corpora import demo
names = [("s15", "t4", "sad"), ("s07", "t2", "neutral"), ("s01", "t1", "angry")]
print(json.dumps({f"{s}/{s}_{t}_{e}.wav": hashlib.sha256(demo._wav(demo.utterance(s, t, e))).hexdigest() for s, t, e in names}))
"""


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return dict(demo.generate())


@pytest.fixture(scope="module")
def samples(files) -> dict[str, np.ndarray]:
    return {path: audio.read(data, path)[0] for path, data in files.items()}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(str(tmp_path / "store"))


def emotion_of(path: str) -> str:
    return path.rsplit("_", 1)[1].removesuffix(".wav")


def test_another_process_makes_the_same_bytes_in_another_order(files):
    told = subprocess.run(
        [sys.executable, "-c", FROM_ANOTHER_PROCESS],
        env={"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "3", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    received = json.loads(told.stdout)
    assert len(received) == 3
    assert received == {path: hashlib.sha256(files[path]).hexdigest() for path in received}


def test_the_samples_are_those_of_this_version():
    """Where this fails, the corpus has changed: raise DEMO_VERSION, then put the new numbers here.

    One step either way is allowed: another CPU may round otherwise.
    """
    assert demo.DEMO_VERSION == 1
    voice = demo.utterance("s02", "t3", "happy")
    assert (len(voice), np.abs(voice).max()) == GOLDEN_SIZE
    np.testing.assert_allclose(voice[4000:12_000:1000], GOLDEN_SAMPLES, atol=1)


def test_the_files_are_what_the_card_says(files):
    corpus = demo.CORPUS
    assert Counter(map(emotion_of, files)) == corpus.counts
    assert set(corpus.counts.values()) == {len(demo.SENTENCES) * corpus.n_speakers}
    assert len({path.split("/")[0] for path in files}) == corpus.n_speakers
    assert len({hashlib.sha256(data).hexdigest() for data in files.values()}) == len(files) == 240
    for path, data in files.items():
        with wave.open(io.BytesIO(data)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000), path
            assert 0.8 < file.getnframes() / 16_000 < 2.2, path
        assert audio.inspect(data, path).problem is None
    assert sum(map(len, files.values())) < 12e6


def test_nothing_overloads_and_anger_is_loudest(samples):
    assert max(np.abs(voice).max() for voice in samples.values()) < 32_767 / 32_768
    level_db = {
        e: np.mean([20 * np.log10(v.std()) for p, v in samples.items() if emotion_of(p) == e]) for e in demo.EMOTIONS
    }
    assert -40 < level_db["sad"] < level_db["neutral"] < level_db["happy"] < level_db["angry"] < -10


def test_it_says_everywhere_that_it_is_synthetic(store):
    corpus = get("DEMO")
    assert corpus is demo.CORPUS
    assert "DEMO" in names()
    assert corpus.synthetic
    assert not corpus.published
    assert "SYNTHETIC" in corpus.title
    assert corpus.licence == "CC0: made by this program"
    store.write_bytes("x/s01/s01_t1_sad.wav", b"")
    notes = corpus.find(Source(store.at("x"))).notes
    assert notes == corpus.quirks == (demo.NOTE,)
    assert "synthetic speech" in notes[0]
    assert "nothing about people" in notes[0]


def test_what_is_written_is_found_again_without_a_problem(store, files):
    folder = demo.write(store)
    assert folder == demo.folder() == f"corpora/DEMO-{demo.key()}"
    assert store.done(folder) == {"corpus": "DEMO", "synthetic": True, "version": 1, "n_utterances": 240}
    source = Source(store.at(folder))
    found = demo.CORPUS.find(source)
    facts = {u.path: audio.inspect(source.read_bytes(u.path), u.path) for u in found.utterances}
    table, problems = manifest.build(demo.CORPUS, found, facts)
    assert problems == []
    assert table.num_rows == 240
    first = table.slice(0, 1).to_pylist()[0]
    assert (first["utterance_id"], first["speaker"], first["sentence"], first["emotion"]) == (
        "s01/s01_t1_angry", "s01", "t1", "angry",
    )  # fmt: skip
    assert {path: source.read_bytes(path) for path in files} == files


def test_it_is_made_once_and_again_where_it_broke_off(store, files, monkeypatch):
    made = []

    def counted():
        made.append(True)
        yield from list(files.items())[:3]

    monkeypatch.setattr(demo, "generate", counted)
    folder = demo.write(store)
    path = f"{folder}/{next(iter(files))}"
    demo.write(store)
    assert len(made) == 1
    store.remove(f"{folder}/_DONE.json")
    store.write_bytes(path, b"half a fi")
    demo.write(store)
    assert len(made) == 2
    assert store.read_bytes(path) == files[next(iter(files))]
    assert store.is_done(folder)


def test_a_file_that_cannot_be_written_leaves_no_marker(store, files, monkeypatch):
    def full_disk(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo, "generate", lambda: iter(list(files.items())[:3]))
    monkeypatch.setattr(store, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        demo.write(store)
    assert not store.is_done(demo.folder())


def test_whatever_it_is_made_from_names_it(monkeypatch):
    keys = [demo.key()]
    for module, name, value in (
        (demo, "DEMO_VERSION", 2),
        (demo, "SENTENCES", {"t1": "nam'a"}),
        (demo, "EMOTIONS", {**demo.EMOTIONS, "sad": voices.Change(f0_st=-2)}),
        (demo, "HABIT", 0.5),
        (demo, "SPEAKERS", {"s01": demo.SPEAKERS["s02"]}),
    ):
        monkeypatch.setattr(module, name, value)
        keys.append(demo.key())
    assert len(set(keys)) == len(keys)


def test_another_version_says_everything_otherwise(monkeypatch):
    before = demo.utterance("s01", "t1", "sad")
    monkeypatch.setattr(demo, "DEMO_VERSION", 2)
    assert not np.array_equal(before, demo.utterance("s01", "t1", "sad"))


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("s01/s01_t1.wav", "unrecognised-name", f"s01/s01_t1.wav: its name does not follow the rule. {demo.RULE}"),
        ("s99/s99_t1_sad.wav", "unrecognised-name", "s99/s99_t1_sad.wav: there is no speaker s99, only s01, s02"),
        ("s01/s01_t9_sad.wav", "unrecognised-name", "s01/s01_t9_sad.wav: there is no sentence t9, only t1, t2, t3, t4. DEMO"),
        ("s01/s01_t1_fear.wav", "unknown-label", "'fear' is no emotion of this corpus; allowed are angry, happy, neutral, sad."),
    ],
)  # fmt: skip
def test_other_names_are_refused_with_the_rule(path, kind, message):
    problem = demo.parse(path)
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.path) == (kind, path)
    assert message in problem.message


def test_the_network_sees_the_whole_utterance():
    frames = n_frames(FEATURES["soxr_hq"], demo.CORPUS.mean_signal_length)
    seen = 1 + 2 * sum(2**block for block in range(demo.CORPUS.n_tabs))  # two kernels of 2 a block
    assert frames == seen == 63


def uar(features: np.ndarray, labels: list[str], speakers: list[str]) -> float:
    """Of a linear classifier on speakers it has not heard."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import recall_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=2000))
    return recall_score(
        labels, cross_val_predict(model, features, labels, groups=speakers, cv=GroupKFold(5)), average="macro"
    )


def test_the_task_can_be_learned_but_not_without_error(samples):
    labels, speakers = [emotion_of(path) for path in samples], [path.split("/")[0] for path in samples]
    length = demo.CORPUS.mean_signal_length
    mfcc = np.stack([extract(voice, 16_000, FEATURES["soxr_hq"], length) for voice in samples.values()])
    assert 0.70 < uar(np.concatenate([mfcc.mean(1), mfcc.std(1)], axis=1), labels, speakers) < 0.95
    # and it is not given away by one number
    level_db = np.array([[20 * np.log10(voice.std())] for voice in samples.values()])
    duration_s = np.array([[len(voice) / 16_000] for voice in samples.values()])
    assert 0.3 < uar(level_db, labels, speakers) < 0.75
    assert 0.3 < uar(duration_s, labels, speakers) < 0.70
