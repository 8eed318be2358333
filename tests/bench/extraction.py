"""From a file to its features: ours against librosa's functions called file by file, in one process and one thread.

Part of `make bench`, which keeps numpy and numba to one thread. Both read the same recordings (EMO-DB's rate and lengths,
computed here) and their features are compared before anything is timed. Rounds alternate; medians and spread are shown.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tests.bench import ratios
from timnet import audio, features
from timnet.corpora.emodb import CORPUS
from timnet.resample import n_resampled

FILES, ROUNDS, RATE_HZ = 48, 5, 16_000
SIGNAL_LENGTH = CORPUS.mean_signal_length or 0


def write(folder: Path) -> list[Path]:
    """Voiced noise of 1.2 to 6 s, as long as EMO-DB's sentences are."""
    paths = []
    for number in range(FILES):
        random = np.random.default_rng(number)
        n = int(RATE_HZ * random.uniform(1.2, 4.4))
        t = np.arange(n) / RATE_HZ
        samples = sum(np.sin(2 * np.pi * k * random.uniform(90, 300) * t) / k for k in range(1, 12))
        samples = 0.1 * samples * (1 + np.sin(2 * np.pi * 3 * t)) + 0.01 * random.normal(size=n)
        paths.append(folder / f"{number}.wav")
        soundfile.write(paths[-1], samples.astype(np.float32), RATE_HZ)
    return paths


def ours(path: Path, profile: str) -> np.ndarray:
    samples, rate_hz = audio.read(path.read_bytes(), path.name)
    return features.extract(samples, rate_hz, features.FEATURES[profile], SIGNAL_LENGTH)


def librosas(path: Path) -> np.ndarray:
    import librosa

    samples, rate_hz = librosa.load(path)
    return librosa.feature.mfcc(y=audio.centre(samples, SIGNAL_LENGTH), sr=rate_hz, n_mfcc=39).T


def with_resampy(path: Path) -> np.ndarray:
    """As librosa 0.8 did it, with today's resampy called so that it gives the numbers of resampy 0.2."""
    import librosa
    import resampy
    import scipy

    samples, rate_hz = librosa.load(path, sr=None)
    resampled = resampy.resample(
        samples, rate_hz, 22_050, filter="sinc_window", num_zeros=64, precision=9, rolloff=0.9475937167399596,
        window=lambda n: scipy.signal.windows.kaiser(n, beta=14.769656459379492),
    )  # fmt: skip
    resampled = librosa.util.fix_length(resampled, size=n_resampled(len(samples), rate_hz, 22_050))
    return librosa.feature.mfcc(y=audio.centre(resampled, SIGNAL_LENGTH), sr=22_050, n_mfcc=39).T


def seconds(work: Callable[[Path], np.ndarray], paths: list[Path]) -> float:
    started = time.perf_counter()
    for path in paths:
        work(path)
    return time.perf_counter() - started


def start_up(code: str, path: Path) -> float:
    """A process that computes the features of one file, from its start to its end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> list[ratios.Ratio]:
    with tempfile.TemporaryDirectory() as folder:
        paths = write(Path(folder))
        audio_s = sum(soundfile.info(path).duration for path in paths)
        found = []
        for profile, theirs, what in (
            ("soxr_hq", librosas, "librosa.load and librosa.feature.mfcc"),
            ("published", with_resampy, "resampy (as librosa 0.8 used it) and librosa.feature.mfcc"),
        ):
            worst = max(float(np.abs(ours(path, profile) - theirs(path)).max()) for path in paths[:8])
            assert worst < 1e-3, f"{profile} differs by {worst}"
            pairs = [
                (seconds(theirs, paths), seconds(lambda path, name=profile: ours(path, name), paths))
                for _ in range(ROUNDS)
            ]
            found.append(ratios.Ratio(f"extraction, `{profile}`, per core", what, pairs, f"{audio_s:.0f} s of audio"))
            hour = 3600 / audio_s * float(np.median([mine for _, mine in pairs]))
            found[-1].notes.append(
                f"an hour of audio in {hour:.1f} core-seconds; features differ by {worst:.0e} at most"
            )
        one = "import sys; from tests.bench.extraction import {0}; from pathlib import Path; {1}"
        pairs = [
            (
                start_up(one.format("librosas", "librosas(Path(sys.argv[1]))"), paths[0]),
                start_up(one.format("ours", "ours(Path(sys.argv[1]), 'soxr_hq')"), paths[0]),
            )
            for _ in range(ROUNDS)
        ]
        found.append(
            ratios.Ratio("a process that extracts one file", "librosa, its imports and numba's code", pairs, "one file")
        )
    return found


if __name__ == "__main__":
    print(ratios.table(main()))
