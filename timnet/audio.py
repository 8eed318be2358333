"""Recordings: read them, say what is wrong with them, and give them one length.

A recording with several channels becomes one by their mean, as `librosa.load(sr=None, mono=True)` does it.
"""

import hashlib
import io
import struct
from dataclasses import dataclass, replace

import numpy as np

from timnet.errors import AudioError

MIN_DURATION_S = 0.1  # shorter than a syllable; the shortest recording of the published corpora has 1.2 s
MIN_PEAK_DBFS = -80.0  # 3 steps of 16 bit; the quietest whispers in speech corpora peak above -60
SILENCE_DBFS = -200.0  # what nothing but zeros counts as, and what is quieter than that
MIN_SAMPLE_RATE_HZ = 4_000  # half the telephone's: below it and above the next, the header is broken
MAX_SAMPLE_RATE_HZ = 768_000
MAX_PEAK = 2.0**31  # 32-bit integers that were kept as floats; squares of much more are no numbers in float32

UNKNOWN_SIZE = 2**32 - 1  # what is written as the size of a recording that was streamed

READABLE = "WAV, FLAC, OGG, MP3, AIFF, AU and what else libsndfile reads"

# Problems that leave nothing to work on; with the others there are samples, and they are warnings.
HOPELESS = frozenset({"unreadable", "empty", "not-finite", "out-of-range"})

FULL_SCALE = 0.999
CLIPPED_SAMPLES = 8  # fewer may be the one crest that a recording was normalised to

SAMPLES_AT_ONCE = 2**18  # of which copies are made: a recording of hours is held once


@dataclass(frozen=True)
class AudioFacts:
    """What is known of a recording once it has been decoded."""

    audio_sha256: str  # see `sha256`; empty where the recording cannot be decoded
    duration_s: float
    sample_rate_hz: int
    n_channels: int
    problem: tuple[str, str] | None  # (kind, message): unreadable, empty, not-finite, truncated, …
    peak_dbfs: float = SILENCE_DBFS  # 0 is full scale
    rms_dbfs: float = SILENCE_DBFS  # of the whole recording; a sine at full scale has -3
    n_clipped: int = 0  # samples of the channel that has most, see `n_clipped`
    lost_in_mixing: float = 0.0  # share of the channels' power that their mean has not; 0 where they are all the same


def read(data: bytes, name: str) -> tuple[np.ndarray, int]:
    """Decode a recording: its samples, float32 (n_samples,) with full scale at 1, and its sample rate in Hz.

    Raises AudioError where it cannot be decoded, is empty or has samples that are not finite or beyond MAX_PEAK; `name`
    says which it is.
    """
    samples, facts, _ = _decode(data, name)
    if facts.problem and facts.problem[0] in HOPELESS:
        raise AudioError(facts.problem[1])
    return samples, facts.sample_rate_hz


def inspect(data: bytes, name: str) -> AudioFacts:
    """Decode a recording and look for what makes it useless. Raises nothing: `problem` says it."""
    return examine(data, name)[1]


def examine(data: bytes, name: str) -> tuple[np.ndarray, AudioFacts]:
    """What `inspect` finds, and the samples as `read` gives them; none of these where it cannot be decoded."""
    samples, facts, channels = _decode(data, name)
    if facts.n_channels == 0:
        return samples, facts
    if facts.problem is None or facts.problem[0] not in HOPELESS:
        facts = replace(facts, n_clipped=max(map(n_clipped, channels.T)), lost_in_mixing=_lost(channels, samples))
    peak_dbfs, rms_dbfs = levels_dbfs(samples)
    return samples, replace(
        facts,
        audio_sha256=sha256(samples, facts.sample_rate_hz),
        problem=facts.problem or _useless(samples, facts.duration_s, name),
        peak_dbfs=peak_dbfs,
        rms_dbfs=rms_dbfs,
    )


def levels_dbfs(samples: np.ndarray) -> tuple[float, float]:
    """Peak and RMS of samples (n,) in dB, 0 being full scale; SILENCE_DBFS where there is nothing or not only numbers."""
    if not len(samples) or not np.isfinite(peak := _peak(samples)):
        return SILENCE_DBFS, SILENCE_DBFS
    starts = range(0, len(samples), SAMPLES_AT_ONCE)
    total = sum(np.square(samples[start : start + SAMPLES_AT_ONCE], dtype=np.float64).sum() for start in starts)
    rms, floor = np.sqrt(total / len(samples)), 10 ** (SILENCE_DBFS / 20)
    return 20 * float(np.log10(max(peak, floor))), 20 * float(np.log10(max(rms, floor)))


def sha256(samples: np.ndarray, sample_rate_hz: int) -> str:
    """SHA-256 in hex of mono samples (float32, little-endian) and their sample rate: all that features are made of.

    So the same recording is found again under another header, in another lossless container, or with its channel doubled.
    """
    digest = hashlib.sha256(f"{sample_rate_hz} Hz\n".encode())
    digest.update(np.ascontiguousarray(samples, "<f4").data)
    return digest.hexdigest()


def centre(samples: np.ndarray, n_samples: int) -> np.ndarray:
    """Exactly n_samples of a (n,) array: padded with zeros on both sides or cut on both sides.

    Of an odd number, the extra zero comes at the end and the extra sample cut is the last, as published.
    """
    missing = n_samples - len(samples)
    if missing < 0:
        first = -missing // 2
        return samples[first : first + n_samples]
    before = missing // 2
    return np.concatenate([np.zeros(before, samples.dtype), samples, np.zeros(missing - before, samples.dtype)])


