"""Features against librosa, scipy and the reference data."""

import subprocess
import sys
from dataclasses import replace

import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.signal
import threadpoolctl

from timnet import audio, features, mel
from timnet.config import SAMPLE_RATE_HZ
from timnet.errors import AudioError, ConfigError
from timnet.features import FEATURES, FeatureProfile, extract, feature_key, n_frames
from timnet.resample import RESAMPLERS

TOLERANCE = 5e-4  # on coefficients of up to 1 100; measured 2e-4, nearly all of it librosa's float32

OTHER_RATE = FeatureProfile(
    name="16 kHz", description="", resampler="soxr_hq", sample_rate_hz=16_000, n_fft=1024, window_samples=800,
    hop_samples=200, n_mels=80, n_coefficients=20, window="hamming", top_db=60,
)  # fmt: skip


def voice(duration_s: float, rate_hz: int) -> np.ndarray:
    """A tone that glides and swells, with harmonics and a little noise."""
    time_s = np.arange(int(duration_s * rate_hz)) / rate_hz
    phase = 2 * np.pi * (120 * time_s + 40 * np.sin(2 * np.pi * 3 * time_s))
    tone = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 20))
    noise = np.random.default_rng(0).standard_normal(len(time_s))
    return ((0.2 * tone + 1e-3 * noise) * np.sin(np.pi * time_s / duration_s) ** 2).astype(np.float32)


SIGNALS = {
    "short": (voice(0.9, 16_000), 16_000),
    "long": (voice(7.3, 44_100), 44_100),
    "needs no resampling": (voice(4, 22_050), 22_050),
    "a click": (np.eye(1, 30_000, 12_345, dtype=np.float32)[0], 16_000),
    "at the edges": (np.eye(2, 96_000, 95_999, dtype=np.float32).sum(axis=0), 22_050),
    "quiet": (voice(2, 48_000) * np.float32(1e-4), 48_000),
    "silence": (np.zeros(48_000, np.float32), 16_000),
    "one sample": (np.ones(1, np.float32), 16_000),
    "a pause in the middle": (
        np.concatenate([voice(1, 16_000), np.zeros(24_000, np.float32), voice(1, 16_000)]),
        16_000,
    ),
}


def librosas(samples: np.ndarray, rate_hz: int, profile: FeatureProfile, signal_length: int) -> np.ndarray:
    resampled = RESAMPLERS[profile.resampler](samples, rate_hz, profile.sample_rate_hz)
    n_samples = round(signal_length * profile.sample_rate_hz / SAMPLE_RATE_HZ)
    mel_power = librosa.feature.melspectrogram(
        y=audio.centre(resampled, n_samples), sr=profile.sample_rate_hz,
        n_fft=profile.n_fft, hop_length=profile.hop_samples, win_length=profile.window_samples,
        window=profile.window, n_mels=profile.n_mels,
    )  # fmt: skip
    decibels = librosa.power_to_db(mel_power, top_db=profile.top_db)
    return librosa.feature.mfcc(S=decibels, n_mfcc=profile.n_coefficients).T


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("profile", [*FEATURES.values(), OTHER_RATE], ids=lambda profile: profile.name)
def test_features_are_librosas(profile, signal):
    expected = librosas(*SIGNALS[signal], profile, 96_000)
    np.testing.assert_allclose(extract(*SIGNALS[signal], profile, 96_000), expected, rtol=0, atol=TOLERANCE)


def test_default_profile_is_librosas_mfcc_with_its_defaults():
    samples, rate_hz = SIGNALS["short"]
    resampled = librosa.resample(samples, orig_sr=rate_hz, target_sr=SAMPLE_RATE_HZ)
    centred = librosa.util.pad_center(resampled, size=96_000)
    expected = librosa.feature.mfcc(y=centred, sr=SAMPLE_RATE_HZ, n_mfcc=39).T
    np.testing.assert_allclose(extract(samples, rate_hz, FEATURES["soxr_hq"], 96_000), expected, rtol=0, atol=TOLERANCE)


