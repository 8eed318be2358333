"""What a run costs beside its work: `python -m tests.bench.overhead`, part of `make bench`.

`--help` as a user waits for it; and the demo command in a new store, from its start to its end, beside a loop without
Prefect, Ray and report, which extracts the same recordings and trains the same folds with the same trainer. That loop has a
process of one thread for each CPU, too; it reads the recordings and the folds that the command has left.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.cluster import WORKER_ENVIRONMENT
from tests.bench import ratios
from timnet.store import Store

ROUNDS, HELPS = 3, 11
DEMO = [sys.executable, "-m", "flows.cv", "--local", "--run-id", "demo"]
BARE = [sys.executable, "-c", "import sys; from tests.bench.overhead import bare; bare(*sys.argv[1:])"]
FEATURES = "bare.npy"


def bare(uri: str, number: str, of: str) -> None:
    """The loop: process 0 extracts and starts the others; each trains every `of`-th fold."""
    from timnet import fold_tables, tables
    from timnet.recipes import FoldSettings, ModelSettings, Recipe
    from timnet.splits import Columns

    store = Store(uri)
    facts = store.read_json("runs/demo/run.json")
    ((name, corpus),) = facts["corpora"].items()
    manifest = store.read_table(f"{corpus['manifest']}/manifest.parquet", tables.MANIFEST)
    others = []
    if number == "0":
        np.save(store.at(FEATURES), _extracted(store, manifest["path"].to_pylist(), facts, corpus))
        others = [subprocess.Popen([*BARE, uri, str(i), of]) for i in range(1, int(of))]

    from timnet.training import FoldData, Trainer

    columns, features, trainer = Columns.of(name, corpus["labels"], manifest), np.load(store.at(FEATURES)), Trainer(1)
    ((seed, split),) = corpus["seeds"].items()
    folds = fold_tables.from_table(columns, store.read_table(f"{split['split']}/folds.parquet", tables.FOLDS))
    model, recipe = ModelSettings(**corpus["network"]), Recipe(**facts["recipe"])
    for i in range(int(number), len(folds), int(of)):
        settings = FoldSettings(model, recipe, facts["protocol"]["selection"], int(seed), i + 1)
        trainer.train(FoldData(features, columns.classes, *folds[i]), settings)
    if any(other.wait() for other in others):
        raise SystemExit("another process of the loop has failed")


def _extracted(store: Store, paths: Sequence[str], facts: dict, corpus: dict) -> np.ndarray:
    from timnet import audio, features
    from timnet.corpora import demo

    profile = features.get(facts["features"]["name"])
    recordings = (audio.read(store.read_bytes(f"{demo.folder()}/{path}"), path) for path in paths)
    return np.stack([features.extract(*recording, profile, corpus["signal_length"]) for recording in recordings])


def seconds(command: Sequence[str], environment: dict[str, str] | None = None) -> tuple[float, str]:
    """From the start of a process to its end, and what it said."""
    with tempfile.TemporaryFile("w+") as said:  # not a pipe, which lasts as long as somebody has it open
        started = time.perf_counter()
        subprocess.run(
            command, check=True, env=os.environ | (environment or {}), stderr=said, stdout=subprocess.DEVNULL
        )
        took = time.perf_counter() - started
        said.seek(0)
        return took, said.read()


def demo_and_bare(folder: Path) -> tuple[float, float, str, float]:
    """Seconds of the command and of the loop, what the command said of its time, and the folds' own seconds per CPU."""
    n = len(os.sched_getaffinity(0))
    whole, said = seconds([*DEMO, "--store", str(folder)], {"PREFECT_HOME": str(folder.parent / "prefect")})
    (account,) = re.findall(r"All of it took (.*)", said)
    alone, _ = seconds([*BARE, str(folder), "0", str(n)], WORKER_ENVIRONMENT)
    folds = [json.loads(path.read_text())["seconds"]["total"] for path in folder.glob("trained/*/*/metrics.json")]
    return whole, alone, account, sum(folds) / n


def main(rounds: int = ROUNDS, helps: int = HELPS) -> list[ratios.Table]:
    helped = [seconds([*DEMO[:3], "--help"])[0] for _ in range(helps)]
    with tempfile.TemporaryDirectory() as folder:
        runs = [demo_and_bare(Path(folder) / f"store-{n}") for n in range(rounds)]
    whole, alone, accounts, folds = zip(*runs, strict=True)
    rows = [
        ["`python -m flows.cv --help`", ratios.spread(helped)],
        ["`python -m flows.cv --local`, the demo, in a new store", ratios.spread(whole)],
        ["extracting its recordings and training its folds without Prefect, Ray and report", ratios.spread(alone)],
        [
            "**the difference: what the pipeline costs**",
            ratios.spread([one - other for one, other in zip(whole, alone, strict=True)]),
        ],
    ]
    about = (
        f"The loop beside the command trains in {len(os.sched_getaffinity(0))} processes of one thread, as the command "
        "does, and starts TensorFlow in each. Medians, with the smallest and largest round."
    )
    notes = [f"the command said of round {n}: {account}" for n, account in enumerate(accounts, start=1)]
    notes.append(f"its folds took {np.median(folds):.1f} s of each CPU")
    return [ratios.Table("Start-up and overhead", about, ["what", "time"], rows, notes)]


if __name__ == "__main__":
    print(ratios.table(main(*map(int, sys.argv[1:]))))
