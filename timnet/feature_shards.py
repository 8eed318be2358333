"""Where the features of a corpus lie in the store: shards of one size, each a folder with one table."""

import numpy as np

from timnet import tables
from timnet.errors import StoreError
from timnet.store import Store

FILES_PER_SHARD = 64  # part of where features lie, so it does not depend on the number of workers

FEATURES_FILE = "features.parquet"


def rows(n_files: int) -> list[range]:
    """Row numbers of each shard, in order."""
    return [range(start, min(start + FILES_PER_SHARD, n_files)) for start in range(0, n_files, FILES_PER_SHARD)]


def shard_folder(features_folder: str, number: int) -> str:
    return f"{features_folder}/shard-{number:05d}"


def read(store: Store, features_folder: str, number: int, shape: tuple[int, int]) -> tuple[list[str], np.ndarray]:
    """The ids of a shard and their features: float32 (n_utterances, n_frames, n_coefficients).

    `shape` is (n_frames, n_coefficients). Raises StoreError where the shard is missing or has another shape.
    """
    path = f"{shard_folder(features_folder, number)}/{FEATURES_FILE}"
    table = store.read_table(path, tables.features_schema(*shape))
    values = table["features"].combine_chunks().flatten().to_numpy()
    return table["utterance_id"].to_pylist(), values.reshape(-1, *shape)


def find(store: Store, features_folder: str, utterance_id: str, at_least: int) -> np.ndarray | None:
    """The features of one utterance, float32 (n_frames, n_coefficients); None where the store no longer has them.

    `at_least` is a row that it does not come before: in a joint corpus utterances of other emotions are left out, so
    that it lies there or further on. With the right row one shard is read.
    """
    try:
        facts = store.done(features_folder)
        shape = (facts["n_frames"], facts["n_coefficients"])
        first = min(at_least // FILES_PER_SHARD, facts["n_shards"])
        for number in (*range(first, facts["n_shards"]), *range(first)):
            ids, features = read(store, features_folder, number, shape)
            if utterance_id in ids:
                return features[ids.index(utterance_id)]
    except StoreError:  # deleted or broken; a run that needs them makes them again
        return None
    return None
