"""Memory of training at IEMOCAP's size: `python -m tests.bench.memory`, part of `make bench`.

Shards of synthetic features in a store, loaded as a run loads them, and trainers of the pool side by side that train on
them; /proc says from outside what each process holds. Every trainer trains on one small shard first, so that TensorFlow and
the network are there, and what it takes more for the whole corpus is seen by itself.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench import ratios
from timnet.recipes import RECIPES, FoldSettings, ModelSettings
from timnet.store import Store

N_UTTERANCES, N_FRAMES, N_COEFFICIENTS, N_CLASSES = 5531, 606, 39, 4  # IEMOCAP
LOOKS_PER_S = 50
KIB, MB = 1024, 1e6


@dataclass
class Measured:
    """Bytes; private ones are no other process's and no file's."""

    features: int
    object_store: int = 0  # what Ray's object store holds when all have trained
    driver: int = 0  # private, at most
    loader: int = 0  # private, at most, while the features are loaded
    loader_after: int = 0  # what of it is there when they are loaded and trainers are at work
    before: list[int] = field(default_factory=list)  # private of each trainer, after the small shard
    peak: list[int] = field(default_factory=list)  # at most, on the whole corpus
    mapped: list[int] = field(default_factory=list)  # of the object store, as each trainer sees it
    share: list[int] = field(default_factory=list)  # of that, divided among those who see it (PSS)
    seconds: float = 0.0  # of loading


def write_features(store: Store, folder: str, n: int, n_frames: int) -> list[str]:
    """Normal random numbers as features; returns the ids of the utterances."""
    import pyarrow as pa

    from timnet import feature_shards, tables

    schema, parts = tables.features_schema(n_frames, N_COEFFICIENTS), feature_shards.rows(n)
    for number, rows in enumerate(parts):
        values = np.random.default_rng(number).normal(size=len(rows) * n_frames * N_COEFFICIENTS).astype(np.float32)
        columns = [
            pa.array([f"u{row}" for row in rows]),
            pa.FixedSizeListArray.from_arrays(values, n_frames * N_COEFFICIENTS),
        ]
        file = f"{feature_shards.shard_folder(folder, number)}/{feature_shards.FEATURES_FILE}"
        store.write_table(file, pa.Table.from_arrays(columns, schema=schema), schema)
    store.mark_done(folder, {"n_shards": len(parts), "n_frames": n_frames, "n_coefficients": N_COEFFICIENTS})
    return [f"u{row}" for row in range(n)]


def private(pid: int) -> int:
    """Bytes of a process that belong to no file and no other process; 0 where it is gone."""
    try:
        found = re.search(r"^RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * KIB if found else 0


def of_object_store(pid: int) -> tuple[int, int]:
    """What a process has mapped of Ray's object store: resident bytes, and its share of them."""
    rss = share = 0
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            inside = "plasma" in line
        elif inside and (found := re.match(r"(Rss|Pss):\s+(\d+)", line)):
            if found[1] == "Rss":
                rss += int(found[2]) * KIB
            else:
                share += int(found[2]) * KIB
    return rss, share


def object_store_bytes() -> int:
    """What the file that is Ray's object store takes."""
    for pid, title in _children():
        if "/raylet" not in title:
            continue
        for entry in os.listdir(f"/proc/{pid}/fd"):
            try:
                if "plasma" in os.readlink(f"/proc/{pid}/fd/{entry}"):
                    return os.stat(f"/proc/{pid}/fd/{entry}").st_blocks * 512
            except OSError:
                continue
    raise RuntimeError("Ray's object store was not found")


