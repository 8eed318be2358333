"""What a Ray worker does with a shard of recordings. Imports no Prefect, so that a worker starts quickly."""

import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import ray

from timnet import audio, feature_shards, tables
from timnet.corpora import manifest
from timnet.corpora.base import Source
from timnet.errors import AudioError, BrokenFileError
from timnet.features import FeatureProfile, extract, n_frames
from timnet.store import Store


@ray.remote
def inspect_shard(source: Source, paths: Sequence[str]) -> list[audio.AudioFacts]:
    """Decode every recording once: its hash, duration and what is wrong with it; one entry a path."""
    return [manifest.inspect(source, path) for path in paths]


@ray.remote
def extract_shard(
    store: Store,
    folder: str,
    source: Source,
    recordings: Sequence[tuple[str, str, str]],
    profile: FeatureProfile,
    signal_length: int,
) -> float:
    """Extract the features of recordings, each its (utterance_id, path, audio_sha256), into a committed folder.

    Returns the seconds it took. Raises AudioError where a recording is no longer the one that was scanned.
    """
    started = time.perf_counter()
    schema = tables.features_schema(n_frames(profile, signal_length), profile.n_coefficients)
    matrices = []
    for _, path, audio_sha256 in recordings:
        samples, sample_rate_hz = audio.read(source.read_bytes(path), path)
        if audio.sha256(samples, sample_rate_hz) != audio_sha256:
            raise AudioError(
                f"{path} is another recording than when it was scanned. Run again when nothing changes it."
            )
        features = extract(samples, sample_rate_hz, profile, signal_length)
        if not np.isfinite(features).all():
            raise AudioError(f"{path}: its features are not finite numbers. Check the recording, or leave it out.")
        matrices.append(features.ravel())
    flat = pa.array(np.concatenate(matrices))
    columns = [
        pa.array([utterance_id for utterance_id, _, _ in recordings]),
        pa.FixedSizeListArray.from_arrays(flat, len(matrices[0])),
    ]
    store.write_table(f"{folder}/{feature_shards.FEATURES_FILE}", pa.Table.from_arrays(columns, schema=schema), schema)
    seconds = time.perf_counter() - started
    store.mark_done(folder, {"n_utterances": len(recordings), "seconds": seconds})
    return seconds


# It waits for the store more than it works, and has to run beside trainers that hold every CPU. Its process ends with it:
# it would keep the memory that the array was put together in as long as the run lasts.
@ray.remote(num_cpus=0, max_calls=1)
def load_features(store: Store, parts: Sequence[tuple[str, Sequence[str]]]) -> np.ndarray:
    """The features of (folder, utterance_ids) parts, one after the other and in the order asked for.

    One float32 array (n_utterances, n_frames, n_coefficients); utterances that are not asked for are left out. Runs as a
    task so that the array goes from the store into Ray's object store without passing through the driver.
    """
    markers = [store.done(folder) for folder, _ in parts]
    (shape,) = {(facts["n_frames"], facts["n_coefficients"]) for facts in markers}  # one length and profile for all
    result = np.empty((sum(len(ids) for _, ids in parts), *shape), np.float32)
    start = 0
    for (folder, utterance_ids), facts in zip(parts, markers, strict=True):
        _fill(result[start : start + len(utterance_ids)], store, folder, facts["n_shards"], utterance_ids)
        start += len(utterance_ids)
    return result


def _fill(result: np.ndarray, store: Store, folder: str, n_shards: int, utterance_ids: Sequence[str]) -> None:
    row = {utterance: i for i, utterance in enumerate(utterance_ids)}
    found = np.zeros(len(row), bool)
    for number in range(n_shards):
        ids, features = feature_shards.read(store, folder, number, result.shape[1:])
        wanted = [(i, row[utterance]) for i, utterance in enumerate(ids) if utterance in row]
        if wanted:
            taken, rows = (list(numbers) for numbers in zip(*wanted, strict=True))
            result[rows] = features[taken]
            found[rows] = True
    if not found.all():
        missing = f"{store.at(folder)} lacks {int((~found).sum())} utterances. Delete it and run again."
        raise BrokenFileError(missing, f"{folder}/{feature_shards.FEATURES_FILE}")
