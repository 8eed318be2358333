"""The resamplers against librosa and resampy themselves."""

from functools import partial

import librosa
import numpy as np
import pytest
import resampy
import scipy.signal
import threadpoolctl

from timnet.resample import RESAMPLER_LIBRARIES, RESAMPLERS, n_resampled, resampy_0_2_kaiser_best, soxr_hq

TARGET_HZ = 22_050
RATES_HZ = (8_000, 11_025, 16_000, 22_051, 24_000, 32_000, 37_800, 44_100, 48_000, 96_000)


def noise(n_samples: int) -> np.ndarray:
    return np.random.default_rng(n_samples).standard_normal(n_samples).astype(np.float32) / 10


def resampy_0_2(samples: np.ndarray, from_hz: int) -> np.ndarray:
    """resampy 0.4 called so that it is resampy 0.2, at the length that librosa gives it."""
    resampled = resampy.resample(
        samples,
        from_hz,
        TARGET_HZ,
        filter="sinc_window",
        num_zeros=64,
        precision=9,
        rolloff=0.9475937167399596,
        window=partial(scipy.signal.windows.kaiser, beta=14.769656459379492),
    )
    return librosa.util.fix_length(resampled, size=int(np.ceil(len(samples) * TARGET_HZ / from_hz)))


@pytest.mark.parametrize("from_hz", RATES_HZ)
@pytest.mark.parametrize("n_samples", [10, 321, 4_999, "2 s"])
def test_published_resampler_gives_what_resampy_0_2_gave(from_hz, n_samples):
    samples = noise(2 * from_hz + 7 if n_samples == "2 s" else n_samples)
    expected = resampy_0_2(samples, from_hz)
    resampled = resampy_0_2_kaiser_best(samples, from_hz, TARGET_HZ)
    assert resampled.dtype == np.float32
    assert resampled.shape == expected.shape
    assert np.abs(resampled - expected).max() < 3e-6 * np.abs(expected).max()


@pytest.mark.parametrize("from_hz", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("where", [0, -1])
def test_the_first_and_last_sample_weigh_as_in_resampy(from_hz, where):
    samples = np.zeros(3_000, np.float32)
    samples[where] = 1
    difference = resampy_0_2_kaiser_best(samples, from_hz, TARGET_HZ) - resampy_0_2(samples, from_hz)
    assert np.abs(difference).max() < 3e-6


def plain_polyphase(samples: np.ndarray, from_hz: int) -> np.ndarray:
    """The same windowed sinc as an ordinary filter, by scipy."""
    scale = min(1.0, TARGET_HZ / from_hz)
    divisor = np.gcd(from_hz, TARGET_HZ)
    up, down = TARGET_HZ // divisor, from_hz // divisor
    reach = int(64 / scale) * up
    crossing = np.arange(-reach, reach + 1) / up * scale
    half = 64 * 512
    window = scipy.signal.windows.kaiser(2 * half + 1, beta=14.769656459379492)[half:]
    taper = np.interp(np.abs(crossing) * 512, np.arange(half + 1), window)
    taps = scale * 0.9475937167399596 * np.sinc(0.9475937167399596 * crossing) * taper
    return scipy.signal.resample_poly(samples.astype(float), up, down, window=taps / up)


@pytest.mark.parametrize(("from_hz", "equal"), [(8_000, True), (16_000, True), (32_000, False), (48_000, False)])
def test_a_plain_polyphase_filter_is_the_same_only_when_upsampling(from_hz, equal):
    """resampy 0.2 rounds the step through its table when downsampling: that is in the published features."""
    samples = noise(from_hz)
    resampled = resampy_0_2_kaiser_best(samples, from_hz, TARGET_HZ)[:TARGET_HZ]
    difference = np.abs(plain_polyphase(samples, from_hz) - resampled)[:-1].max() / np.abs(resampled).max()
    assert difference < 3e-5 if equal else 1e-3 < difference < 0.1


@pytest.mark.parametrize("from_hz", RATES_HZ)
def test_positions_repeat_exactly_for_ten_minutes(from_hz):
    """resampy multiplies a rounded increment; were it to fall short of a whole sample, another weight would be due."""
    divisor = np.gcd(from_hz, TARGET_HZ)
    up, down = TARGET_HZ // divisor, from_hz // divisor
    periods = np.arange(600 * TARGET_HZ // up + 1)
    increment = 1.0 / (float(TARGET_HZ) / from_hz)
    np.testing.assert_array_equal(np.floor(periods * up * increment), periods * down)


@pytest.mark.parametrize("from_hz", RATES_HZ)
@pytest.mark.parametrize("n_samples", [1, 10, 321, 16_000, 44_101])
def test_soxr_hq_is_what_librosa_does(from_hz, n_samples):
    samples = noise(n_samples)
    expected = librosa.resample(samples, orig_sr=from_hz, target_sr=TARGET_HZ)
    resampled = soxr_hq(samples, from_hz, TARGET_HZ)
    assert resampled.shape == expected.shape
    np.testing.assert_allclose(resampled, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("from_hz", [8_000, 16_000, 44_100, 48_000])
def test_length_is_rounded_up(from_hz):
    for n_samples in (0, 1, 2, 319, 320, 321, 16_000, 47_999, 48_000, 123_457):
        assert n_resampled(n_samples, from_hz, TARGET_HZ) == -(-n_samples * TARGET_HZ // from_hz)


@pytest.mark.parametrize("resample", RESAMPLERS.values())
def test_the_same_rate_changes_nothing(resample):
    samples = noise(1_000)
    np.testing.assert_array_equal(resample(samples, TARGET_HZ, TARGET_HZ), samples)


@pytest.mark.parametrize("resample", RESAMPLERS.values())
@pytest.mark.parametrize("n_samples", [0, 1, 2, 3])
@pytest.mark.parametrize("from_hz", [8_000, 48_000, 192_000])
def test_next_to_nothing_still_has_its_length(resample, n_samples, from_hz):
    resampled = resample(np.ones(n_samples, np.float32), from_hz, TARGET_HZ)
    assert resampled.dtype == np.float32
    assert resampled.shape == (n_resampled(n_samples, from_hz, TARGET_HZ),)
    assert np.isfinite(resampled).all()


@pytest.mark.parametrize("resample", RESAMPLERS.values())
@pytest.mark.parametrize("from_hz", [16_000, 44_100, 48_000])
def test_threads_change_no_bit(resample, from_hz):
    samples = noise(5 * from_hz)
    results = []
    for n_threads in (1, 4):
        with threadpoolctl.threadpool_limits(n_threads, "blas"):
            results.append(resample(samples, from_hz, TARGET_HZ))
    np.testing.assert_array_equal(*results)


def test_every_resampler_says_what_its_numbers_depend_on():
    assert RESAMPLER_LIBRARIES.keys() == RESAMPLERS.keys()
