"""Recordings, one by one or in windows, through all folds of a trained model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timnet import audio, features, models
from timnet.config import RECIPES, SAMPLE_RATE_HZ, FoldSettings
from timnet.errors import AudioError, ConfigError
from timnet.predict import unlike
from timnet.predict.windows import sound, windows
from timnet.trained.base import Trained

WINDOWS_AT_ONCE = 256  # that are held in memory
MIN_HOP_S = 0.05

# What keeps a recording from being predicted; other problems are warnings.
_HOPELESS = frozenset({"unreadable", "empty", "not-finite"})


@dataclass(frozen=True)
class Recording:
    """A file to be predicted: its bytes, or what keeps it from being read."""

    path: str
    data: bytes = b""
    error: str | None = None


@dataclass(frozen=True)
class Answer:
    """What an ensemble says of a stretch of sound. Arrays are float32 (n_classes,), in the order of the labels."""

    start_s: float
    end_s: float
    emotion: str
    probabilities: np.ndarray  # mean over the folds
    sd: np.ndarray  # of the folds' probabilities (n - 1); 0 of a single fold
    disagreement: float  # share of the folds whose own answer is another
    sound: float  # share of the stretch that is not silence


@dataclass(frozen=True)
class Prediction:
    """What there is to say about one file: an answer, or an error."""

    path: str
    whole: Answer | None  # None with an error
    timeline: tuple[Answer, ...] = ()  # one a window; empty where a single one holds the whole recording
    sample_rate_hz: int | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None


class Recogniser:
    """The folds of a trained model, ready to predict in this process. Networks start TensorFlow, once a process."""

    def __init__(self, trained: Trained, threads: int = 1):
        self.trained = trained
        self._trainer = _trainer(trained.model.name, threads)

    def probabilities(self, matrices: np.ndarray) -> np.ndarray:
        """Of features (n, n_frames, n_coefficients): float32 (n_folds, n, n_classes).

        Raises WeightsError where the weights of a fold are not of the model.
        """
        from timnet.training import FoldData

        n, none = len(matrices), np.zeros(0, np.int64)
        data = FoldData(matrices, np.zeros(n, np.int32), none, none, np.arange(n))
        return np.stack(
            [
                self._trainer.predict_with(
                    data,
                    FoldSettings(self.trained.model, RECIPES["published"], "given", one.seed, one.fold),
                    one.weights,
                ).probabilities
                for one in self.trained.folds
            ]
        )


def _trainer(model: str, threads: int) -> Any:  # one of two classes with the same methods
    if models.get(model).is_network:
        from timnet.training import Trainer

        return Trainer(threads)
    from timnet.classical import ClassicalTrainer

    return ClassicalTrainer()


def window_hop_s(trained: Trained, given_s: float | None) -> float:
    """The hop of the windows, half a window unless given; raises ConfigError for one that would skip sound."""
    window_s = trained.signal_length / SAMPLE_RATE_HZ
    if given_s is None:
        return window_s / 2
    if not MIN_HOP_S <= given_s <= window_s:
        raise ConfigError(
            f"--window-hop {given_s:g}: allowed are {MIN_HOP_S} to {window_s:.2f} s, which is what this model hears at once."
        )
    return given_s


def predict(
    recordings: Iterable[Recording], recogniser: Recogniser, hop_s: float | None = None, *, in_windows: bool = True
) -> Iterator[Prediction]:
    """One prediction a recording, in their order. What cannot be read is one with an error, and the others go on.

    A recording that is longer than the model hears is cut into windows, one every hop_s (by default half a window); the
    answer for the whole is the mean over them, each weighted with how much of it is not silence. Without in_windows it
    is cut around its middle, as recordings are in training. A shorter one is padded with silence on both sides, as there.
    """
    trained = recogniser.trained
    hop_s = window_hop_s(trained, hop_s)
    waiting: list[_Cut] = []
    for recording in recordings:
        waiting.append(_cut(recording, trained, hop_s if in_windows else None))
        if sum(len(cut.matrices) for cut in waiting) >= WINDOWS_AT_ONCE:
            yield from _answered(waiting, recogniser)
            waiting = []
    yield from _answered(waiting, recogniser)


@dataclass(frozen=True)
class _Cut:
    """A recording that was read and cut, not yet predicted."""

    prediction: Prediction  # without answers
    matrices: Sequence[np.ndarray] = ()  # features, one a window
    spans_s: Sequence[tuple[float, float]] = ()  # of the whole, then of each window
    sounds: Sequence[float] = ()  # likewise


def _cut(recording: Recording, trained: Trained, hop_s: float | None) -> _Cut:
    path = recording.path
    if recording.error is not None:
        return _Cut(Prediction(path, None, error=recording.error))
    samples, facts = audio.examine(recording.data, path)
    if facts.problem and facts.problem[0] in _HOPELESS:
        return _Cut(Prediction(path, None, error=facts.problem[1]))
    rate_hz = facts.sample_rate_hz
    whole = slice(0, len(samples))
    parts = [whole]
    if hop_s is not None:
        parts = windows(len(samples), rate_hz, trained.signal_length, hop_s)
    try:
        matrices = [features.extract(samples[part], rate_hz, trained.profile, trained.signal_length) for part in parts]
    except AudioError as error:
        return _Cut(Prediction(path, None, error=f"{path}: {error}"))
    return _Cut(
        Prediction(
            path, None, sample_rate_hz=rate_hz, warnings=tuple(unlike.of_recording(samples, facts, trained.heard))
        ),
        matrices,
        [(part.start / rate_hz, part.stop / rate_hz) for part in (whole, *parts)],
        sound(samples, rate_hz, [whole, *parts]).tolist(),
    )


def _answered(cuts: list[_Cut], recogniser: Recogniser) -> Iterator[Prediction]:
    matrices = [matrix for cut in cuts for matrix in cut.matrices]
    if matrices:
        found = recogniser.probabilities(np.stack(matrices))
    labels, row = recogniser.trained.labels, 0
    for cut in cuts:
        n = len(cut.matrices)
        if not n:
            yield cut.prediction
            continue
        own = found[:, row : row + n]  # (n_folds, n_windows, n_classes)
        row += n
        weights = cut.sounds[1:] if any(cut.sounds[1:]) else [1.0] * n
        stretches = [np.average(own, axis=1, weights=weights), *own.transpose(1, 0, 2)]
        whole, *timeline = map(_answer, stretches, cut.spans_s, cut.sounds, [labels] * (1 + n))
        yield Prediction(
            cut.prediction.path,
            whole,
            tuple(timeline) if n > 1 else (),
            cut.prediction.sample_rate_hz,
            (*cut.prediction.warnings, *unlike.of_folds(whole.disagreement, len(own))),
        )


def _answer(folds: np.ndarray, span_s: tuple[float, float], share: float, labels: Sequence[str]) -> Answer:
    """Of probabilities (n_folds, n_classes)."""
    mean = folds.mean(axis=0)
    chosen = int(mean.argmax())
    spread = folds.std(axis=0, ddof=1) if len(folds) > 1 else np.zeros(len(labels))
    differing = float((folds.argmax(axis=1) != chosen).mean())
    return Answer(*span_s, labels[chosen], mean.astype(np.float32), spread.astype(np.float32), differing, share)
