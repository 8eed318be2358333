"""Prefect tasks that train or evaluate folds, each on a Ray actor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks import cluster
from tasks.context import RunContext
from tasks.jobs import FoldJob, Jobs
from tasks.waiting import LOST, wait
from timnet.errors import TimnetError

MOST_LOSSES = 5  # of a fold's worker, without an epoch more in between
RETRIES = 100  # a fold that gets on may lose as many machines as a night on rented ones brings
DIED = "The Ray that this command started has died (its raylet), and ends the command. Give the same command again: it goes on."
DELAYS_S = [1.0, 2.0, 5.0, 10.0, 30.0]  # Ray takes up to half a minute to know that a machine is gone


def _worker_was_lost(task: Any, run: Any, state: Any) -> bool:
    """Retry what a machine did, such as a killed process; not what the data or the settings did."""
    try:
        state.result()
    except LOST:
        return True
    except BaseException:
        return False
    return False


@task(
    name="train fold",
    task_run_name="{name}",
    retries=RETRIES,
    retry_delay_seconds=DELAYS_S,
    retry_condition_fn=_worker_was_lost,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def train_fold(name: str, jobs: Jobs, context: RunContext) -> dict[str, Any]:
    """Train one fold on a leased actor, watching its progress; returns its metrics, which are in the store as well.

    Raises TimnetError where its worker was lost again and again and the fold got no further.
    """
    job = jobs.by_name[name]
    if context.store.is_done(job.folder):  # another run has finished it meanwhile
        return context.store.read_json(f"{job.folder}/metrics.json")
    losses = jobs.losses[name]
    try:
        with _at_work(job, jobs, context) as (ref, progress):

            def look() -> None:
                ready, _ = ray.wait([progress()], timeout=1)
                if ready:
                    state = ray.get(ready[0])
                    losses.reached(state.get("epoch", 0))
                    context.reporter.epoch(name, state)

            scores = wait(ref, context.stop, look)
    except LOST as error:
        why = str(error).splitlines()[0]
        context.reporter.say(f"  {name}: its worker was lost ({why})")
        if cluster.has_died():
            context.reporter.say(DIED)
        if losses.count() >= MOST_LOSSES:
            raise TimnetError(
                f"Its worker was lost {MOST_LOSSES} times before it got beyond epoch {losses.epoch} ({why}). Look at the memory of "
                "the machines, and give the same command again."
            ) from error
        raise
    context.reporter.finished(name, job.epochs, f"WAR {100 * scores['war']:.2f} %  UAR {100 * scores['uar']:.2f} %")
    return scores


@contextmanager
def _at_work(
    job: FoldJob, jobs: Jobs, context: RunContext
) -> Iterator[tuple[ray.ObjectRef, Callable[[], ray.ObjectRef]]]:
    """The fold in work, on an actor of its own or in its group: its metrics to come, and how far it is."""
    features = jobs.features[job.corpus]
    if (group := jobs.groups.get(job.name)) is not None:
        with group.joined(job, features, context) as seat:
            yield seat.outcome, seat.progress
        return
    with context.trainers().lease(context.stop) as actor:
        run = actor.run.options(name=job.name).remote
        ref = run(features, job.columns, job.rows, job.settings, context.store, job.folder, job.weights)
        yield ref, actor.progress.remote
