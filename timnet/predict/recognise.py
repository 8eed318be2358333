"""Recordings, one by one or in windows, through all folds of a trained model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np

from timnet import audio, features, models, timbre
from timnet.config import RECIPES, SAMPLE_RATE_HZ, FoldSettings
from timnet.errors import ConfigError, WeightsError
from timnet.predict import unlike
from timnet.predict.windows import sound, windows
from timnet.trained.base import Trained

WINDOWS_AT_ONCE = 256  # whose features are held in memory
MIN_HOP_S = 0.05


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

        Raises WeightsError where the weights of a fold are not of the model, or no numbers.
        """
        from timnet.training import FoldData

        n, none = len(matrices), np.zeros(0, np.int64)
        data = FoldData(matrices, np.zeros(n, np.int32), none, none, np.arange(n))
        found = np.stack(
            [
                self._trainer.predict_with(
                    data,
                    FoldSettings(self.trained.model, RECIPES["published"], "given", one.seed, one.fold),
                    one.weights,
                ).probabilities
                for one in self.trained.folds
            ]
        )
        if len(broken := np.flatnonzero(~np.isfinite(found).all(axis=(1, 2)))):
            names = ", ".join(self.trained.folds[i].name for i in broken)
            raise WeightsError(
                f"{self.trained.name}: probabilities of {names} are not finite numbers. Its weights are broken: train it "
                "again, or give --fold for another one."
            )
        return found


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
    matrices: list[np.ndarray] = []  # of the windows that no answer has come for, in the order of `waiting`
    for recording in recordings:
        cut, made = _cut(recording, trained, hop_s if in_windows else None)
        waiting.append(cut)
        for matrix in made:
            if trained.heard.timbre is not None:
                cut.distances.append(timbre.distance(matrix, trained.heard.timbre))
            matrices.append(matrix)
            if len(matrices) == WINDOWS_AT_ONCE:
                _hand_out(recogniser.probabilities(np.stack(matrices)), waiting)
                matrices = []
        if not matrices:
            yield from (_answered(one, trained) for one in waiting)
            waiting = []
    if matrices:
        _hand_out(recogniser.probabilities(np.stack(matrices)), waiting)
    yield from (_answered(one, trained) for one in waiting)


@dataclass(frozen=True)
class _Cut:
    """A recording that was read, with what is found of its windows so far."""

    prediction: Prediction  # without answers
    spans_s: Sequence[tuple[float, float]] = ()  # of the whole, then of each window
    sounds: Sequence[float] = ()  # likewise
    found: list[np.ndarray] = field(default_factory=list)  # probabilities, (n_folds, n_classes) a window
    distances: list[float] = field(default_factory=list)  # of each window, see timbre.distance; empty: not known

    @property
    def n_missing(self) -> int:
        return len(self.spans_s[1:]) - len(self.found)


def _cut(recording: Recording, trained: Trained, hop_s: float | None) -> tuple[_Cut, Iterator[np.ndarray]]:
    """A recording without its answers, and the features of its windows, each made when it is asked for."""
    path = recording.path
    if recording.error is not None:
        return _Cut(Prediction(path, None, error=recording.error)), iter(())
    samples, facts = audio.examine(recording.data, path)
    if facts.problem and facts.problem[0] in audio.HOPELESS:
        return _Cut(Prediction(path, None, error=facts.problem[1])), iter(())
    rate_hz = facts.sample_rate_hz
    whole = slice(0, len(samples))
    parts = [whole]
    if hop_s is not None:
        parts = windows(len(samples), rate_hz, trained.signal_length, hop_s)
    n_knowing = sum(facts.audio_sha256 in one.learnt_from for one in trained.folds)
    warnings = unlike.of_recording(facts, trained.heard) + unlike.of_training(n_knowing, len(trained.folds))
    cut = _Cut(
        Prediction(path, None, sample_rate_hz=rate_hz, warnings=tuple(warnings)),
        [(part.start / rate_hz, part.stop / rate_hz) for part in (whole, *parts)],
        sound(samples, rate_hz, [whole, *parts]).tolist(),
    )
    return cut, (features.extract(samples[part], rate_hz, trained.profile, trained.signal_length) for part in parts)


def _hand_out(found: np.ndarray, waiting: Sequence[_Cut]) -> None:
    """Give every recording what is found of its windows: probabilities (n_folds, n_windows, n_classes)."""
    rows = iter(found.transpose(1, 0, 2))
    for cut in waiting:
        cut.found.extend(islice(rows, cut.n_missing))


def _answered(cut: _Cut, trained: Trained) -> Prediction:
    n = len(cut.found)
    if not n:
        return cut.prediction
    own = np.stack(cut.found, axis=1)  # (n_folds, n_windows, n_classes)
    weights = cut.sounds[1:] if any(cut.sounds[1:]) else [1.0] * n
    stretches = [np.average(own, axis=1, weights=weights), *cut.found]
    whole, *timeline = map(_answer, stretches, cut.spans_s, cut.sounds, [trained.labels] * (1 + n))
    return replace(
        cut.prediction,
        whole=whole,
        timeline=tuple(timeline) if n > 1 else (),
        warnings=(
            *cut.prediction.warnings,
            *unlike.of_sound(cut.distances),
            *unlike.of_folds(whole.disagreement, len(own)),
        ),
    )


def _answer(folds: np.ndarray, span_s: tuple[float, float], share: float, labels: Sequence[str]) -> Answer:
    """Of probabilities (n_folds, n_classes)."""
    mean = folds.mean(axis=0)
    chosen = int(mean.argmax())
    spread = folds.std(axis=0, ddof=1) if len(folds) > 1 else np.zeros(len(labels))
    differing = float((folds.argmax(axis=1) != chosen).mean())
    return Answer(*span_s, labels[chosen], mean.astype(np.float32), spread.astype(np.float32), differing, share)
