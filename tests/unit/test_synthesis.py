"""The voices against what was asked of them: pitch, formants and noise measured on the samples, by other means."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.signal

from timnet.phonemes import PHONEMES
from timnet.synthesis import (
    FRAME_SAMPLES,
    RATE_HZ,
    RINGING_FRAMES,
    Delivery,
    _bands,
    _overlapped,
    _resonances,
    _spectra,
    speak,
)

STEADY = Delivery(
    f0_hz=100, f0_range=0, f0_final_st=0, tract_scale=1, articulation=1, rate=0.2, level_db=0, emphasis_db=0,
    tilt_hz=1500, breath=0, open_quotient=0.6, jitter=0, shimmer=0,
)  # fmt: skip


def said(phonemes: str, delivery: Delivery = STEADY, seed: int = 0) -> np.ndarray:
    return speak(phonemes, delivery, np.random.default_rng(seed))


def middle(samples: np.ndarray) -> np.ndarray:
    return samples[len(samples) // 4 : -(len(samples) // 4)]


def pitch_hz(samples: np.ndarray) -> float:
    """From the first peak of the autocorrelation between 60 and 500 Hz."""
    full = scipy.signal.correlate(samples, samples, method="fft")[len(samples) - 1 :]
    shortest, longest = RATE_HZ // 500, RATE_HZ // 60
    return RATE_HZ / (shortest + np.argmax(full[shortest:longest]))


def roughness(samples: np.ndarray) -> float:
    """How far two periods of a voice of 100 Hz are from being alike."""
    period = RATE_HZ // 100
    return float(np.linalg.norm(samples[period:] - samples[:-period]) / np.linalg.norm(samples))


def share_above(samples: np.ndarray, hz: float) -> float:
    frequencies, power = scipy.signal.welch(samples, RATE_HZ, nperseg=1024)
    return float(power[frequencies > hz].sum() / power.sum())


def resonances_hz(samples: np.ndarray) -> np.ndarray:
    """Formants by linear prediction of 18th order on the pre-emphasised samples, the narrow ones, in rising order."""
    flat = np.diff(samples) * np.hanning(len(samples) - 1)
    r = scipy.signal.correlate(flat, flat, method="fft")[len(flat) - 1 :][:19]
    poles = np.roots(np.concatenate([[1], -scipy.linalg.solve_toeplitz(r[:18], r[1:])]))
    poles = poles[(poles.imag > 0) & (np.abs(poles) > 0.9)]
    return np.sort(np.angle(poles) * RATE_HZ / (2 * np.pi))


@pytest.mark.parametrize("f0_hz", [90, 140, 240])
def test_the_voice_has_the_pitch_that_was_asked_for(f0_hz):
    # with a range of 0 nothing moves the pitch but its end
    assert pitch_hz(middle(said("a", replace(STEADY, f0_hz=f0_hz)))) == pytest.approx(f0_hz, rel=0.02)
    risen = said("a", replace(STEADY, f0_hz=f0_hz, f0_final_st=6, rate=0.1))
    last = risen[-1600 - RINGING_FRAMES * FRAME_SAMPLES : -RINGING_FRAMES * FRAME_SAMPLES]  # of a rise of 5 000
    assert pitch_hz(last) == pytest.approx(f0_hz * 2 ** (0.84 * 6 / 12), rel=0.04)


def test_a_wider_range_moves_the_pitch_more():
    def spread(f0_range):
        samples = said("n'alam'inal'a", replace(STEADY, rate=0.6, f0_range=f0_range))
        return np.std([pitch_hz(samples[i : i + 1600]) for i in range(1600, len(samples) - 3200, 800)])

    assert spread(0) < 3 < 6 < spread(0.7) < spread(1.4)


@pytest.mark.parametrize("vowel", ["i", "e", "a", "o", "u"])
@pytest.mark.parametrize("tract_scale", [1.0, 1.2])
def test_vowels_have_their_formants(vowel, tract_scale):
    found = resonances_hz(middle(said(vowel, replace(STEADY, tract_scale=tract_scale))))
    for wanted_hz in PHONEMES[vowel][0].formants_hz:
        nearest = found[np.argmin(np.abs(found - wanted_hz * tract_scale))]
        assert nearest == pytest.approx(wanted_hz * tract_scale, rel=0.06, abs=45)


def test_without_articulation_all_vowels_are_one():
    mumbled = replace(STEADY, articulation=0.0)
    np.testing.assert_allclose(said("a", mumbled), said("i", mumbled), atol=1e-12)
    assert not np.allclose(said("a"), said("i"), atol=1e-2)


@pytest.mark.parametrize(
    ("change", "of_what"),
    [
        ({"jitter": 0.02}, roughness),
        ({"shimmer": 0.1}, roughness),
        ({"breath": 0.2}, roughness),
        ({"tilt_hz": 4000}, lambda samples: share_above(samples, 1500)),
        ({"open_quotient": 0.8}, lambda samples: 1 - share_above(samples, 150)),  # a lax voice is nearer to a sine
        ({"level_db": 6}, np.std),
        ({"rate": 0.1}, len),
    ],
)
def test_each_part_of_a_delivery_is_heard(change, of_what):
    assert of_what(middle(said("a", replace(STEADY, **change)))) > 1.2 * of_what(middle(said("a")))


def test_stress_makes_a_vowel_longer_and_louder():
    loud = replace(STEADY, emphasis_db=6)
    assert len(said("'amma", loud)) > len(said("amma", loud)) + 0.25 * 0.085 / loud.rate * RATE_HZ
    first, last = said("'amma", loud), said("amm'a", loud)
    assert np.std(first[: len(first) // 4]) > 1.3 * np.std(last[: len(last) // 4])


@pytest.mark.parametrize(("hiss", "hz"), [("s", 5600), ("S", 3100)])
def test_hisses_are_noise_around_their_band(hiss, hz):
    frequencies, power = scipy.signal.welch(middle(said(hiss)), RATE_HZ, nperseg=512)
    assert (frequencies * power).sum() / power.sum() == pytest.approx(hz, rel=0.15)
    assert share_above(middle(said("a")), 2600) < 0.02


def test_an_unvoiced_stop_is_silent_before_it_bursts():
    samples = said("ata", replace(STEADY, rate=1))
    frames = np.sqrt(np.mean(samples[: len(samples) // 160 * 160].reshape(-1, 160) ** 2, axis=1))
    third = len(frames) // 3
    assert frames[third : 2 * third].min() < 0.02 * frames.max()


def test_what_is_said_begins_and_ends_softly_and_clicks_nowhere():
    delivery = replace(STEADY, rate=1, f0_range=1)
    for phonemes in ("jaw'ijuwa", "lum'anil"):  # the formants move as far and as fast as they can
        samples = said(phonemes, delivery)
        assert max(abs(samples[:40]).max(), abs(samples[-40:]).max()) < 0.05 * abs(samples).max()
        # a click has as much above 6 kHz, where this voice has next to nothing, as below
        high = scipy.signal.sosfilt(scipy.signal.butter(6, 6000, "high", fs=RATE_HZ, output="sos"), samples)
        assert abs(high).max() < 0.03 * abs(samples).max()


def test_the_same_random_numbers_say_the_same():
    rough = replace(STEADY, jitter=0.01, shimmer=0.05, breath=0.1, f0_range=1)
    np.testing.assert_array_equal(said("nam'i", rough, seed=3), said("nam'i", rough, seed=3))
    longer, shorter = sorted((said("nam'i", rough, seed=3), said("nam'i", rough, seed=4)), key=len, reverse=True)
    assert len(longer) != len(shorter) or not np.allclose(longer, shorter)


def test_frames_add_up_to_what_went_in():
    signal = np.random.default_rng(0).standard_normal(12 * FRAME_SAMPLES)
    inside = slice(FRAME_SAMPLES // 2, -FRAME_SAMPLES // 2)
    back = _overlapped(_spectra(signal))[: len(signal)]
    np.testing.assert_allclose(back[inside], signal[inside], atol=1e-12)


def test_resonances_are_those_of_the_recursive_filter():
    frequencies_hz, bandwidths_hz = np.array([500.0, 1500.0]), np.array([60.0, 90.0])
    expected = 1.0
    for frequency_hz, bandwidth_hz in zip(frequencies_hz, bandwidths_hz, strict=True):
        c = -np.exp(-2 * np.pi * bandwidth_hz / RATE_HZ)  # Klatt (1980), equation 2
        b = 2 * np.exp(-np.pi * bandwidth_hz / RATE_HZ) * np.cos(2 * np.pi * frequency_hz / RATE_HZ)
        _, response = scipy.signal.freqz([1 - b - c], [1, -b, -c], worN=np.fft.rfftfreq(960, 1 / RATE_HZ), fs=RATE_HZ)
        expected = expected * response
    np.testing.assert_allclose(_resonances(frequencies_hz, bandwidths_hz), expected, rtol=1e-9)


def test_bands_keep_the_power_of_noise():
    power = np.mean(np.abs(_bands([900.0, 3100.0, 6500.0], STEADY)) ** 2, axis=-1)
    np.testing.assert_allclose(power, 1, rtol=1e-12)


def test_there_is_no_other_phoneme():
    with pytest.raises(KeyError, match="x"):
        said("ax")
