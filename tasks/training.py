"""Prefect tasks that train or evaluate folds, each on a Ray actor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.context import RunContext
from tasks.jobs import FoldJob, Jobs
from tasks.waiting import LOST, wait

RETRIES = 2


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
    retry_delay_seconds=1,
    retry_condition_fn=_worker_was_lost,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def train_fold(name: str, jobs: Jobs, context: RunContext) -> dict[str, Any]:
    """Train one fold on a leased actor, watching its progress; returns its metrics, which are in the store as well."""
    job = jobs.by_name[name]
    if context.store.is_done(job.folder):  # another run has finished it meanwhile
        return context.store.read_json(f"{job.folder}/metrics.json")
    with _at_work(job, jobs, context) as (ref, progress):

        def look() -> None:
            state, _ = ray.wait([progress()], timeout=1)
            if state:
                context.reporter.epoch(name, ray.get(state[0]))

        try:
            scores = wait(ref, context.stop, look)
        except LOST as error:
            context.reporter.say(f"  {name}: its worker was lost ({str(error).splitlines()[0]})")
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
    with context.trainers().lease() as actor:
        run = actor.run.options(name=job.name).remote
        ref = run(features, job.columns, job.rows, job.settings, context.store, job.folder, job.weights)
        yield ref, actor.progress.remote
