"""What a run was made of and with, as run.json: the report is made from it and the folders that it names."""

import datetime
import importlib.metadata
import os
import platform
import socket
from dataclasses import asdict, dataclass
from typing import Any

import ray

from tasks.context import RunContext
from tasks.features import Scanned, features_folder
from tasks.jobs import FoldJob
from timnet import __version__, cross_corpus, models
from timnet.config import EvaluateSettings, Recipe
from timnet.plan import CorpusPlan, Plan

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


@dataclass(frozen=True)
class Part:
    """Where features of a corpus's recordings come from: the corpus itself, or one of those that are joined in it."""

    planned: CorpusPlan
    scanned: Scanned
    utterance_ids: tuple[str, ...]  # as the part names them


@dataclass
class CorpusRun:
    """One corpus on its way through a run."""

    planned: CorpusPlan
    scanned: Scanned
    parts: list[Part]  # in the order of the corpus's utterances
    splits: dict[int, str]  # seed -> folder
    jobs: list[FoldJob]


def run_facts(
    planned: Plan, runs: list[CorpusRun], trained: set[str], errors: dict[str, str], context: RunContext
) -> dict[str, Any]:
    """What the run is made of, as run.json: all that the report needs besides the folders that it names."""
    recipes = {corpus.planned.corpus.name: corpus.planned.recipe for corpus in runs}
    model = models.get(planned.settings.model)
    trains = not isinstance(planned.settings, EvaluateSettings)
    return {
        "run_id": planned.run_id,
        "kind": planned.settings.kind,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "settings": planned.settings.model_dump(mode="json"),
        "versions": {
            "timnet": __version__,
            "python": platform.python_version(),
            **{package: importlib.metadata.version(package) for package in VERSIONS_SHOWN},
        },
        "machine": machine(),
        "recipe": _one_or_each(recipes) if trains and model.is_network else {},
        "protocol": {
            "name": planned.protocol.name,
            "description": planned.protocol.description,
            "selection": planned.protocol.selection if trains else "given",
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
        "network": asdict(corpus.jobs[0].settings.model),  # the same for every fold
        "manifest": scanned.folder,
        "features": [features_folder(part.scanned, planned.profile) for part in corpus.parts],
        "problems": [asdict(problem) for problem in scanned.problems],
        "notes": list(scanned.notes),
        "sources": None
        if planned.joint is None
        else cross_corpus.sources(scanned.columns),  # what each fold trained on
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
