"""Which epoch's weights predict the test part, and what other data would have chosen in the same training."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from timnet.recipes import Recipe, Selection


class Network(Protocol):
    @property
    def smoothing(self) -> float: ...
    def predict(self, features: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...
    def weights(self) -> dict[str, np.ndarray]: ...
    def load(self, weights: dict[str, np.ndarray]) -> None: ...


class Data(Protocol):
    @property
    def features(self) -> np.ndarray: ...
    @property
    def classes(self) -> np.ndarray: ...
    @property
    def validation(self) -> np.ndarray: ...
    @property
    def test(self) -> np.ndarray: ...


@dataclass
class _Best:
    """The best epoch so far as one part sees it."""

    score: tuple[float, float] | None = None  # the higher the better
    epoch: int = 0
    weights: dict[str, np.ndarray] = field(default_factory=dict)


class Chooser:
    """Keeps the weights of the best epoch, by the part that the protocol allows to choose.

    Where that is the test part, which leaks, it also keeps what the validation part would have chosen, if there is one:
    the training is the same, so what the leak gains can be told from it.
    """

    def __init__(self, selection: Selection, data: Data):
        self._selection, self._data = selection, data
        self._best: dict[str, _Best] = {}
        if selection in ("validation", "test"):
            self._best[selection] = _Best()
        if selection == "test" and len(data.validation):
            self._best["validation"] = _Best()

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the data that `look` has predicted."""
        return tuple(self._best)

    def look(self, epoch: int, network: Network) -> dict[str, float | None]:
        """Evaluate what selection and curves need after an epoch; returns columns of the history."""
        found: dict[str, float | None] = dict.fromkeys(
            ("validation_loss", "validation_accuracy", "test_loss", "test_accuracy")
        )
        for part, best in self._best.items():
            rows = getattr(self._data, part)
            probabilities, _ = network.predict(self._data.features, rows)
            truth = self._data.classes[rows]
            right = probabilities.argmax(axis=1) == truth
            loss = cross_entropy(probabilities, truth, network.smoothing)
            found[f"{part}_loss"] = loss
            found[f"{part}_accuracy"] = float(right.mean())
            if part == "validation":
                uar = float(np.mean([right[truth == c].mean() for c in np.unique(truth)]))
                score = (uar, -loss)
            else:
                score = (float(right.mean()), 0.0)
            if best.score is None or score > best.score:
                self._best[part] = _Best(score, epoch, network.weights())
        return found

    def is_patient_no_more(self, epochs_done: int, recipe: Recipe) -> bool:
        """Whether the validation part has seen nothing better for as many epochs as the recipe waits."""
        patience, best = recipe.patience_epochs, self._best.get("validation")
        return patience is not None and best is not None and epochs_done - best.epoch >= patience

    def others(self, epochs_done: int, network: Network) -> dict[str, tuple[int, np.ndarray]]:
        """Where the test part chooses: the epochs that honest choices name, and their probabilities of the test part.

        Asked for after the last epoch and before `use_best`; the network then has other weights.
        """
        if self._selection != "test":
            return {}
        found = {"last": (epochs_done, network.predict(self._data.features, self._data.test)[0])}
        if (best := self._best.get("validation")) is not None:
            network.load(best.weights)
            found["validation"] = (best.epoch, network.predict(self._data.features, self._data.test)[0])
        return found

    def use_best(self, network: Network) -> int:
        """Give the network the weights of the chosen epoch; returns it, and 0 where it is simply the last."""
        if self._selection not in self._best:
            return 0
        best = self._best[self._selection]
        network.load(best.weights)
        return best.epoch

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What a checkpoint keeps: JSON and arrays."""
        facts = {part: {"score": best.score, "epoch": best.epoch} for part, best in self._best.items()}
        return facts, {
            f"{part}/{name}": value for part, best in self._best.items() for name, value in best.weights.items()
        }

    def restore(self, facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Go on from what `state` returned."""
        for part, kept in facts.items():
            weights = {name[len(part) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{part}/")}
            score = None if kept["score"] is None else tuple(kept["score"])
            self._best[part] = _Best(score, kept["epoch"], weights)


def cross_entropy(probabilities: np.ndarray, truth: np.ndarray, smoothing: float = 0.0) -> float:
    """Mean over rows of probabilities (n, n_classes), whose classes are `truth`, int (n,)."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), 1e-30))
    own = logs[np.arange(len(truth)), truth]
    return float(-((1 - smoothing) * own + smoothing * logs.mean(axis=1)).mean())
