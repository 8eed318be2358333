"""Features in the store: read against extracted anew, and how Parquet encodes them best: `python -m tests.bench.stored`.

Part of `make bench`. On EMO-DB, where TIMNET_DATA_ROOT or ../shared/corpora has it, else on the synthetic demo corpus. One
process, which `make bench` keeps to one thread; rounds alternate.
"""

import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.command import Environment
from tasks import shards
from tests.bench import ratios
from timnet import audio, corpora, feature_shards, features, tables
from timnet.corpora import demo
from timnet.corpora.base import Corpus, Source
from timnet.errors import CorpusError
from timnet.store import Store

ROUNDS = 7
PROFILE = features.FEATURES["soxr_hq"]
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "corpora"
INTEGRATION = Path(__file__).resolve().parents[1] / "integration"

# What is counted of an encoding: features are written once and read by every run, over a network as a gigabit has it.
READS, LINK_MB_PER_S = 10, 100

CODECS: dict[str, dict] = {
    "none": {"compression": "none"},
    "snappy": {"compression": "snappy"},
    "lz4": {"compression": "lz4"},
    **{f"zstd {level}": {"compression": "zstd", "compression_level": level} for level in (1, 3, 6, 9)},
}


def corpus_at_hand(store: Store) -> tuple[Corpus, Source]:
    for root in filter(None, (Environment().data_root, str(BESIDE))):
        try:
            return corpora.get("EMODB"), corpora.locate(corpora.get("EMODB"), root)
        except CorpusError:
            continue
    return demo.CORPUS, Source(store.at(demo.write(store)))


def extract(source: Source, paths: Sequence[str], signal_length: int) -> np.ndarray:
    """Anew from the recordings; kept nowhere."""
    recordings = (audio.read(source.read_bytes(path), path) for path in paths)
    return np.stack([features.extract(*recording, PROFILE, signal_length) for recording in recordings])


def keep(store: Store, source: Source, paths: Sequence[str], signal_length: int) -> None:
    """Extract into the folder `features` of the store, as a run does it."""
    parts = feature_shards.rows(len(paths))
    for number, rows in enumerate(parts):
        recordings = [(paths[i], paths[i], _sha256(source, paths[i])) for i in rows]
        folder = feature_shards.shard_folder("features", number)
        shards.extract_shard._function(store, folder, source, recordings, PROFILE, signal_length)
    shape = {"n_frames": features.n_frames(PROFILE, signal_length), "n_coefficients": PROFILE.n_coefficients}
    store.mark_done("features", {"n_shards": len(parts), **shape})


def _sha256(source: Source, path: str) -> str:
    return audio.sha256(*audio.read(source.read_bytes(path), path))


def timed(work: Callable[..., object], *arguments: object) -> float:
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


def reading(
    name: str, where: str, source: Source, store: Store, paths: Sequence[str], length: int, rounds: int
) -> ratios.Ratio:
    """Reading all features as a run does it, against making them again."""
    load = shards.load_features._function
    assert (load(store, [("features", paths)]) == extract(source, paths, length)).all()
    pairs = [(timed(extract, source, paths, length), timed(load, store, [("features", paths)])) for _ in range(rounds)]
    what = f"features of {name} from the store, {where}"
    return ratios.Ratio(what, f"extracting them again from recordings {where}", pairs, f"{len(paths)} recordings")


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """The URI of a bucket on a real S3 server on loopback, that of the tests."""
    sys.path.append(str(INTEGRATION))
    from s3 import BUCKET, Server, forget_sessions, free_port

    server = Server(folder, free_port())
    server.bucket.mkdir(parents=True)
    with mock.patch.dict(os.environ, server.environment()):
        forget_sessions()
        server.start()
        try:
            yield f"s3://{BUCKET}"
        finally:
            server.kill()
            forget_sessions()


def write(table: pa.Table, options: dict) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, write_page_checksum=True, **options)
    return sink.getvalue().to_pybytes()


def read(data: bytes) -> np.ndarray:
    table = pq.read_table(io.BytesIO(data), page_checksum_verification=True)
    return table["features"].combine_chunks().flatten().to_numpy()


def encodings(name: str, shards_of: Sequence[pa.Table], in_store: int, rounds: int) -> ratios.Table:
    """Size and speed of every codec, with and without splitting floats by byte; `in_store` is the bytes of the store's own."""
    ways: dict[str, dict] = {"snappy, dictionary (pyarrow's default)": {}}
    for codec, options in CODECS.items():
        ways[codec] = {**options, "use_dictionary": ["utterance_id"]}
        ways[f"{codec}, floats split by byte"] = ways[codec] | {"use_byte_stream_split": ["features.list.element"]}
    took: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    size = {}
    for _ in range(rounds):
        for way, options in ways.items():
            started = time.perf_counter()
            written = [write(table, options) for table in shards_of]
            between = time.perf_counter()
            for data in written:
                read(data)
            took[way].append((between - started, time.perf_counter() - between))
            size[way] = sum(map(len, written))
    cost, rows = {}, []
    for way in ways:
        writing, reading = np.median(took[way], axis=0)
        on_the_way = size[way] / 1e6 / LINK_MB_PER_S
        cost[way] = writing + on_the_way + READS * (reading + on_the_way)
        rows.append([way, f"{size[way] / 1e6:.2f} MB", f"{writing:.3f} s", f"{reading:.3f} s", f"{cost[way]:.2f} s"])
    best = min(cost, key=cost.__getitem__)
    return ratios.Table(
        "How features are encoded",
        f"All {len(shards_of)} shards of {name} ({sum(table.num_rows for table in shards_of)} recordings) as Parquet in "
        f"memory, medians of {rounds} rounds. The last column is what decides: written once and read {READS} times, each over "
        f"a link of {LINK_MB_PER_S} MB/s.",
        ["codec", "size", "write", "read", f"written once, read {READS} times"],
        [[f"**{cell}**" for cell in row] if row[0] == best else row for row in rows],
        [f"the store has them as {' or '.join(way for way in ways if size[way] == in_store) or 'none of these'}"],
    )


def main(rounds: int = ROUNDS, limit: int | None = None) -> list[ratios.Ratio | ratios.Table]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"{folder}/local")
        corpus, source = corpus_at_hand(store)
        paths = [utterance.path for utterance in corpus.find(source).utterances][:limit]
        length = corpus.mean_signal_length or 0
        keep(store, source, paths, length)
        found: list[ratios.Ratio | ratios.Table] = [
            reading(corpus.name, "on a local disk", source, store, paths, length, rounds)
        ]
        with s3(Path(folder) / "s3") as uri:
            there = Store(f"{uri}/store")
            for path in paths:
                Store(uri).write_bytes(f"data/{path}", source.read_bytes(path))
            keep(there, Source(f"{uri}/data"), paths, length)
            found.append(
                reading(corpus.name, "on S3 (rclone, loopback)", Source(f"{uri}/data"), there, paths, length, rounds)
            )
        schema = tables.features_schema(features.n_frames(PROFILE, length), PROFILE.n_coefficients)
        numbers = range(len(feature_shards.rows(len(paths))))
        files = [f"{feature_shards.shard_folder('features', n)}/{feature_shards.FEATURES_FILE}" for n in numbers]
        tables_of = [store.read_table(file, schema) for file in files]
        found.append(encodings(corpus.name, tables_of, sum(len(store.read_bytes(file)) for file in files), rounds))
    return found


if __name__ == "__main__":
    print(ratios.table(main(*map(int, sys.argv[1:]))))
