"""A real run in a process of its own: the command as a user types it, on a tiny corpus made here."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

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

    def start(self, *arguments: str, module: str = "flows.cv") -> subprocess.Popen:
        environment = {**os.environ, "PREFECT_HOME": str(self.home), "PREFECT_PROFILES_PATH": str(self.home / "p.toml")}
        environment.pop("PREFECT_API_URL", None)
        return subprocess.Popen(
            [sys.executable, "-m", module, "--local", *arguments],
            cwd=self.cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, module: str = "flows.cv", status: int | None = 0) -> subprocess.CompletedProcess:
        process = self.start(*arguments, module=module)
        try:
            out, err = process.communicate(timeout=240)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"the command did not end:\n{out}\n{err}") from None
        if status is not None:
            assert process.returncode == status, f"exit status {process.returncode}, expected {status}:\n{out}\n{err}"
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


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
