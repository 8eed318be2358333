"""Resamplers: from the sample rate of a recording to that of the features.

The features depend on the resampler more than one would think, so each is a row of RESAMPLERS, and new ones never
replace old ones. Both give as many samples as `librosa.resample` does, see `n_resampled`.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

# The window of `kaiser_best` in resampy 0.2, which librosa resampled with before 0.10: a sinc up to its 64th zero
# crossing under a Kaiser window, tabulated at 512 points a crossing.
ZERO_CROSSINGS = 64
POINTS_PER_CROSSING = 512
ROLLOFF = 0.9475937167399596  # cut-off as a fraction of the Nyquist frequency
KAISER_BETA = 14.769656459379492

OUTPUTS_PER_OPERATOR = 32  # measured: wider operators hold more zeros, narrower ones copy more input

# Multiplications that OpenBLAS does in the calling thread. Larger products would wait for threads that have no core,
# since every core extracts features, and their last bits would depend on the number of threads.
MULTIPLICATIONS_AT_ONCE = 2**18


def n_resampled(n_samples: int, from_hz: int, to_hz: int) -> int:
    """Samples after resampling: n·to/from rounded up, in floating point as librosa does it."""
    return math.ceil(n_samples * (float(to_hz) / from_hz))


def soxr_hq(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """The SoX resampler at its quality HQ, librosa's default since 0.10. float32 (n,) to float32 (n_resampled,)."""
    import soxr

    if from_hz == to_hz:
        return samples
    return _of_length(soxr.resample(samples, from_hz, to_hz, quality="HQ"), n_resampled(len(samples), from_hz, to_hz))


def resampy_0_2_kaiser_best(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """What `resampy.resample(…, filter="kaiser_best")` gave in resampy 0.2. float32 (n,) to float32 (n_resampled,).

    An output sample is a windowed-sinc interpolation between input samples (J. O. Smith, "Digital audio resampling",
    https://ccrma.stanford.edu/~jos/resample/), and its weights depend only on where it lies between two of them. For
    a ratio up/down that place repeats after `up` outputs and `down` inputs, so blocks of output samples are one small
    matrix each, applied to every stretch of input: the numbers of resampy's loop over samples, in far less time.
    """
    if from_hz == to_hz:
        return samples
    up, down, side = _period(from_hz, to_hz)
    n_out = len(samples) * to_hz // from_hz  # resampy stops at the last whole one, librosa appends a zero
    n_periods = -(-n_out // up)
    padded = np.zeros(n_periods * down + 2 * side, np.float32)
    padded[side - 1 : side - 1 + len(samples)] = samples
    resampled = np.empty((n_periods, up), np.float32)
    for first in range(0, min(up, n_out), OUTPUTS_PER_OPERATOR):
        start, operator = _operator(from_hz, to_hz, first)
        stretches = np.lib.stride_tricks.as_strided(
            padded[start:], (n_periods, len(operator)), (down * padded.itemsize, padded.itemsize), writeable=False
        )
        columns = slice(first, first + operator.shape[1])
        n_rows = max(1, MULTIPLICATIONS_AT_ONCE // operator.size)
        for row in range(0, n_periods, n_rows):
            rows = slice(row, row + n_rows)
            resampled[rows, columns] = np.ascontiguousarray(stretches[rows]) @ operator
    return _of_length(resampled.ravel()[:n_out], n_resampled(len(samples), from_hz, to_hz))


RESAMPLERS: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "soxr_hq": soxr_hq,
    "resampy_0_2_kaiser_best": resampy_0_2_kaiser_best,
}

# Distributions whose version can change what a resampler gives, besides numpy.
RESAMPLER_LIBRARIES: dict[str, tuple[str, ...]] = {"soxr_hq": ("soxr",), "resampy_0_2_kaiser_best": ()}


def _of_length(samples: np.ndarray, n_samples: int) -> np.ndarray:
    """Cut or extended with zeros at the end."""
    if len(samples) >= n_samples:
        return samples[:n_samples]
    return np.concatenate([samples, np.zeros(n_samples - len(samples), samples.dtype)])


@lru_cache(maxsize=16)
def _period(from_hz: int, to_hz: int) -> tuple[int, int, int]:
    """Outputs and inputs after which the weights repeat, and the most inputs that weigh on either side of an output.

    Short periods are taken several times, to fill one operator.
    """
    divisor = math.gcd(from_hz, to_hz)
    up, down = to_hz // divisor, from_hz // divisor
    times = -(-OUTPUTS_PER_OPERATOR // up)
    return up * times, down * times, -(-(ZERO_CROSSINGS * POINTS_PER_CROSSING + 1) // _step(from_hz, to_hz))


def _step(from_hz: int, to_hz: int) -> int:
    """Points of the table between two input samples; rounded down, so that downsampled audio is not quite what a plain
    polyphase filter gives.
    """
    return int(min(1.0, to_hz / from_hz) * POINTS_PER_CROSSING)


@lru_cache(maxsize=1)
def _half_window() -> np.ndarray:
    """The right half of the interpolation window, float64 (32 769,)."""
    n_points = ZERO_CROSSINGS * POINTS_PER_CROSSING
    sinc = ROLLOFF * np.sinc(ROLLOFF * np.linspace(0, ZERO_CROSSINGS, n_points + 1))
    return sinc * np.kaiser(2 * n_points + 1, KAISER_BETA)[n_points:]


@lru_cache(maxsize=512)  # of 20 to 50 kB each; 16 kHz has 14, 48 kHz 5, 44.1 kHz one
def _operator(from_hz: int, to_hz: int, first: int) -> tuple[int, np.ndarray]:
    """Outputs `first`, `first` + 1, … of every period: the input they start at, and float32 (n_inputs, n_outputs)."""
    up, down, side = _period(from_hz, to_hz)
    scale = min(1.0, to_hz / from_hz)
    output = np.arange(first, min(up, first + OUTPUTS_PER_OPERATOR))
    before, remainder = np.divmod(output * down, up)  # the input sample at or before the output, and what lies between
    between = scale * remainder / up
    weights = np.concatenate(
        [_wing(between, from_hz, to_hz, side)[:, ::-1], _wing(scale - between, from_hz, to_hz, side)], axis=1
    )
    shift = before - before[0]
    operator = np.zeros((shift[-1] + 2 * side, len(output)), np.float32)
    for column, row in enumerate(shift):
        operator[row : row + 2 * side, column] = scale * weights[column]
    return int(before[0]), operator


def _wing(distance: np.ndarray, from_hz: int, to_hz: int, side: int) -> np.ndarray:
    """Weights of the inputs on one side, the nearest first: (n,) distances in zero crossings to float64 (n, side)."""
    window = _half_window()
    points = distance[:, None] * POINTS_PER_CROSSING + _step(from_hz, to_hz) * np.arange(side)
    return np.interp(points, np.arange(len(window)), window, right=0)
