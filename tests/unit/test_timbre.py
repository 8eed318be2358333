"""How far a recording lies from others: on the real EMO-DB, with one speaker after the other left out."""

import numpy as np
import pytest

from timnet import audio, corpora, features, timbre
from timnet.predict.unlike import TIMBRE_ROOM

PROFILE = features.get("soxr_hq")
RATE_HZ = 16_000  # of EMO-DB


def test_silence_sounds_like_nothing():
    matrix = np.zeros((10, 39), np.float32)
    matrix[:, 0] = -1131
    assert timbre.summary(matrix) is None
    assert np.isnan(timbre.distance(matrix, ((0.0,) * 25,) * 26))


def test_padding_and_level_change_nothing():
    samples = np.random.default_rng(0).normal(size=RATE_HZ).astype(np.float32)
    one, louder = (features.extract(gain * samples, RATE_HZ, PROFILE, 44_100) for gain in (0.01, 0.1))
    longer = features.extract(0.01 * samples, RATE_HZ, PROFILE, 88_200)
    np.testing.assert_allclose(timbre.summary(louder), timbre.summary(one), atol=1e-3)
    np.testing.assert_allclose(timbre.summary(longer), timbre.summary(one), rtol=0.1, atol=0.5)


def test_too_few_or_all_the_same_are_not_compared_with():
    random = np.random.default_rng(0).normal(size=(20, 25))
    assert timbre.of_recordings(random[:19]) is None
    assert timbre.of_recordings(np.ones((40, 25))) is None
    assert np.shape(timbre.of_recordings(random)) == (26, 25)


@pytest.mark.parametrize("n", [20, 50, 500])
def test_however_few_there_are_others_like_them_are_near(n):
    mixing = np.random.default_rng(0).normal(size=(25, 25))
    made = np.random.default_rng(1).normal(size=(n + 1000, 25)) @ mixing
    middle, *whitening = map(np.array, timbre.of_recordings(made[:n]))
    away = np.linalg.norm((made[n:] - middle) @ np.array(whitening).T, axis=1)
    assert np.mean(away > TIMBRE_ROOM) < 0.02
    assert np.median(away) > 0.5


@pytest.fixture(scope="module")
def speech(shared):
    """EMO-DB: samples, the summaries of their MFCCs, and speakers."""
    corpus = corpora.get("EMODB")
    source = corpora.locate(corpus, str(shared / "corpora"))
    utterances = corpus.find(source).utterances
    samples = [audio.read(source.read_bytes(one.path), one.path)[0] for one in utterances]
    return (
        samples,
        np.stack([timbre.summary(mfccs(one)) for one in samples]),
        np.array([one.speaker for one in utterances]),
    )


def mfccs(samples):
    return features.extract(samples.astype(np.float32), RATE_HZ, PROFILE, 96_000)


def test_a_new_speaker_of_the_corpus_is_like_it_and_other_sound_is_not(speech):
    """Prints, with -s, the numbers of docs/predict.md."""
    from scipy import signal

    samples, summaries, speakers = speech
    t = np.arange(3 * RATE_HZ) / RATE_HZ
    random = np.random.default_rng(0)
    white = 0.1 * random.normal(size=len(t))
    chord = [
        sum(np.sin(2 * np.pi * hz * k * t) / k for hz in (262, 330, 392) for k in range(1, 8)),
        np.exp(-4 * (t % 0.5)),
    ]
    others = {
        "white noise": white,
        "brown noise": 0.02 * np.cumsum(white),
        "a tone of 440 Hz": 0.3 * np.sin(2 * np.pi * 440 * t),
        "a tone in noise": 0.3 * np.sin(2 * np.pi * 440 * t) + 0.03 * white,
        "chords": 0.05 * chord[0] * chord[1],
        "hum": 0.1 * sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 10)),
        "clicks": white * (np.arange(len(t)) % 4000 < 20),
        "a sweep": 0.3 * signal.chirp(t, 100, 3, 7000),
    }
    telephone = signal.butter(6, [300, 3400], "bandpass", fs=RATE_HZ, output="sos")

    def noisy(one, db):
        return one + 10 ** (-db / 20) * np.sqrt(np.mean(one**2)) * random.normal(size=len(one))

    changes = {
        "through a telephone": lambda one: signal.sosfilt(telephone, one),
        "noise 10 dB below": lambda one: noisy(one, 10),
        "noise 30 dB below": lambda one: noisy(one, 30),
        "backwards": lambda one: one[::-1],
        "1 s of it": lambda one: one[4000:20_000],
    }
    unlike, found = 0, {name: [] for name in changes}
    for speaker in sorted(set(speakers)):
        own = np.flatnonzero(speakers == speaker)
        known = timbre.of_recordings(summaries[speakers != speaker])
        away = (summaries[own] - np.array(known[0])) @ np.array(known[1:]).T
        unlike += np.count_nonzero(np.linalg.norm(away, axis=1) > TIMBRE_ROOM)
        near = [name for name, one in others.items() if timbre.distance(mfccs(one), known) <= TIMBRE_ROOM]
        assert near == [], speaker
        for name, change in changes.items():
            found[name] += [timbre.distance(mfccs(change(samples[i])), known) > TIMBRE_ROOM for i in own[::5]]
    shares = {name: f"{np.mean(said):.0%}" for name, said in found.items()}
    print(f"\n{unlike} of {len(samples)} recordings of new speakers are unlike the others; {shares}")
    assert unlike <= 0.01 * len(samples)
    assert min(np.mean(found["through a telephone"]), np.mean(found["noise 10 dB below"])) > 0.95