def test_profiles_differ():
    samples, rate_hz = SIGNALS["long"]
    made = [extract(samples, rate_hz, FEATURES[name], 96_000) for name in ("soxr_hq", "published")]
    assert 0.1 < np.abs(made[0] - made[1]).max() < 200


@pytest.mark.parametrize("window", features.WINDOWS)
@pytest.mark.parametrize("n_samples", [400, 1102, 2048])
def test_windows_are_scipys(window, n_samples):
    profile = replace(FEATURES["soxr_hq"], window=window, window_samples=n_samples, hop_samples=100)
    expected = librosa.util.pad_center(scipy.signal.get_window(window, n_samples), size=2048)
    np.testing.assert_allclose(features._window(profile), expected, rtol=0, atol=1e-7)


def test_cosines_are_scipys_dct():
    spectrum = np.random.default_rng(0).standard_normal((5, 128))
    expected = scipy.fft.dct(spectrum, type=2, norm="ortho", axis=1)[:, :39]
    np.testing.assert_allclose(spectrum @ mel.cosines(128, 39), expected, rtol=0, atol=1e-12)


def test_threads_change_no_bit():
    for profile in FEATURES.values():
        made = []
        for n_threads in (1, 4):
            with threadpoolctl.threadpool_limits(n_threads, "blas"):
                made.append(extract(*SIGNALS["long"], profile, 310_000))
        np.testing.assert_array_equal(*made)


# -- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signal_length", "frames"), [(88_000, 172), (96_000, 188), (310_000, 606), (110_000, 215), (130_000, 254)]
)
def test_published_numbers_of_frames(signal_length, frames):
    assert n_frames(FEATURES["published"], signal_length) == frames
    assert extract(*SIGNALS["short"], FEATURES["published"], signal_length).shape == (frames, 39)


@pytest.mark.parametrize(("signal_length", "frames"), [(22_050, 81), (96_000, 349), (96_110, 349), (96_200, 350)])
def test_signal_length_is_a_duration_whatever_the_rate_of_the_profile(signal_length, frames):
    assert n_frames(OTHER_RATE, signal_length) == frames == 1 + round(signal_length * 16_000 / 22_050) // 200
    assert extract(*SIGNALS["short"], OTHER_RATE, signal_length).shape == (frames, 20)


# -- errors -----------------------------------------------------------------------------------------------------------


def test_unknown_profile():
    with pytest.raises(ConfigError) as error:
        features.get("mfcc")
    assert str(error.value) == "There is no feature profile 'mfcc'; allowed are soxr_hq, published, paper-text."
    assert features.get("published") is FEATURES["published"]


@pytest.mark.parametrize(
    ("samples", "received"),
    [
        (np.zeros((100, 2), np.float32), "float32 of shape (100, 2)"),
        (np.zeros(100), "float64 of shape (100,)"),
        (np.zeros(0, np.float32), "float32 of shape (0,)"),
    ],
)
def test_samples_of_another_kind(samples, received):
    with pytest.raises(AudioError) as error:
        extract(samples, 16_000, FEATURES["soxr_hq"], 96_000)
    assert str(error.value) == (
        "Features are made of mono samples, float32 of shape (n_samples,) with at least one; "
        f"received {received}. Use what audio.read returns."
    )


