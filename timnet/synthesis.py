"""Synthetic voices: a source-filter synthesiser that turns phonemes, a speaker and a delivery into samples.

Glottal pulses (Rosenberg, 1971, "Effect of glottal pulse shape on the quality of natural vowels", JASA 49) and breath
noise pass a cascade of resonators that follow the formants (Klatt, 1980, "Software for a cascade/parallel formant
synthesizer", JASA 67); hiss and bursts are noise in one band each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from timnet.phonemes import PHONEMES, Segment

RATE_HZ = 16_000
FRAME_SAMPLES = 160  # 10 ms: how often the vocal tract changes
FRAME_FFT = 960  # 60 ms: what rings longer than that is inaudible
N_FREQUENCIES = FRAME_FFT // 2 + 1
RINGING_FRAMES = 3  # after the last sound
HIGHEST_FORMANT_HZ = 7_600.0  # resonators above are left out: they would fold back at half the rate
VOICED_LEVEL, ASPIRATED_LEVEL, HISS_LEVEL = 1.0, 0.1, 0.2  # relative to each other, at the lips
NEUTRAL_TRACT_HZ = (500.0, 1500.0, 2500.0)  # a tube of 17.5 cm, shut at one end


@dataclass(frozen=True)
class Delivery:
    """How one utterance is said: the speaker and the emotion in numbers."""

    f0_hz: float  # mean of the voice's pitch
    f0_range: float  # 1: accents of about 4 semitones
    f0_final_st: float  # where the pitch goes in the last quarter, semitones
    tract_scale: float  # formants relative to a man's
    articulation: float  # 1: vowels as in the table; 0: all alike
    rate: float  # 1: durations as in the table
    level_db: float
    emphasis_db: float  # stressed vowels over the others
    tilt_hz: float  # the source falls by another 6 dB an octave above it
    breath: float  # noise of the breath, 1: as strong as the voice
    open_quotient: float  # part of a period in which the glottis is open
    jitter: float  # sd of the length of a period, as a fraction
    shimmer: float  # sd of the amplitude of a period, as a fraction


def speak(phonemes: str, delivery: Delivery, rng: np.random.Generator) -> np.ndarray:
    """Say a string of PHONEMES, stress marked by `'` before a vowel; returns (n_samples,) float64 at RATE_HZ.

    Everything follows from the arguments; `rng` makes each saying a little different. Raises KeyError where there is
    no such phoneme.
    """
    segments, stressed = _segments(phonemes)
    accent = stressed * rng.uniform(0.6, 1.4, len(segments))  # how strongly each is stressed
    frames = _durations(segments, stressed, delivery, rng)

    def track(values: list[float] | np.ndarray, smoothed_frames: int) -> np.ndarray:
        """A value a segment as a value a frame, without jumps."""
        return _smooth(np.repeat(np.asarray(values, np.float64), frames), smoothed_frames)

    contour = track(accent * [segment.is_vowel for segment in segments], 11)
    f0_hz = _pitch(contour, delivery, rng)
    flow, steepness = _glottis(f0_hz, delivery, rng)
    level = 10 ** ((delivery.emphasis_db * contour + delivery.level_db) / 20)
    level[[0, -1]] = 0  # or the first and last sound would begin and end with a click
    voiced = _samples(track([segment.voiced for segment in segments], 3) * level)
    aspirated = _samples(track([segment.aspirated for segment in segments], 3) * level)
    hissing = _samples(track([segment.hiss for segment in segments], 3) * level)
    breath = VOICED_LEVEL * delivery.breath * voiced * (0.2 + 0.8 * flow) + ASPIRATED_LEVEL * aspirated
    neutral_hz = np.array(NEUTRAL_TRACT_HZ)
    targets_hz = neutral_hz + delivery.articulation * (np.array([s.formants_hz for s in segments]) - neutral_hz)
    formants_hz = np.stack([track(column, 6) for column in targets_hz.T], axis=1) * delivery.tract_scale
    tract = _tract(formants_hz, track([segment.nasal for segment in segments], 4), delivery)
    pole = np.exp(-2 * np.pi * delivery.tilt_hz / RATE_HZ)
    tilt = (1 - pole) / (1 - pole * _delay())
    bands = np.repeat(_bands([segment.hiss_hz for segment in segments], delivery), frames, axis=0)
    noise, hiss = rng.standard_normal((2, len(flow)))
    through_tract = _spectra(VOICED_LEVEL * voiced * steepness) * tilt + _spectra(breath * noise)
    return _overlapped(through_tract * tract + _spectra(HISS_LEVEL * hissing * hiss) * bands)


def _segments(phonemes: str) -> tuple[list[Segment], np.ndarray]:
    """The segments of the phonemes, and which of them are stressed, (n_segments,) bool."""
    segments: list[Segment] = []
    stressed: list[bool] = []
    for before, phoneme in zip(" " + phonemes, phonemes, strict=False):
        if phoneme != "'":
            segments += PHONEMES[phoneme]
            stressed += [before == "'"] * len(PHONEMES[phoneme])
    return segments, np.array(stressed)


def _durations(
    segments: list[Segment], stressed: np.ndarray, delivery: Delivery, rng: np.random.Generator
) -> np.ndarray:
    """How many frames each segment lasts, one at the least."""
    duration_s = np.array([segment.duration_s for segment in segments]) / delivery.rate
    duration_s *= rng.normal(1, 0.12, len(segments)).clip(0.6) * np.where(stressed, 1.35, 1.0)
    duration_s[-1] *= 1.5  # the last sound before a pause is drawn out
    return np.maximum(np.rint(duration_s * RATE_HZ / FRAME_SAMPLES).astype(int), 1)


def _smooth(values: np.ndarray, n_frames: int) -> np.ndarray:
    """Hann-weighted mean over n_frames frames; the ends are held."""
    window = np.hanning(n_frames + 2)[1:-1]
    before, after = (n_frames - 1) // 2, n_frames // 2
    return np.convolve(np.pad(values, (before, after), mode="edge"), window / window.sum(), mode="valid")


def _samples(frames: np.ndarray) -> np.ndarray:
    """A value a frame as a value a sample, joined by straight lines."""
    return np.interp(np.arange(len(frames) * FRAME_SAMPLES) / FRAME_SAMPLES - 0.5, np.arange(len(frames)), frames)


def _pitch(accents: np.ndarray, delivery: Delivery, rng: np.random.Generator) -> np.ndarray:
    """The fundamental in hertz a frame: it sinks slowly, rises with the accents, and ends as the delivery says."""
    time = np.linspace(0, 1, len(accents))
    drift = _smooth(rng.standard_normal(len(accents)), 15)
    semitones = 2.0 * (0.5 - time) + 4.0 * (accents - accents.mean()) + 1.0 * drift
    final = delivery.f0_final_st * np.clip((time - 0.75) / 0.25, 0, 1)
    return delivery.f0_hz * 2 ** ((delivery.f0_range * semitones + final) / 12)


def _glottis(f0_hz: np.ndarray, delivery: Delivery, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The flow through the glottis (0 to about 1) and its steepness, which is what is heard: two (n_samples,) arrays."""
    phase = np.cumsum(_samples(f0_hz)) / RATE_HZ
    n_periods = int(phase[-1]) + 2
    length = np.maximum(1 + delivery.jitter * rng.standard_normal(n_periods), 0.5)
    ends = np.cumsum(length) * n_periods / length.sum()  # the mean pitch stays
    phase = np.interp(phase, np.concatenate([[0], ends]), np.arange(n_periods + 1))
    period = phase.astype(int)
    amplitude = np.maximum(1 + delivery.shimmer * rng.standard_normal(n_periods + 1), 0.1)
    opening, closing = delivery.open_quotient * 2 / 3, delivery.open_quotient / 3
    part = phase - period
    rising = 0.5 * (1 - np.cos(np.pi * np.minimum(part / opening, 1)))
    falling = np.cos(0.5 * np.pi * np.clip((part - opening) / closing, 0, 1))
    flow = rising * falling * amplitude[period]
    # divided by the pitch, or high voices would be louder: the same flow in less time is steeper
    return flow, np.diff(flow, prepend=0.0) * RATE_HZ / (10 * f0_hz.mean())


