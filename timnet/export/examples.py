"""Features of recordings that a model was made for, to check a file with: the run's own where they are there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from timnet import audio, feature_shards, features
from timnet.corpora import demo
from timnet.errors import AudioError, ConfigError, CorpusError
from timnet.plan import located_corpus
from timnet.store import Store
from timnet.synthesis import RATE_HZ
from timnet.trained import Trained

N_EXAMPLES = 8


@dataclass(frozen=True)
class Examples:
    features: np.ndarray  # (n, n_frames, n_coefficients) float32, n at least 1
    source: str  # what they are of, for people: it goes along with the file, and says nothing of this machine
    real: bool  # of recordings, not of synthetic speech made for this
    where: str = ""  # they were found, or why none were, for who exports


def examples(trained: Trained, store: Store, data_root: str | None = None) -> Examples:
    """Stored features of the run that the model is of; else made from recordings of its corpus in data_root, or where
    the run had them; else made from synthetic speech, and why is said.

    Raises BrokenFileError where stored features cannot be read.
    """
    facts = _facts(trained, store)
    if matrices := list(_stored(trained, store, facts)):
        return Examples(np.stack(matrices), f"stored features of the run {trained.run_id}", True)
    root = data_root or facts.get("settings", {}).get("data_root")
    why = "no --data-root was given"
    if trained.synthetic:
        why = "its corpus is synthetic"
    elif root is not None:
        try:
            if matrices := list(_recorded(trained, root)):
                return Examples(
                    np.stack(matrices), f"recordings of {trained.corpus}", True, f"The recordings are from {root}."
                )
            why = f"{root} holds no recording of {trained.corpus} that can be read"
        except (ConfigError, CorpusError) as error:
            why = str(error).rstrip(".")
    where = f"There were no recordings to check with: the store has no features of this model, and {why}."
    return Examples(np.stack(list(_synthetic(trained))), "SYNTHETIC speech made by timnet", False, where)


def _facts(trained: Trained, store: Store) -> dict[str, Any]:
    """run.json of the run that the model is of; empty where it is not in this store."""
    path = f"runs/{trained.run_id}/run.json"
    return store.read_json(path) if trained.run_id and store.exists(path) else {}


def _stored(trained: Trained, store: Store, facts: Mapping[str, Any]) -> Iterator[np.ndarray]:
    entries: Mapping[str, dict[str, Any]] = facts.get("corpora", {})
    joint = next((entry for entry in entries.values() if entry.get("sources")), {})
    entry = entries.get(trained.corpus, joint)
    made = (facts.get("features"), entry.get("signal_length"))
    if made != (asdict(trained.profile), trained.signal_length):
        return  # none, or another run took the name since the model was saved
    shape = (trained.model.n_frames, trained.model.n_coefficients)
    shards: list[tuple[str, int]] = []
    for folder in entry["features"]:
        if store.is_done(folder):
            shards += [(folder, number) for number in range(store.done(folder)["n_shards"])]
    chosen = _spread(shards)
    for number, (folder, shard) in enumerate(chosen):
        _, matrices = feature_shards.read(store, folder, shard, shape)
        yield from _spread(list(matrices), N_EXAMPLES // len(chosen) + (number < N_EXAMPLES % len(chosen)))


def _recorded(trained: Trained, data_root: str) -> Iterator[np.ndarray]:
    """Raises ConfigError or CorpusError where the corpus is not there."""
    corpus, source = located_corpus(trained.corpus, data_root)
    for utterance in _spread(corpus.find(source).utterances):
        try:
            samples, rate_hz = audio.read(source.read_bytes(utterance.path), utterance.path)
        except AudioError:
            continue  # `timnet corpora check` is there to complain
        yield features.extract(samples, rate_hz, trained.profile, trained.signal_length)


def _synthetic(trained: Trained) -> Iterator[np.ndarray]:
    spoken = [(one, text, emotion) for one in demo.SPEAKERS for text in demo.SENTENCES for emotion in demo.EMOTIONS]
    for one in _spread(spoken[:: len(demo.EMOTIONS) + 1]):  # every emotion in turn
        samples = demo.utterance(*one).astype(np.float32) / 32_768
        yield features.extract(samples, RATE_HZ, trained.profile, trained.signal_length)


def _spread(things: Sequence[Any], n: int = N_EXAMPLES) -> list[Any]:
    """n of a sequence, or all where it has fewer, evenly from its beginning to its end."""
    rows = np.unique(np.linspace(0, len(things) - 1, n).round().astype(int)) if len(things) else ()
    return [things[int(row)] for row in rows]