def _children() -> Iterator[tuple[int, str]]:
    """Process id and title of everything that this process, or a child of it, has started."""
    parents, titles = {}, {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            titles[int(entry)] = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    for pid, title in titles.items():
        above = pid
        while above in parents and above != os.getpid():
            above = parents[above]
        if above == os.getpid() and pid != above:
            yield pid, title


@contextmanager
def watched() -> Iterator[dict[int, int]]:
    """The most that each of Ray's workers, and this process, holds privately inside the block, by process id."""
    peaks: dict[int, int] = {}
    over = threading.Event()

    def look() -> None:
        while not over.wait(1 / LOOKS_PER_S):
            for pid in [os.getpid(), *(pid for pid, title in _children() if title.startswith("ray::"))]:
                peaks[pid] = max(peaks.get(pid, 0), private(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


def measure(folder: str, n: int, model: dict[str, Any], n_train: int, epochs: int, trainers: int) -> Measured:
    """Load n utterances and train a network on n_train of them, in `trainers` processes at the same time."""
    import ray

    from tasks import cluster
    from tasks.pool import TrainerPool
    from tasks.shards import load_features
    from timnet import feature_shards
    from timnet.splits import Columns

    settings = ModelSettings("timnet", n_coefficients=N_COEFFICIENTS, n_classes=N_CLASSES, **model)
    store, few = Store(folder), feature_shards.FILES_PER_SHARD
    ids = write_features(store, "features", n, settings.n_frames)
    result = Measured(n * settings.n_frames * N_COEFFICIENTS * 4)
    recipe = replace(RECIPES["standardised"], epochs=epochs)

    def train(pool: TrainerPool, features: ray.ObjectRef, name: str, size: int, n_train: int) -> None:
        nobody = (None,) * size
        classes = (np.arange(size) % N_CLASSES).astype(np.int32)
        columns = Columns("BENCH", tuple(ids[:size]), classes, tuple("abcd"), nobody, nobody, nobody)
        rows = np.arange(size)
        parts = (rows[:n_train], rows[:0], rows[-few:])

        def fold(number: int) -> None:
            with pool.lease(threading.Event()) as actor:
                each = FoldSettings(settings, recipe, "last", 0, number, epochs)
                ray.get(actor.run.remote(features, columns, parts, each, store, f"{name}/{number}", None))

        with ThreadPoolExecutor(trainers) as threads:
            list(threads.map(fold, range(trainers)))

    with cluster.cluster("local"):
        pool = TrainerPool("bench", trainers, 1, 0)
        pool.warm_up(3 * trainers)  # twice they train; expecting more, they stay and can be looked at
        one_shard = load_features.remote(store, [("features", ids[:few])])
        train(pool, one_shard, "small", few, few)
        actors = [pid for pid, title in _children() if title.startswith("ray::FoldTrainer")]
        result.before = [private(pid) for pid in actors]
        del one_shard
        with watched() as peaks:
            started = time.perf_counter()
            features = load_features.remote(store, [("features", ids)])
            ray.wait([features], fetch_local=False)
            result.seconds = time.perf_counter() - started
        loader = max((pid for pid in peaks if pid not in (*actors, os.getpid())), key=lambda pid: peaks[pid])
        result.loader, result.driver = peaks[loader], peaks[os.getpid()]
        with watched() as peaks:
            train(pool, features, "large", n, n_train)
            result.loader_after = private(loader)
        result.peak = [peaks[pid] for pid in actors]
        result.driver = max(result.driver, peaks[os.getpid()])
        looks = [of_object_store(pid) for pid in actors]
        result.mapped, result.share = [rss for rss, _ in looks], [share for _, share in looks]
        result.object_store = object_store_bytes()
        pool.close()
    return result


def in_a_process(**arguments: Any) -> Measured:
    """`measure` in a process of its own, which drives a Ray of its own, in a temporary folder."""
    code = (
        "import json, sys; from dataclasses import asdict; from tests.bench.memory import measure; "
        "print(json.dumps(asdict(measure(**json.loads(sys.argv[1])))))"
    )
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", code, json.dumps(arguments | {"folder": folder})]
        ran = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, cwd=Path(__file__).parents[2])
    return Measured(**json.loads(ran.stdout.splitlines()[-1]))


SMALL = {"n_frames": N_FRAMES, "n_tabs": 1, "filters": 4}
IEMOCAPS = {"n_frames": N_FRAMES, "n_tabs": 10}


def main(n: int = N_UTTERANCES, trainers: int | None = None) -> list[ratios.Table]:
    trainers = trainers or len(os.sched_getaffinity(0))
    small = in_a_process(n=n, model=SMALL, n_train=n - 64, epochs=1, trainers=trainers)
    # As few steps as the compiled form is made for: more take no more memory.
    real = in_a_process(n=256, model=IEMOCAPS, n_train=64, epochs=33, trainers=1)
    rows = [
        ["features", _mb(small.features)],
        ["Ray's object store, all of it", _mb(small.object_store)],
        ["the process that loads them from the store, at most", _mb(small.loader)],
        ["the same afterwards", _mb(small.loader_after)],
        ["the process that drives the run", _mb(small.driver)],
    ]
    for number, (before, peak, mapped, share) in enumerate(
        zip(small.before, small.peak, small.mapped, small.share, strict=True), start=1
    ):
        rows += [
            [f"trainer {number}, with TensorFlow and a small network, before", _mb(before)],
            [f"trainer {number}, in an epoch over all features, more than that, at most", f"**{_mb(peak - before)}**"],
            [f"trainer {number}, what it sees of the object store (its share)", f"{_mb(mapped)} ({_mb(share)})"],
        ]
    rows.append([f"a trainer of IEMOCAP's TIM-Net, {N_FRAMES} frames, batches of 64, at most", _mb(real.peak[0])])
    about = (
        f"{n} recordings of {N_FRAMES} frames, as IEMOCAP has them; trainers at work at the same time: {trainers}. Memory "
        "is what no file and no other process shares (RssAnon), but for the object store, which all processes share."
    )
    return [
        ratios.Table("Memory at IEMOCAP's size", about, ["what", "memory"], rows, [f"loaded in {small.seconds:.1f} s"])
    ]


def _mb(n_bytes: int) -> str:
    return f"{n_bytes / MB:.0f} MB"


if __name__ == "__main__":
    print(ratios.table(main(*map(int, sys.argv[1:]))))