# -- filters, as responses at the frequencies of a frame's FFT: arrays (…, N_FREQUENCIES), complex --------------------


def _delay() -> np.ndarray:
    """z^-1, a delay by one sample."""
    return np.exp(-2j * np.pi * np.arange(N_FREQUENCIES) / FRAME_FFT)


def _resonances(frequencies_hz: np.ndarray, bandwidths_hz: np.ndarray) -> np.ndarray:
    """A cascade of Klatt's resonators (…, n_resonators), each of gain 1 at 0 Hz."""
    radius = np.exp(-np.pi * bandwidths_hz / RATE_HZ) * np.ones_like(frequencies_hz)
    b, c = 2 * radius * np.cos(2 * np.pi * frequencies_hz / RATE_HZ), -(radius**2)
    delay, delay_by_two = _delay(), _delay() ** 2
    poles = 1.0
    for i in range(frequencies_hz.shape[-1]):
        poles *= 1 - b[..., i, None] * delay - c[..., i, None] * delay_by_two
    return np.prod(1 - b - c, axis=-1)[..., None] / poles


def _tract(formants_hz: np.ndarray, nasality: np.ndarray, delivery: Delivery) -> np.ndarray:
    """The three formants (n_frames, 3), the fixed ones above them, and the nose as far as it is open."""
    widening = 1 + delivery.breath  # an open glottis damps the tract
    response = _resonances(formants_hz, widening * np.array([60.0, 90.0, 130.0]))
    high_hz = np.arange(3_500.0, 10_000.0, 1_000.0) * delivery.tract_scale
    response *= _resonances(high_hz[high_hz < HIGHEST_FORMANT_HZ], np.array(250.0))
    nose = _resonances(np.array([270.0]), np.array(100.0)) / _resonances(np.array([450.0]), np.array(100.0))
    return response * (1 + nasality[:, None] * (nose - 1))


