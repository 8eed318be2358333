"""Features: named MFCC profiles, each from samples to a matrix of frames and coefficients.

The numbers are those of `librosa.feature.mfcc` to about 1e-4, several times faster and without importing librosa: what
depends only on the profile is computed once, frames of silence that padding adds are not transformed, and a mel filter
is multiplied with the few frequencies it covers.
"""

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version

import numpy as np

from timnet import mel
from timnet.audio import centre
from timnet.config import N_COEFFICIENTS, SAMPLE_RATE_HZ, identity
from timnet.errors import AudioError, ConfigError
from timnet.resample import RESAMPLER_LIBRARIES, RESAMPLERS

FEATURES_VERSION = 1  # raise when the same profile would give other numbers
LIBRARIES = ("soundfile", "numpy", "scipy")  # whose versions can change the numbers, besides the resampler's

POWER_FLOOR = 1e-10  # powers below count as this, so that silence has a logarithm
WINDOWS = {"hann": 0.5, "hamming": 0.54}  # mean of the raised cosine

# Few enough for work arrays that stay in the cache and for products below resample.MULTIPLICATIONS_AT_ONCE.
FRAMES_AT_ONCE = 24


@dataclass(frozen=True)
class FeatureProfile:
    """How MFCCs are made. Its mel bands are those of timnet.mel."""

    name: str
    description: str  # one line
    resampler: str  # a row of resample.RESAMPLERS
    sample_rate_hz: int = SAMPLE_RATE_HZ
    n_coefficients: int = N_COEFFICIENTS
    window: str = "hann"  # a row of WINDOWS
    window_samples: int = 2048
    hop_samples: int = 512
    n_fft: int = 2048
    n_mels: int = mel.N_MELS
    top_db: float = 80.0  # what is this far below the loudest mel band of the recording is raised to it

    def __post_init__(self) -> None:
        for what, value, allowed in (("resampler", self.resampler, RESAMPLERS), ("window", self.window, WINDOWS)):
            if value not in allowed:
                raise ConfigError(
                    f"Feature profile {self.name}: no {what} {value!r}; allowed are {', '.join(allowed)}."
                )
        if not 1 <= self.n_coefficients <= self.n_mels:
            raise ConfigError(
                f"Feature profile {self.name}: n_coefficients is {self.n_coefficients}; allowed are 1 to n_mels, "
                f"which is {self.n_mels}."
            )
        if not (1 <= self.hop_samples <= self.window_samples <= self.n_fft and self.n_fft % 2 == 0):
            raise ConfigError(
                f"Feature profile {self.name}: hop_samples, window_samples and n_fft are {self.hop_samples}, "
                f"{self.window_samples} and {self.n_fft}; each is at most the next, and n_fft is even."
            )


FEATURES = {
    profile.name: profile
    for profile in (
        FeatureProfile(
            name="soxr_hq",
            description="librosa's MFCC defaults with its present resampler, for new work",
            resampler="soxr_hq",
        ),
        FeatureProfile(
            name="published",
            description="librosa's MFCC defaults with the resampler it had in 2022, as in the published results",
            resampler="resampy_0_2_kaiser_best",
        ),
        # The prose names no resampler, so the default one. At 22 050 Hz its frames are 1102.5 and 275.625 samples,
        # rounded here to 49.98 and 12.52 ms; 2048 is the first power of two that holds such a frame.
        FeatureProfile(
            name="paper-text",
            description="what the paper's prose says: frames of 50 ms every 12.5 ms under a Hamming window",
            resampler="soxr_hq",
            window="hamming",
            window_samples=1102,
            hop_samples=276,
        ),
    )
}


def get(name: str) -> FeatureProfile:
    """The profile of this name; raises ConfigError listing all where there is none."""
    if name not in FEATURES:
        raise ConfigError(f"There is no feature profile {name!r}; allowed are {', '.join(FEATURES)}.")
    return FEATURES[name]


def n_frames(profile: FeatureProfile, signal_length: int) -> int:
    """Frames of a signal of signal_length samples at 22 050 Hz: one around its start and one each hop after it."""
    return 1 + _profile_samples(profile, signal_length) // profile.hop_samples


