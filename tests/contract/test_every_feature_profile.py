"""The same checks for every row of FEATURES: a new profile passes them or is not finished."""

import pickle
from dataclasses import fields, replace

import numpy as np
import pytest

from timnet.features import FEATURES, extract, feature_key, n_frames

SIGNAL_LENGTH = 96_000  # samples at 22 050 Hz

# Another value for every parameter, so that a new parameter cannot be forgotten in the key.
OTHER = {
    "resampler": {"soxr_hq": "resampy_0_2_kaiser_best", "resampy_0_2_kaiser_best": "soxr_hq"},
    "window": {"hann": "hamming", "hamming": "hann"},
    "sample_rate_hz": 24_000,
    "n_coefficients": 20,
    "window_samples": 1_000,
    "hop_samples": 250,
    "n_fft": 4_096,
    "n_mels": 100,
    "top_db": 70.0,
}


@pytest.fixture(params=FEATURES)
def profile(request):
    return FEATURES[request.param]


def noise(n_samples: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, n_samples).astype(np.float32)


def test_name_and_description(profile):
    assert FEATURES[profile.name] is profile
    assert profile.description
    assert len(profile.description.splitlines()) == 1
    assert len({other.description for other in FEATURES.values()}) == len(FEATURES)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("duration_s", [0.1, 2.0, 9.0])
def test_shape_and_type(profile, rate_hz, duration_s):
    matrix = extract(noise(int(duration_s * rate_hz)), rate_hz, profile, SIGNAL_LENGTH)
    assert matrix.shape == (n_frames(profile, SIGNAL_LENGTH), profile.n_coefficients)
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    assert np.isfinite(matrix).all()
    assert matrix.std() > 1


def test_the_same_twice(profile):
    samples = noise(40_000)
    before = samples.copy()
    np.testing.assert_array_equal(
        extract(samples, 16_000, profile, SIGNAL_LENGTH), extract(samples, 16_000, profile, SIGNAL_LENGTH)
    )
    np.testing.assert_array_equal(samples, before)


def test_silence_is_a_number(profile):
    matrix = extract(np.zeros(16_000, np.float32), 16_000, profile, SIGNAL_LENGTH)
    assert np.isfinite(matrix).all()
    np.testing.assert_array_equal(matrix, np.broadcast_to(matrix[0], matrix.shape))


def test_louder_moves_only_the_first_coefficient(profile):
    """A gain adds the same to every band: in the cepstrum only coefficient 0 sees it."""
    samples = noise(16_000 * 6)
    quiet, loud = (extract(gain * samples, 16_000, profile, SIGNAL_LENGTH) for gain in (np.float32(0.1), np.float32(1)))
    np.testing.assert_allclose(loud[:, 0] - quiet[:, 0], 20 * np.sqrt(profile.n_mels), atol=1e-2)
    np.testing.assert_allclose(loud[:, 1:], quiet[:, 1:], atol=1e-2)


def test_travels_to_a_worker(profile):
    assert pickle.loads(pickle.dumps(profile)) == profile


def test_key_depends_on_every_parameter(profile):
    parameters = {field.name for field in fields(profile)} - {"name", "description"}
    assert parameters == OTHER.keys()
    key = feature_key(profile, SIGNAL_LENGTH, "manifest")
    assert key == feature_key(replace(profile), SIGNAL_LENGTH, "manifest")
    for parameter, other in OTHER.items():
        now = getattr(profile, parameter)
        changed = replace(profile, **{parameter: other[now] if isinstance(other, dict) else other})
        assert feature_key(changed, SIGNAL_LENGTH, "manifest") != key, parameter


def test_no_other_profile_has_its_key(profile):
    keys = [feature_key(other, SIGNAL_LENGTH, "manifest") for other in FEATURES.values()]
    assert keys.count(feature_key(profile, SIGNAL_LENGTH, "manifest")) == 1
