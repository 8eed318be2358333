"""Extraction over Ray with one worker and with a worker a CPU: `python -m tests.bench.workers`, part of `make bench`.

Both are the tasks of a real run, scan and extract, on the same recordings of EMO-DB's rate and lengths, each in a process of
its own that is allowed so many CPUs. Rounds alternate.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import soundfile

from tests.bench import extraction, ratios
from timnet.corpora.emodb import CORPUS

FILES, ROUNDS = 9774, 3  # as many as the six published corpora have together

# Times from before Ray is started until the features are committed, and of the same again with the workers that are there.
RUN = """
import sys, time
from tasks import cluster
from tasks.context import RunContext
from tasks.features import extract, scan
from tasks.progress import Reporter
from timnet.config import RunSettings
from timnet.plan import plan
from timnet.store import Store
n, data, store, signal_length = int(sys.argv[1]), *sys.argv[2:4], int(sys.argv[4])
cluster.usable_cpus = lambda: n
settings = RunSettings(corpora=("many",), data_root=data, store=store, signal_length=signal_length)
planned = plan(settings)
(corpus,) = planned.corpora
with Reporter() as reporter, RunContext(settings, planned.run_id, reporter) as context:
    started = time.perf_counter()
    scanned = scan.fn("many", corpus, context)
    extract.fn("many", corpus, scanned, planned.profile, context)
    first = time.perf_counter() - started
    context.store = Store(store + "-again")
    started = time.perf_counter()
    extract.fn("many", corpus, scanned, planned.profile, context)
    print(first, time.perf_counter() - started)
"""


def write(folder: Path, files: int) -> float:
    """A corpus `many`: recordings under many names, each one class; returns their duration in s."""
    originals = folder / "originals"
    originals.mkdir()
    paths = extraction.write(originals)
    durations = [soundfile.info(path).duration for path in paths]
    for number in range(files):
        to = folder / "data" / "many" / ("angry", "sad")[number % 2] / f"{number}.wav"
        to.parent.mkdir(parents=True, exist_ok=True)
        os.link(paths[number % len(paths)], to)
    return sum(durations[number % len(paths)] for number in range(files))


def seconds(n_workers: int, folder: Path) -> tuple[float, float]:
    """From nothing, and with warm workers."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        arguments = [str(n_workers), str(folder / "data"), f"{own}/store", str(CORPUS.mean_signal_length)]
        ran = subprocess.run([sys.executable, "-c", RUN, *arguments], check=True, capture_output=True, text=True)
    first, again = map(float, ran.stdout.split())
    return first, again


def main(files: int = FILES, rounds: int = ROUNDS) -> list[ratios.Ratio]:
    n = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        audio_s = write(Path(folder), files)
        found = [(seconds(1, Path(folder)), seconds(n, Path(folder))) for _ in range(rounds)]
    of = f"{files} recordings, {audio_s / 3600:.1f} h"
    return [
        ratios.Ratio(
            f"extraction over Ray with {n} workers, {what}",
            "the same with 1 worker",
            [(one[part], all_of[part]) for one, all_of in found],
            of,
        )
        for part, what in enumerate(("Ray's start and the scan counted", "workers there"))
    ]


if __name__ == "__main__":
    print(ratios.table(main(*map(int, sys.argv[1:]))))
