"""Train several folds in lockstep: one program, a step of every fold at a time.

A network of 107 000 parameters leaves a GPU waiting for launches; side by side, many cost hardly more than one. Each fold
has the mathematics of its own training by timnet.training.Trainer: its weights, batches, statistics, dropout, schedule,
choice of the epoch and checkpoints. Only sums of floats come out in another order. Where that training uses the layers of
Keras and not their compiled form, which is for little work alone, the dropout is another, too.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from timnet.choosing import Chooser
from timnet.errors import TimnetError
from timnet.recipes import FoldSettings
from timnet.replicas import Replicas
from timnet.training import (
    Checkpoint,
    FoldData,
    FoldResult,
    batches,
    check_data,
    epoch_row,
    go_on,
    result_of,
    snapshot,
    standardisation,
    start_tensorflow,
)


@dataclass(frozen=True)
class LockstepFold:
    """What timnet.training.Trainer.train is given for one fold."""

    data: FoldData
    settings: FoldSettings
    checkpoint: Checkpoint | None = None
    on_epoch: Callable[[dict[str, Any]], None] | None = None


class LockstepTrainer:
    """Trains group after group in one process; a program is compiled once for each shape and number of folds."""

    def __init__(self, threads: int = 1, compute: str = "float32"):
        import keras

        if keras.backend.backend() == "tensorflow":  # others have no such setting that holds for one process
            start_tensorflow(threads)
        self._compute = compute
        self._replicas: dict[Any, Replicas] = {}

    def train_together(self, folds: Sequence[LockstepFold]) -> Iterator[tuple[int, FoldResult | Exception]]:
        """Train all folds; gives the number of each, counted from 0, and its result as soon as it has ended.

        The folds share the features, and the settings but for seed, fold, selection and checkpoints. They may differ in
        rows, in epochs that a checkpoint brings, and in when they stop. A fold that fails, such as one that diverges,
        gives its error instead of a result, and the others go on. Raises TimnetError where folds do not fit together.
        """
        _check_fit(folds)
        first = folds[0].settings
        recipe = first.recipe
        key = (first.model, recipe, len(folds))
        if key not in self._replicas:
            self._replicas[key] = Replicas(first.model, recipe, len(folds), self._compute)
        size = min(recipe.batch_size, max(len(fold.data.train) for fold in folds))
        members = [_Member(number, fold, self._replicas[key]) for number, fold in enumerate(folds)]
        at_work = []
        for member in members:
            if (error := _failure(member.begin)) is None:
                at_work.append(member)
            else:
                yield member.number, error
        while at_work:
            for member in [one for one in at_work if one.is_at_end]:
                at_work.remove(member)
                yield member.number, _outcome(member.result)
            for member, error in _round(at_work, self._replicas[key], folds[0].data, size):
                at_work.remove(member)
                yield member.number, error


class _Member:
    """A fold in work, and its replica as the network that timnet.choosing and checkpoints know."""

    def __init__(self, number: int, fold: LockstepFold, replicas: Replicas):
        self.number, self._replicas = number, replicas
        self.data, self.settings, self._checkpoint, self._on_epoch = (
            fold.data,
            fold.settings,
            fold.checkpoint,
            fold.on_epoch,
        )
        self._started = time.perf_counter()
        self._history: list[dict[str, Any]] = []
        self._chooser = Chooser(fold.settings.selection, fold.data)
        self._foreseen: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def begin(self) -> None:
        """Initial weights, or those of the checkpoint. Raises TimnetError where the data cannot be trained on."""
        check_data(self.data, self.settings)
        mean, sd = standardisation(self.data) if self.settings.recipe.standardise else (None, None)
        self._replicas.start(self.number, self.settings.seed, self.settings.fold, mean, sd)
        saved = self._checkpoint.load() if self._checkpoint else None
        if saved is not None:
            self._history = go_on(saved, self, self._chooser)

    @property
    def is_at_end(self) -> bool:
        done, recipe = len(self._history), self.settings.recipe
        return done >= recipe.epochs or self._chooser.is_patient_no_more(done, recipe)

    @property
    def epoch(self) -> int:
        """The epoch in work, counted from 1."""
        return len(self._history) + 1

    @property
    def parts(self) -> tuple[str, ...]:
        return self._chooser.parts

    def foresee(self, rows: np.ndarray, predicted: tuple[np.ndarray, np.ndarray]) -> None:
        """Take note of a prediction that was made for all folds at once, before `end_epoch` asks for it."""
        self._foreseen[id(rows)] = predicted

    def end_epoch(self, row: dict[str, Any], started: float) -> None:
        row |= self._chooser.look(row["epoch"], self)
        self._foreseen = {}
        row["seconds"] = time.perf_counter() - started
        self._history.append(row)
        if self._on_epoch:
            self._on_epoch(row)
        due = len(self._history) % self.settings.checkpoint_every_epochs == 0
        if self._checkpoint and due and len(self._history) < self.settings.recipe.epochs:
            self._checkpoint.save(snapshot(self, self._chooser, self._history))

    def result(self) -> FoldResult:
        return result_of(self, self._chooser, self.data, self._history, self._started)

    # What follows is a network in the sense of timnet.training.

    @property
    def smoothing(self) -> float:
        return self._replicas.smoothing

    @property
    def n_parameters(self) -> int:
        return self._replicas.n_parameters

    def predict(self, features: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if id(rows) in self._foreseen:
            return self._foreseen[id(rows)]
        return self._replicas.predict(features, {self.number: rows})[self.number]

    def weights(self) -> dict[str, np.ndarray]:
        return self._replicas.weights(self.number)

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        self._replicas.load(self.number, weights)

    def arrays(self) -> dict[str, np.ndarray]:
        return self._replicas.arrays(self.number)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._replicas.restore(self.number, arrays)


def _round(
    members: Sequence[_Member], replicas: Replicas, data: FoldData, size: int
) -> list[tuple[_Member, Exception]]:
    """The next epoch of every fold, which need not have the same number; returns those that failed."""
    if not members:
        return []
    started = time.perf_counter()
    steps = {member.number: batches(member.epoch, member.data, member.settings) for member in members}
    n_steps = max(map(len, steps.values()))
    each = [{number: some[i] for number, some in steps.items() if i < len(some)} for i in range(n_steps)]
    losses, right = replicas.train_on(data.features, data.classes, each, size)
    failed: list[tuple[_Member, Exception]] = []
    rows = {}
    for member in members:
        n, rate = member.number, steps[member.number][-1].rate
        try:
            rows[member] = epoch_row(
                member.epoch, float(losses[n]), int(right[n]), rate, len(member.data.train), member.settings
            )
        except TimnetError as error:
            failed.append((member, error))
    replicas.average({member.number: member.settings.recipe.n_averaged(member.epoch) for member in rows})
    for part in {part for member in rows for part in member.parts}:
        asked = {member: getattr(member.data, part) for member in rows if part in member.parts}
        predicted = replicas.predict(data.features, {member.number: some for member, some in asked.items()})
        for member, some in asked.items():
            member.foresee(some, predicted[member.number])
    for member, row in rows.items():
        try:
            member.end_epoch(row, started)
        except Exception as error:  # such as a checkpoint that cannot be written
            failed.append((member, error))
    return failed


def _check_fit(folds: Sequence[LockstepFold]) -> None:
    first = folds[0]
    for fold in folds[1:]:
        for name, one, other in (
            ("model", fold.settings.model, first.settings.model),
            ("recipe", fold.settings.recipe, first.settings.recipe),
        ):
            if one != other:
                raise TimnetError(
                    f"Folds in lockstep have one {name}, received {one} and {other}. Train them one by one."
                )
        if fold.data.features is not first.data.features or fold.data.classes is not first.data.classes:
            raise TimnetError(
                "Folds in lockstep share one array of features and one of classes. Train them one by one."
            )


def _failure(work: Callable[[], Any]) -> Exception | None:
    outcome = _outcome(work)
    return outcome if isinstance(outcome, Exception) else None


def _outcome(work: Callable[[], Any]) -> Any:
    """What it returns, or the error that it raises: one fold's error is not the others'."""
    try:
        return work()
    except Exception as error:
        return error
