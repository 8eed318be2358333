"""The body that the flows share: corpora in, cross-validated results and a report out."""

import time
from typing import Any

import ray
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.command import located
from tasks.context import RunContext
from tasks.facts import CorpusRun, run_facts
from tasks.features import extract, scan, split
from tasks.jobs import FoldJob, Jobs, fold_jobs
from tasks.progress import Reporter
from tasks.report import make_report
from tasks.shards import load_features
from tasks.training import train_fold
from timnet import report
from timnet.config import EvaluateSettings, RunSettings, Settings
from timnet.errors import TimnetError
from timnet.plan import CorpusPlan, Plan, check_claim, plan, take_name
from timnet.store import DONE


def run_name() -> str:
    """The name of a flow run in Prefect: its run id.

    What is wrong with the settings is for the flow to say; raised here, it would end the run as crashed without a word.
    """
    from prefect.runtime import flow_run

    settings = flow_run.parameters["settings"]
    model, kind = (EvaluateSettings, "evaluate") if flow_run.flow_name == "timnet-evaluate" else (RunSettings, "cv")
    known = located(model.model_validate(settings))
    try:
        return known.run_id or plan(known, kind).run_id
    except TimnetError:
        return f"{kind}-refused"


def run(settings: Settings, kind: str) -> dict[str, Any]:
    """Run everything that is missing and report; returns the summary, in which failed folds are named.

    Raises ConfigError, CorpusError or SplitError where nothing can be trained.
    """
    settings = located(settings)
    planned = plan(settings, kind)
    with Reporter() as reporter, RunContext(settings, planned.run_id, reporter) as context:
        started = time.perf_counter()
        check_claim(planned, context.store)
        reporter.say(f"Run {planned.run_id}  ({planned.protocol.name}: {planned.protocol.description})")
        runs = [_prepare(corpus, planned, context) for corpus in planned.corpora]
        planned = _named(planned, runs, context)
        jobs = [job for corpus in runs for job in corpus.jobs]
        missing = [job for job in jobs if not context.store.is_done(job.folder)]
        reused = len(jobs) - len(missing)
        if reused:
            reporter.say(f"{reused} of {len(jobs)} folds are finished already and are not computed again")
        folder = f"runs/{planned.run_id}"
        current = (
            not missing and context.store.is_done(folder) and _made_of(context, folder) == [j.folder for j in jobs]
        )
        if not current:  # such as a report of the folds of another version: it is none of this run
            context.store.remove(f"{folder}/{DONE}")
        errors = _train(runs, missing, planned, context) if missing else {}
        if current:
            reporter.say("The report is there already and is not made again")
            summary = context.store.read_json(f"{folder}/report/summary.json")
        else:
            facts = run_facts(planned, kind, runs, {job.folder for job in missing}, errors, context)
            context.store.write_json(f"{folder}/run.json", facts)
            summary = make_report(planned.run_id, context)
            if not errors:
                context.store.mark_done(folder, {"n_folds": len(jobs)})
        reporter.say(f"\n{report.terminal(summary)}\n")
        reporter.say(f"Report: {context.store.at(f'{folder}/report/index.html')}")
        reporter.say(f"All of it took {time.perf_counter() - started:.1f} s")
        return summary


def _named(planned: Plan, runs: list[CorpusRun], context: RunContext) -> Plan:
    recordings = {corpus.planned.corpus.name: corpus.scanned.key for corpus in runs}
    named = take_name(planned, recordings, context.store)
    if named.run_id != planned.run_id:
        context.reporter.say(
            f"{planned.run_id} has a report of other recordings, which stays as it is: this run is {named.run_id}"
        )
        context.run_id = named.run_id
    return named


def _made_of(context: RunContext, folder: str) -> list[str]:
    """The folders of the folds that the report of a run was made of, in order."""
    corpora = context.store.read_json(f"{folder}/run.json")["corpora"].values()
    return [fold["path"] for corpus in corpora for seed in corpus["seeds"].values() for fold in seed["folds"]]


def _prepare(corpus: CorpusPlan, planned: Plan, context: RunContext) -> CorpusRun:
    name = corpus.corpus.name
    scanned = scan(name, corpus, context)
    folders: dict[int, str] = {}
    jobs: list[FoldJob] = []
    for seed in corpus.seeds:
        folders[seed], folds = split(name, seed, scanned, planned.protocol, corpus.n_folds, context)
        wanted = corpus.n_folds
        if planned.protocol.uses_folds and len(folds) != wanted:
            context.reporter.say(
                f"{name}: {len(folds)} folds instead of {wanted}, which is as many as {planned.protocol.name} can make"
            )
        jobs += fold_jobs(corpus, scanned, planned, seed, folds)
    return CorpusRun(corpus, scanned, folders, jobs)


def _train(runs: list[CorpusRun], missing: list[FoldJob], planned: Plan, context: RunContext) -> dict[str, str]:
    """Extract and train what is missing; returns the error of each fold that failed."""
    pool = context.trainers()
    features: dict[str, ray.ObjectRef] = {}
    names = {job.corpus for job in missing}
    for corpus in runs:
        name = corpus.planned.corpus.name
        if name in names:
            folder = extract(name, corpus.planned, corpus.scanned, planned.profile, context)
            load = load_features.options(name=f"load {name}")
            features[name] = load.remote(context.store, folder, corpus.scanned.columns.utterance_id)
    # Not before: trainers hold their CPUs, and on a machine that is all trainers nothing would extract.
    pool.warm_up(len(missing))
    jobs = Jobs(missing, features)
    verb = "Training" if isinstance(planned.settings, RunSettings) else "Evaluating"
    context.reporter.say(f"{verb} {len(missing)} folds, {min(pool.size, len(missing))} at a time")
    context.reporter.expect(len(missing), sum(job.epochs for job in missing))
    errors: dict[str, str] = {}
    with context.timed("train"), ThreadPoolTaskRunner[Any](max_workers=pool.size) as runner:
        try:
            futures: dict[PrefectFuture, str] = {
                runner.submit(train_fold, parameters={"name": job.name, "jobs": jobs, "context": context}): job.name
                for job in missing
            }
            for future in as_completed(list(futures)):
                outcome = future.result(raise_on_failure=False)
                if isinstance(outcome, BaseException):
                    errors[futures[future]] = f"{type(outcome).__name__}: {outcome}"
                    context.reporter.say(f"  {futures[future]} FAILED: {errors[futures[future]]}")
        except BaseException:
            context.stop.set()  # or the runner would wait for every fold that has begun
            raise
    return errors
