"""What a run says while it works: one live line on a terminal, plain lines now and then elsewhere."""

import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

SECONDS_BETWEEN_LINES = 15.0  # where there is no terminal, as in a log file


class Reporter:
    """Counts epochs over all folds, so that the time left is known from the first minute on. Safe to call from threads."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(file=sys.stderr, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self._lock = threading.Lock()
        self._bar: TaskID | None = None
        self._done: dict[str, int] = {}
        self._resumed: dict[str, int] = {}
        self._n_epochs = 0
        self._n_folds = 0
        self._finished = 0
        self._started = self._said = time.monotonic()

    def __enter__(self) -> "Reporter":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def expect(self, n_folds: int, n_epochs: int) -> None:
        """Announce the folds that have to be trained and the epochs they have in all."""
        self._n_folds, self._n_epochs, self._finished = n_folds, n_epochs, 0
        self._done, self._resumed = {}, {}
        if self._bar is not None:  # of folds that are made again
            self._progress.remove_task(self._bar)
            self._bar = None
        self._started = self._said = time.monotonic()
        if n_epochs:
            self._bar = self._progress.add_task("training", total=n_epochs, left="")

    def epoch(self, fold: str, state: dict[str, Any]) -> None:
        """Take note of how far a fold is."""
        if "epoch" not in state or self._bar is None:
            return
        with self._lock:
            # The rate counts from the first epoch that is heard of, as TensorFlow's start would make it hours, and without
            # the epochs that a fold brings from its checkpoint, which cost nothing now.
            if not self._resumed:
                self._started = time.monotonic()
                self._resumed[fold] = state["epoch"]
            self._resumed.setdefault(fold, state["epoch"] - 1)
            self._done[fold] = state["epoch"]
            self._show(f"{fold}, loss {state['loss']:.3f}")

    def finished(self, fold: str, n_epochs: int, text: str) -> None:
        with self._lock:
            self._finished += 1
            self._resumed.setdefault(fold, 0)
            self._done[fold] = n_epochs
            self.console.print(f"  {fold}: {text}  ({self._finished} of {self._n_folds})", markup=False, soft_wrap=True)
            self._show(fold)

    def _show(self, what: str) -> None:
        done = sum(self._done.values())
        worked = done - sum(self._resumed.values())
        elapsed = time.monotonic() - self._started
        left = f", {_duration((self._n_epochs - done) * elapsed / worked)} left" if worked > 0 else ""
        if self._bar is not None:
            self._progress.update(self._bar, completed=done, description=what, left=left.removeprefix(", "))
        if not self.console.is_terminal and time.monotonic() - self._said > SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            self.console.print(f"  {done} of {self._n_epochs} epochs{left}; {what}", markup=False, soft_wrap=True)


def account(timings: Sequence[dict[str, Any]], total_s: float) -> str:
    """What a run's time went into: its stages in the order that they began, those of several corpora together."""
    stages: dict[str, float] = {}
    for step in timings:
        stage = step["name"].partition(" ")[0]
        stages[stage] = stages.get(stage, 0.0) + step["seconds"]
    stages["the rest"] = total_s - sum(stages.values())
    return f"All of it took {total_s:.1f} s: " + ", ".join(f"{stage} {s:.1f} s" for stage, s in stages.items())


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