@pytest.mark.parametrize(
    ("profile", "signal_length", "least"), [(FEATURES["soxr_hq"], 2_047, 2_048), (OTHER_RATE, 1_101, 1_103)]
)
def test_signal_shorter_than_a_window(profile, signal_length, least):
    with pytest.raises(ConfigError) as error:
        extract(*SIGNALS["short"], profile, signal_length)
    assert str(error.value) == (
        f"The signal length is {signal_length} samples at 22050 Hz, less than one window of the feature profile "
        f"{profile.name}; allowed are {least} and more."
    )
    extract(*SIGNALS["short"], profile, least)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resampler": "linear"}, "no resampler 'linear'; allowed are soxr_hq, resampy_0_2_kaiser_best."),
        ({"window": "kaiser"}, "no window 'kaiser'; allowed are hann, hamming."),
        ({"n_coefficients": 129}, "n_coefficients is 129; allowed are 1 to n_mels, which is 128."),
        ({"n_coefficients": 0}, "n_coefficients is 0; allowed are 1 to n_mels, which is 128."),
        (
            {"window_samples": 4096},
            "hop_samples, window_samples and n_fft are 512, 4096 and 2048; "
            "each is at most the next, and n_fft is even.",
        ),
        (
            {"hop_samples": 0},
            "hop_samples, window_samples and n_fft are 0, 2048 and 2048; each is at most the next, and n_fft is even.",
        ),
        (
            {"n_fft": 2049},
            "hop_samples, window_samples and n_fft are 512, 2048 and 2049; "
            "each is at most the next, and n_fft is even.",
        ),
    ],
)
def test_impossible_profile(changes, message):
    with pytest.raises(ConfigError) as error:
        replace(FEATURES["published"], **changes)
    assert str(error.value) == f"Feature profile published: {message}"


# -- identity ---------------------------------------------------------------------------------------------------------


def test_key_names_what_the_numbers_depend_on():
    key = feature_key(FEATURES["published"], 96_000, "abc")
    assert feature_key(replace(FEATURES["published"], name="other", description="other"), 96_000, "abc") == key
    others = {
        key,
        feature_key(FEATURES["published"], 96_001, "abc"),
        feature_key(FEATURES["published"], 96_000, "abd"),
        feature_key(FEATURES["soxr_hq"], 96_000, "abc"),
    }
    assert len(others) == 4


@pytest.mark.parametrize(
    ("library", "changes"),
    [
        ("numpy", {"soxr_hq": True, "published": True}),
        ("soundfile", {"soxr_hq": True, "published": True}),
        ("scipy", {"soxr_hq": True, "published": True}),
        ("soxr", {"soxr_hq": True, "published": False}),
        ("librosa", {"soxr_hq": False, "published": False}),
    ],
)
def test_key_changes_with_the_version_of_a_library_that_is_used(monkeypatch, library, changes):
    before = {name: feature_key(FEATURES[name], 96_000, "abc") for name in changes}
    true_version = features.version
    monkeypatch.setattr(features, "version", lambda name: "0.0" if name == library else true_version(name))
    assert {name: feature_key(FEATURES[name], 96_000, "abc") != before[name] for name in changes} == changes


def test_key_changes_with_our_own_version(monkeypatch):
    before = feature_key(FEATURES["published"], 96_000, "abc")
    monkeypatch.setattr(features, "FEATURES_VERSION", features.FEATURES_VERSION + 1)
    assert feature_key(FEATURES["published"], 96_000, "abc") != before


# -- what a fresh worker imports --------------------------------------------------------------------------------------


def test_extraction_imports_no_librosa_and_no_numba():
    program = """
import sys
import numpy as np
import timnet.audio, timnet.features as features
at_import = {"librosa", "numba", "scipy", "soxr", "soundfile", "sklearn", "keras", "resampy"} & sys.modules.keys()
assert not at_import, at_import
for profile in features.FEATURES.values():
    for rate_hz in (16_000, 44_100, 48_000):
        features.extract(np.ones(rate_hz, np.float32), rate_hz, profile, 96_000)
in_use = {"librosa", "numba", "resampy", "sklearn", "scipy.signal"} & sys.modules.keys()
assert not in_use, in_use
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# -- reference data ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("profile", "reference"), [("published", "paper_resampler"), ("soxr_hq", "soxr_hq")])
def test_golden(shared, profile, reference):
    with np.load(shared / "golden" / "emodb_mfcc.npz") as golden:
        files, expected = golden["files"], golden[reference]
    assert len(files) == 7
    for name, matrix in zip(files, expected, strict=True):
        data = (shared / "corpora" / "EMODB" / "wav" / str(name)).read_bytes()
        made = extract(*audio.read(data, name), FEATURES[profile], 96_000)
        np.testing.assert_allclose(made, matrix, rtol=0, atol=1e-3, err_msg=str(name))
