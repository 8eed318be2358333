"""Long recordings in windows, and how much sound is in each."""

import math

import numpy as np

from timnet.config import SAMPLE_RATE_HZ

BLOCK_S = 0.02
BLOCKS_AT_ONCE = 512
SOUND_DB = 40.0  # a block of sound is at most this far below the loudest block of the recording


def windows(n_samples: int, sample_rate_hz: int, signal_length: int, hop_s: float) -> list[slice]:
    """The samples of each window of a recording, all as long as the model hears; one slice of all where it fits.

    A window begins every hop_s, and the last one ends with the recording. `signal_length` counts samples at 22 050 Hz.
    """
    if math.ceil(n_samples * SAMPLE_RATE_HZ / sample_rate_hz) <= signal_length:
        return [slice(0, n_samples)]
    length = min(n_samples, round(signal_length * sample_rate_hz / SAMPLE_RATE_HZ))
    last = n_samples - length
    starts = range(0, last, max(1, round(hop_s * sample_rate_hz)))
    return [slice(start, start + length) for start in (*starts, last)]


def sound(samples: np.ndarray, sample_rate_hz: int, parts: list[slice]) -> np.ndarray:
    """The share of every part that is not silence, float64 (n_parts,) from 0 to 1; all 0 where nothing sounds.

    Silence is a block of 20 ms whose RMS is more than 40 dB below that of the recording's loudest one.
    """
    size = max(1, round(BLOCK_S * sample_rate_hz))
    power = np.concatenate(
        [
            _power(samples[start : start + BLOCKS_AT_ONCE * size], size)
            for start in range(0, len(samples), BLOCKS_AT_ONCE * size)
        ]
    )
    sounding = (power > 0) & (power >= power.max() * 10 ** (-SOUND_DB / 10))
    first = [part.start // size for part in parts]
    end = [max(math.ceil(part.stop / size), 1 + start) for part, start in zip(parts, first, strict=True)]
    return np.array([sounding[a:b].mean() for a, b in zip(first, end, strict=True)])


def _power(samples: np.ndarray, size: int) -> np.ndarray:
    """Mean square of each block of `size` samples, float64; the last one is filled up with zeros."""
    squares = np.zeros(math.ceil(len(samples) / size) * size)
    squares[: len(samples)] = np.square(samples, dtype=np.float64)
    return squares.reshape(-1, size).mean(axis=1)
