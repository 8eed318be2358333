"""The body that the flows share: corpora in, cross-validated results and a report out."""

import threading
import time
from dataclasses import replace
from typing import Any

import ray
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from flows import start
from flows.command import located
from tasks.cluster import most_in_lockstep
from tasks.context import RunContext
from tasks.facts import CorpusRun, Part, run_facts
from tasks.features import Scanned, extract, join, scan, split
from tasks.groups import Group, grouped
from tasks.jobs import FoldJob, Jobs, fold_jobs, longest_first
from tasks.pool import TrainerPool
from tasks.progress import Reporter, account
from tasks.report import make_report
from tasks.shards import load_features
from tasks.tracking import Tracked, tracked
from tasks.training import train_fold
from timnet import report, run_files
from timnet.config import AUTO, CrossCorpusSettings, EvaluateSettings, RunSettings, Settings
from timnet.errors import BrokenFileError, TimnetError
from timnet.plan import CorpusPlan, Plan, check_claim, check_name, plan, take_name, without_effect
from timnet.store import DONE


def run_name() -> str:
    """The name of a flow run in Prefect: its run id.

    What is wrong with the settings is for the flow to say; raised here, it would end the run as crashed without a word.
    """
    from prefect.runtime import flow_run

    kinds = {f"timnet-{model.kind}": model for model in (RunSettings, EvaluateSettings, CrossCorpusSettings)}
    known = located(kinds[str(flow_run.flow_name)].model_validate(flow_run.parameters["settings"]))
    try:
        return known.run_id or plan(known).run_id
    except TimnetError:
        return f"{known.kind}-refused"


def run(settings: Settings) -> dict[str, Any]:
    """Run everything that is missing or broken and report; returns the summary, in which failed folds are named.

    Raises ConfigError, CorpusError or SplitError where nothing can be trained.
    """
    began, settings = start.began(), located(settings)
    planned = plan(settings)
    with Reporter() as reporter, RunContext(settings, planned.run_id, reporter) as context:
        context.note("start", time.perf_counter() - began)
        check_claim(planned, context.store)
        reporter.say(f"Run {planned.run_id}  ({planned.protocol.name}: {planned.protocol.description})")
        if idle := without_effect(settings):
            reporter.say(
                f"{settings.model} is not trained in epochs: {', '.join(idle)} {'do' if len(idle) > 1 else 'does'} nothing"
            )
        while True:
            try:
                summary = _run(planned, context)
                break
            except BrokenFileError as error:  # each time a marker less, so it ends
                if (folder := context.store.disown(error.path)) is None:
                    raise
                reporter.say(f"{folder} is made again, as a file in it is broken: {error}")
                context.dismiss()  # or there may be no CPU left to extract with
        reporter.say(account(context.timings, time.perf_counter() - began))
        return summary


def _run(planned: Plan, context: RunContext) -> dict[str, Any]:
    runs = _prepared(planned, context)
    planned = _named(planned, runs, context)
    jobs = [job for corpus in runs for job in corpus.jobs]
    with tracked(planned, jobs, context) as told:
        return _finished(runs, jobs, planned, context, told)


def _finished(
    runs: list[CorpusRun], jobs: list[FoldJob], planned: Plan, context: RunContext, told: Tracked
) -> dict[str, Any]:
    reporter = context.reporter
    missing = longest_first([job for job in jobs if not context.store.is_done(job.folder)])
    reused = len(jobs) - len(missing)
    if reused:
        reporter.say(f"{reused} of {len(jobs)} folds are finished already and are not computed again")
    names = {job.name for job in missing}
    for job in jobs:
        if job.name not in names:
            told.fold(job.name)
    folder = f"runs/{planned.run_id}"
    current = not missing and context.store.is_done(folder) and _reported(planned.run_id, context) == _made_of(runs)
    if not current:  # such as a report of the folds of another version: it is none of this run
        context.store.remove(f"{folder}/{DONE}")
    errors = _train(runs, missing, planned, context, told) if missing else {}
    if current:
        reporter.say("The report is there already and is not made again")
        summary = run_files.summary(context.store, planned.run_id)
    else:
        check_name(planned, _recordings(runs), context.store)  # it may have been taken meanwhile
        facts = run_facts(planned, runs, {job.folder for job in missing}, errors, context)
        context.store.write_json(f"{folder}/run.json", facts)
        summary = make_report(planned.run_id, context)
        if not errors:
            context.store.mark_done(folder, {"n_folds": len(jobs)})
    told.report(summary)
    reporter.say(f"\n{report.terminal(summary)}\n")
    reporter.say(f"Report: {context.store.at(f'{folder}/report/index.html')}")
    return summary


def _named(planned: Plan, runs: list[CorpusRun], context: RunContext) -> Plan:
    named = take_name(planned, _recordings(runs), context.store)
    if named.run_id != planned.run_id:
        context.reporter.say(
            f"{planned.run_id} has a report of other recordings, which stays as it is: this run is {named.run_id}"
        )
        context.run_id = named.run_id
    return named


