"""Predicting over Ray when a worker is lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import processes, until, write_tone

from tasks import predict as over_ray
from timnet import features
from timnet.classical import BIAS, KERNEL, MEAN, SD
from timnet.config import ModelSettings
from timnet.predict import Recogniser, find, predict
from timnet.trained import Trained, TrainedFold, save

pytestmark = [pytest.mark.ray, pytest.mark.slow]

PROFILE = features.get("soxr_hq")
LABELS = ("a", "b", "c")


@pytest.fixture
def trained():
    random = np.random.default_rng(0)
    weights = {MEAN: np.zeros(118), SD: np.full(118, 50.0), KERNEL: random.normal(size=(118, 3)), BIAS: np.zeros(3)}
    model = ModelSettings("svm", features.n_frames(PROFILE, 11_025), 39, 3)
    return Trained("an SVM of random weights", "NONE", LABELS, model, PROFILE, 11_025, (TrainedFold(1, 1, weights),))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_closes_ray_and_writes_nothing(trained, tmp_path, number, status):
    save(trained, tmp_path / "model.npz")
    for i in range(96):
        write_tone(tmp_path / f"sounds/{i:02}.wav", 100 + 10 * i, seed=i, duration_s=2)
    arguments = ["predict", "sounds", "--model", "model.npz", "--output", "found.csv", "--window-hop", "0.05"]
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.main", *arguments, "--workers", "1"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert "32 of 96 recordings" in process.stderr.readline()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert err == "timnet: interrupted. Nothing was written.\n"
    assert process.returncode == status
    assert not (tmp_path / "found.csv").exists()
    until(lambda: not [one for one in processes() if one.session == process.pid and one.state != "Z"])


def test_a_killed_worker_is_made_up_for(trained, tmp_path, monkeypatch):
    for i in range(32):
        write_tone(tmp_path / f"{i:02}.wav", 100 + 10 * i, seed=i, duration_s=3)
    inputs = find([str(tmp_path)])
    killed = []

    def kill_one(_: int) -> None:
        workers = [one for one in processes() if one.title.startswith(b"ray::Predictor")]
        mine = [one.pid for one in workers if one.session == os.getsid(0) and one.state != "Z"]
        if mine and not killed:
            os.kill(mine[0], signal.SIGKILL)
            killed.append(mine[0])

    monkeypatch.setattr(over_ray, "FILES_PER_SHARD", 4)
    found = over_ray.predict_many(inputs, trained, 0.1, workers=1, on_progress=kill_one)
    assert killed
    here = list(predict((one.read() for one in inputs), Recogniser(trained), 0.1))
    assert [one.path for one in found] == [one.path for one in here]
    for one, other in zip(found, here, strict=True):
        np.testing.assert_array_equal(one.whole.probabilities, other.whole.probabilities)
        assert len(one.timeline) == len(other.timeline) > 1
