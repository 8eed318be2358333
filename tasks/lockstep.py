"""The Ray actor that trains several folds in lockstep, each asked for on its own. Imports no Prefect and no TensorFlow."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import ray

from tasks.actors import Checkpoint, FoldMetrics, commit, progress_of
from timnet.config import MAX_FOLDS_PER_ACTOR
from timnet.store import Store

if TYPE_CHECKING:
    from tasks.jobs import FoldJob


@ray.remote(concurrency_groups={"progress": 1, "folds": MAX_FOLDS_PER_ACTOR})  # type: ignore[call-overload] # as FoldTrainer
class LockstepActor:
    """Trains one group of folds at a time. Lives as long as the run."""

    def __init__(self, threads: int):
        self._threads = threads
        self._trainer: Any = None
        self._metrics = FoldMetrics()
        self._progress: dict[str, dict[str, Any]] = {}
        self._ended: dict[str, dict[str, Any] | BaseException] = {}  # by folder
        self._changed = threading.Condition()

    @ray.method(concurrency_group="progress")
    def progress(self, folder: str) -> dict[str, Any]:
        """The last epoch of a fold in work."""
        return self._progress.get(folder, {})

    @ray.method(concurrency_group="folds")
    def outcome(self, folder: str) -> dict[str, Any]:
        """Waits for a fold of the group in work, or of the next; returns its metrics or raises what it failed with."""
        with self._changed:
            self._changed.wait_for(lambda: folder in self._ended)
            ended = self._ended.pop(folder)
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def run(self, features: np.ndarray, jobs: Sequence["FoldJob"], store: Store) -> None:
        """Train the folds and commit what each leaves into its folder as soon as it has ended.

        A fold that fails, or whose results cannot be written, fails alone; its `outcome` raises the error.
        """
        try:
            self._train(features, jobs, store)
        except BaseException as error:
            for job in jobs:
                self._end(job.folder, error)
            raise

    def _train(self, features: np.ndarray, jobs: Sequence["FoldJob"], store: Store) -> None:
        from timnet.lockstep import LockstepFold, LockstepTrainer
        from timnet.training import FoldData

        if self._trainer is None:
            self._trainer = LockstepTrainer(self._threads)
        started = time.perf_counter()
        self._progress = {}
        classes = jobs[0].columns.classes
        folds = [
            LockstepFold(
                FoldData(features, classes, *job.rows),
                job.settings,
                Checkpoint(store, job.folder),
                self._noting(job),
            )
            for job in jobs
        ]
        for number, result in self._trainer.train_together(folds):
            job = jobs[number]
            ended: dict[str, Any] | BaseException
            try:
                if isinstance(result, Exception):
                    raise result
                ended = commit(result, job.columns, job.rows, job.settings, store, job.folder, started)
            except Exception as error:
                ended = error
            self._end(job.folder, ended)

    def _end(self, folder: str, ended: dict[str, Any] | BaseException) -> None:
        with self._changed:
            self._ended.setdefault(folder, ended)
            self._changed.notify_all()

    def _noting(self, job: "FoldJob") -> Any:
        note = self._metrics.of(job.corpus, job.settings, len(job.rows[0]))

        def on_epoch(row: Mapping[str, Any]) -> None:
            self._progress[job.folder] = progress_of(row)
            note(row)

        return on_epoch