def _decode(data: bytes, name: str) -> tuple[np.ndarray, AudioFacts, np.ndarray]:
    """Mono samples, the facts that decoding tells, and the channels; n_channels is 0 where nothing could be decoded."""
    import soundfile

    def useless(kind: str, message: str) -> tuple[np.ndarray, AudioFacts, np.ndarray]:
        return np.zeros(0, np.float32), AudioFacts("", 0.0, 0, 0, (kind, message)), np.zeros((0, 0), np.float32)

    if not data:
        return useless("empty", f"{name} is an empty file (0 bytes). Copy it again, or leave it out.")
    try:
        channels, sample_rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:  # all of what soundfile raises on broken files
        reason = str(getattr(error, "error_string", error)).rstrip(".")
        return useless(
            "unreadable",
            f"{name} cannot be read as audio ({len(data)} bytes; {reason}). Readable are {READABLE}. "
            "Copy or convert it again, or leave it out.",
        )
    if not MIN_SAMPLE_RATE_HZ <= sample_rate_hz <= MAX_SAMPLE_RATE_HZ:
        return useless(
            "unreadable",
            f"{name} says that its sample rate is {sample_rate_hz} Hz; allowed are {MIN_SAMPLE_RATE_HZ} to "
            f"{MAX_SAMPLE_RATE_HZ} Hz. Its header is broken: convert it again, or leave it out.",
        )
    peak = _peak(channels)
    samples = channels[:, 0] if channels.shape[1] == 1 or not peak <= MAX_PEAK else channels.mean(axis=1)
    problem = None
    if not len(samples):
        problem = ("empty", f"{name} has a header but no samples. Copy it again, or leave it out.")
    elif not np.isfinite(peak):
        n_bad = np.count_nonzero(~np.isfinite(channels).all(axis=1))
        message = (
            f"{name} has {n_bad} of {len(samples)} samples that are not finite numbers (NaN or infinite). "
            "Convert it again, or leave it out."
        )
        problem = ("not-finite", message)
    elif peak > MAX_PEAK:
        message = (
            f"{name} has a sample of {peak:.3g}, with full scale at 1; allowed are up to {MAX_PEAK:.3g}. Convert it again, or "
            "leave it out."
        )
        problem = ("out-of-range", message)
    elif (missing := _missing_bytes(data)) > 0:
        message = (
            f"{name} is cut off: its header promises {missing} bytes more than the {len(data)} that are there. "
            "Copy it again, or leave it out."
        )
        problem = ("truncated", message)
    facts = AudioFacts("", len(samples) / sample_rate_hz, sample_rate_hz, channels.shape[1], problem)
    return samples, facts, channels


def n_clipped(samples: np.ndarray) -> int:
    """Samples above full scale, or at it and like the one before; 0 where there are only a few."""
    n = 0
    for start in range(0, len(samples), SAMPLES_AT_ONCE):
        block = samples[max(0, start - 1) : start + SAMPLES_AT_ONCE]  # the first one only to compare with
        high = np.abs(block) >= FULL_SCALE
        n += int(np.count_nonzero(high[1:] & (block[1:] == block[:-1])))
        n += int(np.count_nonzero(np.abs(samples[start : start + SAMPLES_AT_ONCE]) > 1))
    return n if n >= CLIPPED_SAMPLES else 0


def _lost(channels: np.ndarray, mean: np.ndarray) -> float:
    """The share of the power of (n_samples, n_channels) that their mean (n_samples,) has not."""
    if channels.shape[1] == 1:
        return 0.0
    starts = range(0, len(mean), SAMPLES_AT_ONCE)
    of_each = sum(np.square(channels[at : at + SAMPLES_AT_ONCE], dtype=np.float64).sum() for at in starts)
    of_mean = sum(np.square(mean[at : at + SAMPLES_AT_ONCE], dtype=np.float64).sum() for at in starts)
    return float(1 - of_mean * channels.shape[1] / of_each) if of_each else 0.0


def _peak(samples: np.ndarray) -> float:
    """The largest magnitude, 0 of nothing; not finite where a sample is not. Makes no copy."""
    return max(float(samples.max()), -float(samples.min())) if len(samples) else 0.0


def _missing_bytes(data: bytes) -> int:
    """Bytes of sound that the header of a WAV, AIFF or AU file promises and that are not there; libsndfile reads on."""
    if data[:4] == b".snd":
        offset, promised = struct.unpack_from(">II", data, 4)
        return 0 if promised == UNKNOWN_SIZE else offset + promised - len(data)
    if data[:4] == b"RIFF":
        order, sound = "<", b"data"
    elif data[:4] == b"FORM":
        order, sound = ">", b"SSND"
    else:
        return 0
    at = 12
    while at + 8 <= len(data):
        promised = struct.unpack_from(f"{order}I", data, at + 4)[0]
        if data[at : at + 4] == sound:
            return 0 if promised == UNKNOWN_SIZE else at + 8 + promised - len(data)
        at += 8 + promised + promised % 2
    return 0


def _useless(samples: np.ndarray, duration_s: float, name: str) -> tuple[str, str] | None:
    """What keeps decoded samples from being an utterance."""
    if duration_s < MIN_DURATION_S:
        message = f"{name} is {duration_s:.3f} s long; an utterance has {MIN_DURATION_S} s or more. Leave it out."
        return "too-short", message
    peak = _peak(samples)
    if peak < 10 ** (MIN_PEAK_DBFS / 20):
        level = f"a peak of {20 * np.log10(peak):.1f} dBFS" if peak else "nothing but zeros"
        message = f"{name} is silent: it has {level}; speech peaks above {MIN_PEAK_DBFS:.0f} dBFS. Leave it out."
        return "silent", message
    return None
