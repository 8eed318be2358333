"""The Ray actor that trains folds. Imports no Prefect and, here, no TensorFlow."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from ray.util.metrics import Gauge

from timnet import metrics, tables
from timnet.config import FoldSettings
from timnet.errors import BrokenFileError, NotThereError
from timnet.published_weights import read_weights
from timnet.splits import Columns, Fold
from timnet.store import Store
from timnet.trained.base import WEIGHTS_FILE

CHECKPOINT_FILE = "checkpoint.npz"
HISTORY_FILE = "history.parquet"
PREDICTIONS_FILE = "predictions.parquet"
CHOICES_FILE = "choices.parquet"
METRICS_FILE = "metrics.json"


class Checkpoint:
    """A fold's checkpoint in the store: the one file that may lie in a folder without a marker."""

    def __init__(self, store: Store, folder: str):
        self._store, self._path = store, f"{folder}/{CHECKPOINT_FILE}"

    def load(self) -> dict[str, np.ndarray] | None:
        """What was saved last; None where there is nothing, or nothing whole: the fold then starts anew."""
        try:
            return self._store.read_arrays(self._path)
        except (NotThereError, BrokenFileError):
            return None

    def save(self, arrays: dict[str, np.ndarray]) -> None:
        self._store.write_arrays(self._path, arrays)

    def remove(self) -> None:
        self._store.remove(self._path)


class FoldMetrics:
    """What Ray's dashboard and Prometheus are told of a fold in work: ray_timnet_epoch, ray_timnet_loss and so on."""

    def __init__(self) -> None:
        tags = ("corpus", "seed", "fold")
        self._epoch = Gauge("timnet_epoch", "epoch that a fold has finished", tag_keys=tags)
        self._loss = Gauge("timnet_loss", "training loss of that epoch", tag_keys=tags)
        self._speed = Gauge("timnet_utterances_per_second", "utterances trained on per second", tag_keys=tags)

    def of(self, corpus: str, settings: FoldSettings, n_train: int) -> Callable[[Mapping[str, Any]], None]:
        """What is to be called with each epoch's row of a fold's history."""
        tags = {"corpus": corpus, "seed": str(settings.seed), "fold": str(settings.fold)}

        def note(row: Mapping[str, Any]) -> None:
            self._epoch.set(row["epoch"], tags)
            self._loss.set(row["train_loss"], tags)
            self._speed.set(n_train / max(row["seconds"], 1e-9), tags)

        return note


@ray.remote(concurrency_groups={"progress": 1})  # type: ignore[call-overload] # not in Ray's stubs
class FoldTrainer:
    """Trains one fold at a time. Lives as long as the run: TensorFlow starts once and the network is compiled once."""

    def __init__(self, threads: int):
        self._threads = threads
        self._trainers: dict[bool, Any] = {}  # for networks, and for the other models
        self._progress: dict[str, Any] = {}
        self._metrics = FoldMetrics()

    def _trainer(self, model: str) -> Any:
        """What trains the model; TensorFlow starts with the first network, and not for a model that does without it."""
        from timnet import models

        is_network = models.get(model).is_network
        if is_network not in self._trainers:
            if is_network:
                from timnet.training import Trainer

                self._trainers[is_network] = Trainer(self._threads)
            else:
                from timnet.classical import ClassicalTrainer

                self._trainers[is_network] = ClassicalTrainer()
        return self._trainers[is_network]

    @ray.method(concurrency_group="progress")
    def progress(self) -> dict[str, Any]:
        """The last epoch of the fold in work; served beside the training, in a concurrency group of its own."""
        return self._progress

    def run(
        self,
        features: np.ndarray,
        columns: Columns,
        rows: Fold,
        settings: FoldSettings,
        store: Store,
        folder: str,
        weights: str | None,
    ) -> dict[str, Any]:
        """Train the fold, or evaluate a published weight file on it, and commit what it leaves into the folder.

        Returns the fold's metrics, which are also in its metrics.json.
        """
        from timnet.training import FoldData

        trainer = self._trainer(settings.model.name)
        started = time.perf_counter()
        self._progress = {}
        note = self._metrics.of(columns.corpus, settings, len(rows[0]))

        def on_epoch(row: dict[str, Any]) -> None:
            self._progress = progress_of(row)
            note(row)

        data = FoldData(features, columns.classes, *rows)
        checkpoint = Checkpoint(store, folder)
        if weights is None:
            result = trainer.train(data, settings, checkpoint=checkpoint, on_epoch=on_epoch)
        else:
            result = trainer.predict_with(data, settings, read_weights(weights, settings.model))
        return commit(result, columns, rows, settings, store, folder, started)


