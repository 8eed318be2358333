"""Trackers follow a run: each in a thread of its own, so that one that is away neither fails a run nor holds it up."""

import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tasks.context import RunContext
from tasks.jobs import FoldJob
from tasks.progress import Reporter
from timnet import tracking
from timnet.config import identity
from timnet.errors import TimnetError
from timnet.plan import Plan
from timnet.tracking import FoldOfRun, TrackedRun, Tracker

# How long a run that is over waits for a tracker that does not get on.
PATIENCE_S = 30.0
PATIENCE_WHEN_STOPPED_S = 3.0


class Tracked:
    """What a run tells its trackers; each call returns at once."""

    def __init__(self, followers: Sequence["_Follower"]):
        self._followers = followers
        self.status = "KILLED"

    def fold(self, name: str) -> None:
        """A fold is finished, by this run or an earlier one."""
        for follower in self._followers:
            follower.tell(lambda tracker: tracker.fold(name))

    def report(self, summary: dict[str, Any]) -> None:
        """The report is made."""
        for follower in self._followers:
            follower.tell(lambda tracker: tracker.report(summary))
        self.status = "FINISHED" if summary["folds_completed"] == summary["folds_total"] else "FAILED"


@contextlib.contextmanager
def tracked(planned: Plan, jobs: Sequence[FoldJob], context: RunContext) -> Iterator[Tracked]:
    """The trackers that the settings name, for the time of the block. None of them raises."""
    names = [name for name in tracking.TRACKERS if name in (planned.settings.track or ())]
    run = _described(planned, jobs)
    followers = [
        _Follower(name, functools.partial(tracking.opened, name, context.store, run), context.reporter)
        for name in names
    ]
    told = Tracked(followers)
    try:
        yield told
    except Exception:
        told.status = "FAILED"
        raise
    finally:
        for follower in followers:
            follower.finish(told.status)
        for follower in followers:
            follower.leave(PATIENCE_WHEN_STOPPED_S if told.status == "KILLED" else PATIENCE_S)


def _described(planned: Plan, jobs: Sequence[FoldJob]) -> TrackedRun:
    recipes = {corpus.recipe for corpus in planned.corpora}
    seeds = sorted({job.seed for job in jobs})
    trains = any(job.epochs for job in jobs)
    return TrackedRun(
        run_id=planned.run_id,
        key=identity(planned.run_id, {job.name: job.folder for job in jobs}),
        hyperparameters=tracking.hyperparameters(
            {**planned.claim, "seeds": seeds}, recipes.pop() if trains and len(recipes) == 1 else None
        ),
        about={
            "kind": planned.settings.kind,
            "protocol": planned.protocol.name,
            "corpora": ",".join(corpus.corpus.name for corpus in planned.corpora),
        },
        folds={job.name: FoldOfRun(job.corpus, job.seed, job.fold, job.folder) for job in jobs},
    )


class _Follower(threading.Thread):
    """Tells one tracker what it is told, in order, until the first thing that fails."""

    def __init__(self, name: str, opened: Callable[[], Tracker], reporter: Reporter):
        super().__init__(name=f"track {name}", daemon=True)  # one that hangs does not keep the process
        self._tracker, self._opened, self._reporter = name, opened, reporter
        self._told: queue.SimpleQueue[Callable[[Tracker], Any] | None] = queue.SimpleQueue()
        self._moved = time.monotonic()
        self._given_up = False
        self.start()

    def tell(self, what: Callable[[Tracker], Any]) -> None:
        self._told.put(what)

    def finish(self, status: str) -> None:
        """Nothing is told after this; a run that was stopped leaves out what is still waiting."""
        if status == "KILLED":
            with contextlib.suppress(queue.Empty):
                while True:
                    self._told.get_nowait()
        self.tell(lambda tracker: self._reporter.say(f"Tracked: {tracker.end(status)}"))
        self._told.put(None)

    def leave(self, patience_s: float) -> None:
        """Wait until all is told, as long as it gets on."""
        begun = time.monotonic()
        while self.is_alive() and time.monotonic() - max(begun, self._moved) < patience_s:
            self.join(0.1)
        if self.is_alive():
            self._give_up(f"no answer for {patience_s:.0f} s")

    def run(self) -> None:
        try:
            tracker = self._opened()
            while (what := self._told.get()) is not None:
                what(tracker)
                self._moved = time.monotonic()
        except Exception as error:
            self._give_up(str(error) if isinstance(error, TimnetError) else f"{type(error).__name__}: {error}")

    def _give_up(self, why: str) -> None:
        if not self._given_up:
            self._given_up = True
            self._reporter.say(
                f"Warning: --track {self._tracker} failed, and the run goes on without it ({why.rstrip('.')}). The same "
                "command again writes what is missing."
            )
