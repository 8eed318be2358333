"""Fit a classical model on one fold and predict its test part: no network, no epochs, no TensorFlow.

The model sees an utterance as one row of statistics. Recordings were padded with silence to one length, so that silence
is most of a short recording's frames: it would move every mean and quantile by the recording's length and little else.
Frames of padding are therefore left out, and the number of those that stay is a statistic of its own, because a network
sees it as well. Every coefficient gives its mean, its standard deviation and the standard deviation of its change from
frame to frame; the mean of that change is only how far the last frame is from the first. Extremes and quartiles were
tried as well: with them, fewer of EMODB's validation recordings were recognised.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from timnet import metrics, models
from timnet.config import FoldSettings
from timnet.errors import WeightsError
from timnet.training import Checkpoint, FoldData, FoldResult, check_data, softmax

OF_A_COEFFICIENT = 3  # statistics: mean, sd, sd of the change
PADDING_TOLERANCE = 1e-3  # two frames of padding differ by rounding alone, two of speech by more than 1

C_CANDIDATES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # from hardly fitted to all of the training part recognised
C_WITHOUT_CHOICE = 1e-2  # where no data may choose: it did best on EMODB's validation recordings

# Names of the weights; C is there to be read, predicting does without it.
MEAN, SD, KERNEL, BIAS, C = "statistics/mean", "statistics/sd", "classifier/kernel", "classifier/bias", "classifier/c"


class ClassicalTrainer:
    """Fits fold after fold, with the interface of timnet.training.Trainer; it keeps nothing between them."""

    def train(
        self,
        data: FoldData,
        settings: FoldSettings,
        checkpoint: Checkpoint | None = None,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
    ) -> FoldResult:
        """Fit on data.train and predict data.test once, with the C that settings.selection chooses.

        `last`: no data choose, C is C_WITHOUT_CHOICE. `validation`: the highest UAR on data.validation. `test`: the
        highest accuracy on data.test; this is what leaks. Among equals it is the smallest C. As with a network, the
        validation part chooses and is not fitted on. Nothing of the recipe is used: statistics are standardised, always,
        and on the training part. A fold is fitted in seconds and without epochs, so there is nothing to save into the
        checkpoint and nothing to tell on_epoch. Raises TimnetError where the data cannot be fitted.
        """
        check_data(data, settings)
        started = time.perf_counter()
        fit = _fit_of(settings)
        table = statistics(data.features[data.train])
        mean, sd = table.mean(axis=0), table.std(axis=0)
        sd = np.where(sd > 1e-6, sd, 1)
        table = (table - mean) / sd
        candidates: list[dict[str, np.ndarray]] = []
        for c in (C_WITHOUT_CHOICE,) if settings.selection == "last" else C_CANDIDATES:
            kernel, bias = fit(table, data.classes[data.train], c)
            candidates.append({MEAN: mean, SD: sd, KERNEL: kernel, BIAS: bias, C: np.array(c)})
        weights = candidates[_best(candidates, data, settings.selection, settings)]
        result = _predicted(data, weights, started, time.perf_counter())
        if settings.selection == "test":
            result.others = _others(candidates, data, settings)
        return result

    def predict_with(self, data: FoldData, settings: FoldSettings, weights: Mapping[str, np.ndarray]) -> FoldResult:
        """Predict data.test with given weights; raises WeightsError where they do not fit the model."""
        started = time.perf_counter()
        n_statistics, n_classes = 1 + OF_A_COEFFICIENT * settings.model.n_coefficients, settings.model.n_classes
        shapes = {MEAN: (n_statistics,), SD: (n_statistics,), KERNEL: (n_statistics, n_classes), BIAS: (n_classes,)}
        received = {name: array.shape for name, array in weights.items() if name != C}
        if received != shapes:
            raise WeightsError(
                f"These weights are not of the model {settings.model.name}: it needs the shapes {shapes}, received "
                f"{received}. Are the model and the number of coefficients and of classes the same?"
            )
        return _predicted(data, dict(weights), started, started)


def statistics(features: np.ndarray) -> np.ndarray:
    """Statistics of utterances: (n_utterances, n_frames, n_coefficients) to float64 (n_utterances, n_statistics).

    First the number of frames that are no padding, then the means of all coefficients, their sds, and the sds of their
    changes from frame to frame: 1 + 3 n_coefficients numbers.
    """
    return np.stack([_of_utterance(without_padding(frames).astype(np.float64)) for frames in features])


def without_padding(frames: np.ndarray) -> np.ndarray:
    """The frames (n_frames, n_coefficients) from the first to the last that are not silence put around the recording.

    That silence gives one and the same frame over and over, so what goes is a run of two or more at either end. A
    recording without padding keeps all its frames, and so does one that is nothing but one frame over and over.
    """
    kept = slice(_run(frames), len(frames) - _run(frames[::-1]))
    return frames[kept] if kept.start < kept.stop else frames


def _run(frames: np.ndarray) -> int:
    """How many frames at the beginning are alike; 0 if not even two are."""
    other = np.abs(frames - frames[0]).max(axis=1) > PADDING_TOLERANCE
    n_alike = int(other.argmax()) if other.any() else len(frames)
    return n_alike if n_alike > 1 else 0


def _of_utterance(frames: np.ndarray) -> np.ndarray:
    changes = np.diff(frames, axis=0) if len(frames) > 1 else np.zeros_like(frames)
    return np.concatenate([[len(frames)], frames.mean(axis=0), frames.std(axis=0), changes.std(axis=0)])


def _fit_of(settings: FoldSettings) -> Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]:
    fit = models.get(settings.model.name).fit
    assert fit is not None, f"{settings.model.name} is a network, which timnet.training trains"
    return fit


def _others(
    candidates: list[dict[str, np.ndarray]], data: FoldData, settings: FoldSettings
) -> dict[str, tuple[int, np.ndarray]]:
    """What honest choices would have given, as in timnet.choosing; there are no epochs, so the epoch is 0."""
    chosen = {"last": C_CANDIDATES.index(C_WITHOUT_CHOICE)}
    if len(data.validation):
        chosen["validation"] = _best(candidates, data, "validation", settings)
    table = statistics(data.features[data.test])
    return {name: (0, softmax(_decisions(table, candidates[number]))) for name, number in chosen.items()}


def _best(candidates: list[dict[str, np.ndarray]], data: FoldData, selection: str, settings: FoldSettings) -> int:
    """Number of the candidate that the part which may choose recognises best; the first of equals."""
    if selection == "last":
        return 0
    rows = data.validation if selection == "validation" else data.test
    table, truth = statistics(data.features[rows]), data.classes[rows]
    score = "uar" if selection == "validation" else "war"
    predicted = [_decisions(table, weights).argmax(axis=1) for weights in candidates]
    return int(np.argmax([metrics.scores(truth, classes, settings.model.n_classes)[score] for classes in predicted]))


def _decisions(table: np.ndarray, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """Decision values (n_utterances, n_classes) of statistics as `statistics` gives them."""
    return (table - weights[MEAN]) / weights[SD] @ weights[KERNEL] + weights[BIAS]


def _predicted(data: FoldData, weights: dict[str, np.ndarray], started: float, trained: float) -> FoldResult:
    """Probabilities are the softmax of the decision values: they rank as these do and are not calibrated, so 0.4 does
    not mean that 40 of 100 such answers are right. The decision values themselves are the embedding.
    """
    decisions = _decisions(statistics(data.features[data.test]), weights)
    return FoldResult(
        history=[],
        probabilities=softmax(decisions),
        embeddings=decisions.astype(np.float32),
        weights=weights,
        chosen_epoch=0,
        n_parameters=weights[KERNEL].size + weights[BIAS].size,
        seconds={"train": trained - started, "predict": time.perf_counter() - trained},
    )
