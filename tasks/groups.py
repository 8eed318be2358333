"""Groups of folds that are trained in lockstep: one actor, and a task for each fold.

Every fold is still a task run of its own, with its own results, progress and error. The task that comes first starts its
whole group on an actor; each then waits for its own fold. Where the actor is lost, all that had not ended are retried,
and the first task to be retried starts them again, from their checkpoints.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import ray

from tasks.context import RunContext
from tasks.jobs import FoldJob
from tasks.pool import TrainerPool
from tasks.waiting import LOST, SECONDS_BETWEEN_LOOKS, StoppedError, result


def grouped(jobs: Sequence[FoldJob], most: int, n_actors: int, fill: bool) -> list[list[FoldJob]]:
    """Folds of one corpus, model and recipe together, at most so many; `fill`: and no more than all actors at work need."""
    groups = []
    for _, some in groupby(jobs, key=lambda job: (job.corpus, job.settings.model, job.settings.recipe)):
        alike = list(some)
        size = min(most, -(-len(alike) // n_actors)) if fill else most
        groups += [alike[start : start + size] for start in range(0, len(alike), size)]
    return groups


@dataclass
class _Attempt:
    """A group at work on an actor."""

    actor: Any
    run: ray.ObjectRef
    outcomes: dict[str, ray.ObjectRef]  # by the name of the fold
    expected: set[str]  # folds whose tasks have not come yet
    present: int = 0
    failed: bool = False
    is_over: bool = False


@dataclass
class Group:
    """The folds of a group; `slots` are released as actors become free, and shared by all groups of a run."""

    jobs: list[FoldJob]
    slots: threading.Semaphore
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _attempt: _Attempt | None = None
    _ended: set[str] = field(default_factory=set)

    @contextmanager
    def joined(self, job: FoldJob, features: ray.ObjectRef, context: RunContext) -> Iterator["Seat"]:
        """Be one of the tasks that wait for the group, which is started if it is not at work."""
        with self._lock:
            attempt = self._attempt
            if attempt is None or job.name not in attempt.expected:
                attempt = self._attempt = self._begin(job, features, context)
            attempt.expected.remove(job.name)
            attempt.present += 1
        pool = context.trainers()
        try:
            yield Seat(attempt.actor, attempt.run, attempt.outcomes[job.name], job.folder)
        except LOST:
            attempt.failed = True
            self._end(attempt, pool)  # at once: its next attempt needs the slot
            raise
        except BaseException:
            attempt.failed = True
            self._ended.add(job.name)
            raise
        else:
            self._ended.add(job.name)
        finally:
            with self._lock:
                attempt.present -= 1
                is_last = attempt.present == 0
            if is_last:
                self._end(attempt, pool)

    def _begin(self, first: FoldJob, features: ray.ObjectRef, context: RunContext) -> _Attempt:
        while not self.slots.acquire(timeout=SECONDS_BETWEEN_LOOKS):
            if context.stop.is_set():
                raise StoppedError("the run is being stopped")
        try:
            jobs = [job for job in self.jobs if job is first or not self._is_ended(job, context)]
            actor = context.trainers().take(context.stop)
            run = actor.run.options(name=f"{jobs[0].name} and {len(jobs) - 1} more").remote(
                features, jobs, context.store
            )
            outcomes = {job.name: actor.outcome.options(name=job.name).remote(job.folder) for job in jobs}
        except BaseException:
            self.slots.release()
            raise
        return _Attempt(actor, run, outcomes, set(outcomes))

    def _is_ended(self, job: FoldJob, context: RunContext) -> bool:
        return job.name in self._ended or context.store.is_done(job.folder)

    def _end(self, attempt: _Attempt, pool: TrainerPool) -> None:
        """Let go of the actor; like a lease, one that saw an error is killed, since nobody knows what state it is in."""
        with self._lock:
            if attempt.is_over:
                return
            attempt.is_over = True
            if self._attempt is attempt:
                self._attempt = None
        if attempt.failed or attempt.expected:
            pool.kill(attempt.actor)
        else:
            pool.give_back(attempt.actor)
        self.slots.release()


@dataclass(frozen=True)
class Seat:
    """A fold's place in a group at work."""

    actor: Any
    run: ray.ObjectRef
    outcome: ray.ObjectRef
    folder: str

    def progress(self) -> ray.ObjectRef:
        """Where the fold is; raises what the group's whole work failed with, such as features that could not be read."""
        ready, _ = ray.wait([self.run], timeout=0)
        if ready:
            result(ready[0])
        return self.actor.progress.remote(self.folder)
