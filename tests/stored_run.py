"""A finished run in a store, made without training: real tables through the real store, with predictions drawn at random."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile

from timnet import audio, feature_shards, fold_tables, metrics, splits, tables
from timnet.audit import audit
from timnet.config import RECIPES, ModelSettings
from timnet.features import FEATURES, extract, n_frames
from timnet.splits import Columns
from timnet.store import Store

RUN = "cv-made-up"
N_EMBEDDING = 39
RATE_HZ = 16_000  # of recordings
PROFILE, SIGNAL_LENGTH = FEATURES["soxr_hq"], 110_250  # 5 s


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
    data_root: Path | None = None,
) -> str:
    """Write a run and everything that it points at; returns its id. With a data root also recordings and features."""
    written = {
        made.name: _corpus(store, made, seeds, n_folds, protocol, n_epochs, trained, data_root) for made in corpora
    }
    row = splits.get(protocol)
    store.write_json(
        f"runs/{run_id}/run.json",
        {
            "run_id": run_id,
            "kind": "cv" if trained else "evaluate",
            "created": "2025-03-14T15:09:26+00:00",
            "settings": {"corpora": [made.name for made in corpora], "seeds": list(seeds), "protocol": protocol, "skip_bad": False, "data_root": data_root and str(data_root)},
            "versions": {"timnet": "0.1.0", "python": "3.11.9", "keras": "3.15.0"},
            "machine": {"hostname": "prüfstand", "cpu": "x86_64", "n_cpus": 2, "memory_gib": 7.7, "gpus": 0},
            "recipe": asdict(RECIPES["demo"].having(n_epochs, None)),
            "protocol": {"name": row.name, "description": row.description, "selection": row.selection, "keeps_apart": list(row.keeps_apart)},
            "features": asdict(PROFILE),
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


def network_of(made: Made) -> ModelSettings:
    return ModelSettings("timnet", n_frames(PROFILE, SIGNAL_LENGTH), 39, len(made.labels), n_tabs=3)


def _corpus(
    store: Store, made: Made, seeds: Sequence[int], n_folds: int, protocol: str, n_epochs: int, trained: bool,
    data_root: Path | None,
) -> dict[str, Any]:  # fmt: skip
    manifest = manifest_of(made)
    if data_root is not None:
        manifest = _recorded(store, made, manifest, data_root / made.name)
    columns = Columns.of(made.name, made.labels, manifest)
    store.write_table(f"manifests/{made.name}/k/manifest.parquet", manifest, tables.MANIFEST)
    levels = pa.table(
        {
            "utterance_id": manifest["utterance_id"],
            "peak_dbfs": np.linspace(-20, 0, manifest.num_rows),
            "rms_dbfs": np.linspace(-40, -20, manifest.num_rows),
        },
        schema=tables.LEVELS,
    )
    store.write_table(f"manifests/{made.name}/k/levels.parquet", levels, tables.LEVELS)
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
        "signal_length": SIGNAL_LENGTH,
        "network": asdict(network_of(made)),
        "manifest": f"manifests/{made.name}/k",
        "features": [f"features/{made.name}/k"],
        "problems": list(made.problems),
        "notes": list(made.notes),
        "seeds": entries,
    }


def _recorded(store: Store, made: Made, manifest: pa.Table, folder: Path) -> pa.Table:
    """Write a gliding tone a row, with the durations of the manifest, and its features; returns what a scan would."""
    rows, matrices = manifest.to_pylist(), []
    for number, row in enumerate(rows):
        n_samples = int(row["duration_s"] * RATE_HZ)
        t = np.arange(n_samples) / RATE_HZ
        samples = 0.4 * np.sin(2 * np.pi * (150 + 10 * number + 60 * t) * t) * np.sin(np.pi * t / t[-1])
        file = folder / row["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, samples.astype(np.float32), RATE_HZ, subtype="PCM_16")
        decoded, _ = audio.read(file.read_bytes(), row["path"])
        row |= {"audio_sha256": audio.sha256(decoded, RATE_HZ), "duration_s": n_samples / RATE_HZ}
        matrices.append(extract(decoded, RATE_HZ, PROFILE, SIGNAL_LENGTH))
    listed = ["path,emotion,speaker", *(f"{row['path']},{row['emotion']},{row['speaker']}" for row in rows)]
    (folder / "manifest.csv").write_text("\n".join(listed), encoding="utf-8")
    schema, parts = tables.features_schema(*matrices[0].shape), feature_shards.rows(len(rows))
    for number, part in enumerate(parts):
        shard = feature_shards.shard_folder(f"features/{made.name}/k", number)
        columns = [
            pa.array([rows[i]["utterance_id"] for i in part]),
            pa.FixedSizeListArray.from_arrays(np.concatenate([matrices[i].ravel() for i in part]), matrices[0].size),
        ]
        table = pa.Table.from_arrays(columns, schema=schema)
        store.write_table(f"{shard}/{feature_shards.FEATURES_FILE}", table, schema)
        store.mark_done(shard, {})
    facts = {"n_shards": len(parts), "n_frames": matrices[0].shape[0], "n_coefficients": matrices[0].shape[1]}
    store.mark_done(f"features/{made.name}/k", facts)
    return pa.Table.from_pylist(rows, tables.MANIFEST)


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
    if selection == "test":
        store.write_table(
            f"{folder}/choices.parquet", _choices(random, made, columns, test, parts, n_epochs), tables.CHOICES
        )
    if n_epochs:
        history = history_of(random, n_epochs, n_classes, made.skill, parts["validation"] > 0, selection == "test")
        store.write_table(f"{folder}/history.parquet", history, tables.HISTORY)
    chosen = (
        None if not n_epochs else n_epochs if selection == "last" else int(random.integers(n_epochs // 2, n_epochs + 1))
    )
    kernel = (centres.T + random.normal(size=centres.T.shape)).astype(np.float32)
    weights = {"classifier/kernel": kernel, "input/mean": kernel[:, 0], "input/sd": np.ones(N_EMBEDDING, np.float32)}
    store.write_arrays(f"{folder}/weights.npz", weights)
    scores = metrics.scores(truth, predicted, n_classes)
    facts = {**scores, "chosen_epoch": chosen, "n_parameters": 106_992, "seconds": {"total": 12.5 + fold}}
    store.write_json(f"{folder}/metrics.json", facts)
    store.mark_done(folder, {})


def _choices(
    random: np.random.Generator, made: Made, columns: Columns, test: np.ndarray, parts: dict[str, int], n_epochs: int
) -> pa.Table:
    """What honest choices would have predicted: less well than the test part's own choice."""
    rows = []
    for choice in ("last", *(["validation"] if parts["validation"] else [])):
        for i in test:
            right = random.random() < 0.7 * made.skill
            index = columns.classes[i] if right else random.integers(len(made.labels))
            rows.append(
                {
                    "choice": choice,
                    "epoch": n_epochs,
                    "utterance_id": columns.utterance_id[i],
                    "predicted": made.labels[index],
                }
            )
    return pa.Table.from_pylist(rows, schema=tables.CHOICES)


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
