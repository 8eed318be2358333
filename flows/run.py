"""The body that the flows share: corpora in, cross-validated results and a report out."""

import datetime
import hashlib
import importlib.metadata
import os
import platform
import socket
import time
from dataclasses import asdict, dataclass
from typing import Any

import ray
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from tasks.context import RunContext
from tasks.features import Scanned, extract, features_folder, scan, split
from tasks.progress import Reporter
from tasks.report import make_report
from tasks.shards import load_features
from tasks.training import FoldJob, Jobs, train_fold
from timnet import __version__, models, report
from timnet.config import (
    TRAINING_VERSION,
    EvaluateSettings,
    FoldSettings,
    ModelSettings,
    Recipe,
    RunSettings,
    Settings,
    identity,
)
from timnet.errors import SplitError
from timnet.features import n_frames
from timnet.fold_tables import to_table
from timnet.plan import CorpusPlan, Plan, check_claim, claimed_settings, default_run_id, plan, settings_path
from timnet.published import contents
from timnet.published_weights import MAX_WEIGHTS_BYTES

VERSIONS_SHOWN = (
    "prefect",
    "ray",
    "tensorflow",
    "keras",
    "soundfile",
    "soxr",
    "numpy",
    "scipy",
    "scikit-learn",
    "pyarrow",
)
VERSIONS_THAT_TRAIN = ("tensorflow", "keras")  # what changes a trained network's numbers


@dataclass
class CorpusRun:
    """One corpus on its way through a run."""

    planned: CorpusPlan
    scanned: Scanned
    splits: dict[int, str]  # seed -> folder
    jobs: list[FoldJob]


def run_name() -> str:
    """The name of a flow run in Prefect: its run id."""
    from prefect.runtime import flow_run

    settings = flow_run.parameters["settings"]
    model, kind = (EvaluateSettings, "evaluate") if flow_run.flow_name == "timnet-evaluate" else (RunSettings, "cv")
    known = model.model_validate(settings)
    return known.run_id or default_run_id(known, kind)


def run(settings: Settings, kind: str) -> dict[str, Any]:
    """Run everything that is missing and report; returns the summary, in which failed folds are named.

    Raises ConfigError, CorpusError or SplitError where nothing can be trained.
    """
    planned = plan(settings, kind)
    with Reporter() as reporter, RunContext(settings, planned.run_id, reporter) as context:
        started = time.perf_counter()
        check_claim(planned, kind, context.store)
        if not context.store.exists(settings_path(planned.run_id)):
            context.store.write_json(settings_path(planned.run_id), claimed_settings(planned, kind))
        reporter.say(f"Run {planned.run_id}  ({planned.protocol.name}: {planned.protocol.description})")
        runs = [_prepare(corpus, planned, context) for corpus in planned.corpora]
        jobs = [job for corpus in runs for job in corpus.jobs]
        missing = [job for job in jobs if not context.store.is_done(job.folder)]
        reused = len(jobs) - len(missing)
        if reused:
            reporter.say(f"{reused} of {len(jobs)} folds are finished already and are not computed again")
        errors = _train(runs, missing, planned, context) if missing else {}
        facts = _facts(planned, kind, runs, {job.folder for job in missing}, errors, context)
        folder = f"runs/{planned.run_id}"
        if not missing and context.store.is_done(folder):
            reporter.say("The report is there already and is not made again")
            summary = context.store.read_json(f"{folder}/report/summary.json")
        else:
            context.store.write_json(f"{folder}/run.json", facts)
            summary = make_report(planned.run_id, context)
            if not errors:
                context.store.mark_done(folder, {"n_folds": len(jobs)})
        reporter.say(f"\n{report.terminal(summary)}\n")
        reporter.say(f"Report: {context.store.at(f'{folder}/report/index.html')}")
        reporter.say(f"All of it took {time.perf_counter() - started:.1f} s")
        return summary


def _prepare(corpus: CorpusPlan, planned: Plan, context: RunContext) -> CorpusRun:
    name = corpus.corpus.name
    scanned = scan(name, corpus, context)
    folders, jobs = {}, []
    for seed in corpus.seeds:
        folders[seed], folds = split(name, seed, scanned, planned.protocol, corpus.n_folds, context)
        wanted = corpus.n_folds
        if planned.protocol.uses_folds and len(folds) != wanted:
            context.reporter.say(
                f"{name}: {len(folds)} folds instead of {wanted}, which is as many as {planned.protocol.name} can make"
            )
        fold_rows = to_table(scanned.columns, folds)
        given = None if corpus.weights is None else corpus.weights[seed]
        if given is not None and len(given) != len(folds):
            raise SplitError(
                f"{planned.protocol.name} makes {len(folds)} folds of {name}, and there are {len(given)} files of weights. "
                "Use the --folds and --protocol that the weights were trained with."
            )
        for number, rows in enumerate(folds, start=1):
            settings = _fold_settings(corpus, scanned, planned, seed, number)
            of_fold = fold_rows.filter([f == number for f in fold_rows["fold"].to_pylist()])
            digest = hashlib.sha256(
                "\n".join(
                    f"{u} {p}"
                    for u, p in zip(of_fold["utterance_id"].to_pylist(), of_fold["part"].to_pylist(), strict=True)
                ).encode()
            ).hexdigest()
            versions = {package: importlib.metadata.version(package) for package in VERSIONS_THAT_TRAIN}
            trained_by: Any = settings.that_train()
            if given is not None:
                data, _ = contents(given[number - 1], MAX_WEIGHTS_BYTES)
                trained_by = {"model": asdict(settings.model), "weights": hashlib.sha256(data).hexdigest()}
            features = features_folder(scanned, planned.profile)
            key = identity(TRAINING_VERSION, features, digest, trained_by, versions)
            kind, weights = ("trained", None) if given is None else ("evaluated", given[number - 1])
            jobs.append(FoldJob(name, seed, number, scanned.columns, rows, settings, f"{kind}/{name}/{key}", weights))
    return CorpusRun(corpus, scanned, folders, jobs)


