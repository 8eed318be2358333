"""Hundreds of folds through the real flow: does anything grow with their number, and what does a fold cost?

`python -m tests.bench.folds` (or `make bench-folds`) makes six small corpora, runs 6 x 10 folds x 10 seeds of the SVM through
`python -m flows.cv --local`, and looks at the driver and at Prefect's API from outside while they work: memory, threads,
open files and sockets. It prints a table and writes it to docs/folds.md. `--corpora 1 --seeds 1 --every 4` is a small one,
which is printed alone.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

EMOTIONS = {"angry": 300.0, "happy": 220.0, "sad": 120.0}
SPEAKERS, SAMPLE_RATE_HZ, DURATION_S = 10, 8000, 0.5
CORPORA, FOLDS, SEEDS = 6, 10, 10
EVERY = 100  # folds between two rows
PAGE = Path(__file__).resolve().parents[2] / "docs" / "folds.md"


@dataclass(frozen=True)
class Look:
    """One look at a process."""

    memory_mib: float
    threads: int
    files: int
    sockets: int


def look(pid: int) -> Look:
    status = Path(f"/proc/{pid}/status").read_text()
    number = {name: int(re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[1]) for name in ("VmRSS", "Threads")}
    targets = []
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            targets.append(os.readlink(f"/proc/{pid}/fd/{entry}"))
        except OSError:  # closed meanwhile
            continue
    sockets = sum(target.startswith("socket:") for target in targets)
    return Look(number["VmRSS"] / 1024, number["Threads"], len(targets) - sockets, sockets)


def write_corpora(root: Path, corpora: Sequence[str]) -> None:
    """The speakers say everything alike, so that folds are as small as folds can be."""
    t = np.arange(int(DURATION_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    for n, corpus in enumerate(corpora):
        for emotion, hz in EMOTIONS.items():
            for speaker in range(SPEAKERS):
                random = np.random.default_rng([n, speaker, int(hz)])
                tone = np.sin(2 * np.pi * hz * random.uniform(0.95, 1.05) * t)
                path = root / corpus / emotion / f"speaker{speaker}" / "1.wav"
                path.parent.mkdir(parents=True)
                samples = 0.1 * tone + 0.02 * random.normal(size=len(t))
                soundfile.write(path, samples.astype(np.float32), SAMPLE_RATE_HZ)


def api_of(driver: int) -> int | None:
    """Process id of the Prefect API that the driver has started."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            title = Path(f"/proc/{entry}/cmdline").read_bytes()
            parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == driver and b"tasks.local_api" in title:
            return int(entry)
    return None


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.folds", description=__doc__)
    parser.add_argument("--corpora", type=int, default=CORPORA)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--every", type=int, default=EVERY, help="folds between two looks")
    given = parser.parse_args(arguments)
    if given.corpora * FOLDS * given.seeds < 2 * given.every:
        parser.error(f"{given.corpora * FOLDS * given.seeds} folds make no two looks, one every {given.every}")
    return given


def main(arguments: Sequence[str] | None = None) -> None:
    given = options(arguments)
    rows: list[tuple[int, float, Look, Look]] = []
    corpora = [f"bench{i}" for i in range(given.corpora)]
    with tempfile.TemporaryDirectory() as folder:
        root, store = Path(folder) / "data", Path(folder) / "store"
        write_corpora(root, corpora)
        command = [sys.executable, "-m", "flows.cv", "--local", "--data-root", str(root), "--store", str(store)]
        command += [
            "--corpora",
            ",".join(corpora),
            "--seeds",
            ",".join(map(str, range(given.seeds))),
            "--folds",
            str(FOLDS),
        ]
        command += ["--model", "svm", "--run-id", "bench", "--signal-length", "8192"]
        environment = os.environ | {"PREFECT_HOME": str(Path(folder) / "prefect")}
        with (Path(folder) / "err").open("w+") as err:
            driver = subprocess.Popen(command, env=environment, stderr=err)
            began = None
            while driver.poll() is None:
                done = len(list(store.glob("trained/*/*/_DONE.json")))
                if done and began is None:
                    began = time.monotonic()
                api = api_of(driver.pid)
                if began is not None and api is not None and done >= given.every * (len(rows) + 1):
                    try:
                        rows.append((done, time.monotonic() - began, look(driver.pid), look(api)))
                    except OSError:
                        break
                time.sleep(0.2)
            status = driver.wait()
            err.seek(0)
            said = err.read()
        if status:
            raise SystemExit(f"the run ended with exit status {status}:\n{said}")
        seconds = [json.loads(path.read_text())["seconds"]["total"] for path in store.glob("trained/*/*/metrics.json")]
    if len(rows) < 2:
        raise SystemExit(f"the run was over before a second look could be taken:\n{said}")
    page = text(rows, given, seconds, said)
    if given == options([]):
        PAGE.write_text(page)
    print(page)


def text(rows: list[tuple[int, float, Look, Look]], given: argparse.Namespace, seconds: list[float], said: str) -> str:
    """The table, as Markdown."""
    lines = [
        "# Hundreds of folds",
        "",
        f"Made by `make bench-folds`: {len(seconds)} folds ({given.corpora} corpora, {FOLDS} folds, {given.seeds} seeds) of "
        f"the SVM on {SPEAKERS * len(EMOTIONS)} recordings each, through `python -m flows.cv --local`, on "
        f"{os.cpu_count()} CPUs. The driver and Prefect's API were looked at from outside while they worked.",
        "",
        "| folds | after | driver: memory | threads | files | sockets | Prefect's API: memory | threads | files | sockets |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for done, after, driver, api in rows:
        cells = [str(done), f"{after:.0f} s"]
        for one in (driver, api):
            cells += [f"{one.memory_mib:.0f} MiB", str(one.threads), str(one.files), str(one.sockets)]
        lines.append(f"| {' | '.join(cells)} |")
    (first, began, *_), (last, ended, *_) = rows[0], rows[-1]
    a_fold = (ended - began) / (last - first)
    lines += [
        "",
        f"A fold took {a_fold:.2f} s of the run's time with {os.cpu_count()} at a time; its own work (reading, fitting, "
        f"predicting, writing) was {np.mean(seconds):.2f} s, so that Prefect, Ray and the store cost "
        f"{max(a_fold - np.mean(seconds) / (os.cpu_count() or 1), 0):.2f} s a fold. The run's last line:",
        "",
        "```text",
        said.strip().splitlines()[-1],
        "```",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
