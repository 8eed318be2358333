"""TensorBoard: event files in the store, written with the package tensorboard alone, without TensorFlow.

tensorboard/RUN_ID/CORPUS seed S fold F/ has a fold's curves, tensorboard/RUN_ID/CORPUS pooled/ the scores over all folds.
One file in each, which is named after what it was made from and written when that is whole.
"""

import io
import re
import time
from collections.abc import Mapping
from typing import Any

from timnet import tracking
from timnet.store import Store
from timnet.tracking import FinishedFold, TrackedRun

ROOT = "tensorboard"


def check(store: Store) -> None:
    """Event files may lie in every store."""


def folder(run_id: str) -> str:
    return f"{ROOT}/{run_id}"


class Run:
    """A tracking.Tracker."""

    def __init__(self, store: Store, run: TrackedRun):
        self._store, self._run = store, run
        wanted = {*run.folds, *(_pooled(fold.corpus) for fold in run.folds.values())}
        for name in store.children(folder(run.run_id)):
            if name not in wanted:  # of an earlier run of the name, whose results were deleted by hand
                store.delete(f"{folder(run.run_id)}/{name}")

    def fold(self, name: str) -> None:
        found = self._run.folds[name].folder
        path = self._path(name, found)
        if not self._store.exists(path):
            self._write(path, of_fold(tracking.finished_fold(self._store, found), time.time()))

    def report(self, summary: Mapping[str, Any]) -> None:
        for corpus, found in summary["corpora"].items():
            path = self._path(_pooled(corpus), summary["created"])
            if not self._store.exists(path):
                settings = {"run": self._run.run_id, "corpus": corpus, **self._run.hyperparameters}
                self._write(path, of_scores(tracking.pooled(found), settings, time.time()))

    def end(self, status: str) -> str:
        return f"tensorboard --logdir '{self._store.at(ROOT)}'"

    def _path(self, name: str, made_from: str) -> str:
        return f"{folder(self._run.run_id)}/{name}/events.out.tfevents.{re.sub('[^A-Za-z0-9]', '', made_from)}"

    def _write(self, path: str, data: bytes) -> None:
        """Write the file and remove what else its folder holds: TensorBoard would draw one over the other."""
        inside = path.rpartition("/")[0]
        for other in self._store.children(inside):
            self._store.remove(f"{inside}/{other}")
        self._store.write_bytes(path, data)


def _pooled(corpus: str) -> str:
    return f"{corpus} pooled"


def of_fold(fold: FinishedFold, ended_s: float) -> bytes:
    """An event file with the scalars of every epoch, and the scores at the last; TensorBoard has them as float32.

    `ended_s`: when the fold was finished, in seconds since 1970; its epochs are as long before that as they took.
    """
    events = [_scalars(epoch.scalars, epoch.number, ended_s - epoch.before_end_s) for epoch in fold.epochs]
    return _file([*events, _scalars(fold.scores, fold.last_epoch, ended_s)])


def of_scores(scores: Mapping[str, float], settings: Mapping[str, Any], ended_s: float) -> bytes:
    """An event file with scores, and the settings that TensorBoard's page HPARAMS shows beside them in one row."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb  # its sibling `summary` would load TensorFlow

    return _file(
        [
            Event(wall_time=ended_s, summary=hparams_pb(dict(settings), start_time_secs=ended_s)),
            _scalars(scores, 0, ended_s),
        ]
    )


def _scalars(values: Mapping[str, float], step: int, at_s: float) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    shown = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
    return Event(wall_time=at_s, step=step, summary=Summary(value=shown))


def _file(events: list[Any]) -> bytes:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for event in [Event(wall_time=events[0].wall_time, file_version="brain.Event:2"), *events]:
        writer.write(event.SerializeToString())
    return buffer.getvalue()
