"""The trained model of a run, from the store."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from timnet import corpora, feature_shards, run_files, tables, timbre
from timnet.config import ModelSettings
from timnet.corpora.base import NOT_STATED
from timnet.errors import ConfigError, StoreError
from timnet.features import FeatureProfile
from timnet.store import Store
from timnet.timbre import Timbre
from timnet.trained.base import QUANTILES, WEIGHTS_FILE, Heard, Quantiles, Trained, TrainedFold
from timnet.trained.scores import scores

SHARDS = 16  # of features, about a thousand recordings: more would not be known better, and take long to read


def of_run(
    store: Store, run_id: str, corpus: str | None = None, seed: int | None = None, fold: int | None = None
) -> Trained:
    """All folds of a run, or those of one seed, or one fold.

    `corpus` says which where the run has several. In a run across corpora, each fold was trained on one of them: then
    it says on which. Folds that did not finish are named in `missing`. Raises StoreError where there is no such run,
    it is unfinished or none of the wanted folds finished, and ConfigError where there is no such corpus, seed or fold.
    """
    facts = run_files.facts(store, run_id)
    name, entry, source = _corpus(facts, corpus)
    try:
        model, profile = ModelSettings(**entry["network"]), FeatureProfile(**facts["features"])
        signal_length = entry["signal_length"]
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"The run {run_id} in {store.uri} was reported by another version, which does not note the shape of the model "
            f"as this one does. Delete the run (timnet runs delete {run_id} --yes) and give its command again: its folds "
            "are kept, and only the report is made anew."
        ) from error
    sources = entry.get("sources") or ()
    if source is not None:
        fold = 1 + sources.index(source)
    folds, missing = _folds(store, entry, run_id, seed, fold)
    licences, language = _stated(name, entry, source)
    return Trained(
        name=f"{facts['model']['name']} of the run {run_id}, trained on {source or name}",
        corpus=name,
        labels=tuple(entry["labels"]),
        model=model,
        profile=profile,
        signal_length=signal_length,
        folds=folds,
        missing=missing,
        run_id=run_id,
        title=entry["title"],
        licences=licences,
        recorded={"language": language, **_counted(store, entry, source)},
        synthetic=bool(entry["synthetic"]),
        protocol={key: facts["protocol"][key] for key in ("name", "description", "selection")},
        scores=scores(store, facts, name, lambda of, number: seed in (None, of) and fold in (None, number)),
        versions=facts["versions"],
        heard=_heard(store, entry, source),
    )


def _corpus(facts: dict[str, Any], wanted: str | None) -> tuple[str, dict[str, Any], str | None]:
    """Name and entry of the corpus that is meant, and the one of several joint ones that is; raises ConfigError."""
    entries = facts["corpora"]
    joint = next((name for name, entry in entries.items() if entry.get("sources")), None)
    names = [*entries, *(entries[joint]["sources"] if joint else ())]
    if wanted is None and len(entries) == 1:
        wanted = next(iter(entries))
    canonical = {name.lower(): name for name in names}
    found = canonical.get((wanted or "").lower())
    if found is None:
        received = "received none" if wanted is None else f"received {wanted}"
        raise ConfigError(f"--corpus says which corpus of the run {facts['run_id']}: {', '.join(names)}; {received}.")
    return (found, entries[found], None) if found in entries else (str(joint), entries[joint], found)


def _folds(
    store: Store, entry: dict[str, Any], run_id: str, seed: int | None, fold: int | None
) -> tuple[tuple[TrainedFold, ...], tuple[str, ...]]:
    seeds = {int(number): described["folds"] for number, described in entry["seeds"].items()}
    if seed is not None and seed not in seeds:
        raise ConfigError(f"--seed {seed}: the run {run_id} has the seeds {', '.join(map(str, sorted(seeds)))}.")
    numbers = sorted({one["fold"] for folds in seeds.values() for one in folds})
    if fold is not None and fold not in numbers:
        raise ConfigError(f"--fold {fold}: the run {run_id} has the folds {numbers[0]} to {numbers[-1]}.")
    sources = entry.get("sources")
    found, missing = [], []
    for number in sorted(seeds) if seed is None else [seed]:
        learnt_from = _learnt_from(store, entry["manifest"], entry["seeds"][str(number)]["split"])
        for one in seeds[number]:
            if fold is not None and one["fold"] != fold:
                continue
            if not store.is_done(one["path"]):
                error = one["error"] or f"{one['path']} is no longer in the store"
                missing.append(f"seed {number} fold {one['fold']}: {error}")
                continue
            weights = store.read_arrays(f"{one['path']}/{WEIGHTS_FILE}")
            trained_on = sources[one["fold"] - 1] if sources else None
            learnt = frozenset(learnt_from[one["fold"]])
            found.append(TrainedFold(number, one["fold"], weights, trained_on, learnt))
    if not found:
        raise StoreError(
            f"The run {run_id} in {store.uri} has no finished fold to predict with; missing are {'; '.join(missing)}. "
            "Give the run's command again."
        )
    return tuple(found), tuple(missing)


def _learnt_from(store: Store, manifest: str, split: str) -> Mapping[int, set[str]]:
    """The audio_sha256 of the recordings that each fold was trained with; of an older store perhaps of none."""
    found: dict[int, set[str]] = defaultdict(set)
    paths = f"{manifest}/manifest.parquet", f"{split}/folds.parquet"
    if not all(map(store.exists, paths)):
        return found
    listed, folds = store.read_table(paths[0], tables.MANIFEST), store.read_table(paths[1], tables.FOLDS)
    sha256 = dict(zip(listed["utterance_id"].to_pylist(), listed["audio_sha256"].to_pylist(), strict=True))
    for row in folds.to_pylist():
        if row["part"] == "train":
            found[row["fold"]].add(sha256[row["utterance_id"]])
    return found


def _stated(name: str, entry: dict[str, Any], source: str | None) -> tuple[dict[str, str], str]:
    """The licence of every corpus that was trained on, by its name, and their languages; a joint corpus has those of
    its parts."""
    if not entry.get("sources"):
        return {name: entry["licence"]}, entry["language"]
    parts = [source] if source else entry["sources"]
    cards = {part: corpora.get(part) if part in corpora.names() else None for part in parts}
    languages = dict.fromkeys(card.language if card else NOT_STATED for card in cards.values())
    return {part: card.licence if card else NOT_STATED for part, card in cards.items()}, ", ".join(languages)


def _counted(store: Store, entry: dict[str, Any], source: str | None) -> dict[str, int | None]:
    """Recordings and speakers of the corpus, or of the one of several joint ones."""
    path = f"{entry['manifest']}/manifest.parquet"
    if not store.exists(path):
        return {"n_recordings": entry["n_utterances"] if source is None else None, "n_speakers": None}
    table = store.read_table(path, tables.MANIFEST)
    named = zip(table["utterance_id"].to_pylist(), table["speaker"].to_pylist(), strict=True)
    speakers = [speaker for name, speaker in named if source is None or name.startswith(f"{source}/")]
    return {"n_recordings": len(speakers), "n_speakers": len(set(speakers)) if None not in speakers else None}


def _heard(store: Store, entry: dict[str, Any], source: str | None) -> Heard:
    """Of a finished scan; one of an older version knows no levels."""
    manifest, folders = entry["manifest"], entry["features"]
    if source is not None:
        folders = [one for one in folders if one.startswith(f"features/{source}/")]
    beginning = "" if source is None else f"{source}/"

    def quantiles(path: str, schema: Any, *columns: str) -> list[Quantiles | None]:
        if not store.exists(path):
            return [None] * len(columns)
        table = store.read_table(path, schema)
        rows = [i for i, name in enumerate(table["utterance_id"].to_pylist()) if name.startswith(beginning)]
        return [of_recordings(table[column].to_numpy()[rows]) for column in columns]

    duration_s, sample_rate_hz = quantiles(
        f"{manifest}/manifest.parquet", tables.MANIFEST, "duration_s", "sample_rate_hz"
    )
    peak_dbfs, rms_dbfs = quantiles(f"{manifest}/levels.parquet", tables.LEVELS, "peak_dbfs", "rms_dbfs")
    return Heard(duration_s, sample_rate_hz, peak_dbfs, rms_dbfs, _timbre(store, folders))


def _timbre(store: Store, folders: Sequence[str]) -> Timbre | None:
    """Of the features of some shards, evenly from all; None where the store no longer has them."""
    found: list[np.ndarray | None] = []
    try:
        for folder in folders:
            facts = store.done(folder)
            shape, last = (facts["n_frames"], facts["n_coefficients"]), facts["n_shards"] - 1
            evenly = np.linspace(0, last, max(1, SHARDS // len(folders))).round().astype(int)
            for number in sorted(set(evenly.tolist())):
                found += map(timbre.summary, feature_shards.read(store, folder, number, shape)[1])
    except StoreError:  # deleted or broken; a run that needs them makes them again
        return None
    known = [one for one in found if one is not None]
    return timbre.of_recordings(np.stack(known)) if known else None


def of_recordings(values: np.ndarray) -> Quantiles | None:
    """The quantiles of one number a recording; None where there is no recording."""
    if not len(values):
        return None
    low, middle, high = (float(value) for value in np.quantile(values, QUANTILES))
    return low, middle, high
