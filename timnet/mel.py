"""The mel filter bank: what librosa calls `filters.mel` with its defaults, Slaney's scale and norm."""

import math
from functools import lru_cache

import numpy as np

BREAK_HZ, BREAK_MEL = 1000.0, 15.0  # the scale is linear up to here and logarithmic above
LOG_STEP = math.log(6.4) / 27  # 27 mel to a factor of 6.4 in frequency

N_MELS = 128  # bands, where a feature profile does not say otherwise
MELS_AT_ONCE = 16  # measured: few enough to skip most frequencies, many enough for a fast product


def filter_bank(sample_rate_hz: int, n_fft: int, n_mels: int) -> np.ndarray:
    """Triangles of area 1, evenly spaced in mel from 0 Hz to half the sample rate: float64 (n_mels, 1 + n_fft / 2).

    M. Slaney, 1998, "Auditory Toolbox", version 2, Interval Research technical report 1998-010.
    """
    mel = np.linspace(0, _mel(sample_rate_hz / 2), n_mels + 2)
    linear_hz, log_hz = mel * (BREAK_HZ / BREAK_MEL), BREAK_HZ * np.exp((mel - BREAK_MEL) * LOG_STEP)
    corner_hz = np.where(mel < BREAK_MEL, linear_hz, log_hz)
    low, middle, high = corner_hz[:-2, None], corner_hz[1:-1, None], corner_hz[2:, None]
    frequency_hz = np.arange(1 + n_fft // 2) * (sample_rate_hz / n_fft)
    rising, falling = (frequency_hz - low) / (middle - low), (high - frequency_hz) / (high - middle)
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)


@lru_cache(maxsize=8)
def pieces(sample_rate_hz: int, n_fft: int, n_mels: int) -> list[tuple[slice, slice, np.ndarray]]:
    """The bank cut up: some bands, the frequencies they cover, and their weights, float32 (n_frequencies, n_bands)."""
    bank = filter_bank(sample_rate_hz, n_fft, n_mels).astype(np.float32)
    cut = []
    for first in range(0, n_mels, MELS_AT_ONCE):
        bands = slice(first, first + MELS_AT_ONCE)
        covered = np.flatnonzero(bank[bands].any(axis=0))
        if len(covered):  # low bands can lie between two frequencies of a short FFT: nothing reaches them
            frequencies = slice(int(covered[0]), int(covered[-1]) + 1)
            cut.append((bands, frequencies, np.ascontiguousarray(bank[bands, frequencies].T)))
    return cut


def _mel(frequency_hz: float) -> float:
    if frequency_hz < BREAK_HZ:
        return frequency_hz * BREAK_MEL / BREAK_HZ
    return BREAK_MEL + math.log(frequency_hz / BREAK_HZ) / LOG_STEP


@lru_cache(maxsize=8)
def cosines(n_mels: int, n_coefficients: int) -> np.ndarray:
    """The orthonormal DCT-II, from bands to cepstral coefficients, as a product: float64 (n_mels, n_coefficients)."""
    angle = np.pi / n_mels * np.outer(np.arange(n_mels) + 0.5, np.arange(n_coefficients))
    found = np.cos(angle) * math.sqrt(2 / n_mels)
    found[:, 0] /= math.sqrt(2)
    return found  # float32 here would cost a digit of the result: the sum is over 128 large numbers