def progress_of(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"epoch": row["epoch"], "loss": row["train_loss"]}


def commit(
    result: Any,
    columns: Columns,
    rows: Fold,
    settings: FoldSettings,
    store: Store,
    folder: str,
    started: float,
) -> dict[str, Any]:
    """Write what a fold leaves into the folder, the marker last, and drop its checkpoint; returns the fold's metrics."""
    if store.is_done(folder):  # another run has finished the same fold meanwhile; its readers are left in peace
        Checkpoint(store, folder).remove()  # ours, if it was saved after that one's was removed
        return store.read_json(f"{folder}/{METRICS_FILE}")
    if result.history:
        store.write_table(
            f"{folder}/{HISTORY_FILE}", pa.Table.from_pylist(result.history, tables.HISTORY), tables.HISTORY
        )
    predictions = predictions_table(columns, settings.seed, settings.fold, rows[2], result)
    store.write_table(f"{folder}/{PREDICTIONS_FILE}", predictions, tables.PREDICTIONS)
    if result.others:
        store.write_table(f"{folder}/{CHOICES_FILE}", choices_table(columns, rows[2], result), tables.CHOICES)
    store.write_arrays(f"{folder}/{WEIGHTS_FILE}", result.weights)
    test = rows[2]
    scores = metrics.scores(columns.classes[test], result.probabilities.argmax(axis=1), len(columns.labels))
    facts = {
        "war": scores["war"],
        "uar": scores["uar"],
        "f1_macro": scores["f1_macro"],
        "chosen_epoch": result.chosen_epoch,
        "n_parameters": result.n_parameters,
        **{f"n_{part}": len(r) for part, r in zip(("train", "validation", "test"), rows, strict=True)},
        "seconds": {**result.seconds, "total": time.perf_counter() - started},
    }
    store.write_json(f"{folder}/{METRICS_FILE}", facts)
    marked = {"seed": settings.seed, "fold": settings.fold, "n_test": len(test)}
    store.mark_done(folder, marked, apart=(CHECKPOINT_FILE,), timed=(HISTORY_FILE, METRICS_FILE))
    Checkpoint(store, folder).remove()
    return facts


def predictions_table(columns: Columns, seed: int, fold: int, test: np.ndarray, result: Any) -> pa.Table:
    predicted = result.probabilities.argmax(axis=1)
    return pa.table(
        {
            "corpus": [columns.corpus] * len(test),
            "seed": pa.array([seed] * len(test), pa.int64()),
            "fold": pa.array([fold] * len(test), pa.int32()),
            "utterance_id": [columns.utterance_id[row] for row in test],
            "speaker": pa.array([columns.speaker[row] for row in test], pa.string()),
            "emotion": [columns.labels[columns.classes[row]] for row in test],
            "predicted": [columns.labels[index] for index in predicted],
            "probabilities": pa.array(list(result.probabilities), pa.list_(pa.float32())),
            "embedding": pa.array(list(result.embeddings), pa.list_(pa.float32())),
        },
        schema=tables.PREDICTIONS,
    )


def choices_table(columns: Columns, test: np.ndarray, result: Any) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "choice": choice,
                "epoch": epoch,
                "utterance_id": columns.utterance_id[row],
                "predicted": columns.labels[index],
            }
            for choice, (epoch, probabilities) in sorted(result.others.items())
            for row, index in zip(test, probabilities.argmax(axis=1), strict=True)
        ],
        schema=tables.CHOICES,
    )
