"""A real run in a process of its own: the command as a user types it, on a tiny corpus made here."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from timnet import tables
from timnet.config import ModelSettings
from timnet.published_weights import write_weights
from timnet.store import Store

EMOTIONS = {"angry": 300.0, "happy": 220.0, "sad": 120.0}  # Hz: a tone a class, which any network learns
SPEAKERS = ("ann", "bob", "cem", "dör")
TAKES = 4
SAMPLE_RATE_HZ = 8000


def write_tone(path: Path, hz: float, seed: int, duration_s: float = 0.5) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    t = np.arange(int(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tone = sum(np.sin(2 * np.pi * k * hz * random.uniform(0.95, 1.05) * t) / k for k in (1, 2, 3))
    soundfile.write(path, (0.1 * tone + 0.02 * random.normal(size=len(t))).astype(np.float32), SAMPLE_RATE_HZ)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory) -> Path:
    """A data root with the corpus TINY: emotion/speaker/take.wav."""
    root = tmp_path_factory.mktemp("recordings")
    for e, (emotion, hz) in enumerate(EMOTIONS.items()):
        for s, speaker in enumerate(SPEAKERS):
            for take in range(TAKES):
                write_tone(root / "TINY" / emotion / speaker / f"{take}.wav", hz, seed=100 * e + 10 * s + take)
    return root


@dataclass
class Command:
    """Runs `python -m flows.cv --local` with its own Prefect home, so that tests share nothing with the user's."""

    home: Path
    cwd: Path

    def start(self, *arguments: str, module: str = "flows.cv") -> "Running":
        environment = {**os.environ, "PREFECT_HOME": str(self.home), "PREFECT_PROFILES_PATH": str(self.home / "p.toml")}
        environment.pop("PREFECT_API_URL", None)
        # Files, not pipes: what outlives a killed command for a moment would hold a pipe open.
        out, err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--local", *arguments],
            cwd=self.cwd,
            env=environment,
            stdout=out,
            stderr=err,
            start_new_session=True,
            # Started in the background, as CI may be, this process ignores Ctrl-C, and its children would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        return Running(process, out, err)

    def run(self, *arguments: str, module: str = "flows.cv", status: int | None = 0) -> "Ended":
        ended = self.start(*arguments, module=module).end(timeout_s=240)
        if status is not None:
            assert ended.status == status, (
                f"exit status {ended.status}, expected {status}:\n{ended.stdout}\n{ended.stderr}"
            )
        return ended


@dataclass
class Ended:
    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    session: int
    state: str
    title: bytes


def processes() -> Iterator[Process]:
    """Every process of this machine, as /proc has it."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                title = Path(f"/proc/{entry}/cmdline").read_bytes()
                state, parent, _, session = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            yield Process(int(entry), int(parent), int(session), state, title)


def trainers(is_mine: Callable[[Process], bool]) -> list[int]:
    """Process ids of the trainer actors that are chosen."""
    return [one.pid for one in processes() if one.title.startswith(b"ray::FoldTrainer") and is_mine(one)]


def of_ray(folder: Path) -> list[bytes]:
    """Titles of what Ray has started with this folder in its environment, and is still there."""
    found = []
    for one in processes():
        try:
            environment = Path(f"/proc/{one.pid}/environ").read_bytes()
        except OSError:
            continue
        is_ray = one.title.startswith(b"ray::") or b"/ray/core/" in one.title or b"/ray/dashboard/" in one.title
        if is_ray and one.state != "Z" and os.fsencode(folder) in environment:
            found.append(one.title)
    return found


@dataclass
class Running:
    process: subprocess.Popen
    out: IO[str]
    err: IO[str]

    def end(self, timeout_s: float) -> Ended:
        """Wait for the end; fails where it does not come in time."""
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError(f"the command did not end:\n{self._text(self.out)}\n{self._text(self.err)}") from None
        return Ended(status, self._text(self.out), self._text(self.err))

    def so_far(self) -> str:
        """What it has written to its standard error."""
        return os.pread(self.err.fileno(), 2**20, 0).decode()

    @staticmethod
    def _text(file: IO[str]) -> str:
        with file:
            file.seek(0)
            return file.read()

    def left(self) -> list[int]:
        """Processes of the command's session and of those it started, that are still there."""
        return [one.pid for one in processes() if one.session == self.process.pid and one.state != "Z"]


@pytest.fixture(scope="session")
def command(tmp_path_factory) -> Command:
    return Command(tmp_path_factory.mktemp("prefect-home"), tmp_path_factory.mktemp("cwd"))


def until(condition, timeout_s: float = 120.0):
    """The first true value of the condition; fails where there is none in time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"{condition} did not come true in {timeout_s} s")


SETTINGS = (
    "--corpora", "TINY", "--folds", "3", "--seeds", "7", "--epochs", "12", "--recipe", "demo", "--run-id", "first",
    "--checkpoint-every-epochs", "2", "--max-parallel", "2",
)  # fmt: skip


@pytest.fixture(scope="session")
def finished(command, recordings, tmp_path_factory) -> tuple[Path, Ended]:
    """A run that nothing disturbed: its store and what it printed."""
    store = tmp_path_factory.mktemp("finished")
    done = command.run("--data-root", str(recordings), "--store", str(store), *SETTINGS)
    return store, done


@pytest.fixture(scope="module")
def weights(finished, tmp_path_factory) -> Path:
    """The weights of every fold of a run, as the published system would have stored them."""
    store, _ = finished
    run = json.loads((store / "runs/first/run.json").read_text())
    corpus = run["corpora"]["TINY"]
    shape = Store(str(store)).done(corpus["features"][0])
    settings = ModelSettings("timnet", shape["n_frames"], shape["n_coefficients"], len(EMOTIONS))
    folder = tmp_path_factory.mktemp("weights")
    for fold in corpus["seeds"]["7"]["folds"]:
        arrays = Store(str(store)).read_arrays(f"{fold['path']}/weights.npz")
        (folder / f"3-fold_weights_best_{fold['fold']}.hdf5").write_bytes(write_weights(arrays, settings))
    return folder


def predictions(store: Path, run_id: str = "first") -> pa.Table:
    """What a run predicted, in one order."""
    table = Store(str(store)).read_table(f"runs/{run_id}/report/predictions.parquet", tables.PREDICTIONS)
    return table.sort_by([("seed", "ascending"), ("fold", "ascending"), ("utterance_id", "ascending")])


def finished_folds(store: Path) -> int:
    return len(list(store.glob("trained/*/*/_DONE.json")))