def extract(samples: np.ndarray, sample_rate_hz: int, profile: FeatureProfile, signal_length: int) -> np.ndarray:
    """MFCCs of a mono recording, padded or cut around its middle: float32 (n_frames, n_coefficients).

    `samples` is float32 (n_samples,); `signal_length` counts samples at 22 050 Hz whatever the profile's own rate.
    Raises AudioError where samples are no such array, ConfigError where signal_length is shorter than a window.
    """
    if samples.ndim != 1 or samples.dtype != np.float32 or not len(samples):
        raise AudioError(
            "Features are made of mono samples, float32 of shape (n_samples,) with at least one; "
            f"received {samples.dtype} of shape {samples.shape}. Use what audio.read returns."
        )
    n_samples = _profile_samples(profile, signal_length)
    if n_samples < profile.window_samples:
        raise ConfigError(
            f"The signal length is {signal_length} samples at {SAMPLE_RATE_HZ} Hz, less than one window of the feature "
            f"profile {profile.name}; allowed are {_shortest(profile)} and more."
        )
    resampled = RESAMPLERS[profile.resampler](samples, sample_rate_hz, profile.sample_rate_hz)
    power = np.maximum(_mel_power(centre(resampled, n_samples), profile), np.float32(POWER_FLOOR))
    decibels = 10 / math.log(10) * np.log(power)  # in float32, numpy's log is four times as fast as its log10
    np.maximum(decibels, decibels.max() - profile.top_db, out=decibels)
    cosines = mel.cosines(profile.n_mels, profile.n_coefficients)
    cepstrum = np.empty((len(decibels), profile.n_coefficients), np.float32)
    for row in range(0, len(decibels), FRAMES_AT_ONCE):
        cepstrum[row : row + FRAMES_AT_ONCE] = decibels[row : row + FRAMES_AT_ONCE] @ cosines
    return cepstrum


def feature_key(profile: FeatureProfile, signal_length: int, manifest_key: str) -> str:
    """Where the features of a corpus lie: a hash of all that their numbers depend on, and nothing else."""
    parameters = asdict(profile)
    del parameters["name"], parameters["description"]
    versions = {library: version(library) for library in (*LIBRARIES, *RESAMPLER_LIBRARIES[profile.resampler])}
    return identity(FEATURES_VERSION, parameters, signal_length, manifest_key, versions)


def _profile_samples(profile: FeatureProfile, signal_length: int) -> int:
    """Samples at the profile's rate that last as long as signal_length samples at 22 050 Hz, to the nearest."""
    return (2 * signal_length * profile.sample_rate_hz + SAMPLE_RATE_HZ) // (2 * SAMPLE_RATE_HZ)


def _shortest(profile: FeatureProfile) -> int:
    return math.ceil(profile.window_samples * SAMPLE_RATE_HZ / profile.sample_rate_hz)


def _mel_power(signal: np.ndarray, profile: FeatureProfile) -> np.ndarray:
    """Power in each mel band: (n_samples,) to float32 (n_frames, n_mels). The first frame is centred on the start."""
    from scipy import fft  # numpy's is seven times slower at float32

    n_fft, hop = profile.n_fft, profile.hop_samples
    mel_power = np.zeros((1 + len(signal) // hop, profile.n_mels), np.float32)
    sounding = signal != 0
    if not sounding.any():
        return mel_power
    # Frames that hold nothing but the zeros of padding have no power: only those between are transformed.
    start, stop = int(sounding.argmax()), len(signal) - int(sounding[::-1].argmax())
    first = max(0, (start - n_fft // 2) // hop)
    last = min(len(mel_power), (stop + n_fft // 2) // hop + 1)
    padded = np.zeros(len(signal) + n_fft, np.float32)
    padded[n_fft // 2 : n_fft // 2 + len(signal)] = signal
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    window, filters = _window(profile), mel.pieces(profile.sample_rate_hz, n_fft, profile.n_mels)
    for row in range(first, last, FRAMES_AT_ONCE):
        rows = slice(row, min(last, row + FRAMES_AT_ONCE))
        spectrum = fft.rfft(frames[rows] * window, axis=1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        for mels, frequencies, weights in filters:
            mel_power[rows, mels] = power[:, frequencies] @ weights
    return mel_power


@lru_cache(maxsize=8)
def _window(profile: FeatureProfile) -> np.ndarray:
    """The periodic window in the middle of a frame: float32 (n_fft,)."""
    mean = WINDOWS[profile.window]
    phase = 2 * np.pi * np.arange(profile.window_samples) / profile.window_samples
    return centre((mean - (1 - mean) * np.cos(phase)).astype(np.float32), profile.n_fft)
