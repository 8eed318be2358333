"""What trackers are told of a run: the scalars of its epochs, folds and pooled scores, under one set of names."""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from timnet.config import Recipe
from timnet.errors import ConfigError
from timnet.store import Store

# Name on the command line, which is also that of the package -> the module that has its `check` and `Run`.
TRACKERS = {"tensorboard": "timnet.event_files", "mlflow": "timnet.mlflow_runs"}

# Columns of tables.HISTORY -> names of scalars: what belongs into one group of charts begins alike.
CURVES = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "test_loss": "loss/test",
    "train_accuracy": "accuracy/train",
    "validation_accuracy": "accuracy/validation",
    "test_accuracy": "accuracy/test",
    "learning_rate": "learning_rate",
    "seconds": "seconds",
}


@dataclass(frozen=True)
class FoldOfRun:
    corpus: str
    seed: int
    fold: int  # counted from 1
    folder: str  # in the store; another one where any of its results could be others


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers know it from its beginning on."""

    run_id: str
    key: str  # another one where any of its results could be others
    hyperparameters: Mapping[str, bool | int | float | str]
    about: Mapping[str, str]  # kind, protocol, corpora
    folds: Mapping[str, FoldOfRun]  # by name


class Tracker(Protocol):
    """A run as one tracker has it. What is there already is not written again; whatever fails is raised."""

    def fold(self, name: str) -> None:
        """Write a fold, which is finished in the store."""

    def report(self, summary: Mapping[str, Any]) -> None:
        """Write the pooled scores of summary.json."""

    def end(self, status: str) -> str:
        """The run is over: FINISHED, FAILED or KILLED. Returns where a reader finds it, for a line of text."""


@dataclass(frozen=True)
class Epoch:
    number: int  # counted from 1
    before_end_s: float  # of the training
    scalars: Mapping[str, float]  # without what the protocol does not look at


@dataclass(frozen=True)
class FinishedFold:
    epochs: Sequence[Epoch]  # empty where nothing was trained in epochs
    scores: Mapping[str, float]  # final/war and so on, fractions
    seconds: float  # training and prediction

    @property
    def last_epoch(self) -> int:
        return self.epochs[-1].number if self.epochs else 0


def check(names: Sequence[str] | None, store: Store) -> None:
    """Raises ConfigError for a tracker that is not known, is not installed or has nowhere to write to."""
    for name in names or ():
        if name not in TRACKERS:
            raise ConfigError(f"--track {name}: allowed are {', '.join(TRACKERS)}, or both, separated by a comma.")
        if importlib.util.find_spec(name) is None:
            raise ConfigError(
                f"--track {name} needs the package {name}, which is not installed. Install the optional extra: "
                "pip install 'timnet[tracking]'"
            )
        importlib.import_module(TRACKERS[name]).check(store)


def opened(name: str, store: Store, run: TrackedRun) -> Tracker:
    """The run as the tracker has it, made there or found again."""
    return importlib.import_module(TRACKERS[name]).Run(store, run)


def finished_fold(store: Store, folder: str) -> FinishedFold:
    """What a fold left. Raises StoreError where a file of it is missing or broken."""
    from timnet import tables

    facts = store.read_json(f"{folder}/metrics.json")
    history = f"{folder}/history.parquet"
    rows = store.read_table(history, tables.HISTORY).to_pylist() if store.exists(history) else []
    return FinishedFold(epochs(rows), _scores("final", facts), facts["seconds"]["total"])


def epochs(rows: Sequence[Mapping[str, Any]]) -> list[Epoch]:
    """Rows of tables.HISTORY, in their order."""
    left = sum(row["seconds"] for row in rows)
    found = []
    for row in rows:
        left -= row["seconds"]
        scalars = {name: row[column] for column, name in CURVES.items() if row[column] is not None}
        found.append(Epoch(row["epoch"], max(left, 0.0), scalars))
    return found


def pooled(corpus: Mapping[str, Any]) -> dict[str, float]:
    """The pooled scores of a corpus of summary.json, and the ends of their intervals where they have one."""
    found = _scores("pooled", corpus["pooled"])
    for name, ends in corpus["interval"].items():
        if f"pooled/{name}" in found and ends is not None:
            found |= {f"pooled/{name}_low": ends[0], f"pooled/{name}_high": ends[1]}
    return found


def hyperparameters(settings: Mapping[str, Any], recipe: Recipe | None) -> dict[str, bool | int | float | str]:
    """Settings, and what their recipe stands for, as values that every tracker takes; what is left open is not there."""
    values = dict(settings)
    if recipe is not None:
        values |= {f"recipe/{name}": value for name, value in asdict(recipe).items() if name != "description"}
    return {
        name: value if isinstance(value, (bool, int, float, str)) else ",".join(map(str, value))
        for name, value in values.items()
        if value is not None
    }


def _scores(group: str, values: Mapping[str, Any]) -> dict[str, float]:
    from timnet.metrics import SCORES

    return {f"{group}/{name}": float(values[name]) for name in SCORES if values.get(name) is not None}
