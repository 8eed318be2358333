"""What a report is made of: a run as run.json describes it, with the tables that it points at, read from the store."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from timnet import metrics, models, run_files, tables
from timnet.errors import BrokenFileError, StoreError
from timnet.models.base import EPOCH
from timnet.recipes import Recipe
from timnet.store import Store

COMPLETED, FAILED = "completed", "failed"


@dataclass(frozen=True)
class FoldResult:
    """One trained and tested fold, or the error that it ended with."""

    seed: int
    fold: int  # counted from 1
    state: str  # completed or failed
    error: str | None
    reused: bool  # trained by an earlier run
    seconds: float | None  # training and prediction
    audit: dict[str, Any]  # this fold's entry of audit.json
    chosen_epoch: int | None = None  # None too where nothing was trained, or not in epochs
    # Empty where the fold failed.
    truth: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # (n_test,), class indices
    predicted: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # likewise
    predictions: pa.Table = field(default_factory=tables.PREDICTIONS.empty_table)
    history: pa.Table = field(default_factory=tables.HISTORY.empty_table)  # likewise empty
    # Where the test part chose: by other choice its epoch and what it would have predicted, like `predicted`.
    choices: dict[str, tuple[int, np.ndarray]] = field(default_factory=dict)

    @property
    def completed(self) -> bool:
        return self.state == COMPLETED


@dataclass(frozen=True)
class CorpusResult:
    """One corpus of a run: its card and manifest, how it was cut, and its folds under every seed."""

    name: str
    facts: dict[str, Any]  # its entry of run.json
    selection: str  # which epoch predicts: last, validation or test
    chosen: str  # what these data choose: the epoch of a network, a setting of another model
    signal_s: float | None  # recordings are padded or cut to this; None where run.json does not say
    manifest: pa.Table  # tables.MANIFEST
    audits: dict[int, dict[str, Any]]  # seed -> audit.json
    folds: tuple[FoldResult, ...]  # by seed, then fold
    averaged_from: int | None = None  # the epoch from which on weights are averaged

    @property
    def labels(self) -> list[str]:
        return self.facts["labels"]

    @property
    def synthetic(self) -> bool:
        return bool(self.facts["synthetic"])

    @property
    def seeds(self) -> list[int]:
        return list(self.audits)

    @cached_property
    def finished(self) -> tuple[FoldResult, ...]:
        return tuple(fold for fold in self.folds if fold.completed)

    def of_seed(self, seed: int) -> tuple[FoldResult, ...]:
        return tuple(fold for fold in self.finished if fold.seed == seed)

    def matrix(self, folds: tuple[FoldResult, ...]) -> np.ndarray:
        """Confusion matrix pooled over folds, int64 (n_labels, n_labels)."""
        n = len(self.labels)
        total = np.zeros((n, n), np.int64)
        for fold in folds:
            total += metrics.confusion(fold.truth, fold.predicted, n)
        return total


@dataclass(frozen=True)
class RunResult:
    """A run and everything that its report shows."""

    facts: dict[str, Any]  # run.json
    corpora: tuple[CorpusResult, ...]

    @property
    def folds(self) -> list[FoldResult]:
        return [fold for corpus in self.corpora for fold in corpus.folds]


def gather(store: Store, run_id: str) -> RunResult:
    """Read a run; raises StoreError like run_files.facts, and where a table that it needs is missing.

    A fold that run.json calls completed and whose folder is gone or unfinished is taken as failed, and says so.
    """
    facts = run_files.facts(store, run_id)
    return RunResult(facts, tuple(of_corpus(store, name, facts) for name in facts["corpora"]))


def of_corpus(store: Store, name: str, run: dict[str, Any]) -> CorpusResult:
    """Read one corpus of a run, which `run` describes as run.json does; raises what `gather` raises."""
    facts = run["corpora"][name]
    length, rate_hz = facts.get("signal_length"), run["features"].get("sample_rate_hz")
    manifest = store.read_table(f"{facts['manifest']}/manifest.parquet", tables.MANIFEST)
    audits, folds = {}, []
    for seed, entry in sorted((int(seed), entry) for seed, entry in facts["seeds"].items()):
        audit = store.read_json(f"{entry['split']}/audit.json")
        audits[seed] = audit
        cut = {described["fold"]: described for described in audit["folds"]}
        folds += [_fold(store, seed, fold, cut[fold["fold"]], facts["labels"]) for fold in entry["folds"]]
    return CorpusResult(
        name=name,
        facts=facts,
        selection=run["protocol"]["selection"],
        chosen=_chosen(run["model"]["name"]),
        signal_s=length / rate_hz if length and rate_hz else None,
        manifest=manifest,
        audits=audits,
        folds=tuple(folds),
        averaged_from=_averaged_from(run["recipe"], name),
    )


def _averaged_from(recipe: dict[str, Any], corpus: str) -> int | None:
    own = recipe if "epochs" in recipe else recipe.get(corpus, {})  # one recipe for all corpora, or one a corpus
    # Runs from before weights could be averaged do not say.
    return Recipe("", "", own["epochs"], averaged=own.get("averaged", 0.0)).averaged_from if own else None


def _chosen(model: str) -> str:
    return models.get(model).chosen if model in models.names() else EPOCH


def _fold(store: Store, seed: int, entry: dict[str, Any], audit: dict[str, Any], labels: list[str]) -> FoldResult:
    folder, number, reused, seconds = entry["path"], entry["fold"], entry["reused"], entry["seconds"]
    if entry["state"] != COMPLETED:
        error = entry["error"] or "it failed without a message"
        return FoldResult(seed, number, FAILED, error, reused, seconds, audit)
    if not store.is_done(folder):
        error = f"{store.at(folder)} is no longer in the store: run the same command again"
        return FoldResult(seed, number, FAILED, error, reused, seconds, audit)
    predictions = store.read_table(f"{folder}/predictions.parquet", tables.PREDICTIONS)
    where = store.at(f"{folder}/predictions.parquet")
    history = f"{folder}/history.parquet"
    return FoldResult(
        seed,
        number,
        COMPLETED,
        None,
        reused,
        seconds,
        audit,
        # 0 says that there was no epoch to choose.
        chosen_epoch=store.read_json(f"{folder}/metrics.json").get("chosen_epoch") or None,
        truth=_classes(predictions, "emotion", labels, where),
        predicted=_classes(predictions, "predicted", labels, where),
        predictions=predictions,
        history=store.read_table(history, tables.HISTORY) if store.exists(history) else tables.HISTORY.empty_table(),
        choices=_choices(store, folder, predictions, labels),
    )


def _choices(store: Store, folder: str, predictions: pa.Table, labels: list[str]) -> dict[str, tuple[int, np.ndarray]]:
    path = f"{folder}/choices.parquet"
    if not store.exists(path):
        return {}
    table, found = store.read_table(path, tables.CHOICES), {}
    for name in sorted(set(table["choice"].to_pylist())):
        of_choice = table.filter(pc.equal(table["choice"], name))
        if of_choice["utterance_id"].to_pylist() != predictions["utterance_id"].to_pylist():
            raise BrokenFileError(
                f"{store.at(path)} is not about the utterances of predictions.parquet. Run the same command again.",
                path,
            )
        found[name] = (of_choice["epoch"][0].as_py(), _classes(of_choice, "predicted", labels, store.at(path)))
    return found


def _classes(predictions: pa.Table, column: str, labels: list[str], where: str) -> np.ndarray:
    index = {label: number for number, label in enumerate(labels)}
    values = predictions[column].to_pylist()
    unknown = sorted(set(values) - index.keys())
    if unknown:
        raise StoreError(
            f"{where} names the emotion {unknown[0]!r} in its column {column}; the labels of the "
            f"corpus are {', '.join(labels)}. Delete the folder and run again."
        )
    return np.array([index[value] for value in values], dtype=np.int64)