def _recordings(runs: list[CorpusRun]) -> dict[str, str]:
    return {corpus.planned.corpus.name: corpus.scanned.key for corpus in runs}


def _made_of(runs: list[CorpusRun]) -> list[tuple[str, list[str]]]:
    """What a report shows: of every corpus the scan, whose problems it lists, and the folders of the folds."""
    return [(corpus.scanned.folder, [job.folder for job in corpus.jobs]) for corpus in runs]


def _reported(run_id: str, context: RunContext) -> list[tuple[str, list[str]]]:
    """The same of the report that is there."""
    corpora = run_files.facts(context.store, run_id)["corpora"].values()
    return [
        (corpus["manifest"], [fold["path"] for seed in corpus["seeds"].values() for fold in seed["folds"]])
        for corpus in corpora
    ]


def _prepared(planned: Plan, context: RunContext) -> list[CorpusRun]:
    """Scan every corpus and cut it into folds; corpora that are crossed become one before that."""
    scanned = [scan(corpus.corpus.name, corpus, context) for corpus in planned.corpora]
    parts = [Part(*pair, pair[1].columns.utterance_id) for pair in zip(planned.corpora, scanned, strict=True)]
    if planned.joint is None:
        return [_cut(part.planned, part.scanned, [part], planned, context) for part in parts]
    joined = join(scanned, planned.joint.corpus, context)
    ids = [utterance.partition("/") for utterance in joined.columns.utterance_id]
    parts = [
        replace(part, utterance_ids=tuple(own for corpus, _, own in ids if corpus == part.planned.corpus.name))
        for part in parts
    ]
    return [_cut(planned.joint, joined, parts, planned, context)]


def _cut(corpus: CorpusPlan, scanned: Scanned, parts: list[Part], planned: Plan, context: RunContext) -> CorpusRun:
    name = corpus.corpus.name
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
    return CorpusRun(corpus, scanned, parts, folders, jobs)


def extracted(part: Part, planned: Plan, context: RunContext) -> str:
    return extract(part.planned.corpus.name, part.planned, part.scanned, planned.profile, context)


def _train(
    runs: list[CorpusRun], missing: list[FoldJob], planned: Plan, context: RunContext, told: Tracked
) -> dict[str, str]:
    """Extract and train what is missing; returns the error of each fold that failed."""
    pool = context.trainers()
    features: dict[str, ray.ObjectRef] = {}
    names = {job.corpus for job in missing}
    for corpus in runs:
        name = corpus.planned.corpus.name
        if name in names:
            parts = [(extracted(part, planned, context), part.utterance_ids) for part in corpus.parts]
            features[name] = load_features.options(name=f"load {name}").remote(context.store, parts)
    groups = _groups(missing, planned, pool)
    # Not before: trainers hold their CPUs, and on a machine that is all trainers nothing would extract.
    pool.warm_up(len(groups) or len(missing))
    jobs = Jobs(missing, features, {job.name: group for group in groups for job in group.jobs})
    together = max((len(group.jobs) for group in groups), default=1)
    at_once = min(pool.size * together, len(missing))
    verb = "Evaluating" if isinstance(planned.settings, EvaluateSettings) else "Training"
    lockstep = f", in lockstep in groups of up to {together}" if groups else ""
    context.reporter.say(f"{verb} {len(missing)} folds, {at_once} at a time{lockstep}")
    context.reporter.expect(len(missing), sum(job.epochs for job in missing))
    errors: dict[str, str] = {}
    broken: BrokenFileError | None = None
    with context.timed("train"), ThreadPoolTaskRunner[Any](max_workers=at_once) as runner:
        try:
            futures: dict[PrefectFuture, str] = {
                runner.submit(train_fold, parameters={"name": job.name, "jobs": jobs, "context": context}): job.name
                for job in missing
            }
            for future in as_completed(list(futures)):
                outcome = future.result(raise_on_failure=False)
                if isinstance(outcome, BrokenFileError):
                    broken = outcome
                elif isinstance(outcome, BaseException):
                    errors[futures[future]] = f"{type(outcome).__name__}: {outcome}"
                    context.reporter.say(f"  {futures[future]} FAILED: {errors[futures[future]]}")
                else:
                    told.fold(futures[future])
        except BaseException:
            context.stop.set()  # or the runner would wait for every fold that has begun
            raise
    if broken is not None:
        raise broken
    # What failed here may have been finished by another run of the same settings.
    return {name: error for name, error in errors.items() if not context.store.is_done(jobs.by_name[name].folder)}


def _groups(missing: list[FoldJob], planned: Plan, pool: TrainerPool) -> list[Group]:
    """The folds that are trained in lockstep; none where each has an actor of its own."""
    settings = planned.settings
    if not settings.in_lockstep:
        return []
    most = most_in_lockstep(settings.folds_per_actor, settings.max_parallel)
    slots = threading.Semaphore(pool.size)
    return [Group(jobs, slots) for jobs in grouped(missing, most, pool.size, settings.folds_per_actor == AUTO)]