def _bands(centres_hz: list[float], delivery: Delivery) -> np.ndarray:
    """One band around each centre, without the low end; noise comes out as strong as it went in."""
    centre_hz = np.minimum(np.array(centres_hz) * delivery.tract_scale**0.5, 7_200.0)[:, None]
    response = _resonances(centre_hz, 0.2 * centre_hz + 400.0) * (1 - _delay() ** 2)
    return response / np.sqrt(np.mean(np.abs(response) ** 2, axis=-1, keepdims=True))


def _spectra(signal: np.ndarray) -> np.ndarray:
    """(n_samples,) -> (n_frames, N_FREQUENCIES): Hann windows of two frames, which add up to the signal again.

    Half a frame at either end has one window only and is faded.
    """
    padded = np.pad(signal, FRAME_SAMPLES // 2)
    window = np.sin(np.pi * (np.arange(2 * FRAME_SAMPLES) + 0.5) / (2 * FRAME_SAMPLES)) ** 2
    return np.fft.rfft(sliding_window_view(padded, 2 * FRAME_SAMPLES)[::FRAME_SAMPLES] * window, FRAME_FFT)


def _overlapped(spectra: np.ndarray) -> np.ndarray:
    """The way back, (n_frames, N_FREQUENCIES) -> (n_samples,): what rings on runs into the next and RINGING_FRAMES more."""
    pieces = np.fft.irfft(spectra, FRAME_FFT)
    n_frames, n_late = len(pieces), FRAME_FFT // FRAME_SAMPLES
    speech = np.zeros((n_frames + n_late, FRAME_SAMPLES))
    for late, part in enumerate(np.split(pieces, n_late, axis=1)):
        speech[late : late + n_frames] += part
    return speech.ravel()[FRAME_SAMPLES // 2 :][: (n_frames + RINGING_FRAMES) * FRAME_SAMPLES]
