"""A finished run in a store, made without training: real tables through the real store, with predictions drawn at random."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from timnet import fold_tables, metrics, splits, tables
from timnet.audit import audit
from timnet.config import RECIPES
from timnet.splits import Columns
from timnet.store import Store

RUN = "cv-made-up"
N_EMBEDDING = 39


@dataclass(frozen=True)
class Made:
    """A corpus to be written."""

    name: str
    labels: tuple[str, ...] = ("angry", "happy", "neutral", "sad")
    speakers: tuple[str | None, ...] = ("anna", "bo", "jörg", "mei", "tom", "zoë")
    sentences: tuple[str, ...] = ("a01", "b02")
    skill: float = 0.8  # chance that a recording is recognised
    synthetic: bool = False
    failed: frozenset[tuple[int, int]] = frozenset()  # (seed, fold)
    error: str = "WorkerCrashedError: the worker died (out of memory)"
    problems: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    title: str = "Made-up acted speech"
    twins: int = 0  # recordings that are identical to the first
    skip: frozenset[str] = field(default=frozenset())  # utterance ids to leave out


def write_run(
    store: Store,
    corpora: Sequence[Made],
    seeds: Sequence[int] = (46, 47),
    n_folds: int = 3,
    protocol: str = "speaker-independent",
    n_epochs: int = 12,
    trained: bool = True,
    run_id: str = RUN,
) -> str:
    """Write a run and everything that it points at; returns its id."""
    written = {made.name: _corpus(store, made, seeds, n_folds, protocol, n_epochs, trained) for made in corpora}
    row = splits.get(protocol)
    store.write_json(
        f"runs/{run_id}/run.json",
        {
            "run_id": run_id,
            "kind": "cv" if trained else "evaluate",
            "created": "2025-03-14T15:09:26+00:00",
            "settings": {"corpora": [made.name for made in corpora], "seeds": list(seeds), "protocol": protocol, "skip_bad": False, "data_root": None},
            "versions": {"timnet": "0.1.0", "python": "3.11.9", "keras": "3.15.0"},
            "machine": {"hostname": "prüfstand", "cpu": "x86_64", "n_cpus": 2, "memory_gib": 7.7, "gpus": 0},
            "recipe": asdict(RECIPES["demo"].with_epochs(n_epochs)),
            "protocol": {"name": row.name, "description": row.description, "selection": row.selection, "keeps_apart": list(row.keeps_apart)},
            "features": {"name": "soxr_hq", "description": "MFCC", "sample_rate_hz": 22_050, "n_coefficients": 39},
            "model": {"name": "timnet", "description": "TIM-Net", "n_parameters": {made.name: 106_992 for made in corpora}},
            "corpora": written,
            "timings": [{"name": "extract", "seconds": 3.2, "reused": False}, {"name": "train", "seconds": 241.0, "reused": False}],
        },
    )  # fmt: skip
    return run_id


def manifest_of(made: Made) -> pa.Table:
    """Every speaker says every sentence in every emotion, in the order of the classes."""
    random = np.random.default_rng(len(made.name))
    rows = []
    for index, emotion in enumerate(made.labels):
        for speaker in made.speakers:
            for sentence in made.sentences:
                path = f"{speaker or 'someone'}/{sentence}-{emotion}.wav"
                if path[:-4] not in made.skip:
                    rows.append((path, speaker, sentence, emotion, index, float(random.uniform(1.1, 6.5))))
    paths, speakers, sentences, emotions, indices, durations = (list(column) for column in zip(*rows, strict=True))
    n = len(rows)
    return pa.table(
        {
            "utterance_id": [path[:-4] for path in paths],
            "path": paths,
            "audio_sha256": [f"{0 if i <= made.twins else i:064x}" for i in range(n)],
            "speaker": pa.array(speakers, pa.string()),
            "sentence": sentences,
            "session": pa.nulls(n, pa.string()),
            "emotion": emotions,
            "class_index": pa.array(indices, pa.int32()),
            "duration_s": durations,
            "sample_rate_hz": pa.array([16_000] * n, pa.int32()),
            "n_channels": pa.array([1] * n, pa.int32()),
        },
        schema=tables.MANIFEST,
    )


def _corpus(
    store: Store, made: Made, seeds: Sequence[int], n_folds: int, protocol: str, n_epochs: int, trained: bool
) -> dict[str, Any]:
    manifest = manifest_of(made)
    columns = Columns.of(made.name, made.labels, manifest)
    store.write_table(f"manifests/{made.name}/k/manifest.parquet", manifest, tables.MANIFEST)
    store.mark_done(f"manifests/{made.name}/k", {"notes": list(made.notes)})
    row = splits.get(protocol)
    entries = {}
    for seed in seeds:
        folds = splits.split(protocol, columns, n_folds, seed)
        split = f"splits/{made.name}/{seed}"
        store.write_table(f"{split}/folds.parquet", fold_tables.to_table(columns, folds), tables.FOLDS)
        store.write_json(f"{split}/audit.json", audit(row, columns, manifest, folds))
        store.mark_done(split, {})
        listed = []
        for number, (train, validation, test) in enumerate(folds, start=1):
            folder, failed = f"trained/{made.name}/{seed}-{number}", (seed, number) in made.failed
            if not failed:
                parts = {"train": len(train), "validation": len(validation), "test": len(test)}
                _trained(
                    store, folder, made, columns, test, parts, row.selection, n_epochs if trained else 0, seed, number
                )
            listed.append(
                {
                    "fold": number,
                    "path": folder,
                    "state": "failed" if failed else "completed",
                    "error": made.error if failed else None,
                    "reused": number == 2,
                    "seconds": None if failed else 12.5 + number,
                }
            )
        entries[str(seed)] = {"split": split, "folds": listed}
    return {
        "title": made.title,
        "language": "Klingon",
        "licence": "CC0",
        "synthetic": made.synthetic,
        "labels": list(made.labels),
        "n_utterances": manifest.num_rows,
        "duration_s": sum(manifest["duration_s"].to_pylist()),
        "signal_length": 110_250,  # 5 s
        "manifest": f"manifests/{made.name}/k",
        "features": f"features/{made.name}/k",
        "problems": list(made.problems),
        "notes": list(made.notes),
        "seeds": entries,
    }


def _trained(
    store: Store, folder: str, made: Made, columns: Columns, test: np.ndarray, parts: dict[str, int],
    selection: str, n_epochs: int, seed: int, fold: int,
) -> None:  # fmt: skip
    random = np.random.default_rng([seed, fold, len(made.labels)])
    n_classes, truth = len(made.labels), columns.classes[test]
    predicted = np.where(random.random(len(test)) < made.skill, truth, random.integers(n_classes, size=len(test)))
    centres = random.normal(size=(n_classes, N_EMBEDDING)) * 0.9
    embedding = centres[predicted] * 0.7 + centres[truth] * 0.3 + random.normal(size=(len(test), N_EMBEDDING)) * 0.6
    probabilities = np.full((len(test), n_classes), 0.3 / n_classes) + 0.7 * np.eye(n_classes)[predicted]
    table = pa.table(
        {
            "corpus": [made.name] * len(test),
            "seed": pa.array([seed] * len(test), pa.int64()),
            "fold": pa.array([fold] * len(test), pa.int32()),
            "utterance_id": [columns.utterance_id[i] for i in test],
            "speaker": pa.array([columns.speaker[i] for i in test], pa.string()),
            "emotion": [made.labels[i] for i in truth],
            "predicted": [made.labels[i] for i in predicted],
            "probabilities": pa.array(probabilities.astype(np.float32).tolist(), pa.list_(pa.float32())),
            "embedding": pa.array(embedding.astype(np.float32).tolist(), pa.list_(pa.float32())),
        },
        schema=tables.PREDICTIONS,
    )
    store.write_table(f"{folder}/predictions.parquet", table, tables.PREDICTIONS)
    if n_epochs:
        history = history_of(random, n_epochs, n_classes, made.skill, parts["validation"] > 0, selection == "test")
        store.write_table(f"{folder}/history.parquet", history, tables.HISTORY)
    chosen = (
        None if not n_epochs else n_epochs if selection == "last" else int(random.integers(n_epochs // 2, n_epochs + 1))
    )
    scores = metrics.scores(truth, predicted, n_classes)
    facts = {**scores, "chosen_epoch": chosen, "n_parameters": 106_992, "seconds": {"total": 12.5 + fold}}
    store.write_json(f"{folder}/metrics.json", facts)
    store.mark_done(folder, {})


def history_of(
    random: np.random.Generator, n_epochs: int, n_classes: int, skill: float, validation: bool, test: bool
) -> pa.Table:
    """Curves that fall and rise as training does: fast at first, the training side to the end."""
    progress = 1 - np.exp(-6 * np.arange(1, n_epochs + 1) / n_epochs)
    start = np.log(n_classes)

    def noisy(values: np.ndarray, amount: float) -> np.ndarray:
        return np.maximum(values + random.normal(size=n_epochs) * amount, 0)

    others = {}
    for part, there in (("validation", validation), ("test", test)):
        loss = noisy(start * (1 - 0.6 * progress) + 0.2 * progress**4, 0.05)
        accuracy = np.clip(noisy(1 / n_classes + (skill - 1 / n_classes) * progress, 0.02), 0, 1)
        others[f"{part}_loss"] = pa.array(loss) if there else pa.nulls(n_epochs, pa.float64())
        others[f"{part}_accuracy"] = pa.array(accuracy) if there else pa.nulls(n_epochs, pa.float64())
    return pa.table(
        {
            "epoch": pa.array(range(1, n_epochs + 1), pa.int32()),
            "learning_rate": [1e-3] * n_epochs,
            "train_loss": noisy(start * (1 - 0.7 * progress), 0.02),
            "train_accuracy": np.clip(noisy(1 / n_classes + (1 - 1 / n_classes) * progress, 0.01), 0, 1),
            **others,
            "seconds": [0.4] * n_epochs,
        },
        schema=tables.HISTORY,
    )
