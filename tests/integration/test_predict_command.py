"""`timnet predict` as a user types it, with a run that was really trained: in its own process, and over Ray."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from tiny import EMOTIONS, SAMPLE_RATE_HZ, predictions, write_tone

pytestmark = [pytest.mark.ray, pytest.mark.prefect]


def predict(store, *arguments, status=0):
    """The command on the run `first`; returns what it printed."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "flows.main",
            "predict",
            *map(str, arguments),
            "--model",
            "first",
            "--store",
            str(store),
        ],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == status, f"exit status {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done


def test_wav_flac_ogg_and_a_long_one(finished, tmp_path):
    hz = EMOTIONS["happy"]
    write_tone(tmp_path / "a.wav", hz, seed=900)
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    soundfile.write(tmp_path / "b.flac", samples, SAMPLE_RATE_HZ)
    soundfile.write(tmp_path / "c.ogg", samples, SAMPLE_RATE_HZ)
    write_tone(tmp_path / "long.wav", hz, seed=901, duration_s=2.0)
    done = predict(finished[0], tmp_path, "--format", "json")
    found = json.loads(done.stdout)
    assert found["model"]["folds"] == ["seed 7 fold 1", "seed 7 fold 2", "seed 7 fold 3"]
    pooled = json.loads((finished[0] / "runs/first/report/summary.json").read_text())["corpora"]["TINY"]["pooled"]
    assert found["model"]["scores"]["pooled"] == pooled
    assert f"WAR {100 * pooled['war']:.2f} %" in done.stderr
    assert "not calibrated" in done.stderr
    wav, flac, ogg, long = found["recordings"]
    assert [one["path"].rsplit("/", 1)[-1] for one in found["recordings"]] == ["a.wav", "b.flac", "c.ogg", "long.wav"]
    assert [one["emotion"] for one in found["recordings"]] == ["happy"] * 4
    assert flac["probabilities"] == pytest.approx(wav["probabilities"], abs=1e-5)
    assert ogg["probabilities"] == pytest.approx(wav["probabilities"], abs=0.2)
    assert wav["warnings"] == []
    assert len(long["timeline"]) > 4
    assert {one["emotion"] for one in long["timeline"]} == {"happy"}
    assert any(warning.startswith("It is 2.0 s long") for warning in long["warnings"])


def test_many_files_over_ray_are_what_the_run_predicted(finished, recordings, tmp_path):
    sounds = tmp_path / "sounds"
    shutil.copytree(recordings / "TINY", sounds)
    for i in range(24):
        write_tone(sounds / "more" / f"{i:02}.wav", EMOTIONS["sad"], seed=1000 + i)
    (sounds / "more" / "broken.wav").write_bytes(b"no sound")
    done = predict(finished[0], sounds, "--fold", 1, "--output", tmp_path / "found.parquet", status=1)
    assert "1 of 73 recordings could not be predicted:" in done.stderr, done.stderr
    assert f"{sounds}/more/broken.wav cannot be read as audio" in done.stderr
    rows = pq.read_table(tmp_path / "found.parquet").to_pylist()
    assert [row["path"] for row in rows] == sorted(str(path) for path in sounds.rglob("*.wav"))
    found = {row["path"].removeprefix(f"{sounds}/")[:-4]: row for row in rows}
    stored = [row for row in predictions(finished[0]).to_pylist() if row["fold"] == 1]
    assert stored
    for row in stored:
        mine = found[row["utterance_id"]]
        assert mine["emotion"] == row["predicted"]
        probabilities = [mine[f"p_{label}"] for label in sorted(EMOTIONS)]
        np.testing.assert_allclose(probabilities, row["probabilities"], atol=1e-5)
        assert not any("in the training" in warning for warning in mine["warnings"])
    learnt = [path for path, row in found.items() if any("in the training of 1 of 1" in w for w in row["warnings"])]
    assert 0 < len(learnt) <= 48 - len(stored)
    assert found["more/broken"]["emotion"] is None
    assert all(row["emotion"] for path, row in found.items() if path != "more/broken")