def _fold_settings(corpus: CorpusPlan, scanned: Scanned, planned: Plan, seed: int, fold: int) -> FoldSettings:
    return FoldSettings(
        model=ModelSettings(
            name=planned.settings.model,
            n_frames=n_frames(planned.profile, scanned.signal_length),
            n_coefficients=planned.profile.n_coefficients,
            n_classes=len(corpus.corpus.labels),
            n_tabs=corpus.corpus.n_tabs,
            dropout=corpus.recipe.dropout,
        ),
        recipe=corpus.recipe,
        selection=planned.protocol.selection,
        seed=seed,
        fold=fold,
        checkpoint_every_epochs=planned.settings.checkpoint_every_epochs,
    )


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
    with context.timed("train"), ThreadPoolTaskRunner(max_workers=pool.size) as runner:
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


def _facts(
    planned: Plan, kind: str, runs: list[CorpusRun], trained: set[str], errors: dict[str, str], context: RunContext
) -> dict[str, Any]:
    """What the run is made of, as run.json: all that the report needs besides the folders that it names."""
    recipes = {corpus.planned.corpus.name: corpus.planned.recipe for corpus in runs}
    model = models.get(planned.settings.model)
    return {
        "run_id": planned.run_id,
        "kind": kind,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "settings": planned.settings.model_dump(mode="json"),
        "versions": {
            "timnet": __version__,
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in VERSIONS_SHOWN},
        },
        "machine": machine(),
        "recipe": _one_or_each(recipes),
        "protocol": {
            "name": planned.protocol.name,
            "description": planned.protocol.description,
            "selection": planned.protocol.selection if isinstance(planned.settings, RunSettings) else "given",
            "keeps_apart": list(planned.protocol.keeps_apart),
        },
        "features": asdict(planned.profile),
        "model": {"name": model.name, "description": model.description, "n_parameters": _n_parameters(runs, context)},
        "corpora": {
            corpus.planned.corpus.name: _corpus_facts(corpus, planned, trained, errors, context) for corpus in runs
        },
        "timings": context.timings,
    }


def _one_or_each(recipes: dict[str, Recipe]) -> dict[str, Any]:
    """One recipe where all corpora share it, else one a corpus."""
    described = {name: asdict(recipe) for name, recipe in recipes.items()}
    first = next(iter(described.values()))
    return first if all(recipe == first for recipe in described.values()) else described


def _corpus_facts(
    corpus: CorpusRun, planned: Plan, trained: set[str], errors: dict[str, str], context: RunContext
) -> dict[str, Any]:
    card, scanned = corpus.planned.corpus, corpus.scanned
    seeds: dict[str, Any] = {str(seed): {"split": folder, "folds": []} for seed, folder in corpus.splits.items()}
    for job in corpus.jobs:
        done = context.store.is_done(job.folder)
        seconds = context.store.read_json(f"{job.folder}/metrics.json")["seconds"]["total"] if done else None
        seeds[str(job.seed)]["folds"].append(
            {
                "fold": job.fold,
                "path": job.folder,
                "state": "completed" if done else "failed",
                "error": None if done else errors.get(job.name, "not finished"),
                "reused": job.folder not in trained,
                "seconds": seconds,
            }
        )
    return {
        "title": card.title,
        "language": card.language,
        "licence": card.licence,
        "synthetic": card.synthetic,
        "labels": list(card.labels),
        "n_utterances": scanned.table.num_rows,
        "duration_s": sum(scanned.table["duration_s"].to_pylist()),
        "signal_length": scanned.signal_length,
        "manifest": scanned.folder,
        "features": features_folder(scanned, planned.profile),
        "problems": [asdict(problem) for problem in scanned.problems],
        "notes": list(scanned.notes),
        "seeds": seeds,
    }


def _n_parameters(runs: list[CorpusRun], context: RunContext) -> dict[str, int]:
    result = {}
    for corpus in runs:
        for job in corpus.jobs:
            if context.store.is_done(job.folder):
                result[job.corpus] = context.store.read_json(f"{job.folder}/metrics.json")["n_parameters"]
                break
    return result


def machine() -> dict[str, Any]:
    """The machine that drives the run; on a cluster the workers may be others."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "hostname": socket.gethostname(),
        "cpu": platform.processor() or platform.machine(),
        "n_cpus": os.cpu_count(),
        "memory_gib": round(pages * size / 2**30, 1),
        "gpus": int(ray.cluster_resources().get("GPU", 0)) if ray.is_initialized() else 0,
    }
